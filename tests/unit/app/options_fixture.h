// SPDX-License-Identifier: Apache-2.0
// Reads options from arguments, environment and the text of a properties file, all given by a test.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "app/options.h"

#define ARGS(...) ((const char *const[]){"tagway", __VA_ARGS__, NULL})
#define NO_ARGS   ((const char *const[]){"tagway", NULL})
#define ENV(...)  ((const char *const[]){__VA_ARGS__, NULL})
#define NO_ENV    ((const char *const[]){NULL})

struct reading {
    struct options options;
    struct err err;
    int rc;
    bool is_usage_error;
};

static inline int count_args(const char *const *argv)
{
    int count = 0;
    while (argv[count])
        count++;
    return count;
}

static inline struct reading read_options(const char *const *argv, const char *const *env)
{
    struct reading reading = {.rc = 0};
    reading.rc = options_read(&reading.options, count_args(argv), (char *const *)argv,
                              (char *const *)env, &reading.err, &reading.is_usage_error);
    return reading;
}

// As read_options, with -cfg naming a file with that text in front of the other flags.
static inline struct reading read_options_file(const char *text, const char *const *argv,
                                               const char *const *env)
{
    char path[] = P_tmpdir "/tagway-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    const char *all[32] = {"tagway", "-cfg", path};
    int count = count_args(argv);
    assert_true(count < 28);
    for (int i = 1; i < count; i++)
        all[i + 2] = argv[i];
    struct reading reading = read_options(all, env);
    unlink(path);
    return reading;
}

static inline void assert_str(struct str got, const char *want)
{
    char text[512];
    snprintf(text, sizeof text, "%.*s", STR_FMT(got));
    assert_string_equal(text, want);
}
