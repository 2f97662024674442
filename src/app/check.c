// SPDX-License-Identifier: Apache-2.0
#include "app/check.h"

#include "discover/consul_access.h"
#include "route/command.h"

enum { REPORT_MAX = 64 * 1024 };

static void on_bad_line(void *ctx, struct str origin, uint32_t line, struct str text,
                        const char *reason)
{
    unsigned *bad_lines = ctx;
    (*bad_lines)++;
    printf("%.*s line %u: %s: %.*s\n", STR_FMT(origin), line, reason, (int)MIN(text.len, 200),
           text.ptr ? text.ptr : "");
}

static int fail_lines(struct str origin, unsigned count, struct err *err)
{
    return err_set(err, ERR_INVALID, "%.*s: %u bad line%s", (int)MIN(origin.len, 150), origin.ptr,
                   count, count == 1 ? "" : "s");
}

static int check_static(const struct options *options, struct err *err)
{
    struct str origin = STR("registry.static.routes");
    unsigned bad_lines = 0;
    struct command_list *list =
        command_list_parse(options->static_routes.routes, origin, on_bad_line, &bad_lines);
    if (!list)
        return err_set(err, ERR_NOMEM, "out of memory");
    command_list_free(list);
    return bad_lines ? fail_lines(origin, bad_lines, err) : 0;
}

static int check_file(const struct options *options, struct err *err)
{
    unsigned bad_lines = 0;
    int rc = file_config_check(&options->file, on_bad_line, &bad_lines, err);
    return rc == 0 && bad_lines ? fail_lines(options->file.path, bad_lines, err) : rc;
}

// Writing overrides is a matter of ui.access: asked for, left to this machine, or switched off.
static enum need kv_write_need(const struct options *options)
{
    return options->admin.access == UI_ACCESS_RW   ? NEED_REQUIRED
           : options->admin.access == UI_ACCESS_RO ? NEED_NONE
                                                   : NEED_OPTIONAL;
}

static int ask_consul(const struct options *options, struct err *err)
{
    struct buf report;
    buf_init(&report, REPORT_MAX);
    int rc = consul_access_report(&options->consul, kv_write_need(options), &report, err);
    printf("%.*s", STR_FMT(buf_str(&report)));
    buf_fini(&report);
    return rc;
}

static int check_backend(const struct options *options, bool asks_consul, struct err *err)
{
    if (asks_consul && options->backend != BACKEND_CONSUL)
        return err_set(err, ERR_INVALID, "check -consul: registry.backend is not consul");
    switch (options->backend) {
    case BACKEND_CUSTOM: return 0;
    case BACKEND_STATIC: return check_static(options, err);
    case BACKEND_FILE: return check_file(options, err);
    case BACKEND_CONSUL:
        return asks_consul ? ask_consul(options, err)
                           : consul_access_check_settings(&options->consul, err);
    }
    return 0;
}

int check_run(const struct options *options, bool asks_consul)
{
    for (size_t i = 0; i < options_warning_count(options); i++)
        printf("warning: %.*s\n", STR_FMT(options_warning_at(options, i)));
    struct err err = {0};
    int rc = check_backend(options, asks_consul, &err);
    fflush(stdout);
    if (rc) {
        log_fatal("%.*s. %s", STR_FMT(options->admin.version), err.text);
        return 1;
    }
    printf("configuration OK\n");
    return 0;
}
