// SPDX-License-Identifier: Apache-2.0
// The error log: one line per message on stderr, "YYYY/MM/DD HH:MM:SS [LEVEL] text" in local time
// (fabio's format). Control and non-ASCII bytes in the text are written as \xNN, so that a hostile
// name cannot forge a line. Each line is one write. Safe on any thread, and waits for nobody: a
// message that a full pipe or socket has no room for is lost, which the next one says.
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "base/attr.h"
#include "base/str.h"

enum log_level { LOG_TRACE, LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_FATAL };

// Messages below the level are dropped. Default LOG_INFO.
void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);
// "INFO" and so on, any case. False when the name is unknown.
MUST_CHECK bool log_level_parse(struct str name, enum log_level *level);

void log_write(enum log_level level, const char *fmt, ...) PRINTF_LIKE(2, 3);

// A message of many lines: "<time> [LEVEL] heading" and then the lines of text as they are, the way
// fabio logs its configuration and its routes. Bytes are escaped as above, line feeds end lines; a
// line of text could look like a message. Not one write, but each write ends with a line unless
// that is longer than a few KB.
void log_block(enum log_level level, const char *heading, struct str text);

#define log_trace(...) log_write(LOG_TRACE, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)
#define log_info(...)  log_write(LOG_INFO, __VA_ARGS__)
#define log_warn(...)  log_write(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_fatal(...) log_write(LOG_FATAL, __VA_ARGS__)
