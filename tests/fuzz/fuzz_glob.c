// SPDX-License-Identifier: Apache-2.0
// The first line is a pattern, the rest a text. A name that is no pattern matches itself only; "*"
// around a pattern matches whatever it matched; every match ends with the pattern's tail and holds
// the characters it needs; escaping all of a text makes a pattern that matches it. In braces a
// pattern matches the same, though another machine does it.
#include <stdint.h>
#include <stdlib.h>

#include "route/glob.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static bool is_utf8(struct str s)
{
    for (size_t len; s.len > 0; s = str_from(s, len)) {
        len = str_utf8_len(s);
        if (len == 0)
            return false;
    }
    return true;
}

static void check_surrounded(struct str pattern, struct str text)
{
    char wide[1024 + 2];
    if (pattern.len + 2 > 1024)
        return;
    wide[0] = '*';
    memcpy(wide + 1, pattern.ptr, pattern.len);
    wide[pattern.len + 1] = '*';
    struct glob *glob = glob_new(str_make(wide, pattern.len + 2), NULL);
    // A trailing backslash escapes the star that was put behind it.
    require(glob != NULL);
    require(glob_match(glob, text) || pattern.ptr[pattern.len - 1] == '\\');
    glob_free(glob);
}

static void check_escaped(struct str text)
{
    char escaped[1024];
    if (text.len > sizeof escaped / 2)
        return;
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (strchr("*?[{\\", text.ptr[i]) && text.ptr[i])
            escaped[len++] = '\\';
        escaped[len++] = text.ptr[i];
    }
    struct glob *glob = glob_new(str_make(escaped, len), NULL);
    require(glob && glob_match(glob, text) && str_eq(glob_tail(glob), text));
    glob_free(glob);
}

static void check_braced(struct str pattern, struct str text, bool is_match)
{
    char braced[1024];
    for (size_t i = 0; i < pattern.len; i++) {
        if (strchr(",{}\\", pattern.ptr[i]))
            return; // means something else in them
    }
    if (pattern.len + 2 > sizeof braced)
        return;
    braced[0] = '{';
    memcpy(braced + 1, pattern.ptr, pattern.len);
    braced[pattern.len + 1] = '}';
    struct glob *glob = glob_new(str_make(braced, pattern.len + 2), NULL);
    require(glob != NULL);
    require(glob_match(glob, text) == is_match);
    glob_free(glob);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = str_make(size ? (const char *)data : "", size), pattern;
    str_split_next(&text, '\n', &pattern);
    if (!text.ptr)
        text = STR("");
    if (is_utf8(text))
        check_escaped(text);
    struct err err = {0};
    struct glob *glob = glob_new(pattern, &err);
    if (!glob) {
        require(err.code == ERR_INVALID && err.text[0] != '\0');
        require(pattern.len > 1024 || glob_is_pattern(pattern) || !is_utf8(pattern));
        return 0;
    }
    bool is_match = glob_match(glob, text);
    if (!glob_is_pattern(pattern))
        require(is_match == str_eq(pattern, text));
    if (pattern.len > 0)
        check_braced(pattern, text, is_match);
    if (is_match) {
        require(str_ends_with(text, glob_tail(glob)));
        require(!(glob_needs(glob) & ~glob_chars(text)));
        if (pattern.len > 0)
            check_surrounded(pattern, text);
    }
    glob_free(glob);
    return 0;
}
