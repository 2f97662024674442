// SPDX-License-Identifier: Apache-2.0
#include "discover/http_client.h"

#include <curl/curl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/mem.h"
#include "discover/curl_loop.h"

enum {
    CONNECT_TIMEOUT_MS = 3000,
    KEEPALIVE_S = 1,
    USER_TIMEOUT_MS = 2500,
    // A short call must bring this many bytes per second over this time: the first-byte deadline,
    // and the end of answers that only trickle.
    SLOW_BYTES_PER_S = 64,
    SLOW_S = 10,
    // A server that sends without end to every call at once.
    COLLECTED_MAX = HTTP_BODY_MAX + HTTP_BODY_MAX / 2,
};

struct http_client {
    const struct http_settings *settings; // borrowed
    struct curl_loop *pools[2];           // by enum http_pool
    struct list calls;
    unsigned open_pools;
    size_t collected; // bytes of all bodies that are being collected
    void (*on_closed)(void *ctx);
    void *ctx;
};

struct http_call {
    struct http_client *client;
    struct http_request request;
    CURL *easy;                 // owned
    struct curl_slist *headers; // owned
    struct buf body;            // owned
    size_t collected;           // of the client's
    struct http_response response;
    bool is_body_refused;
    char failure[CURL_ERROR_SIZE];
    struct list link;
};

static void on_transfer_done(void *ctx, CURL *easy, CURLcode result);

void http_settings_fini(struct http_settings *settings)
{
    char *texts[] = {settings->base_url, settings->unix_path, settings->proxy, settings->no_proxy,
                     settings->ca_path};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        mem_free(texts[i]);
    curl_slist_free_all(settings->connect_to);
    buf_fini(&settings->token);
    buf_fini(&settings->ca);
    buf_fini(&settings->cert);
    buf_fini(&settings->key);
    *settings = (struct http_settings){0};
}

struct http_client *http_client_new(struct uv_loop_s *loop, const struct http_settings *settings,
                                    unsigned max_long_polls)
{
    struct http_client *client = mem_zalloc(sizeof *client);
    if (!client)
        return NULL;
    client->settings = settings;
    list_init(&client->calls);
    const long limits[] = {[HTTP_SHORT] = HTTP_SHORT_CONNECTIONS, [HTTP_LONG] = max_long_polls};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        client->pools[i] = curl_loop_new(loop, limits[i], on_transfer_done, client);
        if (!client->pools[i]) {
            if (i > 0)
                curl_loop_close(client->pools[0], NULL, NULL);
            mem_free(client);
            return NULL;
        }
    }
    client->open_pools = ARRAY_LEN(limits);
    return client;
}

static void on_pool_closed(void *ctx)
{
    struct http_client *client = ctx;
    if (--client->open_pools > 0)
        return;
    void (*on_closed)(void *ctx) = client->on_closed;
    void *closed_ctx = client->ctx;
    mem_free(client);
    on_closed(closed_ctx);
}

void http_client_close(struct http_client *client, void (*on_closed)(void *ctx), void *ctx)
{
    client->on_closed = on_closed;
    client->ctx = ctx;
    while (!list_is_empty(&client->calls))
        http_call_cancel(CONTAINER_OF(client->calls.next, struct http_call, link));
    curl_loop_close(client->pools[HTTP_SHORT], on_pool_closed, client);
    curl_loop_close(client->pools[HTTP_LONG], on_pool_closed, client);
}

static void call_free(struct http_call *call)
{
    list_remove(&call->link);
    curl_easy_cleanup(call->easy);
    curl_slist_free_all(call->headers);
    buf_fini(&call->body);
    mem_free(call);
}

void http_call_cancel(struct http_call *call)
{
    curl_loop_remove(call->client->pools[call->request.pool], call->easy);
    call->client->collected -= call->collected;
    call_free(call);
}

static void on_transfer_done(void *ctx, CURL *easy, CURLcode result)
{
    (void)ctx;
    struct http_call *call = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&call);
    struct http_response *response = &call->response;
    if (result == CURLE_OK) {
        long status = 0;
        curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
        response->status = (int)status;
        response->body = buf_str(&call->body);
    } else {
        response->is_connect_failure =
            result == CURLE_COULDNT_CONNECT || result == CURLE_COULDNT_RESOLVE_HOST ||
            result == CURLE_SSL_CONNECT_ERROR || result == CURLE_PEER_FAILED_VERIFICATION;
        response->is_deadline = result == CURLE_OPERATION_TIMEDOUT;
        if (call->is_body_refused)
            response->failure = "the answer was refused: too large or not the expected JSON";
        else
            response->failure = call->failure[0] ? call->failure : curl_easy_strerror(result);
    }
    list_remove(&call->link); // the callback may close the client
    call->client->collected -= call->collected;
    call->request.on_done(call->request.ctx, response);
    call_free(call);
}

static bool is_success(CURL *easy)
{
    long status = 0;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_call *call = ctx;
    size_t len = size * count;
    call->response.bytes += len;
    bool is_over = call->response.bytes > HTTP_BODY_MAX;
    int status = 0;
    if (!is_over && call->request.on_data && is_success(call->easy))
        status = call->request.on_data(call->request.ctx, str_make(bytes, len));
    else if (!is_over && call->client->collected + len <= COLLECTED_MAX) {
        buf_append(&call->body, bytes, len);
        call->client->collected += len;
        call->collected += len;
    } else {
        is_over = true;
    }
    if (is_over || status < 0 || buf_status(&call->body) < 0) {
        call->is_body_refused = true;
        return 0;
    }
    return len;
}

static bool header_value(struct str line, const char *name, struct str *value)
{
    struct str prefix = str_of(name);
    if (!str_istarts_with(line, prefix) || line.len <= prefix.len || line.ptr[prefix.len] != ':')
        return false;
    *value = str_trim(str_from(line, prefix.len + 1));
    return true;
}

static size_t on_header(char *bytes, size_t size, size_t count, void *ctx)
{
    struct http_call *call = ctx;
    struct http_response *response = &call->response;
    struct str line = {bytes, size * count};
    struct str value;
    if (header_value(line, "X-Consul-Index", &value))
        response->has_index = str_to_u64(value, &response->index);
    else if (header_value(line, "X-Consul-KnownLeader", &value))
        response->is_without_leader = str_ieq(value, STR("false"));
    else if (header_value(line, "X-Consul-LastContact", &value)) {
        if (!str_to_u64(value, &response->last_contact_ms))
            response->last_contact_ms = 0;
    } else if (header_value(line, "X-Consul-Results-Filtered-By-ACLs", &value))
        response->is_filtered_by_acls = str_ieq(value, STR("true"));
    return line.len;
}

static int on_new_socket(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
    (void)ctx;
    (void)purpose;
    // Fails on unix sockets, where it means nothing. It is the end of keepalive too, whatever
    // TCP_KEEPCNT says.
    unsigned timeout_ms = USER_TIMEOUT_MS;
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof timeout_ms);
    return CURL_SOCKOPT_OK;
}

static void set_tls(CURL *easy, const struct http_settings *settings)
{
    const struct {
        CURLoption option;
        const struct buf *bytes;
    } blobs[] = {
        {CURLOPT_CAINFO_BLOB, &settings->ca},
        {CURLOPT_SSLCERT_BLOB, &settings->cert},
        {CURLOPT_SSLKEY_BLOB, &settings->key},
    };
    // As blobs, because curl compares them when it looks for a connection to reuse: renewed files
    // take effect with the next connection, while running polls finish on theirs.
    for (size_t i = 0; i < ARRAY_LEN(blobs); i++) {
        if (blobs[i].bytes->len == 0)
            continue;
        struct curl_blob blob = {blobs[i].bytes->ptr, blobs[i].bytes->len, CURL_BLOB_COPY};
        curl_easy_setopt(easy, blobs[i].option, &blob);
    }
    if (settings->ca_path)
        curl_easy_setopt(easy, CURLOPT_CAPATH, settings->ca_path);
    if (settings->skips_tls_verify) {
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 0L);
        curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
    }
    // One connection carries all long polls where the agent speaks HTTP/2.
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_2TLS);
    curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);
}

static int add_header(struct http_call *call, const char *line)
{
    struct curl_slist *longer = curl_slist_append(call->headers, line);
    if (!longer)
        return ERR_NOMEM;
    call->headers = longer;
    return 0;
}

static int set_headers(struct http_call *call, const struct http_settings *settings)
{
    if (settings->token.len > 0) {
        struct buf line;
        buf_init(&line, 4096);
        buf_printf(&line, "X-Consul-Token: %.*s%c", STR_FMT(buf_str(&settings->token)), '\0');
        int status = buf_status(&line);
        if (status == 0)
            status = add_header(call, line.ptr);
        buf_fini(&line);
        if (status < 0)
            return status;
    }
    if (call->request.body.len > 0 && add_header(call, "Content-Type: application/json") < 0)
        return ERR_NOMEM;
    if (settings->closes_connections) {
        curl_easy_setopt(call->easy, CURLOPT_FORBID_REUSE, 1L);
        if (add_header(call, "Connection: close") < 0)
            return ERR_NOMEM;
    }
    // Without this curl announces bodies above 1 KB and waits for "100 Continue".
    if (add_header(call, "Expect:") < 0)
        return ERR_NOMEM;
    curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->headers);
    return 0;
}

static int set_url(struct http_call *call, const struct http_settings *settings)
{
    struct buf url;
    buf_init(&url, 16 * 1024);
    buf_append_cstr(&url, settings->base_url);
    buf_append_str(&url, call->request.path);
    buf_append_char(&url, '\0');
    int status = buf_status(&url);
    if (status == 0 && curl_easy_setopt(call->easy, CURLOPT_URL, url.ptr) != CURLE_OK)
        status = ERR_NOMEM;
    buf_fini(&url);
    return status;
}

static int set_up(struct http_call *call, const struct http_settings *settings)
{
    CURL *easy = call->easy;
    const struct http_request *request = &call->request;
    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->failure);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, (long)(settings->redirects_max > 0));
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)settings->redirects_max);
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    // A KV key with "/../" must not become another endpoint.
    curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    // Explicitly, or curl looks into the environment by rules of its own.
    curl_easy_setopt(easy, CURLOPT_PROXY, settings->proxy ? settings->proxy : "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, settings->no_proxy ? settings->no_proxy : "");
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_TIMEOUT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, (long)KEEPALIVE_S);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, (long)KEEPALIVE_S);
    curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_new_socket);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(easy, CURLOPT_HEADERDATA, call);
    curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->pool == HTTP_SHORT) {
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)SLOW_BYTES_PER_S);
        curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)SLOW_S);
    }
    if (settings->unix_path)
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, settings->unix_path);
    if (settings->connect_to)
        curl_easy_setopt(easy, CURLOPT_CONNECT_TO, settings->connect_to);
    if (settings->is_https)
        set_tls(easy, settings);
    if (request->body.len > 0) {
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.len);
        if (curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body.ptr) != CURLE_OK)
            return ERR_NOMEM;
    }
    int status = set_url(call, settings);
    return status < 0 ? status : set_headers(call, settings);
}

struct http_call *http_client_send(struct http_client *client, const struct http_request *request)
{
    struct http_call *call = mem_zalloc(sizeof *call);
    if (!call)
        return NULL;
    call->client = client;
    call->request = *request;
    buf_init(&call->body, HTTP_BODY_MAX);
    list_init(&call->link);
    call->easy = curl_easy_init();
    if (!call->easy || set_up(call, client->settings) < 0 ||
        curl_loop_add(client->pools[request->pool], call->easy) < 0) {
        call_free(call);
        return NULL;
    }
    list_push_back(&client->calls, &call->link);
    return call;
}

void http_escape_path(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                        (c >= '0' && c <= '9') || (c != '\0' && strchr("-._~/", c));
        if (is_plain)
            buf_append_char(out, (char)c);
        else
            buf_printf(out, "%%%02X", c);
    }
}
