// SPDX-License-Identifier: Apache-2.0
// The options of the admin listener that are more than a text.
#include "app/value.h"
#include "options_row.h"

enum { REFRESH_LEAST_MS = 1000 };

int option_apply_link_scheme(struct options *options, struct option_storage *storage,
                             const struct option_row *row, struct err *err)
{
    (void)options;
    struct str text = option_text(storage, row->key);
    if (text.len == 0 || str_eq(text, STR("http")) || str_eq(text, STR("https")))
        return 0;
    return err_set(err, ERR_INVALID, "must be http, https or empty");
}

int option_apply_link_port(struct options *options, struct option_storage *storage,
                           const struct option_row *row, struct err *err)
{
    (void)options;
    struct str text = option_text(storage, row->key);
    uint64_t port;
    if (text.len == 0 || (str_to_u64(text, &port) && port > 0 && port <= 65535))
        return 0;
    return err_set(err, ERR_INVALID, "must be a port or empty");
}

// The realm is written into a quoted string.
static bool is_realm(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c < 0x20 || c == 0x7f || c == '"' || c == '\\')
            return false;
    }
    return text.len <= 256;
}

static int apply_login_pair(struct admin_login *login, const struct value_pair *pair,
                            struct err *err)
{
    struct str key = pair->key, value = pair->value;
    if (str_eq(key, STR("name")) || str_eq(key, STR("")))
        login->name = value;
    else if (str_eq(key, STR("file")))
        login->file = value;
    else if (str_eq(key, STR("realm")))
        login->realm = value;
    else if (str_eq(key, STR("refresh"))) {
        if (!value_to_duration_ms(value, &login->refresh_ms))
            return err_set(err, ERR_INVALID, "refresh must be a duration like 30s");
    } else if (!str_eq(key, STR("type")))
        return err_set(err, ERR_INVALID, "unknown key \"%.*s\"", (int)MIN(key.len, 40), key.ptr);
    else if (!str_eq(value, STR("basic")))
        return err_set(err, ERR_INVALID, "unknown auth type '%.*s'", (int)MIN(value.len, 40),
                       value.ptr);
    return 0;
}

int option_apply_ui_auth(struct options *options, struct option_storage *storage,
                         const struct option_row *row, struct err *err)
{
    struct admin_login *login = &options->admin.login;
    struct value_entries entries;
    int rc = option_entries(storage, row, SIZE_MAX, "schemes", &entries, err);
    if (rc || entries.count == 0)
        return rc;
    if (entries.count > 1)
        return err_set(err, ERR_INVALID, "must be one scheme");
    for (size_t i = 0; i < entries.items[0].count && rc == 0; i++)
        rc = apply_login_pair(login, &entries.items[0].pairs[i], err);
    if (rc)
        return rc;
    struct str type;
    if (login->name.len == 0)
        return err_set(err, ERR_INVALID, "missing 'name' in auth");
    if (!value_entry_get(&entries.items[0], STR("type"), &type))
        return err_set(err, ERR_INVALID, "missing 'type' in auth '%.*s'",
                       (int)MIN(login->name.len, 40), login->name.ptr);
    if (login->file.len == 0)
        return err_set(err, ERR_INVALID, "missing 'file' in auth '%.*s'",
                       (int)MIN(login->name.len, 40), login->name.ptr);
    if (login->realm.len == 0)
        login->realm = login->name;
    if (!is_realm(login->realm))
        return err_set(err, ERR_INVALID,
                       "the realm has a quote, backslash or control character, "
                       "or is longer than 256 bytes");
    if (login->refresh_ms > 0 && login->refresh_ms < REFRESH_LEAST_MS)
        login->refresh_ms = REFRESH_LEAST_MS;
    login->is_required = true;
    return 0;
}
