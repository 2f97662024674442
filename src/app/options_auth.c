// SPDX-License-Identifier: Apache-2.0
// Authorization schemes (proxy.auth), as fabio reads them; unknown keys are refused.
#include "options_row.h"

enum { REFRESH_MIN_MS = 1000 };

static int parse_refresh(struct str text, struct auth_scheme_config *scheme, struct err *err)
{
    if (text.len == 0)
        return 0;
    if (!value_to_duration_ms(text, &scheme->refresh_ms))
        return err_set(err, ERR_INVALID, "refresh: \"%.*s\" is not a duration like 30s or 1m30s",
                       (int)MIN(text.len, 40), text.ptr);
    scheme->refresh_ms = MAX(scheme->refresh_ms, (uint32_t)REFRESH_MIN_MS);
    return 0;
}

// The field line of a 401, with the realm as a quoted string (RFC 9110 section 5.6.4).
static int compose_challenge(struct arena *arena, struct auth_scheme_config *scheme,
                             struct err *err)
{
    struct buf line;
    buf_init(&line, 4096);
    buf_append_cstr(&line, "WWW-Authenticate: Basic realm=\"");
    for (size_t i = 0; i < scheme->realm.len; i++) {
        char c = scheme->realm.ptr[i];
        if ((unsigned char)c < 0x20 || c == 0x7f) {
            buf_fini(&line);
            return err_set(err, ERR_INVALID, "realm has a control character in auth '%.*s'",
                           STR_FMT(scheme->name));
        }
        if (c == '"' || c == '\\')
            buf_append_char(&line, '\\');
        buf_append_char(&line, c);
    }
    buf_append_cstr(&line, "\"\r\n");
    int rc = buf_status(&line);
    if (rc == 0) {
        scheme->challenge = arena_str(arena, buf_str(&line));
        rc = scheme->challenge.ptr ? 0 : ERR_NOMEM;
    }
    buf_fini(&line);
    return rc == 0 ? 0 : err_set(err, rc, "realm: %s", err_text(rc));
}

static int parse_scheme(struct arena *arena, const struct value_entry *entry,
                        struct auth_scheme_config *scheme, struct err *err)
{
    struct str type = {0}, file = {0}, refresh = {0};
    const struct {
        struct str key;
        struct str *to;
    } texts[] = {
        {STR("name"), &scheme->name},   {STR("type"), &type},       {STR("file"), &file},
        {STR("realm"), &scheme->realm}, {STR("refresh"), &refresh},
    };
    for (size_t i = 0; i < entry->count; i++) {
        const struct value_pair *pair = &entry->pairs[i];
        size_t k = 0;
        while (k < ARRAY_LEN(texts) && !str_eq(pair->key, texts[k].key))
            k++;
        if (k == ARRAY_LEN(texts))
            return err_set(err, ERR_INVALID, "unknown key \"%.*s\"", (int)MIN(pair->key.len, 40),
                           pair->key.ptr);
        *texts[k].to = pair->value;
    }
    if (scheme->name.len == 0)
        return err_set(err, ERR_INVALID, "missing 'name' in auth");
    if (type.len == 0)
        return err_set(err, ERR_INVALID, "missing 'type' in auth '%.*s'", STR_FMT(scheme->name));
    if (!str_eq(type, STR("basic")))
        return err_set(err, ERR_INVALID, "unknown auth type '%.*s'", STR_FMT(type));
    if (file.len == 0)
        return err_set(err, ERR_INVALID, "missing 'file' in auth '%.*s'", STR_FMT(scheme->name));
    if (scheme->realm.len == 0)
        scheme->realm = scheme->name;
    scheme->file = arena_str(arena, file).ptr;
    if (!scheme->file)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = parse_refresh(refresh, scheme, err);
    return rc ? rc : compose_challenge(arena, scheme, err);
}

// Where the scheme goes: in place of one with the same name, as in fabio, or at the end.
static struct auth_scheme_config *place_of(struct proxy_config *proxy,
                                           const struct auth_scheme_config *scheme,
                                           struct option_storage *storage)
{
    for (unsigned i = 0; i < proxy->auth_count; i++) {
        if (str_eq(proxy->auth[i].name, scheme->name)) {
            option_warn(storage, "proxy.auth: of the schemes named '%.*s' the last one counts",
                        STR_FMT(scheme->name));
            return &proxy->auth[i];
        }
    }
    return proxy->auth_count < AUTH_SCHEMES_MAX ? &proxy->auth[proxy->auth_count++] : NULL;
}

int option_apply_auth(struct options *options, struct option_storage *storage,
                      const struct option_row *row, struct err *err)
{
    struct value_entries entries;
    int rc = option_entries(storage, row, SIZE_MAX, "schemes", &entries, err);
    for (size_t i = 0; rc == 0 && i < entries.count; i++) {
        struct auth_scheme_config scheme = {0};
        rc = parse_scheme(&storage->arena, &entries.items[i], &scheme, err);
        if (rc)
            return rc;
        struct auth_scheme_config *place = place_of(&options->proxy, &scheme, storage);
        if (!place)
            return err_set(err, ERR_INVALID, "more than %d schemes", AUTH_SCHEMES_MAX);
        *place = scheme;
    }
    if (rc)
        return rc;
    unsigned count = options->proxy.auth_count;
    struct str *names = arena_alloc_array(&storage->arena, MAX(count, 1u), sizeof *names);
    if (!names)
        return err_set(err, ERR_NOMEM, "out of memory");
    for (unsigned i = 0; i < count; i++)
        names[i] = options->proxy.auth[i].name;
    options->feed.routes.auth_names = names;
    options->feed.routes.auth_count = count;
    return 0;
}
