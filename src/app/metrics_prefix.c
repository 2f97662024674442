// SPDX-License-Identifier: Apache-2.0
#include "app/metrics_prefix.h"

#include "base/buf.h"
#include "stats/metric_name.h"

enum { PREFIX_MAX = 1024 };

static int expand_expression(struct buf *out, struct str text, struct str hostname, struct str exec,
                             struct err *err)
{
    struct str rest = text;
    struct str word = STR_NULL;
    struct str surplus;
    bool has_word = str_token_next(&rest, &word);
    bool is_cleaned = has_word && str_eq(word, STR("clean"));
    if (is_cleaned)
        has_word = str_token_next(&rest, &word);
    bool is_hostname = str_eq(word, STR(".Hostname"));
    if (!has_word || str_token_next(&rest, &surplus) ||
        (!is_hostname && !str_eq(word, STR(".Exec"))))
        return err_set(
            err, ERR_INVALID,
            "unknown template \"{{%.*s}}\": must be .Hostname, .Exec, clean .Hostname or "
            "clean .Exec",
            (int)MIN(text.len, 40), text.ptr);
    struct str value = is_hostname ? hostname : exec;
    if (is_cleaned)
        metric_clean(out, value);
    else
        buf_append_str(out, value);
    return 0;
}

static int expand_into(struct buf *out, struct str text, struct str hostname, struct str exec,
                       struct err *err)
{
    for (ptrdiff_t at; (at = str_find(text, STR("{{"))) >= 0;) {
        buf_append_str(out, str_upto(text, (size_t)at));
        text = str_from(text, (size_t)at + 2);
        ptrdiff_t end = str_find(text, STR("}}"));
        if (end < 0)
            return err_set(err, ERR_INVALID, "template without \"}}\"");
        int rc = expand_expression(out, str_upto(text, (size_t)end), hostname, exec, err);
        if (rc)
            return rc;
        text = str_from(text, (size_t)end + 2);
    }
    buf_append_str(out, text);
    return buf_status(out) ? err_set(err, buf_status(out), "%s", err_text(buf_status(out))) : 0;
}

static int check_bytes(struct str prefix, struct err *err)
{
    for (size_t i = 0; i < prefix.len; i++) {
        if ((unsigned char)prefix.ptr[i] <= ' ' || prefix.ptr[i] == 0x7f ||
            strchr("|#@", prefix.ptr[i]))
            return err_set(err, ERR_INVALID, "a name of a metric cannot have blanks, |, # or @");
    }
    return 0;
}

int metrics_prefix_expand(struct arena *arena, struct str text, struct str hostname,
                          struct str exec, struct str *prefix, struct err *err)
{
    if (str_eq(text, STR("default")))
        text = STR("{{clean .Hostname}}.{{clean .Exec}}");
    struct buf out;
    buf_init(&out, PREFIX_MAX);
    int rc = expand_into(&out, text, hostname, exec, err);
    if (rc == 0)
        rc = check_bytes(buf_str(&out), err);
    if (rc == 0) {
        *prefix = arena_str(arena, buf_str(&out));
        if (!prefix->ptr)
            rc = err_set(err, ERR_NOMEM, "out of memory");
    }
    buf_fini(&out);
    return rc;
}
