// SPDX-License-Identifier: Apache-2.0
#include "discover/consul_config.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "discover/http_client.h"

enum { FILE_MAX = 1024 * 1024 };

// A copy of the configured value, else of the environment's; NULL when both are empty.
static int pick(char **to, struct str value, env_fn env, const char *name)
{
    if (value.len == 0 && name)
        value = str_of(env(name));
    if (value.len == 0)
        return 0;
    *to = str_dup(value);
    return *to ? 0 : ERR_NOMEM;
}

static bool is_address(struct str host)
{
    for (size_t i = 0; i < host.len; i++) {
        unsigned char c = (unsigned char)host.ptr[i];
        if (c <= ' ' || c >= 0x7f || strchr("@?#\\\"<>", c))
            return false;
    }
    return host.len > 0;
}

// Where the port starts within "host:port", behind the colon; -1: there is none.
static ptrdiff_t find_port(struct str host)
{
    ptrdiff_t colon = str_rfind_char(host, ':');
    return colon > str_rfind_char(host, ']') ? colon + 1 : -1;
}

// base_url names the host that the certificate is for, connect_to where it really is.
static int set_server_name(struct consul_settings *settings, struct str host, const char *name)
{
    ptrdiff_t port_at = find_port(host);
    struct str port = port_at < 0 ? STR("443") : str_from(host, (size_t)port_at);
    struct str bare = port_at < 0 ? host : str_upto(host, (size_t)port_at - 1);
    struct buf text;
    buf_init(&text, 4096);
    buf_printf(&text, "%s:%.*s:%.*s:%.*s%c", name, STR_FMT(port), STR_FMT(bare), STR_FMT(port), 0);
    if (buf_status(&text) == 0)
        settings->http.connect_to = curl_slist_append(NULL, text.ptr);
    buf_clear(&text);
    buf_printf(&text, "https://%s:%.*s", name, STR_FMT(port));
    if (buf_status(&text) == 0)
        settings->http.base_url = str_dup(buf_str(&text));
    buf_fini(&text);
    return settings->http.connect_to && settings->http.base_url ? 0 : ERR_NOMEM;
}

static bool is_own_machine(struct str host)
{
    return str_ieq(host, STR("localhost")) || str_starts_with(host, STR("127.")) ||
           str_eq(host, STR("[::1]"));
}

// The proxy that the environment names, by the rules of Go's programs: the variables in upper case
// first, and never for the machine itself.
static int set_proxy(struct consul_settings *settings, struct str host, env_fn env)
{
    static const char *const NAMES[2][2] = {{"HTTP_PROXY", "http_proxy"},
                                            {"HTTPS_PROXY", "https_proxy"}};
    ptrdiff_t port_at = find_port(host);
    if (is_own_machine(port_at < 0 ? host : str_upto(host, (size_t)port_at - 1)))
        return 0;
    const char *const *names = NAMES[settings->http.is_https];
    for (size_t i = 0; i < 2 && !settings->http.proxy; i++) {
        if (pick(&settings->http.proxy, STR_NULL, env, names[i]) < 0)
            return ERR_NOMEM;
        settings->proxy_variable = names[i];
    }
    if (!settings->http.proxy) {
        settings->proxy_variable = NULL;
        return 0;
    }
    int status = pick(&settings->http.no_proxy, STR_NULL, env, "NO_PROXY");
    if (status == 0 && !settings->http.no_proxy)
        status = pick(&settings->http.no_proxy, STR_NULL, env, "no_proxy");
    return status;
}

static int set_address(struct consul_settings *settings, const struct consul_config *config,
                       env_fn env, struct err *err)
{
    struct str addr = str_trim(config->addr);
    if (addr.len == 0)
        addr = STR("localhost:8500");
    if (str_istarts_with(addr, STR("unix://"))) {
        struct str path = str_from(addr, STR("unix://").len);
        if (path.len == 0 || path.ptr[0] != '/')
            return err_set(err, ERR_INVALID,
                           "registry.consul.addr: unix:// needs an absolute path");
        settings->http.unix_path = str_dup(path);
        settings->http.base_url = str_dup(STR("http://localhost"));
        return settings->http.unix_path && settings->http.base_url ? 0 : ERR_NOMEM;
    }

    if (str_istarts_with(addr, STR("https://"))) {
        settings->http.is_https = true;
        addr = str_from(addr, STR("https://").len);
    } else if (str_istarts_with(addr, STR("http://"))) {
        addr = str_from(addr, STR("http://").len);
    }
    ptrdiff_t slash = str_find_char(addr, '/');
    if (slash >= 0)
        addr = str_upto(addr, (size_t)slash);
    ptrdiff_t port_at = find_port(addr);
    uint64_t port = 0;
    if (!is_address(addr) ||
        (port_at >= 0 &&
         (!str_to_u64(str_from(addr, (size_t)port_at), &port) || port == 0 || port > UINT16_MAX)))
        return err_set(err, ERR_INVALID, "registry.consul.addr: '%.*s' is not an address",
                       STR_FMT(config->addr));

    if (set_proxy(settings, addr, env) < 0)
        return ERR_NOMEM;
    const char *name = config->tls_server_name.len > 0 ? config->tls_server_name.ptr
                                                       : env("CONSUL_TLS_SERVER_NAME");
    if (settings->http.is_https && name && is_address(str_of(name)))
        return set_server_name(settings, addr, name);
    struct buf url;
    buf_init(&url, 4096);
    buf_printf(&url, "%s://%.*s", settings->http.is_https ? "https" : "http", STR_FMT(addr));
    if (buf_status(&url) == 0)
        settings->http.base_url = str_dup(buf_str(&url));
    buf_fini(&url);
    for (char *c = settings->http.base_url; c && *c; c++)
        *c = char_lower(*c);
    return settings->http.base_url ? 0 : ERR_NOMEM;
}

static bool is_false(const char *text)
{
    static const char *const FALSE[] = {"0", "f", "F", "false", "FALSE", "False"};
    for (size_t i = 0; text && i < ARRAY_LEN(FALSE); i++) {
        if (strcmp(text, FALSE[i]) == 0)
            return true;
    }
    return false;
}

// The token's line without space around it; anything that could break a header line is no token.
static void trim_token(struct buf *token)
{
    struct str text = str_trim(buf_str(token));
    for (size_t i = 0; i < text.len; i++) {
        if ((unsigned char)text.ptr[i] <= ' ' || (unsigned char)text.ptr[i] >= 0x7f)
            text.len = 0;
    }
    if (text.len > 0)
        memmove(token->ptr, text.ptr, text.len);
    token->len = text.len;
}

int consul_settings_init(struct consul_settings *settings, const struct consul_config *config,
                         env_fn env, struct err *err)
{
    *settings = (struct consul_settings){0};
    buf_init(&settings->http.token, FILE_MAX);
    buf_init(&settings->http.ca, FILE_MAX);
    buf_init(&settings->http.cert, FILE_MAX);
    buf_init(&settings->http.key, FILE_MAX);
    int status = set_address(settings, config, env, err);
    if (status < 0)
        goto fail;

    const struct {
        char **to;
        struct str value;
        const char *name;
    } texts[] = {
        {&settings->ca_file, config->ca_file, "CONSUL_CACERT"},
        {&settings->http.ca_path, config->ca_path, "CONSUL_CAPATH"},
        {&settings->cert_file, config->cert_file, "CONSUL_CLIENT_CERT"},
        {&settings->key_file, config->key_file, "CONSUL_CLIENT_KEY"},
        {&settings->namespace_name, config->namespace_name, "CONSUL_NAMESPACE"},
        {&settings->partition, config->partition, "CONSUL_PARTITION"},
        {&settings->datacenter, config->datacenter, NULL},
        {&settings->token_file, config->token_file,
         config->token.len > 0 ? NULL : "CONSUL_HTTP_TOKEN_FILE"},
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        status = pick(texts[i].to, texts[i].value, env, texts[i].name);
        if (status < 0)
            goto fail;
    }
    settings->http.skips_tls_verify =
        config->skips_tls_verify || is_false(env("CONSUL_HTTP_SSL_VERIFY"));
    if (!settings->token_file) {
        struct str token = config->token;
        buf_append_str(&settings->http.token, token.len ? token : str_of(env("CONSUL_HTTP_TOKEN")));
    }
    struct err unread = {0};
    consul_settings_refresh(settings, true, &unread);
    if (unread.code < 0) {
        status = err_set(err, unread.code, "%s", unread.text);
        goto fail;
    }
    status = buf_status(&settings->http.token);
    trim_token(&settings->http.token);
    if (status == 0)
        return 0;

fail:
    if (status == ERR_NOMEM)
        err_set(err, ERR_NOMEM, "consul: %s", err_text(ERR_NOMEM));
    consul_settings_fini(settings);
    return status;
}

void consul_settings_fini(struct consul_settings *settings)
{
    char *texts[] = {settings->token_file, settings->ca_file,        settings->cert_file,
                     settings->key_file,   settings->namespace_name, settings->partition,
                     settings->datacenter};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        mem_free(texts[i]);
    http_settings_fini(&settings->http);
    *settings = (struct consul_settings){0};
}

static int64_t file_stamp(const struct stat *stat)
{
    return (int64_t)stat->st_mtim.tv_sec * 1000000000 + stat->st_mtim.tv_nsec +
           (int64_t)stat->st_ino * 7919 + stat->st_size;
}

// Replaces `content` by the file's; on failure it keeps what it has.
static int read_file(const char *path, struct buf *content, int64_t *stamp, struct err *err)
{
    struct buf fresh;
    buf_init(&fresh, FILE_MAX);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, errno == ENOENT ? ERR_NOT_FOUND : ERR_IO, "%s: %s", path,
                       strerror(errno));
    int status = 0;
    struct stat stat;
    if (fstat(fd, &stat) == 0)
        *stamp = file_stamp(&stat);
    for (;;) {
        status = buf_reserve(&fresh, 4096);
        if (status < 0) {
            err_set(err, status, "%s: %s", path, err_text(status));
            break;
        }
        ssize_t got = read(fd, fresh.ptr + fresh.len, 4096);
        if (got < 0)
            status = err_set(err, ERR_IO, "%s: %s", path, strerror(errno));
        if (got <= 0)
            break;
        fresh.len += (size_t)got;
    }
    close(fd);
    if (status < 0) {
        buf_fini(&fresh);
        return status;
    }
    buf_fini(content);
    *content = fresh;
    return 0;
}

bool consul_settings_refresh(struct consul_settings *settings, bool is_forced, struct err *err)
{
    const struct {
        const char *path;
        struct buf *content;
    } files[] = {
        {settings->token_file, &settings->http.token},
        {settings->http.is_https ? settings->ca_file : NULL, &settings->http.ca},
        {settings->http.is_https ? settings->cert_file : NULL, &settings->http.cert},
        {settings->http.is_https ? settings->key_file : NULL, &settings->http.key},
    };
    bool has_changed = false;
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        struct stat now;
        if (!files[i].path)
            continue;
        if (!is_forced && stat(files[i].path, &now) == 0 && file_stamp(&now) == settings->stamps[i])
            continue;
        if (read_file(files[i].path, files[i].content, &settings->stamps[i], err) == 0)
            has_changed = true;
    }
    if (has_changed && settings->token_file)
        trim_token(&settings->http.token);
    return has_changed;
}

static void add_param(struct buf *path, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(path, "%s=", name);
    http_escape_path(path, str_of(value));
    buf_append_char(path, '&');
}

void consul_settings_path(const struct consul_settings *settings, struct buf *out, const char *path,
                          struct str name, const char *query)
{
    buf_printf(out, "/v1/%s", path);
    http_escape_path(out, name);
    buf_printf(out, "?%s", query);
    add_param(out, "ns", settings->namespace_name);
    add_param(out, "partition", settings->partition);
    add_param(out, "dc", settings->datacenter);
}
