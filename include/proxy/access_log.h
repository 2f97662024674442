// SPDX-License-Identifier: Apache-2.0
// The access log: one line for each request, also refused ones. The format is compiled at start; a
// worker formats a line into its own memory and puts it into its ring; a writer thread carries the
// rings to the descriptor. A log that cannot be written fills the rings and then loses lines, which
// are counted; it never holds a worker.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/err.h"
#include "base/str.h"
#include "http/head.h"

enum {
    ACCESS_LINE_MAX = 8192,       // any line with its newline fits
    ACCESS_RING_SIZE = 256 * 1024 // per worker
};

// What is said of one request. Texts come from outside as they are and are escaped and cut here; an
// unknown one is empty.
struct access_entry {
    uint64_t ended_at_us; // wall clock, end of the response
    uint64_t duration_us; // from the first byte of the request to the end of the response
    struct str client_ip; // peer, no brackets
    uint16_t client_port;
    struct str method;
    struct str target;     // as received
    uint8_t minor_version; // HTTP/1.x
    struct str host;       // as received
    struct str scheme;     // the client's, see http_client_scheme
    struct str request_id_name;
    struct str request_id;
    bool is_tls;
    int status;
    uint64_t bytes_received; // body
    uint64_t bytes_sent;     // body
    struct str service;      // of the target
    struct str route;        // "host/path" of the matched route
    struct str upstream;     // "host[:port]" of the target
    struct str upstream_scheme;
    // The request's head, and the one that was sent on; NULL: there is none, or it was not kept.
    const struct http_head *received;
    const struct http_head *sent;
    uint64_t upstream_us; // from sending the request to the response's head; 0: none came
    unsigned attempts;    // targets tried
    struct str reason;    // why the proxy itself answered ("no_route", a refusal's label)
};

struct access_format;
struct arena;

// Compiles common, combined, json or a text with fields ("$request_method $header.Accept", see
// docs/http.md) into the arena; the text need not outlive it. 0, ERR_NOMEM, or ERR_INVALID
// with what is wrong.
MUST_CHECK int access_format_compile(struct arena *arena, struct str text,
                                     const struct access_format **format, struct err *err);
// Whether its lines tell of access_entry.received, .host or .scheme, and whether of .sent.
bool access_format_needs_received_head(const struct access_format *format);
bool access_format_needs_sent_head(const struct access_format *format);
// Writes one line with its newline; what does not fit is cut. Control bytes, quotes, DEL and C1
// controls from outside are escaped. Returns the length; 0 for an empty line, which is none, and
// for a room below ACCESS_LINE_MAX. Pure.
size_t access_log_format(const struct access_format *format, const struct access_entry *entry,
                         char *out, size_t room);

struct access_log;

// Starts the writer thread on fd, which stays the caller's and is not changed. NULL and err.
MUST_CHECK struct access_log *access_log_start(int fd, unsigned worker_count, struct err *err);
// Queues one whole line. Called only by the worker with that index. False: no room, the line is
// lost and counted.
bool access_log_put(struct access_log *log, unsigned worker, struct str line);
// Lines lost so far, those that could not be written included. Any thread.
uint64_t access_log_dropped(const struct access_log *log);
// Writes what is queued, for at most 1 s, ends the thread and frees everything. The workers are
// gone.
void access_log_stop(struct access_log *log);
