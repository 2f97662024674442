// SPDX-License-Identifier: Apache-2.0
#include "admin/check.h"

#include "admin/json_write.h"
#include "base/err.h"
#include "route/command.h"

enum { LINE_SHOWN_MAX = 1024 }; // bytes of a wrong line

struct finding {
    struct buf errors;
    uint64_t count;
};

static void on_bad_line(void *ctx, struct str origin, uint32_t line, struct str text,
                        const char *reason)
{
    (void)origin;
    struct finding *finding = ctx;
    if (finding->count++ >= CHECK_ERRORS_MAX)
        return;
    buf_append_cstr(&finding->errors, finding->count == 1 ? "{" : ",{");
    json_field_u64(&finding->errors, "line", line);
    json_field_str(&finding->errors, "text", str_upto(text, LINE_SHOWN_MAX));
    json_field_str(&finding->errors, "error", str_of(reason));
    buf_append_char(&finding->errors, '}');
}

void check_write(struct buf *out, struct str text)
{
    struct finding finding = {0};
    buf_init(&finding.errors, out->max);
    struct command_list *list = command_list_parse(text, STR("check"), on_bad_line, &finding);
    if (!list)
        out->failure = ERR_NOMEM;
    else if (buf_status(&finding.errors) != 0)
        out->failure = buf_status(&finding.errors);
    buf_append_char(out, '{');
    json_field_u64(out, "commands", command_list_count(list));
    json_field_u64(out, "wrong", finding.count);
    json_key(out, "errors");
    buf_printf(out, "[%.*s]}", STR_FMT(buf_str(&finding.errors)));
    buf_fini(&finding.errors);
    command_list_free(list);
}
