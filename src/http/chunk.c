// SPDX-License-Identifier: Apache-2.0
// One pass over the bytes with a read and a write position; they drift apart only once something
// was deleted. Data is skipped (or moved) as a block, all else goes byte by byte through the
// states:
//
//   SIZE -> EXTENSION -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
//                            \-> (last chunk) LINE_START -> NAME -> VALUE -> LINE_LF -> LINE_START
//                                                  \-> END_LF -> ENDED
//   EXTENSION <-> QUOTED <-> ESCAPED
#include "http/chunk.h"

#include "fields.h"
#include "http/compose.h"
#include "http/refusal.h"

enum state {
    SIZE,         // hex digits of a chunk line
    EXTENSION,    // behind ';', deleted
    QUOTED,       // in a quoted string of it, which must end on its line
    ESCAPED,      // behind a backslash in that
    SIZE_LF,      // CR of a chunk line seen
    DATA,         // `left` bytes to go
    DATA_CR,      // CR behind the data expected
    DATA_LF,      // LF behind the data expected
    LINE_START,   // first byte of a trailer line, or CR of the empty one
    NAME,         // in a trailer's name
    VALUE_BLANKS, // between the colon and the value
    VALUE,        // in the value
    LINE_LF,      // CR of a trailer line seen
    END_LF,       // CR of the empty line seen
    ENDED,
};

enum { DIGITS_MAX = 16 };

void chunk_filter_init(struct chunk_filter *filter, bool drops_framing, struct buf *trailers)
{
    *filter = (struct chunk_filter){.drops_framing = drops_framing, .trailers = trailers};
}

// What may follow the body as a trailer (RFC 9110 section 6.5.1): nothing that frames, routes,
// authenticates or modifies the message, and nothing that looks like it.
static bool may_be_trailer(struct str name)
{
    static const struct str refused[] = {
        {"Cookie", 6},
        {"Set-Cookie", 10},
        {"WWW-Authenticate", 16},
        {"Cache-Control", 13},
        {"Content-Range", 13},
        {"Range", 5},
        {"Age", 3},
        {"Expires", 7},
        {"Pragma", 6},
        {"Warning", 7},
        {"Retry-After", 11},
        {"Authentication-Info", 19},
        {"If-Match", 8},
        {"If-None-Match", 13},
        {"If-Modified-Since", 17},
        {"If-Range", 8},
        {"If-Unmodified-Since", 19},
    };

    if (http_field_lookup(name) != HTTP_FIELD_OTHER || http_field_is_shadow(name))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        if (str_ieq(name, refused[i]))
            return false;
    }
    return true;
}

static void keep_trailer_byte(struct chunk_filter *filter, char c)
{
    if (filter->trailers)
        buf_append_char(filter->trailers, c);
}

// Whether the line at the end of *trailers may stay.
static bool is_line_sound(const struct chunk_filter *filter)
{
    struct str line = str_from(buf_str(filter->trailers), filter->trailer_start);
    ptrdiff_t colon = str_find_char(line, ':');

    if (buf_status(filter->trailers) != 0 || colon <= 0)
        return false;
    struct str name = str_upto(line, (size_t)colon);
    return may_be_trailer(name) && !(filter->config && http_name_is_own(name, filter->config));
}

// The line in *trailers is complete but for its CRLF: close it, or take it back.
static void end_trailer_line(struct chunk_filter *filter)
{
    struct buf *buf = filter->trailers;

    if (!buf) {
        filter->glitches++;
        return;
    }
    while (buf->len > filter->trailer_start && is_blank(buf->ptr[buf->len - 1]))
        buf->len--;
    bool is_sound = is_line_sound(filter);
    if (is_sound)
        buf_append(buf, "\r\n", 2);
    if (!is_sound || buf_status(buf)) {
        buf->len = filter->trailer_start;
        filter->glitches++;
    }
}

static int step_trailer(struct chunk_filter *filter, char c)
{
    if (++filter->trailer_len > CHUNK_TRAILERS_MAX)
        return -HTTP_BAD_TRAILER;
    switch (filter->state) {
    case LINE_START:
        if (c == '\r') {
            filter->state = END_LF;
            return 0;
        }
        if (!char_is(c, CHAR_TOKEN))
            return -HTTP_BAD_TRAILER;
        if (filter->trailers)
            filter->trailer_start = (uint32_t)filter->trailers->len;
        keep_trailer_byte(filter, c);
        filter->state = NAME;
        return 0;
    case NAME:
        keep_trailer_byte(filter, c);
        if (c == ':') {
            keep_trailer_byte(filter, ' ');
            filter->state = VALUE_BLANKS;
            return 0;
        }
        return char_is(c, CHAR_TOKEN) ? 0 : -HTTP_BAD_TRAILER;
    case VALUE_BLANKS:
    case VALUE:
        if (filter->state == VALUE_BLANKS && is_blank(c))
            return 0;
        filter->state = c == '\r' ? LINE_LF : VALUE;
        if (c == '\r')
            return 0;
        keep_trailer_byte(filter, c);
        return char_is(c, CHAR_TEXT) ? 0 : -HTTP_BAD_TRAILER;
    case LINE_LF:
        if (c != '\n')
            return -HTTP_BAD_TRAILER;
        end_trailer_line(filter);
        filter->state = LINE_START;
        return 0;
    default: // END_LF
        if (c != '\n')
            return -HTTP_BAD_TRAILER;
        filter->state = ENDED;
        return 0;
    }
}

// The LF of a chunk line: the size is known.
static int begin_chunk(struct chunk_filter *filter)
{
    filter->data_total += filter->left;
    // Tiny chunks make a peer's work many times its bytes; legitimate streams stay far below.
    if (filter->data_total > INT64_MAX ||
        (filter->framing_total > CHUNK_FRAMING_FREE &&
         filter->framing_total / CHUNK_FRAMING_RATIO > filter->data_total))
        return -HTTP_BAD_CHUNK;
    filter->state = filter->left ? DATA : LINE_START;
    filter->digits = 0;
    filter->extension_len = 0;
    return 0;
}

static int step_size(struct chunk_filter *filter, char c)
{
    int digit = hex_value(c);

    if (digit < 0)
        return -HTTP_BAD_CHUNK;
    if (++filter->digits > DIGITS_MAX || filter->left > (uint64_t)INT64_MAX >> 4)
        return -HTTP_BAD_CHUNK;
    filter->left = filter->left << 4 | (uint64_t)digit;
    return 0;
}

// A line that ends within quotes goes on in the next one for readers that heed them.
static int step_extension(struct chunk_filter *filter, char c)
{
    if (!char_is(c, CHAR_TEXT) || ++filter->extension_len > CHUNK_EXTENSION_MAX ||
        ++filter->extension_total > CHUNK_EXTENSIONS_TOTAL_MAX)
        return -HTTP_BAD_CHUNK;
    if (filter->state == ESCAPED)
        filter->state = QUOTED;
    else if (c == '"')
        filter->state = filter->state == QUOTED ? EXTENSION : QUOTED;
    else if (c == '\\' && filter->state == QUOTED)
        filter->state = ESCAPED;
    return 0;
}

// One byte of the framing. *keeps tells whether it goes on.
static int step_framing(struct chunk_filter *filter, char c, bool *keeps)
{
    *keeps = true;
    filter->framing_total++;
    switch (filter->state) {
    case SIZE:
        if (filter->digits && c == '\r') {
            filter->state = SIZE_LF;
            return 0;
        }
        if (!filter->digits || c != ';')
            return step_size(filter, c);
        filter->state = EXTENSION;
        filter->glitches++;
        *keeps = false;
        return step_extension(filter, c);
    case EXTENSION:
    case QUOTED:
    case ESCAPED:
        if (c == '\r' && filter->state == EXTENSION) {
            filter->state = SIZE_LF;
            return 0;
        }
        *keeps = false;
        return step_extension(filter, c);
    case SIZE_LF: return c == '\n' ? begin_chunk(filter) : -HTTP_BAD_CHUNK;
    case DATA_CR: filter->state = DATA_LF; return c == '\r' ? 0 : -HTTP_BAD_CHUNK;
    default: // DATA_LF
        filter->state = SIZE;
        return c == '\n' ? 0 : -HTTP_BAD_CHUNK;
    }
}

int chunk_filter_run(struct chunk_filter *filter, char *bytes, size_t *len, size_t *used)
{
    size_t in = 0;
    size_t out = 0;
    int rc = 0;

    while (in < *len && filter->state != ENDED && rc == 0) {
        if (filter->state == DATA) {
            size_t run = MIN(filter->left, *len - in);
            if (out != in)
                memmove(bytes + out, bytes + in, run);
            in += run;
            out += run;
            filter->left -= run;
            if (filter->left == 0)
                filter->state = DATA_CR;
        } else if (filter->state < LINE_START) {
            bool keeps;
            char c = bytes[in++];
            rc = step_framing(filter, c, &keeps);
            if (rc == 0 && keeps && !filter->drops_framing)
                bytes[out++] = c;
        } else {
            rc = step_trailer(filter, bytes[in++]);
        }
    }
    *len = out;
    *used = in;
    return rc ? rc : filter->state == ENDED;
}
