// SPDX-License-Identifier: Apache-2.0
// How definitions compare, and what they look like as a command.
#include "base/buf.h"
#include "route/def.h"

bool route_def_is_duplicate(const struct route_def *def, const struct route_def *other,
                            double other_weight)
{
    return route_weight_eq(def->rule->weight, other_weight) &&
           str_eq(route_def_dst(def), route_def_dst(other)) &&
           str_eq(def->rule->service, other->rule->service) &&
           route_rule_has_tags(def->rule, other->rule->tags, other->rule->tag_count);
}

bool route_def_eq(const struct route_def *a, const struct route_def *b)
{
    return a == b || (a->health == b->health && str_eq(route_def_dst(a), route_def_dst(b)) &&
                      route_rule_eq(a->rule, b->rule) &&
                      str_eq(route_def_instance(a), route_def_instance(b)) &&
                      str_eq(route_def_health_note(a), route_def_health_note(b)));
}

// Compares a1 a2 with b1 b2 as if each pair were one text.
static int compare_pairs(struct str a1, struct str a2, struct str b1, struct str b2)
{
    if (str_eq(a1, b1))
        return str_cmp(a2, b2);
    bool is_swapped = a1.len > b1.len;
    if (is_swapped) {
        struct str spare1 = a1, spare2 = a2;
        a1 = b1, a2 = b2;
        b1 = spare1, b2 = spare2;
    }
    int order = str_cmp(a1, str_upto(b1, a1.len));
    if (order == 0) {
        struct str b1_rest = str_from(b1, a1.len);
        order = str_cmp(str_upto(a2, b1_rest.len), b1_rest);
        if (order == 0)
            order = str_cmp(str_from(a2, b1_rest.len), b2);
    }
    return is_swapped ? -order : order;
}

// In a line these texts are followed by '"', which may sort above the other text's next byte.
static int compare_quoted(struct str a, struct str b)
{
    return compare_pairs(a, STR("\""), b, STR("\""));
}

static int compare_weights(const struct route_def *a, const struct route_def *b)
{
    if (route_weight_eq(a->rule->weight, b->rule->weight))
        return 0;
    char left[32], right[32];
    snprintf(left, sizeof left, "%.17g", a->rule->weight);
    snprintf(right, sizeof right, "%.17g", b->rule->weight);
    return str_cmp(str_of(left), str_of(right));
}

// As the text "t1,t2,t3\"".
static int compare_tags(const struct route_def *a, const struct route_def *b)
{
    for (size_t i = 0;; i++) {
        bool has_a = i + 1 < a->rule->tag_count, has_b = i + 1 < b->rule->tag_count;
        int order = compare_pairs(a->rule->tags[i], has_a ? STR(",") : STR("\""), b->rule->tags[i],
                                  has_b ? STR(",") : STR("\""));
        if (order != 0 || !has_a || !has_b)
            return order;
    }
}

// Negative when a's line is the smaller text. Clauses begin with 'w', 't' and 'o': a line that has
// the earlier clause is the greater one, and a line that ends is smaller than one that goes on.
static int compare_lines(const struct route_def *a, const struct route_def *b)
{
    int order = str_cmp(a->rule->service, b->rule->service);
    if (order == 0)
        order = compare_pairs(a->rule->host, a->rule->path, b->rule->host, b->rule->path);
    if (order == 0)
        order = str_cmp(route_def_dst(a), route_def_dst(b));
    if (order == 0)
        order = a->rule->has_weight - b->rule->has_weight;
    if (order == 0 && a->rule->has_weight)
        order = compare_weights(a, b);
    if (order == 0)
        order = (a->rule->tag_count > 0) - (b->rule->tag_count > 0);
    if (order == 0 && a->rule->tag_count > 0)
        order = compare_tags(a, b);
    if (order == 0)
        order = (a->rule->opts.len > 0) - (b->rule->opts.len > 0);
    if (order == 0 && a->rule->opts.len > 0)
        order = compare_quoted(a->rule->opts, b->rule->opts);
    return order;
}

int route_def_order(const struct route_def *a, const struct route_def *b)
{
    int order = -compare_lines(a, b);
    // Equal lines of several instances: those that can take traffic first, then any fixed order.
    if (order == 0)
        order = (int)a->health - (int)b->health;
    if (order == 0)
        order = str_cmp(route_def_instance(a), route_def_instance(b));
    if (order == 0)
        order = str_cmp(a->rule->source_text, b->rule->source_text);
    return order != 0 ? order : str_cmp(route_def_health_note(a), route_def_health_note(b));
}

// Inside a Go-quoted string (strconv.Quote, but without \u: text that is UTF-8 stays as it is).
static void print_escaped(struct str s, struct buf *out)
{
    static const char codes[] = "abtnvfr"; // of the bytes 7 to 13
    while (s.len > 0) {
        unsigned char c = (unsigned char)s.ptr[0];
        size_t len = c < 0x80 ? 1 : str_utf8_len(s);
        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c >= 7 && c <= 13)
            buf_printf(out, "\\%c", codes[c - 7]);
        else if (c < 0x20 || c == 0x7f || len == 0)
            buf_printf(out, "\\x%02x", c);
        else
            buf_append(out, s.ptr, len);
        s = str_from(s, len == 0 ? 1 : len);
    }
}

void route_def_print(const struct route_def *def, double fixed_weight, struct buf *out)
{
    buf_append_cstr(out, "route add ");
    buf_append_str(out, def->rule->service);
    buf_append_char(out, ' ');
    buf_append_str(out, def->rule->host);
    buf_append_str(out, def->rule->path);
    buf_append_char(out, ' ');
    buf_append_str(out, route_def_dst(def));
    if (fixed_weight > 0)
        buf_printf(out, " weight %.4f", fixed_weight);
    for (size_t i = 0; i < def->rule->tag_count; i++) {
        buf_append_cstr(out, i == 0 ? " tags \"" : ",");
        print_escaped(def->rule->tags[i], out);
    }
    if (def->rule->tag_count > 0)
        buf_append_char(out, '"');
    for (size_t i = 0; i < def->rule->option_count; i++) {
        buf_append_cstr(out, i == 0 ? " opts \"" : " ");
        buf_append_str(out, def->rule->options[i].key);
        buf_append_char(out, '=');
        buf_append_str(out, def->rule->options[i].value);
    }
    if (def->rule->option_count > 0)
        buf_append_char(out, '"');
}
