// SPDX-License-Identifier: Apache-2.0
#include "app/template.h"

int template_expand(struct buf *out, struct str text, template_expand_fn expand, void *ctx,
                    struct err *err)
{
    for (ptrdiff_t at; (at = str_find(text, STR("{{"))) >= 0;) {
        buf_append_str(out, str_upto(text, (size_t)at));
        text = str_from(text, (size_t)at + 2);
        ptrdiff_t end = str_find(text, STR("}}"));
        if (end < 0)
            return err_set(err, ERR_INVALID, "template without \"}}\"");
        struct str expression = str_upto(text, (size_t)end);
        text = str_from(text, (size_t)end + 2);
        int rc = expand(ctx, out, expression, text, err);
        if (rc)
            return rc;
    }
    buf_append_str(out, text);
    return buf_status(out) ? err_set(err, buf_status(out), "%s", err_text(buf_status(out))) : 0;
}
