// SPDX-License-Identifier: Apache-2.0
// Private to src/app/options*.c: what a row of the option table is, and what is kept of the texts
// that were read for it. To add an option, add a row to options_table.c; documentation, help,
// sample file and /api/config follow.
#pragma once

#include "app/options.h"
#include "app/value.h"
#include "base/arena.h"

enum option_type {
    OPTION_STRING,   // struct str
    OPTION_BOOL,     // bool
    OPTION_INT,      // 4 bytes, from min to max
    OPTION_SIZE,     // size_t, from min to max
    OPTION_DURATION, // uint32_t, milliseconds
    OPTION_ENUM,     // 4 bytes, index into names
    OPTION_CHOICE,   // bool, true for the second of two names
    OPTION_LIST,     // struct str, comma list as written
    OPTION_FLOATS,   // no field
    OPTION_ENTRIES,  // no field: key-value list, read by apply
};

enum option_state {
    OPTION_USED,
    OPTION_IGNORED, // checked, then a warning with `note` if it differs from the default
};

struct option_storage;
struct option_row;

// 0, or an err_code with what is wrong with the value; key, value and origin are put around it.
// With ERR_UNSUPPORTED the text is what is not supported yet. The text of a row that is_secret must
// not quote what may be secret.
typedef int option_apply_fn(struct options *options, struct option_storage *storage,
                            const struct option_row *row, struct err *err);

// Appends the value as JSON where the type alone does not say how.
typedef void option_print_fn(const struct options *options, struct str text, struct buf *out);

struct option_row {
    const char *key;
    enum option_type type;
    enum option_state state;
    const char *preset; // default as text, valid for the type
    const char *help;
    const char *note;         // OPTION_IGNORED: why, and what to use instead
    const char *json;         // path in /api/config; NULL: not shown
    const char *const *names; // OPTION_ENUM, OPTION_CHOICE; NULL-terminated
    int64_t min, max;         // OPTION_INT, OPTION_SIZE
    bool has_field;
    bool is_secret;
    bool is_fixed; // a reload keeps the value; an upgrade takes the new one
    size_t offset; // of the field in struct options
    // What the type cannot do; called when all rows have their text. Optional.
    option_apply_fn *apply;
    option_print_fn *print; // optional
};

// In the order of /api/config.
extern const struct option_row OPTION_ROWS[];
extern const size_t OPTION_ROW_COUNT;

enum option_source { SOURCE_DEFAULT, SOURCE_FILE, SOURCE_ENVIRONMENT, SOURCE_FLAG };

struct option_value {
    struct str text;
    enum option_source source;
    struct str origin; // "flag -x", "environment X", "tagway.properties line 3"
};

enum { WARNINGS_MAX = 256 };

struct option_storage {
    struct arena arena;
    struct option_value *values; // one for each row
    struct str warnings[WARNINGS_MAX];
    size_t warning_count;
    char *const *environ_list; // borrowed, while options are read
};

const struct option_value *option_value(const struct option_storage *storage, const char *key);
// The text of a row's value.
struct str option_text(const struct option_storage *storage, const char *key);
// A row's value as a key-value list of at most `max` entries (`what`: their name in the plural). 0,
// or a code and err.
MUST_CHECK int option_entries(struct option_storage *storage, const struct option_row *row,
                              size_t max, const char *what, struct value_entries *entries,
                              struct err *err);
// Value of an environment variable, as it is spelled; STR_NULL when there is none.
struct str option_environment(const struct option_storage *storage, const char *name);
// Checks a text against the type alone: 0, or ERR_INVALID with what it must be.
MUST_CHECK int option_check_type(const struct option_row *row, struct str text, struct err *err);
// Adds a line for options_log_warnings; lost when memory is short.
void option_warn(struct option_storage *storage, const char *fmt, ...) PRINTF_LIKE(2, 3);

// options_listen.c
struct str listener_protocol_name(enum listener_proto proto);

// options_json.c, for the table.
option_print_fn option_print_listeners, option_print_ui_addr, option_print_cert_sources,
    option_print_bgp_peers, option_print_auth, option_print_regexp, option_print_text,
    option_print_consul_addr, option_print_register_addr, option_print_routes_format,
    option_print_local_ip, option_print_gomaxprocs;
// options_registry.c, for the table.
option_print_fn option_print_custom_host;
option_apply_fn option_apply_backend, option_apply_service_status, option_apply_custom_host,
    option_apply_custom_interval, option_apply_snapshot_path;
// options_auth.c, for the table.
option_apply_fn option_apply_auth;
// options_listen.c, for the table.
option_apply_fn option_apply_listeners, option_apply_ui_addr, option_apply_cert_sources;
// options_metrics.c, for the table.
option_apply_fn option_apply_metrics_target, option_apply_metrics_interval,
    option_apply_metrics_prefix, option_apply_metrics_addr, option_apply_metrics_path,
    option_apply_metrics_subsystem, option_apply_metrics_buckets;
// options_ui.c, for the table.
option_apply_fn option_apply_link_scheme, option_apply_link_port, option_apply_ui_auth;
// options_apply.c, for the table.
option_apply_fn option_apply_gomaxprocs, option_apply_bgp_peers, option_apply_trusted,
    option_apply_local_ip, option_apply_sts, option_apply_consul_addr, option_apply_kv_path,
    option_apply_register_addr, option_apply_consistency, option_apply_access_log,
    option_apply_gzip_types, option_apply_access_target, option_apply_log_level,
    option_apply_routes_log, option_apply_ui_path, option_apply_header_name,
    option_apply_header_value, option_apply_duration_text;
// options_tls.c, for the table.
option_apply_fn option_apply_ca_file, option_apply_ca_path;
