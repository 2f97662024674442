// SPDX-License-Identifier: Apache-2.0
#include "app/value.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int digit_of(char c)
{
    if (is_digit(c))
        return c - '0';
    c = char_lower(c);
    return c >= 'a' && c <= 'z' ? c - 'a' + 10 : 99;
}

struct unit {
    struct str name;
    int64_t ns;
};

static const struct unit UNITS[] = {
    {{"ns", 2}, 1},           {{"us", 2}, 1000},
    {{"\xc2\xb5s", 3}, 1000}, // U+00B5, micro sign
    {{"\xce\xbcs", 3}, 1000}, // U+03BC, Greek mu
    {{"ms", 2}, 1000000},     {{"s", 1}, 1000000000},
    {{"m", 1}, 60000000000},  {{"h", 1}, 3600000000000},
};

// Cuts the unit name, which runs up to the next digit or dot.
static const struct unit *take_unit(struct str *rest)
{
    size_t len = 0;
    while (len < rest->len && !is_digit(rest->ptr[len]) && rest->ptr[len] != '.')
        len++;
    struct str name = str_upto(*rest, len);
    *rest = str_from(*rest, len);
    for (size_t i = 0; i < ARRAY_LEN(UNITS); i++) {
        if (str_eq(UNITS[i].name, name))
            return &UNITS[i];
    }
    return NULL;
}

// One "12.5s" of a duration, added to *total.
static bool add_duration_part(struct str *rest, int64_t *total)
{
    int64_t whole = 0;
    size_t digits = 0;
    for (; rest->len && is_digit(*rest->ptr); *rest = str_from(*rest, 1), digits++) {
        if (__builtin_mul_overflow(whole, 10, &whole) ||
            __builtin_add_overflow(whole, *rest->ptr - '0', &whole))
            return false;
    }
    double fraction = 0;
    double place = 0.1;
    if (rest->len && *rest->ptr == '.') {
        *rest = str_from(*rest, 1);
        for (; rest->len && is_digit(*rest->ptr); *rest = str_from(*rest, 1), digits++) {
            fraction += (*rest->ptr - '0') * place;
            place /= 10;
        }
    }
    if (digits == 0)
        return false;
    const struct unit *unit = take_unit(rest);
    int64_t part;
    if (!unit || __builtin_mul_overflow(whole, unit->ns, &part) ||
        __builtin_add_overflow(part, (int64_t)llround(fraction * (double)unit->ns), &part))
        return false;
    return !__builtin_add_overflow(*total, part, total);
}

bool value_to_duration_ns(struct str text, int64_t *ns)
{
    bool is_negative = text.len && *text.ptr == '-';
    if (text.len && (*text.ptr == '-' || *text.ptr == '+'))
        text = str_from(text, 1);
    *ns = 0;
    if (str_eq(text, STR("0")))
        return true;
    if (text.len == 0)
        return false;
    while (text.len) {
        if (!add_duration_part(&text, ns))
            return false;
    }
    if (is_negative)
        *ns = -*ns;
    return true;
}

bool value_to_duration_ms(struct str text, uint32_t *ms)
{
    int64_t ns;
    if (!value_to_duration_ns(text, &ns) || ns < 0)
        return false;
    int64_t rounded = ns / 1000000 + (ns % 1000000 != 0);
    if (rounded > UINT32_MAX)
        return false;
    *ms = (uint32_t)rounded;
    return true;
}

bool value_to_int(struct str text, int64_t *value)
{
    bool is_negative = text.len && *text.ptr == '-';
    if (text.len && (*text.ptr == '-' || *text.ptr == '+'))
        text = str_from(text, 1);

    int base = 10;
    bool may_have_underscore = false; // Go allows one between digits and behind the base prefix
    if (text.len > 1 && *text.ptr == '0') {
        char mark = char_lower(text.ptr[1]);
        base = mark == 'x' ? 16 : mark == 'b' ? 2 : 8;
        text = str_from(text, mark == 'x' || mark == 'b' || mark == 'o' ? 2 : 1);
        may_have_underscore = true;
    }
    int64_t sum = 0;
    bool was_digit = false;
    for (; text.len; text = str_from(text, 1)) {
        if (*text.ptr == '_') {
            if (!may_have_underscore)
                return false;
            may_have_underscore = was_digit = false;
            continue;
        }
        int digit = digit_of(*text.ptr);
        if (digit >= base || __builtin_mul_overflow(sum, base, &sum) ||
            __builtin_add_overflow(sum, digit, &sum))
            return false;
        may_have_underscore = was_digit = true;
    }
    if (!was_digit)
        return false;
    *value = is_negative ? -sum : sum;
    return true;
}

bool value_to_bool(struct str text, bool *value)
{
    static const char *const YES[] = {"1", "t", "T", "TRUE", "true", "True"};
    static const char *const NO[] = {"0", "f", "F", "FALSE", "false", "False"};
    for (size_t i = 0; i < ARRAY_LEN(YES); i++) {
        if (str_eq(text, str_of(YES[i]))) {
            *value = true;
            return true;
        }
        if (str_eq(text, str_of(NO[i]))) {
            *value = false;
            return true;
        }
    }
    return false;
}

bool value_to_double(struct str text, double *value)
{
    char copy[64];
    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len))
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (!is_digit(*copy) && !strchr("+-.", *copy)) // strtod also takes blanks, "inf" and "nan"
        return false;
    char *end;
    *value = strtod(copy, &end);
    return *end == '\0' && isfinite(*value);
}

bool value_list_next(struct str *rest, struct str *member)
{
    while (rest->ptr && str_split_next(rest, ',', member)) {
        *member = str_trim(*member);
        if (member->len)
            return true;
    }
    return false;
}

size_t value_put_utf8(uint32_t code, char *out)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        if (code >= 0xd800 && code <= 0xdfff)
            return 0;
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    if (code > 0x10ffff)
        return 0;
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

bool value_to_hex(struct str text, size_t digits, uint32_t *value)
{
    if (text.len < digits)
        return false;
    uint32_t sum = 0;
    for (size_t i = 0; i < digits; i++) {
        int digit = digit_of(text.ptr[i]);
        if (digit > 15)
            return false;
        sum = sum << 4 | (uint32_t)digit;
    }
    *value = sum;
    return true;
}

// One escape of a Go literal, behind the backslash. Returns the bytes written to out, 0 when
// invalid.
static size_t take_escape(struct str *rest, char *out)
{
    static const char NAMES[] = "abfnrtv\\'\"";
    static const char BYTES[] = "\a\b\f\n\r\t\v\\'\"";
    char c = *rest->ptr;
    *rest = str_from(*rest, 1);
    const char *named = c ? strchr(NAMES, c) : NULL;
    if (named) {
        *out = BYTES[named - NAMES];
        return 1;
    }
    size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    uint32_t code;
    if (digits == 0 || !value_to_hex(*rest, digits, &code))
        return 0;
    *rest = str_from(*rest, digits);
    if (c == 'x') {
        *out = (char)code;
        return 1;
    }
    return value_put_utf8(code, out);
}

// A quoted run at the start of *rest, unquoted into the arena.
static int take_quoted(struct arena *arena, struct str *rest, struct str *out, struct err *err)
{
    char quote = *rest->ptr;
    *rest = str_from(*rest, 1);
    char *bytes = arena_alloc(arena, rest->len + 4);
    if (!bytes)
        return err_set(err, ERR_NOMEM, "out of memory");
    size_t len = 0;
    while (rest->len && *rest->ptr != quote) {
        if (*rest->ptr != '\\') {
            bytes[len++] = *rest->ptr;
            *rest = str_from(*rest, 1);
            continue;
        }
        *rest = str_from(*rest, 1);
        if (rest->len == 0)
            return err_set(err, ERR_INVALID, "unterminated escape sequence");
        size_t put = take_escape(rest, bytes + len);
        if (put == 0)
            return err_set(err, ERR_INVALID, "invalid escape sequence");
        len += put;
    }
    if (rest->len == 0)
        return err_set(err, ERR_INVALID, "unbalanced quotes");
    *rest = str_from(*rest, 1);
    *out = str_make(bytes, len);
    return 0;
}

// A value or key up to one of the stop characters or the end.
static int take_text(struct arena *arena, struct str *rest, const char *stops, struct str *out,
                     struct err *err)
{
    if (rest->len && (*rest->ptr == '"' || *rest->ptr == '\'')) {
        int rc = take_quoted(arena, rest, out, err);
        if (rc == 0 && rest->len && !strchr(stops, *rest->ptr))
            rc = err_set(err, ERR_INVALID, "text behind a closing quote");
        return rc;
    }
    size_t len = 0;
    while (len < rest->len && (rest->ptr[len] == '\0' || !strchr(stops, rest->ptr[len])))
        len++;
    *out = str_upto(*rest, len);
    *rest = str_from(*rest, len);
    return 0;
}

// One pair up to the next separator. *is_pair is false when there was nothing but the separator.
static int take_pair(struct arena *arena, struct str *rest, bool is_first, struct value_pair *pair,
                     bool *is_pair, struct err *err)
{
    struct str text = STR_NULL;
    int rc = take_text(arena, rest, "=,;", &text, err);
    if (rc)
        return rc;
    bool has_value = rest->len && *rest->ptr == '=';
    text = str_trim(text);
    *is_pair = text.len != 0;
    if (!has_value) {
        if (text.len && !is_first)
            return err_set(err, ERR_INVALID, "no '=' behind \"%.*s\"", (int)MIN(text.len, 64),
                           text.ptr);
        *pair = (struct value_pair){STR(""), text};
        return 0;
    }
    if (text.len == 0)
        return err_set(err, ERR_INVALID, "'=' without a key");
    pair->key = text;
    *rest = str_from(*rest, 1);
    return take_text(arena, rest, ",;", &pair->value, err);
}

static size_t count_of(struct str text, char c)
{
    size_t count = 0;
    for (size_t i = 0; i < text.len; i++)
        count += text.ptr[i] == c;
    return count;
}

int value_to_entries(struct arena *arena, struct str text, struct value_entries *entries,
                     struct err *err)
{
    // Separators bound the number of entries and pairs, so one allocation of each is enough.
    size_t max_entries = count_of(text, ',') + 1;
    size_t max_pairs = max_entries + count_of(text, ';');
    entries->count = 0;
    entries->items = arena_alloc_array(arena, max_entries, sizeof *entries->items);
    struct value_pair *pairs = arena_alloc_array(arena, max_pairs, sizeof *pairs);
    if (!entries->items || !pairs)
        return err_set(err, ERR_NOMEM, "out of memory");

    struct value_entry *entry = NULL; // NULL: the next pair opens an entry
    while (text.len) {
        bool is_pair;
        int rc = take_pair(arena, &text, entry == NULL, pairs, &is_pair, err);
        if (rc)
            return rc;
        if (is_pair) {
            if (!entry) {
                entry = &entries->items[entries->count++];
                entry->pairs = pairs;
            }
            entry->count++;
            pairs++;
        }
        if (text.len && *text.ptr == ',')
            entry = NULL;
        text = str_from(text, 1);
    }
    return 0;
}

bool value_entry_get(const struct value_entry *entry, struct str key, struct str *value)
{
    bool is_found = false;
    for (size_t i = 0; i < entry->count; i++) {
        if (str_eq(entry->pairs[i].key, key)) {
            *value = entry->pairs[i].value;
            is_found = true;
        }
    }
    return is_found;
}
