// SPDX-License-Identifier: Apache-2.0
// The few questions asked of parsed JSON, so that missing fields and wrong types read as "empty"
// everywhere alike. Thin over cJSON; used by the decoders only.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <cjson/cJSON.h>

#include "base/err.h"
#include "base/str.h"

// Parses one complete value; *error is ERR_INVALID or ERR_NOMEM when NULL is returned. A NUL
// written as \u0000 reads as U+FFFD: it would cut the text short. To be freed with cJSON_Delete.
MUST_CHECK cJSON *json_parse(struct str text, int *error);
// Parses `"key": value`. The key's bytes live in *holder, to be freed with cJSON_Delete as the
// value is.
MUST_CHECK cJSON *json_parse_member(struct str text, cJSON **holder, int *error);

// Says in err that an answer is not what it should be, or why it could not be read. Returns status.
int json_answer_error(struct err *err, int status, const char *what);

// The member as text; empty when it is missing, null or no string.
struct str json_text(const cJSON *object, const char *name);
const cJSON *json_object(const cJSON *object, const char *name); // NULL unless an object
const cJSON *json_array(const cJSON *object, const char *name);  // NULL unless an array
// A whole number in [0, max]; 0 otherwise.
uint64_t json_number(const cJSON *object, const char *name, uint64_t max);
