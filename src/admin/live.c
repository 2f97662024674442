// SPDX-License-Identifier: Apache-2.0
#include "admin/live.h"

#include "admin/json_write.h"
#include "admin/rows.h"
#include "admin/settings.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/map.h"
#include "base/mem.h"

// A row is known by the hash of its fixed text: a row of which anything changes is another row.
struct live_row {
    uint64_t hash;               // key in by_hash
    uint64_t id;                 // what the browser calls it; never used twice
    const struct target *target; // valid while the table it is from is the current one
    uint64_t sent_tick;          // sampler_changed_at of the figures sent last
    uint64_t pass;
};

// Notes on streams (server_stream_note).
enum { STREAM_NEW, STREAM_IN_STEP, STREAM_BEHIND };

struct live {
    const struct admin_config *config;
    const struct admin_sources *sources;
    void (*write_totals)(void *ctx, struct buf *out);
    void *ctx;
    struct server *server;

    struct map by_hash;
    struct live_row **rows; // owned, row_count in the order of the table
    size_t row_count;
    size_t row_cap;
    bool is_built;
    uint64_t table_version; // of rows; 0: no table yet
    uint64_t next_id;
    uint64_t pass;
    size_t cursor; // row at which the next tick begins to look
    bool is_cut;
};

struct live *live_new(const struct admin_config *config, const struct admin_sources *sources,
                      void (*write_totals)(void *ctx, struct buf *out), void *ctx)
{
    struct live *live = mem_zalloc(sizeof *live);
    if (!live)
        return NULL;
    live->config = config;
    live->sources = sources;
    live->write_totals = write_totals;
    live->ctx = ctx;
    live->next_id = 1;
    map_init(&live->by_hash);
    return live;
}

// Nobody looks: forget the rows.
static void forget(struct live *live)
{
    size_t at = 0;
    struct map_entry entry;
    while (map_next(&live->by_hash, &at, &entry))
        mem_free(entry.value);
    map_fini(&live->by_hash);
    map_init(&live->by_hash);
    mem_free(live->rows);
    live->rows = NULL;
    live->row_count = 0;
    live->row_cap = 0;
    live->is_built = false;
}

void live_free(struct live *live)
{
    if (!live)
        return;
    forget(live);
    mem_free(live);
}

void live_set_server(struct live *live, struct server *server)
{
    live->server = server;
}

static struct str hash_key(const uint64_t *hash)
{
    return str_make((const char *)hash, sizeof *hash);
}

static bool reserve_rows(struct live *live, size_t count)
{
    if (count <= live->row_cap)
        return true;
    struct live_row **rows = mem_realloc(live->rows, count * sizeof *rows);
    if (!rows)
        return false;
    live->rows = rows;
    live->row_cap = count;
    return true;
}

static struct live_row *add_row(struct live *live, uint64_t hash)
{
    struct live_row *row = mem_zalloc(sizeof *row);
    if (!row)
        return NULL;
    row->hash = hash;
    row->id = live->next_id++;
    if (map_put(&live->by_hash, hash_key(&row->hash), row) != 0) {
        mem_free(row);
        return NULL;
    }
    return row;
}

// Takes the rows of this pass into live->rows; appends the text of those that are new to `added`.
// False when memory is short.
static bool collect_rows(struct live *live, const struct table *table, struct buf *added)
{
    struct buf text;
    buf_init(&text, 1 << 20);
    struct table_iterator at = {0};
    const struct route *route;
    size_t count = 0;
    bool is_ok = true;
    live->is_cut = false;
    while (is_ok && !live->is_cut && (route = table_next_route(table, &at))) {
        for (uint32_t i = 0; i < route->count; i++) {
            const struct route_target *route_target = &route->targets[i];
            if (count == LIVE_ROWS_MAX) {
                live->is_cut = true;
                break;
            }
            buf_clear(&text);
            rows_write_fixed(&text, route, route_target);
            rows_write_origin(&text, route_target->def);
            // Equal rows (which a table may hold) differ by their place.
            uint64_t hash = hash_bytes(text.ptr, text.len, 0);
            struct live_row *row;
            while ((row = map_get(&live->by_hash, hash_key(&hash))) && row->pass == live->pass)
                hash++;
            bool is_new = !row;
            if (is_new)
                row = add_row(live, hash);
            if (!row || buf_status(&text) != 0) {
                is_ok = false;
                break;
            }
            row->pass = live->pass;
            row->target = route_target->target;
            live->rows[count++] = row;
            if (!is_new)
                continue;
            buf_printf(added, "%s{\"id\":%llu,", added->len > 0 ? "," : "",
                       (unsigned long long)row->id);
            buf_append_str(added, buf_str(&text));
            buf_append_char(added, '}');
        }
    }
    buf_fini(&text);
    live->row_count = count;
    return is_ok && buf_status(added) == 0;
}

// Drops the rows that the last pass did not see; appends their ids.
static void drop_gone(struct live *live, struct live_row **old, size_t old_count,
                      struct buf *removed)
{
    for (size_t i = 0; i < old_count; i++) {
        struct live_row *row = old[i];
        if (row->pass == live->pass)
            continue;
        buf_printf(removed, "%s%llu", removed->len > 0 ? "," : "", (unsigned long long)row->id);
        map_remove(&live->by_hash, hash_key(&row->hash));
        mem_free(row);
    }
}

// Brings the rows in line with the current table. Appends what changed. False when memory is short:
// then nothing is known any more, and everybody is sent everything later.
static bool refresh(struct live *live, struct buf *removed, struct buf *added)
{
    const struct table *table = feed_table(live->sources->feed);
    uint64_t version = table ? table_version(table) : 0;
    if (live->is_built && version == live->table_version)
        return true;
    struct live_row **old = live->rows;
    size_t old_count = live->row_count;
    live->rows = NULL;
    live->row_count = 0;
    live->row_cap = 0;
    live->pass++;
    live->cursor = 0;
    size_t wanted = table ? MIN(table_target_count(table), (size_t)LIVE_ROWS_MAX) : 0;
    bool is_ok =
        reserve_rows(live, MAX(wanted, (size_t)1)) && (!table || collect_rows(live, table, added));
    if (is_ok)
        drop_gone(live, old, old_count, removed);
    mem_free(old);
    if (!is_ok || buf_status(removed) != 0) {
        forget(live);
        return false;
    }
    live->is_built = true;
    live->table_version = version;
    return true;
}

static void write_event(struct buf *out, const char *name, const struct buf *json)
{
    buf_printf(out, "event: %s\ndata: ", name);
    buf_append_str(out, buf_str(json));
    buf_append_cstr(out, "\n\n");
}

static void write_hello(const struct live *live, struct buf *out)
{
    struct buf json;
    buf_init(&json, 1 << 20);
    settings_write(&json, live->config, live->sources);
    write_event(out, "hello", &json);
    buf_fini(&json);
}

static void write_everything(struct live *live, struct buf *out)
{
    struct buf json;
    buf_init(&json, SERVER_ANSWER_MAX);
    const struct table *table = feed_table(live->sources->feed);
    struct table_iterator at = {0};
    const struct route *route;
    size_t next = 0;
    buf_append_cstr(&json, "{\"rows\":[");
    while (table && next < live->row_count && (route = table_next_route(table, &at))) {
        for (uint32_t i = 0; i < route->count && next < live->row_count; i++, next++) {
            buf_printf(&json, "%s{\"id\":%llu", next > 0 ? "," : "",
                       (unsigned long long)live->rows[next]->id);
            rows_write_fixed(&json, route, &route->targets[i]);
            rows_write_origin(&json, route->targets[i].def);
            buf_append_char(&json, '}');
        }
    }
    buf_append_cstr(&json, "],\"figures\":[");
    bool has_some = false;
    for (size_t i = 0; i < live->row_count; i++) {
        const struct live_row *row = live->rows[i];
        if (!row->target || !sampler_figures(row->target))
            continue;
        if (has_some)
            buf_append_char(&json, ',');
        rows_write_figures(&json, row->id, row->target);
        has_some = true;
    }
    buf_printf(&json, "],\"cut\":%s,\"totals\":", live->is_cut ? "true" : "false");
    live->write_totals(live->ctx, &json);
    buf_append_char(&json, '}');
    if (buf_status(&json) != 0)
        out->failure = buf_status(&json);
    write_event(out, "table", &json);
    buf_fini(&json);
}

static void send_everything(struct live *live, struct server_conn *conn)
{
    struct buf out;
    buf_init(&out, SERVER_ANSWER_MAX);
    uint64_t *note = server_stream_note(conn);
    if (*note == STREAM_NEW)
        write_hello(live, &out);
    write_everything(live, &out);
    if (buf_status(&out) == 0) {
        *note = STREAM_IN_STEP;
        server_stream_send(conn, buf_str(&out));
    } // else: the next look tries again
    buf_fini(&out);
}

struct broadcast {
    struct live *live;
    struct str text; // empty: only those out of step are served
};

static void send_to(void *ctx, struct server_conn *conn)
{
    struct broadcast *broadcast = ctx;
    uint64_t *note = server_stream_note(conn);
    bool is_ready = server_stream_is_ready(conn);
    if (*note != STREAM_IN_STEP) {
        if (is_ready)
            send_everything(broadcast->live, conn);
    } else if (broadcast->text.len > 0) {
        if (is_ready)
            server_stream_send(conn, broadcast->text);
        else
            *note = STREAM_BEHIND;
    }
}

static void broadcast(struct live *live, struct str text)
{
    struct broadcast ctx = {live, text};
    server_stream_each(live->server, send_to, &ctx);
}

static void set_behind(void *ctx, struct server_conn *conn)
{
    (void)ctx;
    uint64_t *note = server_stream_note(conn);
    if (*note == STREAM_IN_STEP)
        *note = STREAM_BEHIND;
}

void live_look(struct live *live)
{
    if (server_stream_count(live->server) == 0)
        return;
    struct buf removed, added, out;
    buf_init(&removed, SERVER_ANSWER_MAX);
    buf_init(&added, SERVER_ANSWER_MAX);
    buf_init(&out, SERVER_ANSWER_MAX);
    bool is_known = live->is_built;
    bool is_ok = refresh(live, &removed, &added);
    if (!is_ok || !is_known)
        server_stream_each(live->server, set_behind, NULL);
    else if (removed.len > 0 || added.len > 0)
        buf_printf(&out, "event: rows\ndata: {\"removed\":[%.*s],\"rows\":[%.*s],\"cut\":%s}\n\n",
                   STR_FMT(buf_str(&removed)), STR_FMT(buf_str(&added)),
                   live->is_cut ? "true" : "false");
    if (buf_status(&out) != 0)
        server_stream_each(live->server, set_behind, NULL);
    else if (is_ok)
        broadcast(live, buf_str(&out));
    buf_fini(&removed);
    buf_fini(&added);
    buf_fini(&out);
}

// Figures that changed since they were sent, at most LIVE_FIGURES_MAX, going round.
static void write_changed(struct live *live, struct buf *out)
{
    size_t sent = 0;
    size_t looked = 0;
    for (; looked < live->row_count && sent < LIVE_FIGURES_MAX; looked++) {
        struct live_row *row = live->rows[(live->cursor + looked) % live->row_count];
        uint64_t changed_at = row->target ? sampler_changed_at(row->target) : 0;
        if (changed_at == row->sent_tick)
            continue;
        row->sent_tick = changed_at;
        if (sent++ > 0)
            buf_append_char(out, ',');
        rows_write_figures(out, row->id, row->target);
    }
    if (live->row_count > 0)
        live->cursor = (live->cursor + looked) % live->row_count;
}

void live_tick(struct live *live)
{
    if (server_stream_count(live->server) == 0)
        return;
    live_look(live); // from here on the rows' targets are those of the current table
    if (!live->is_built)
        return; // memory is short
    struct buf out;
    buf_init(&out, SERVER_ANSWER_MAX);
    buf_append_cstr(&out, "event: tick\ndata: {\"totals\":");
    live->write_totals(live->ctx, &out);
    buf_append_cstr(&out, ",\"figures\":[");
    write_changed(live, &out);
    buf_append_cstr(&out, "]}\n\n");
    if (buf_status(&out) == 0)
        broadcast(live, buf_str(&out));
    buf_fini(&out);
}

void live_join(struct live *live, struct server_conn *conn)
{
    (void)conn; // its note says STREAM_NEW; the next look serves it when its head is written
    live_look(live);
}

void live_leave(struct live *live)
{
    if (server_stream_count(live->server) == 0)
        forget(live);
}

static void greet(void *ctx, struct server_conn *conn)
{
    (void)ctx;
    *server_stream_note(conn) = STREAM_NEW;
}

void live_greet(struct live *live)
{
    server_stream_each(live->server, greet, live);
}
