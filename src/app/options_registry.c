// SPDX-License-Identifier: Apache-2.0
// What the options of registry backends mean beyond their type. Each function has its row in
// options_table.c.
#include "options_row.h"

int option_apply_backend(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    (void)storage;
    (void)row;
    if (options->backend == BACKEND_CUSTOM && options->custom.host.len == 0)
        return err_set(err, ERR_INVALID, "registry.custom.host is needed too");
    if (options->backend == BACKEND_FILE && options->file.path.len == 0)
        return err_set(err, ERR_INVALID, "registry.file.path is needed too");
    return 0;
}

int option_apply_service_status(struct options *options, struct option_storage *storage,
                                const struct option_row *row, struct err *err)
{
    (void)storage;
    (void)row;
    struct str rest = options->consul.accepted_status, member;
    if (value_list_next(&rest, &member))
        return 0;
    return err_set(err, ERR_INVALID, "must name at least one state, or nothing is ever routed");
}

int option_apply_custom_host(struct options *options, struct option_storage *storage,
                             const struct option_row *row, struct err *err)
{
    (void)storage;
    (void)row;
    struct str host = options->custom.host;
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.ptr[i];
        if (c <= ' ' || c >= 0x7f || strchr("/?#\\\"<>", c))
            return err_set(err, ERR_INVALID, "must be host or host:port");
    }
    return 0;
}

int option_apply_custom_interval(struct options *options, struct option_storage *storage,
                                 const struct option_row *row, struct err *err)
{
    (void)storage;
    (void)row;
    if (options->custom.poll_interval_ms == 0)
        return err_set(err, ERR_INVALID, "must be above 0");
    return 0;
}

int option_apply_snapshot_path(struct options *options, struct option_storage *storage,
                               const struct option_row *row, struct err *err)
{
    struct str *path = &options->snapshot.path;
    if (str_find_char(*path, '\0') >= 0)
        return err_set(err, ERR_INVALID, "must not contain a NUL byte");
    if (str_eq(*path, STR("off")))
        *path = STR("");
    else if (path->len == 0) {
        // systemd: absolute folders, separated by colons.
        struct str folder = option_environment(storage, "STATE_DIRECTORY");
        ptrdiff_t colon = str_find_char(folder, ':');
        folder = colon < 0 ? folder : str_upto(folder, (size_t)colon);
        if (folder.len == 0 || folder.ptr[0] != '/')
            return 0;
        struct buf text;
        buf_init(&text, 4096);
        buf_append_str(&text, folder);
        buf_append_cstr(&text, "/routes.snapshot");
        if (buf_status(&text) == 0)
            *path = arena_str(&storage->arena, buf_str(&text));
        int status = path->len > 0 ? 0 : ERR_NOMEM;
        buf_fini(&text);
        return status < 0 ? err_set(err, status, "%s", err_text(status)) : 0;
    }
    (void)row;
    return 0;
}

// user:password@ in front of the host is a secret, as the query parameters are.
void option_print_custom_host(const struct options *options, struct str text, struct buf *out)
{
    (void)options;
    ptrdiff_t at = str_rfind_char(text, '@');
    struct buf shown;
    buf_init(&shown, 4096);
    buf_append_cstr(&shown, at < 0 ? "" : "***@");
    buf_append_str(&shown, str_from(text, (size_t)(at + 1)));
    buf_append_json(out, buf_str(&shown));
    buf_fini(&shown);
}
