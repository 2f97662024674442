// SPDX-License-Identifier: Apache-2.0
#include "admin/rows.h"

#include "admin/json_write.h"
#include "admin/sampler.h"
#include "upstream/eject.h"

static void write_options(struct buf *out, const struct route_def *def)
{
    struct buf text;
    buf_init(&text, 64 << 10);
    for (size_t i = 0; i < def->rule->option_count; i++) {
        if (i > 0)
            buf_append_char(&text, ' ');
        buf_append_str(&text, def->rule->options[i].key);
        buf_append_char(&text, '=');
        buf_append_str(&text, def->rule->options[i].value);
    }
    json_field_str(out, "opts", buf_str(&text));
    buf_fini(&text);
}

static void write_source(struct buf *out, const struct route_def *def)
{
    struct buf text;
    buf_init(&text, 64 << 10);
    buf_append_str(&text, def->rule->host);
    buf_append_str(&text, def->rule->path);
    json_field_str(out, "src", buf_str(&text));
    buf_fini(&text);
}

void rows_write_fixed(struct buf *out, const struct route *route,
                      const struct route_target *route_target)
{
    const struct route_def *def = route_target->def;
    json_field_str(out, "service", def->rule->service);
    json_field_str(out, "host", route->host);
    json_field_str(out, "path", route->path);
    write_source(out, def);
    json_field_str(out, "dst", route_def_dst(def));
    write_options(out, def);
    json_field_str(out, "cmd", STR("route add"));
    if (def->rule->tag_count > 0) { // omitted if none, as fabio
        json_key(out, "tags");
        for (size_t i = 0; i < def->rule->tag_count; i++) {
            buf_append_char(out, i == 0 ? '[' : ',');
            buf_append_json(out, def->rule->tags[i]);
        }
        buf_append_char(out, ']');
    }
    json_field_f64(out, "weight", route_weight_of(route, route_target).share);
}

void rows_write_origin(struct buf *out, const struct route_def *def)
{
    json_field_str(out, "health", str_of(route_health_text(def->health)));
    json_field_str(out, "note", route_def_health_note(def));
    json_field_str(out, "instance", route_def_instance(def));
}

static double ms(uint64_t us)
{
    return (double)us / 1000;
}

static const struct target_figures *figures_of(const struct target *target)
{
    static const struct target_figures none;
    const struct target_figures *figures = target ? sampler_figures(target) : NULL;
    return figures ? figures : &none;
}

static void write_tls_failure(struct buf *out, const struct target *target)
{
    const struct endpoint *endpoint = target ? target->endpoint : NULL;
    const struct endpoint_tls *tls = endpoint ? endpoint_tls(endpoint) : NULL;
    const char *failure = tls ? atomic_load_explicit(&tls->failure, memory_order_relaxed) : NULL;
    if (failure)
        json_field_str(out, "tls_failure", str_of(failure));
}

static void write_row(struct buf *out, const struct route *route,
                      const struct route_target *route_target)
{
    const struct target_figures *figures = figures_of(route_target->target);
    buf_append_char(out, '{');
    rows_write_fixed(out, route, route_target);
    json_field_f64(out, "rate1", figures->request_rate);
    json_field_f64(out, "pct99", ms(figures->p99_us));
    // What fabio does not have comes behind its own.
    rows_write_origin(out, route_target->def);
    json_field_u64(out, "requests", figures->requests);
    json_field_u64(out, "errors", figures->errors);
    json_field_u64(out, "failures", figures->failures);
    json_field_f64(out, "p50_ms", ms(figures->p50_us));
    json_field_f64(out, "p99_ms", ms(figures->p99_us));
    json_field_u64(out, "in_flight", figures->in_flight);
    json_field_bool(out, "ejected", figures->ejected_by > 0);
    if (figures->ejected_by > 0) {
        json_field_u64(out, "ejected_s", figures->ejected_s);
        json_field_str(out, "ejected_why",
                       str_of(eject_cause_text((enum eject_cause)figures->eject_cause)));
    }
    write_tls_failure(out, route_target->target);
    json_field_u64(out, "bytes_in", figures->bytes_in);
    json_field_u64(out, "bytes_out", figures->bytes_out);
    buf_append_char(out, '}');
}

void rows_write_routes(struct buf *out, const struct table *table, bool has_down)
{
    struct table_iterator at = {0};
    const struct route *route;
    char separator = '[';
    while (table && (route = table_next_route(table, &at))) {
        uint32_t count = has_down ? route->count : route->up_count;
        for (uint32_t i = 0; i < count; i++) {
            buf_append_char(out, separator);
            write_row(out, route, &route->targets[i]);
            separator = ',';
        }
    }
    buf_append_cstr(out, separator == '[' ? "null" : "]");
}

void rows_write_figures(struct buf *out, uint64_t id, const struct target *target)
{
    const struct target_figures *figures = figures_of(target);
    const double rounded[] = {figures->request_rate, figures->error_rate, ms(figures->p50_us),
                              ms(figures->p99_us)};
    const uint64_t whole[] = {figures->requests,  figures->errors,     figures->failures,
                              figures->in_flight, figures->ejected_by, figures->bytes_in,
                              figures->bytes_out, figures->ejected_s,  figures->eject_cause};
    buf_append_char(out, '[');
    buf_append_u64(out, id);
    for (size_t i = 0; i < ARRAY_LEN(rounded); i++)
        buf_printf(out, ",%.6g", rounded[i]);
    for (size_t i = 0; i < ARRAY_LEN(whole); i++) {
        buf_append_char(out, ',');
        buf_append_u64(out, whole[i]);
    }
    buf_append_char(out, ']');
}

void rows_write_problems(struct buf *out, const struct problems *problems)
{
    buf_append_char(out, '[');
    for (size_t i = 0; i < problems_count(problems); i++) {
        const struct problem *problem = problems_at(problems, i);
        buf_append_cstr(out, i > 0 ? ",{" : "{");
        json_field_str(out, "source", problem->source);
        json_field_str(out, "service", problem->service);
        json_field_str(out, "instance", problem->instance);
        json_field_str(out, "text", problem->text);
        json_field_str(out, "reason", problem->reason);
        json_field_bool(out, "lost", problem->is_lost);
        json_key(out, "since");
        json_time(out, problem->since_us);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

size_t rows_count_lost(const struct problems *problems)
{
    size_t lost = 0;
    for (size_t i = 0; i < problems_count(problems); i++)
        lost += problems_at(problems, i)->is_lost;
    return lost;
}

struct rows_counts rows_count_targets(const struct table *table)
{
    struct rows_counts counts = {0};
    struct table_iterator at = {0};
    const struct route *route;
    while (table && (route = table_next_route(table, &at))) {
        counts.up += route->up_count;
        counts.down += route->count - route->up_count;
        for (uint32_t i = 0; i < route->up_count; i++) {
            const struct target *target = route->targets[i].target;
            counts.ejected += figures_of(target)->ejected_by > 0;
        }
    }
    return counts;
}
