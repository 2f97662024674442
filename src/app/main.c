// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>

#include "app/check.h"
#include "app/lifecycle.h"
#include "base/json_indent.h"
#include "net/tls.h"

extern char **environ;

enum { HELP_MAX = 256 * 1024, CONFIG_MAX = 1024 * 1024 };

static void print_help(void)
{
    struct buf help;
    buf_init(&help, HELP_MAX);
    options_print_help(&help);
    fprintf(stderr, "%.*s", STR_FMT(buf_str(&help)));
    buf_fini(&help);
}

// As fabio: what the process runs with stands at the head of its log. Secrets are masked.
static void log_config(const struct options *options)
{
    struct buf json, text;
    if (!log_is_on(LOG_INFO))
        return;
    buf_init(&json, CONFIG_MAX);
    buf_init(&text, CONFIG_MAX);
    options_print_json(options, &json);
    if (buf_status(&json) == 0)
        json_indent(&text, buf_str(&json));
    if (buf_status(&text) == 0)
        log_block(LOG_INFO, "Runtime config", buf_str(&text));
    buf_fini(&json);
    buf_fini(&text);
}

static int run(struct options *options, int argc, char **argv)
{
    log_set_level(options->log_level);
    log_config(options);
    for (size_t i = 0; i < options_warning_count(options); i++)
        log_warn("%.*s", STR_FMT(options_warning_at(options, i)));
    log_info("Version %s starting", TAGWAY_VERSION);
    return lifecycle_run(options, argc, argv);
}

// Takes "check" and "-consul" out of the arguments; the rest are flags as at start.
static void take_check(int *argc, char **argv, bool *is_check, bool *asks_consul)
{
    *is_check = *argc > 1 && strcmp(argv[1], "check") == 0;
    *asks_consul = false;
    int kept = 1;
    for (int i = 1; *is_check && i < *argc; i++) {
        bool is_consul = strcmp(argv[i], "-consul") == 0 || strcmp(argv[i], "--consul") == 0;
        *asks_consul |= is_consul;
        if (i > 1 && !is_consul)
            argv[kept++] = argv[i];
    }
    if (*is_check) {
        argv[kept] = NULL;
        *argc = kept;
    }
}

int main(int argc, char **argv)
{
    bool is_check, asks_consul;
    take_check(&argc, argv, &is_check, &asks_consul);
    struct options options;
    struct err err = {0};
    bool is_usage_error = false;
    int status = 0;
    tls_use_own_memory();
    int rc = options_read(&options, argc, argv, environ, &err, &is_usage_error);
    options.admin.version = STR(TAGWAY_VERSION);
    if (rc && is_usage_error) {
        // Without the 140 keys, which would push the reason off the screen.
        fprintf(
            stderr,
            "%s\nusage: tagway [check [-consul]] [-cfg file] [-key value]...; -h lists all keys\n",
            err.text);
        status = 1;
    } else if (rc) {
        log_fatal("%s. %s", TAGWAY_VERSION, err.text);
        status = 1;
    } else if (options.shows_version) {
        printf("%s tagway\n", TAGWAY_VERSION);
    } else if (options.shows_help) {
        print_help();
    } else if (is_check) {
        status = check_run(&options, asks_consul);
    } else {
        status = run(&options, argc, argv);
    }
    options_fini(&options);
    return status;
}
