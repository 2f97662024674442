// SPDX-License-Identifier: Apache-2.0
// Whom to trust among https targets: looked at when the options are read, so that a bad file ends
// the start.
#include <sys/stat.h>

#include "net/tls.h"
#include "options_row.h"

int option_apply_ca_file(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    (void)options;
    struct str path = option_text(storage, row->key);
    if (path.len == 0)
        return 0;
    struct tls_context *context = tls_context_new(path, STR_NULL, err);
    tls_context_free(context);
    return context ? 0 : err->code;
}

int option_apply_ca_path(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    (void)options;
    char path[1024];
    struct str text = option_text(storage, row->key);
    struct stat found;
    if (text.len == 0)
        return 0;
    snprintf(path, sizeof path, "%.*s", STR_FMT(text));
    if (stat(path, &found) != 0 || !S_ISDIR(found.st_mode))
        return err_set(err, ERR_INVALID, "is no folder");
    return 0;
}
