// SPDX-License-Identifier: Apache-2.0
#include "app/metrics_prefix.h"

#include "app/template.h"
#include "base/buf.h"
#include "stats/metric_name.h"

enum { PREFIX_MAX = 1024 };

struct names {
    struct str hostname;
    struct str exec;
};

static int expand_expression(void *ctx, struct buf *out, struct str text, struct str behind,
                             struct err *err)
{
    (void)behind;
    const struct names *names = ctx;
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
    struct str value = is_hostname ? names->hostname : names->exec;
    if (is_cleaned)
        metric_clean(out, value);
    else
        buf_append_str(out, value);
    return 0;
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
    struct names names = {.hostname = hostname, .exec = exec};
    int rc = template_expand(&out, text, expand_expression, &names, err);
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
