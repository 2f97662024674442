// SPDX-License-Identifier: Apache-2.0
// HTTP to one server (a Consul agent, a custom backend) over libcurl: short calls and long polls in
// separate connection pools, a deadline and a size limit on every call, token in X-Consul-Token
// only. No netrc; redirects and a proxy only as the settings say. Control thread only.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

struct uv_loop_s;
struct curl_slist;
struct http_client;
struct http_call;

enum http_pool { HTTP_SHORT, HTTP_LONG };

enum {
    HTTP_SHORT_CONNECTIONS = 8,
    HTTP_BODY_MAX = 64 * 1024 * 1024,
};

// How the server is reached. All of it is owned; token and certificates may change between calls.
struct http_settings {
    char *base_url;                // "http://127.0.0.1:8500", without trailing slash
    char *unix_path;               // NULL: TCP
    struct curl_slist *connect_to; // where base_url's host really is; NULL: itself
    char *proxy;                   // URL of the proxy in between; NULL: none
    char *no_proxy;                // hosts that are reached without it; NULL: none
    bool is_https;
    bool skips_tls_verify;
    bool closes_connections;  // each call on a connection of its own
    unsigned redirects_max;   // followed; 0: a redirect is an answer like others
    char *ca_path;            // folder with CAs; NULL: none
    struct buf token;         // empty: none
    struct buf ca, cert, key; // PEM; empty: the system's CAs, no client certificate
};
void http_settings_fini(struct http_settings *settings);

struct http_response {
    int status;              // 0: no complete answer, see failure
    bool is_connect_failure; // not even a connection
    bool is_deadline;        // gave up waiting
    const char *failure;     // words for status 0
    struct str body;         // empty when on_data took it; valid during the callback
    uint64_t bytes;          // received
    bool has_index;
    uint64_t index;           // X-Consul-Index
    bool is_without_leader;   // X-Consul-KnownLeader: false
    uint64_t last_contact_ms; // X-Consul-LastContact
    bool is_filtered_by_acls; // X-Consul-Results-Filtered-By-ACLs: true
};

typedef void (*http_done_fn)(void *ctx, const struct http_response *response);

struct http_request {
    enum http_pool pool;
    const char *method;
    struct str path;     // with query, already escaped
    struct str body;     // copied
    uint32_t timeout_ms; // for the whole call
    // NULL: the body is collected. Else it gets the bytes of a 2xx answer as they come; a negative
    // value ends the call as a failure.
    int (*on_data)(void *ctx, struct str bytes);
    http_done_fn on_done; // exactly once, unless cancelled; never from within http_client_send
    void *ctx;
};

// Borrows settings. NULL when memory is short.
MUST_CHECK struct http_client *http_client_new(struct uv_loop_s *loop,
                                               const struct http_settings *settings,
                                               unsigned max_long_polls);
// Cancels everything; frees itself, then on_closed.
void http_client_close(struct http_client *client, void (*on_closed)(void *ctx), void *ctx);

// NULL when memory is short.
MUST_CHECK struct http_call *http_client_send(struct http_client *client,
                                              const struct http_request *request);
void http_call_cancel(struct http_call *call);

// Appends text with every byte but unreserved ones and '/' as %XX.
void http_escape_path(struct buf *out, struct str text);
