// SPDX-License-Identifier: Apache-2.0
#include "app/config_source.h"

#include <curl/curl.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "app/value.h"
#include "base/mem.h"

enum { CONNECT_MS = 5 * 1000, REDIRECTS_MAX = 10 };

static bool is_url(struct str place)
{
    return str_istarts_with(place, STR("http://")) || str_istarts_with(place, STR("https://"));
}

struct str config_source_label(struct arena *arena, struct str place)
{
    if (!is_url(place))
        return arena_str(arena, place);
    size_t authority = (size_t)str_find(place, STR("://")) + 3;
    struct str rest = str_from(place, authority);
    size_t end = 0;
    while (end < rest.len && !strchr("/?#", rest.ptr[end]))
        end++;
    ptrdiff_t at = str_rfind_char(str_upto(rest, end), '@');
    rest = str_from(rest, (size_t)(at + 1));
    size_t query = 0;
    while (query < rest.len && rest.ptr[query] != '?' && rest.ptr[query] != '#')
        query++;
    struct buf label;
    buf_init(&label, place.len + 1);
    buf_append_str(&label, str_upto(place, authority));
    buf_append_str(&label, str_upto(rest, query));
    struct str copy = buf_status(&label) ? STR_NULL : arena_str(arena, buf_str(&label));
    buf_fini(&label);
    return copy;
}

static int fail(struct err *err, struct str place, const char *what)
{
    struct arena arena;
    arena_init(&arena);
    struct str label = config_source_label(&arena, place);
    int rc =
        err_set(err, ERR_IO, "config file \"%.*s\": %s", (int)MIN(label.len, 100), label.ptr, what);
    arena_fini(&arena);
    return rc;
}

static int load_file(const char *path, struct buf *text, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return fail(err, str_of(path), strerror(errno));
    char piece[4096];
    ssize_t got;
    while ((got = read(fd, piece, sizeof piece)) > 0)
        buf_append(text, piece, (size_t)got);
    int failure = errno;
    close(fd);
    return got < 0 ? fail(err, str_of(path), strerror(failure)) : 0;
}

static size_t on_body(char *bytes, size_t size, size_t count, void *ctx)
{
    struct buf *text = ctx;
    buf_append(text, bytes, size * count);
    return buf_status(text) ? 0 : size * count;
}

// Each byte of latin1 is the code point of that number.
static void append_latin1(struct buf *text, struct str latin1)
{
    for (size_t i = 0; i < latin1.len; i++) {
        char utf8[4];
        buf_append(text, utf8, value_put_utf8((unsigned char)latin1.ptr[i], utf8));
    }
}

// As fabio: the whole header is compared, without blanks and case.
static int judge_type(const char *header, bool *is_latin1)
{
    static const char *const LATIN1[] = {"text/plain", "text/plain;charset=iso-8859-1",
                                         "text/plain;charset=latin1"};
    char type[128];
    size_t len = 0;
    for (; header && *header && len < sizeof type - 1; header++) {
        if (*header != ' ' && *header != '\t')
            type[len++] = char_lower(*header);
    }
    type[len] = '\0';
    *is_latin1 = false;
    for (size_t i = 0; i < ARRAY_LEN(LATIN1); i++)
        *is_latin1 |= strcmp(type, LATIN1[i]) == 0;
    bool is_utf8 = len == 0 || strcmp(type, "text/plain;charset=utf-8") == 0;
    return *is_latin1 || is_utf8 ? 0 : ERR_INVALID;
}

static CURLcode perform(CURL *easy, const char *url, struct buf *body, char *failure)
{
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)CONFIG_FETCH_MS);
    curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl_easy_setopt(easy, CURLOPT_USERAGENT, "tagway");
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, failure);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, body);
    return curl_easy_perform(easy);
}

// What the answer says once it is complete.
static int take_answer(CURL *easy, const char *url, const struct buf *body, struct buf *text,
                       struct err *err)
{
    char what[200];
    long status = 0;
    const char *type = NULL;
    bool is_latin1;
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
    if (status != 200) {
        snprintf(what, sizeof what, "the server answers %ld", status);
        return fail(err, str_of(url), what);
    }
    if (judge_type(type, &is_latin1)) {
        snprintf(what, sizeof what, "content type \"%.60s\" is not text/plain", type);
        return fail(err, str_of(url), what);
    }
    if (is_latin1)
        append_latin1(text, buf_str(body));
    else
        buf_append_str(text, buf_str(body));
    return 0;
}

static int load_url(const char *url, struct buf *text, struct err *err)
{
    char failure[CURL_ERROR_SIZE] = "";
    struct buf body;
    buf_init(&body, text->max);
    CURL *easy = curl_easy_init();
    int rc = easy ? 0 : err_set(err, ERR_NOMEM, "out of memory");
    CURLcode result = easy ? perform(easy, url, &body, failure) : CURLE_OK;
    if (rc == 0 && buf_status(&body))
        rc = fail(err, str_of(url), err_text(buf_status(&body)));
    else if (rc == 0 && result != CURLE_OK)
        rc = fail(err, str_of(url), failure[0] ? failure : curl_easy_strerror(result));
    else if (rc == 0)
        rc = take_answer(easy, url, &body, text, err);
    curl_easy_cleanup(easy);
    buf_fini(&body);
    return rc;
}

int config_source_load(struct str place, struct buf *text, struct err *err)
{
    char *name = str_dup(place);
    if (!name)
        return err_set(err, ERR_NOMEM, "out of memory");
    int rc = is_url(place) ? load_url(name, text, err) : load_file(name, text, err);
    if (rc == 0 && buf_status(text))
        rc = fail(err, place, err_text(buf_status(text)));
    mem_free(name);
    return rc;
}
