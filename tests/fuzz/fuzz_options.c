// SPDX-License-Identifier: Apache-2.0
// The configuration as a whole: each line of the input is one flag (`proxy.addr=:9999;rt=1s`). What
// reads files is left out; everything else is, as at start and at each reload.
#include <netdb.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "app/options.h"

enum { FLAGS_MAX = 16, INPUT_MAX = 4096 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// In the place of libc's: no name that a fuzzer makes up is to be asked for.
__attribute__((visibility("default"))) int getaddrinfo(const char *restrict name,
                                                       const char *restrict service,
                                                       const struct addrinfo *restrict hints,
                                                       struct addrinfo **restrict result)
{
    (void)name, (void)service, (void)hints, (void)result;
    return EAI_NONAME;
}

// Keys that name files or addresses that are fetched at once.
static bool reads_files(const char *flag)
{
    static const char *const KEYS[] = {"cfg", "proxy.auth", "ui.auth", "proxy.upstream.ca"};
    flag += strspn(flag, "-");
    for (size_t i = 0; i < ARRAY_LEN(KEYS); i++) {
        if (strncmp(flag, KEYS[i], strlen(KEYS[i])) == 0)
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > INPUT_MAX)
        return 0;
    static char text[INPUT_MAX + FLAGS_MAX + 8];
    static char program[] = "tagway";
    static char *const no_environment[] = {NULL};
    char *argv[FLAGS_MAX + 2] = {program};
    int argc = 1;
    size_t at = 0;
    struct str rest = str_make((const char *)data, size);
    struct str line;
    while (rest.len > 0 && argc <= FLAGS_MAX && str_split_next(&rest, '\n', &line)) {
        if (line.len == 0 || memchr(line.ptr, '\0', line.len))
            continue;
        argv[argc] = text + at;
        text[at++] = '-';
        memcpy(text + at, line.ptr, line.len);
        at += line.len;
        text[at++] = '\0';
        if (!reads_files(argv[argc]))
            argc++;
    }
    argv[argc] = NULL;
    struct options options;
    struct err err = {0};
    bool is_usage_error;
    int rc = options_read(&options, argc, argv, no_environment, &err, &is_usage_error);
    if (rc == 0 && !options.shows_help && !options.shows_version) {
        struct buf json;
        buf_init(&json, 1 << 20);
        options_print_json(&options, &json);
        BUG_ON(buf_status(&json) == 0 && (json.len == 0 || json.ptr[0] != '{'));
        BUG_ON(options.proxy.listener_count > LISTENERS_MAX);
        buf_fini(&json);
    } else if (rc != 0) {
        BUG_ON(err.code == 0 || err.text[0] == '\0');
    }
    options_fini(&options);
    return 0;
}

extern const int fuzz_survives_shortage;
const int fuzz_survives_shortage = 1;
