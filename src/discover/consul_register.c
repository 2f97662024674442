// SPDX-License-Identifier: Apache-2.0
// The process as a Consul service (as fabio registers itself): under its own name and under every
// name that a route asks for with register=.
// 1. With each table, and each second: names come and go with the published table. A new one is
//    registered with a TTL and an HTTP check, and its TTL check is passed at once.
// 2. Every ten seconds the TTL check is passed. An agent that has forgotten it answers 404 (older
//    ones 500 "Unknown check"): the name is registered again.
// 3. A name that no route asks for any more, and all names at shutdown, are deregistered.
// 4. After an upgrade the new process has the names that it registers too; the others are
//    deregistered.
// A failed call is repeated a second later, then less often, down to every five. Independent of the
// watches.
#include "discover/consul_internal.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <net/if.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "discover/feed.h"
#include "discover/registration.h"

enum {
    TTL_PASS_MS = 10 * 1000,
    RETRY_MS = 1000,
    RETRY_STEPS = 5,
    CALL_TIMEOUT_MS = 10 * 1000,
    DEREGISTER_WAIT_MS = 3000,
    NAMES_MAX = 100, // register= comes from tags: a bound for what others can make us do
};

struct entry {
    struct registrar *registrar;
    struct list link;
    struct str name; // lies behind the struct
    char *id;        // owned, "<name>-<hostname>-<port>"
    struct http_call *call;
    uint64_t due_ms; // next call not before
    bool is_registered;
    bool is_wanted;
    unsigned failures; // in a row
};

struct registrar {
    struct consul *consul;
    struct list entries;
    char address[INET6_ADDRSTRLEN];
    uint16_t port;
    char hostname[256];
    uint64_t table_version; // the names are those of this table
    bool is_leaving;
    bool is_retired; // what is left is to be deregistered
    uv_timer_t leave_timer;
    bool has_timer;
    void (*on_left)(void *ctx);
    void *left_ctx;
};

static void send_next(struct entry *entry);

static bool is_ip(const char *text)
{
    unsigned char bytes[16];
    return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

// The first address of the machine that others can reach: not loopback, not link-local.
static bool find_own_address(char *out, socklen_t size)
{
    struct ifaddrs *all;
    bool is_found = false;
    if (getifaddrs(&all) < 0)
        return false;
    for (struct ifaddrs *at = all; at && !is_found; at = at->ifa_next) {
        if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) || (at->ifa_flags & IFF_LOOPBACK))
            continue;
        if (at->ifa_addr->sa_family == AF_INET) {
            struct in_addr addr = ((struct sockaddr_in *)(void *)at->ifa_addr)->sin_addr;
            bool is_link_local = (ntohl(addr.s_addr) >> 16) == 0xa9fe;
            is_found = !is_link_local && inet_ntop(AF_INET, &addr, out, size);
        } else if (at->ifa_addr->sa_family == AF_INET6) {
            struct in6_addr addr = ((struct sockaddr_in6 *)(void *)at->ifa_addr)->sin6_addr;
            is_found = !IN6_IS_ADDR_LINKLOCAL(&addr) && inet_ntop(AF_INET6, &addr, out, size);
        }
    }
    freeifaddrs(all);
    return is_found;
}

static int parse_address(struct registrar *registrar, struct str addr, struct err *err)
{
    ptrdiff_t colon = str_rfind_char(addr, ':');
    uint64_t port;
    if (colon < 0 || !str_to_u64(str_from(addr, (size_t)colon + 1), &port) || port > UINT16_MAX)
        return err_set(err, ERR_INVALID, "registry.consul.register.addr: '%.*s' is not host:port",
                       STR_FMT(addr));
    struct str host = str_upto(addr, (size_t)colon);
    if (host.len >= 2 && host.ptr[0] == '[' && host.ptr[host.len - 1] == ']')
        host = str_make(host.ptr + 1, host.len - 2);
    registrar->port = (uint16_t)port;
    snprintf(registrar->address, sizeof registrar->address, "%.*s", STR_FMT(host));
    bool is_any = str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("::"));
    if (is_ip(registrar->address) && !is_any)
        return 0;
    if (!find_own_address(registrar->address, sizeof registrar->address))
        return err_set(err, ERR_NOT_FOUND,
                       "registry.consul.register.addr: no address of this "
                       "machine that others could reach");
    return 0;
}

struct registrar *registrar_new(struct consul *consul, struct err *err)
{
    struct registrar *registrar = mem_zalloc(sizeof *registrar);
    if (!registrar) {
        err_set(err, ERR_NOMEM, "consul: %s", err_text(ERR_NOMEM));
        return NULL;
    }
    registrar->consul = consul;
    list_init(&registrar->entries);
    if (parse_address(registrar, consul->config->register_addr, err) < 0) {
        mem_free(registrar);
        return NULL;
    }
    if (gethostname(registrar->hostname, sizeof registrar->hostname - 1) < 0)
        snprintf(registrar->hostname, sizeof registrar->hostname, "localhost");
    return registrar;
}

static void entry_free(struct entry *entry)
{
    if (entry->call)
        http_call_cancel(entry->call);
    list_remove(&entry->link);
    mem_free(entry->id);
    mem_free(entry);
}

static void on_leave_timer_closed(uv_handle_t *handle)
{
    struct registrar *registrar = handle->data;
    struct consul *consul = registrar->consul;
    mem_free(registrar);
    consul_closed_one(consul);
}

void registrar_free(struct registrar *registrar)
{
    if (!registrar)
        return;
    while (!list_is_empty(&registrar->entries))
        entry_free(CONTAINER_OF(registrar->entries.next, struct entry, link));
    if (!registrar->has_timer) {
        mem_free(registrar);
        return;
    }
    registrar->consul->closing++;
    uv_close((uv_handle_t *)&registrar->leave_timer, on_leave_timer_closed);
}

static struct entry *find_entry(struct registrar *registrar, struct str name)
{
    LIST_FOREACH (link, &registrar->entries) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);
        if (str_eq(entry->name, name))
            return entry;
    }
    return NULL;
}

static void want(struct registrar *registrar, struct str name, unsigned *count)
{
    struct entry *entry = find_entry(registrar, name);
    if (!entry && ++*count <= NAMES_MAX) {
        entry = mem_zalloc(sizeof *entry + name.len + 1);
        if (!entry)
            return;
        char *copy = (char *)(entry + 1);
        memcpy(copy, name.ptr, name.len);
        entry->registrar = registrar;
        entry->name = str_make(copy, name.len);
        struct buf id;
        buf_init(&id, 1024);
        buf_printf(&id, "%s-%s-%u", copy, registrar->hostname, registrar->port);
        entry->id = buf_status(&id) == 0 ? str_dup(buf_str(&id)) : NULL;
        buf_fini(&id);
        if (!entry->id) {
            mem_free(entry);
            return;
        }
        list_push_back(&registrar->entries, &entry->link);
    }
    if (entry)
        entry->is_wanted = true;
}

// The names that the configuration and the routes ask for.
static void collect_names(struct registrar *registrar)
{
    const struct consul_config *config = registrar->consul->config;
    const struct table *table = feed_table(registrar->consul->feed);
    unsigned count = 0;
    LIST_FOREACH (link, &registrar->entries) {
        CONTAINER_OF(link, struct entry, link)->is_wanted = false;
        count++;
    }
    if (config->registers && config->register_name.len > 0)
        want(registrar, config->register_name, &count);
    struct table_iterator at = {0};
    const struct route *route;
    while (table && (route = table_next_route(table, &at))) {
        for (uint32_t i = 0; i < route->count; i++) {
            if (route->targets[i].def->rule->register_name.len > 0)
                want(registrar, route->targets[i].def->rule->register_name, &count);
        }
    }
}

static void say_failure(struct entry *entry, const char *what, const struct http_response *response)
{
    entry->failures++;
    entry->due_ms = clock_now_ms() + RETRY_MS * MIN(entry->failures, (unsigned)RETRY_STEPS);
    if (entry->failures > 1)
        return;
    if (response->status)
        log_warn("consul: %s %s failed: HTTP %d", what, entry->id, response->status);
    else
        log_warn("consul: %s %s failed: %s", what, entry->id, response->failure);
}

static void on_passed(void *ctx, const struct http_response *response)
{
    struct entry *entry = ctx;
    entry->call = NULL;
    if (response->status == 200) {
        entry->failures = 0;
        entry->due_ms = clock_now_ms() + TTL_PASS_MS;
        return;
    }
    bool is_forgotten =
        response->status == 404 ||
        (response->status == 500 && str_find(response->body, STR("nknown check")) >= 0);
    if (is_forgotten) {
        log_info("consul: the agent has forgotten %s; registering it again", entry->id);
        entry->is_registered = false;
        send_next(entry);
        return;
    }
    say_failure(entry, "passing the TTL check of", response);
}

static void on_registered(void *ctx, const struct http_response *response)
{
    struct entry *entry = ctx;
    entry->call = NULL;
    if (response->status != 200) {
        say_failure(entry, "registering", response);
        return;
    }
    log_info("consul: registered %s at %s:%u", entry->id, entry->registrar->address,
             entry->registrar->port);
    entry->failures = 0;
    entry->is_registered = true;
    send_next(entry);
}

static void finish_leaving(struct registrar *registrar)
{
    void (*on_left)(void *ctx) = registrar->on_left;
    registrar->on_left = NULL;
    uv_timer_stop(&registrar->leave_timer);
    if (on_left)
        on_left(registrar->left_ctx);
}

static void on_deregistered(void *ctx, const struct http_response *response)
{
    struct entry *entry = ctx;
    struct registrar *registrar = entry->registrar;
    entry->call = NULL;
    bool is_gone = response->status == 200 || response->status == 404;
    if (is_gone)
        log_info("consul: deregistered %s", entry->id);
    else
        say_failure(entry, "deregistering", response);
    if (is_gone || registrar->is_leaving)
        entry_free(entry);
    if (registrar->is_leaving && list_is_empty(&registrar->entries))
        finish_leaving(registrar);
}

static void send_call(struct entry *entry, const char *path, struct str name, struct str body,
                      const char *query, http_done_fn on_done)
{
    struct consul *consul = entry->registrar->consul;
    struct buf text;
    buf_init(&text, 8192);
    consul_settings_path(&consul->settings, &text, path, name, query);
    struct http_request request = {
        .pool = HTTP_SHORT,
        .method = "PUT",
        .path = buf_str(&text),
        .body = body,
        .timeout_ms = CALL_TIMEOUT_MS,
        .on_done = on_done,
        .ctx = entry,
    };
    entry->due_ms = clock_now_ms() + 1000;
    entry->call = buf_status(&text) == 0 ? http_client_send(consul->agent.client, &request) : NULL;
    buf_fini(&text);
}

// What the entry needs now: registering, passing its check, or going away.
static void send_next(struct entry *entry)
{
    if (!entry->is_wanted || entry->registrar->is_leaving) {
        send_call(entry, "agent/service/deregister/", str_of(entry->id), STR_NULL, "",
                  on_deregistered);
        return;
    }
    if (entry->is_registered) {
        char check_id[1200];
        snprintf(check_id, sizeof check_id, "%s-ttl", entry->id);
        send_call(entry, "agent/check/update/", str_of(check_id),
                  STR("{\"Status\":\"passing\",\"Output\":\"\"}"), "", on_passed);
        return;
    }
    const struct registrar *registrar = entry->registrar;
    const struct registration registration = {.config = registrar->consul->config,
                                              .id = str_of(entry->id),
                                              .name = entry->name,
                                              .address = registrar->address,
                                              .port = registrar->port};
    struct buf body;
    buf_init(&body, 64 * 1024);
    registration_write(&registration, &body);
    if (buf_status(&body) == 0)
        send_call(entry, "agent/service/register", STR_NULL, buf_str(&body),
                  "replace-existing-checks=true&", on_registered);
    buf_fini(&body);
}

void registrar_tick(struct registrar *registrar)
{
    const struct table *table = feed_table(registrar->consul->feed);
    uint64_t version = table ? table_version(table) : 0;
    // Nobody is sent here before there is something to serve.
    if (registrar->is_leaving || !feed_is_synced(registrar->consul->feed))
        return;
    bool has_changed = list_is_empty(&registrar->entries) || version != registrar->table_version;
    if (has_changed && !registrar->is_retired) {
        registrar->table_version = version;
        collect_names(registrar);
    }
    uint64_t now_ms = clock_now_ms();
    LIST_FOREACH_SAFE (link, &registrar->entries) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);
        if (!entry->is_wanted && !entry->is_registered && !entry->call)
            entry_free(entry);
        else if (!entry->call && (now_ms >= entry->due_ms || !entry->is_wanted))
            send_next(entry);
    }
}

// Of where the entry is registered and as what. Not hash_bytes: that of another version may be
// another.
static uint64_t entry_hash(const struct entry *entry)
{
    const struct consul_settings *settings = &entry->registrar->consul->settings;
    const char *const parts[] = {settings->http.base_url, settings->http.unix_path,
                                 settings->namespace_name, settings->partition, entry->id};
    uint64_t hash = 0xcbf29ce484222325; // FNV-1a
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct str part = str_of(parts[i]);
        for (size_t k = 0; k <= part.len; k++) // with the end, so that parts are told apart
            hash = (hash ^ (k < part.len ? (unsigned char)part.ptr[k] : 0)) * 0x100000001b3;
    }
    return hash;
}

void registrar_write_hashes(const struct registrar *registrar, struct buf *out)
{
    LIST_FOREACH (link, &registrar->entries) {
        const struct entry *entry = CONTAINER_OF(link, struct entry, link);
        if (entry->is_wanted)
            buf_printf(out, " %016" PRIx64, entry_hash(entry));
    }
}

void registrar_hand_over(struct registrar *registrar, struct str hashes)
{
    registrar->is_retired = true;
    LIST_FOREACH_SAFE (link, &registrar->entries) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);
        char hash[20];
        snprintf(hash, sizeof hash, " %016" PRIx64, entry_hash(entry));
        bool may_be_registered = entry->is_registered || entry->call;
        if (str_find(hashes, str_of(hash)) >= 0 || !may_be_registered) {
            entry_free(entry);
            continue;
        }
        if (entry->call)
            http_call_cancel(entry->call);
        entry->call = NULL;
        entry->is_registered = true;
        entry->is_wanted = false;
    }
    registrar_tick(registrar);
}

static void on_leave_timer(uv_timer_t *timer)
{
    finish_leaving(timer->data);
}

void registrar_deregister(struct registrar *registrar, void (*on_done)(void *ctx), void *ctx)
{
    registrar->is_leaving = true;
    registrar->on_left = on_done;
    registrar->left_ctx = ctx;
    LIST_FOREACH_SAFE (link, &registrar->entries) {
        struct entry *entry = CONTAINER_OF(link, struct entry, link);
        // A registration that is under way may have been taken in already.
        bool may_be_registered = entry->is_registered || entry->call;
        if (entry->call)
            http_call_cancel(entry->call);
        entry->call = NULL;
        if (may_be_registered)
            send_next(entry);
        if (!entry->call)
            entry_free(entry);
    }
    if (!registrar->has_timer) {
        registrar->has_timer = true;
        uv_timer_init(registrar->consul->loop, &registrar->leave_timer);
        registrar->leave_timer.data = registrar;
    }
    // Also when there is nothing to do: on_done never comes from within the call.
    uint64_t wait_ms = list_is_empty(&registrar->entries) ? 0 : DEREGISTER_WAIT_MS;
    uv_timer_start(&registrar->leave_timer, on_leave_timer, wait_ms, 0);
}
