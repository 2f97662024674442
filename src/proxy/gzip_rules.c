// SPDX-License-Identifier: Apache-2.0
#include "proxy/gzip_rules.h"

#include <stdio.h>

enum { WEIGHT_MAX = 1000, WEIGHT_NONE = -1 };

// "0.5" as 500; what is malformed counts as 0.
static int parse_weight(struct str text)
{
    int weight = 0;
    int scale = WEIGHT_MAX;
    if (text.len == 0 || text.len > 5 || (text.len > 1 && text.ptr[1] != '.'))
        return 0;
    for (size_t i = 0; i < text.len; i++) {
        if (i == 1)
            continue;
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return 0;
        weight += (text.ptr[i] - '0') * scale;
        scale /= 10;
    }
    return weight > WEIGHT_MAX ? 0 : weight;
}

// One member of Accept-Encoding, "gzip;q=0.5".
static int member_weight(struct str member, struct str *coding)
{
    int weight = WEIGHT_MAX;
    struct str piece;
    if (!str_split_next(&member, ';', &piece))
        return 0;
    *coding = str_trim(piece);
    while (str_split_next(&member, ';', &piece)) {
        piece = str_trim(piece);
        if (str_istarts_with(piece, STR("q=")))
            weight = parse_weight(str_from(piece, 2));
    }
    return weight;
}

static bool prefers_gzip(const struct http_head *request)
{
    int gzip = WEIGHT_NONE;
    int identity = WEIGHT_NONE;
    int other = WEIGHT_NONE;
    for (size_t i = 0; i < request->field_count; i++) {
        struct str rest = request->fields[i].value;
        if (request->fields[i].id != HTTP_FIELD_ACCEPT_ENCODING || rest.len == 0)
            continue;
        for (struct str member; str_split_next(&rest, ',', &member);) {
            struct str coding = STR_NULL;
            int weight = member_weight(member, &coding);
            if (str_ieq(coding, STR("gzip")) || str_ieq(coding, STR("x-gzip")))
                gzip = weight;
            else if (str_ieq(coding, STR("identity")))
                identity = weight;
            else if (str_eq(coding, STR("*")))
                other = weight;
        }
    }
    if (gzip == WEIGHT_NONE)
        gzip = other;
    return gzip > 0 && gzip >= identity;
}

bool gzip_is_accepted(const struct http_head *request)
{
    if (request->method == HTTP_METHOD_HEAD || !prefers_gzip(request))
        return false;
    for (size_t i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if (field->id == HTTP_FIELD_ACCEPT && str_find(field->value, STR("text/event-stream")) >= 0)
            return false;
    }
    return true;
}

struct str gzip_content_type(const struct http_head *response)
{
    const struct http_field *type = http_find(response, HTTP_FIELD_CONTENT_TYPE);
    return type ? type->value : STR_NULL;
}

bool gzip_may_code(const struct http_head *response)
{
    if (response->framing == HTTP_BODY_NONE || response->status < 200 || response->status == 206)
        return false;
    if (response->framing == HTTP_BODY_LENGTH && response->content_length < GZIP_LENGTH_MIN)
        return false;
    // A stream of events would hold its memory for hours.
    if (str_istarts_with(gzip_content_type(response), STR("text/event-stream")))
        return false;
    for (size_t i = 0; i < response->field_count; i++) {
        const struct http_field *field = &response->fields[i];
        if (field->id == HTTP_FIELD_CONTENT_ENCODING && field->value.len)
            return false;
        if (field->id != HTTP_FIELD_OTHER)
            continue;
        if (str_ieq(field->name, STR("Content-Range")))
            return false;
        if (str_ieq(field->name, STR("Cache-Control")) &&
            http_list_has(field->value, STR("no-transform")))
            return false;
    }
    return true;
}

static bool varies_by_encoding(const struct http_head *response)
{
    for (size_t i = 0; i < response->field_count; i++) {
        const struct http_field *field = &response->fields[i];
        if (field->id == HTTP_FIELD_VARY && !field->is_hop &&
            (http_list_has(field->value, STR("Accept-Encoding")) ||
             http_list_has(field->value, STR("*"))))
            return true;
    }
    return false;
}

bool gzip_may_ask(const struct http_head *request)
{
    if (request->method == HTTP_METHOD_HEAD || request->is_upgrade)
        return false;
    for (size_t i = 0; i < request->field_count; i++) {
        const struct http_field *field = &request->fields[i];
        if ((field->id == HTTP_FIELD_ACCEPT_ENCODING || field->id == HTTP_FIELD_RANGE) &&
            !field->is_hop)
            return false;
    }
    return true;
}

bool gzip_must_unpack(const struct http_head *response)
{
    if (response->framing == HTTP_BODY_NONE || response->status == 206 ||
        (response->framing == HTTP_BODY_LENGTH && response->content_length == 0))
        return false;
    struct str coding = STR_NULL;
    for (size_t i = 0; i < response->field_count; i++) {
        const struct http_field *field = &response->fields[i];
        if (field->id != HTTP_FIELD_CONTENT_ENCODING || field->value.len == 0)
            continue;
        if (coding.len)
            return false; // coded twice
        coding = field->value;
    }
    return str_ieq(coding, STR("gzip")) || str_ieq(coding, STR("x-gzip"));
}

struct str gzip_fields(struct http_head *response, enum gzip_change change, bool may_vary,
                       char *out)
{
    enum { ETAG_MAX = 256 };
    struct str etag = STR_NULL;
    bool says_vary = may_vary && !varies_by_encoding(response);
    if (change == GZIP_AS_IS)
        return says_vary ? STR("Vary: Accept-Encoding\r\n") : STR_NULL;
    for (size_t i = 0; i < response->field_count; i++) {
        struct http_field *field = &response->fields[i];
        bool is_etag = !field->is_hop && str_ieq(field->name, STR("ETag"));
        // Ranges are of the bytes that the origin has, not of those that the client gets, unless
        // these are unpacked: who wants a part of them asks the origin for it as it is.
        field->is_hop |= is_etag || field->id == HTTP_FIELD_CONTENT_ENCODING ||
                         (change == GZIP_PACKED && str_ieq(field->name, STR("Accept-Ranges")));
        if (is_etag && field->value.len <= ETAG_MAX)
            etag = field->value;
    }
    // The changed body is not byte for byte the one that a strong validator stands for (RFC 9110
    // section 8.8.1).
    bool is_strong = etag.len && !str_starts_with(etag, STR("W/"));
    int len = snprintf(out, GZIP_FIELDS_ROOM, "%s%s%s%.*s%s",
                       says_vary ? "Vary: Accept-Encoding\r\n" : "",
                       change == GZIP_PACKED ? "Content-Encoding: gzip\r\n" : "",
                       etag.len == 0 ? ""
                       : is_strong   ? "ETag: W/"
                                     : "ETag: ",
                       STR_FMT(etag), etag.len ? "\r\n" : "");
    return str_make(out, (size_t)len);
}
