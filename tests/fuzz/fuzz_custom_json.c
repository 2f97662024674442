// SPDX-License-Identifier: Apache-2.0
// The answer of a custom backend. What is accepted must be complete commands, each a single line of
// the text; what is refused must leave nothing behind.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "discover/custom_decode.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static void on_problem(void *ctx, size_t index, struct str text, const char *reason)
{
    (void)text;
    size_t *count = ctx;
    require(index < CUSTOM_ELEMENTS_MAX && reason && reason[0]);
    ++*count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct custom_answer answer;
    struct err err = {0};
    size_t problems = 0;
    int status = custom_decode(str_make((const char *)data, size), STR("fuzz"), &answer, on_problem,
                               &problems, &err);
    if (status < 0) {
        require(err.code == status && !answer.commands);
        return 0;
    }
    require(problems == answer.bad_elements);
    require(command_list_count(answer.commands) + answer.bad_elements == answer.elements);
    size_t lines = 0;
    for (size_t i = 0; i < answer.text.len; i++)
        lines += answer.text.ptr[i] == '\n';
    require(lines == command_list_count(answer.commands));
    for (size_t i = 0; i < lines; i++) {
        const struct command *command = command_list_at(answer.commands, i);
        require((command->kind == COMMAND_ADD) == (command->def != NULL));
        require(command->kind != COMMAND_DEL || command->service.len > 0 || command->tag_count > 0);
    }
    custom_answer_fini(&answer);
    return 0;
}

extern const int fuzz_survives_shortage;
const int fuzz_survives_shortage = 1;
