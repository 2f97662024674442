// SPDX-License-Identifier: Apache-2.0
// docs/configuration.md and conf/tagway.properties are written from the option table. After a
// change of the table, run this program with the argument `write` from the root of the repository.
#include "options_fixture.h"

#include <stdio.h>

#include "app/properties.h"

enum { TEXT_MAX = 512 * 1024 };

static const struct {
    const char *path;
    void (*print)(struct buf *out);
} FILES[] = {
    {"docs/configuration.md", options_print_markdown},
    {"conf/tagway.properties", options_print_properties},
};

static void are_up_to_date(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        static char text[TEXT_MAX];
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", getenv("SOURCE_ROOT"), FILES[i].path);
        FILE *file = fopen(path, "r");
        assert_non_null(file);
        size_t len = fread(text, 1, sizeof text - 1, file);
        fclose(file);
        text[len] = '\0';
        struct buf out;
        buf_init(&out, TEXT_MAX);
        FILES[i].print(&out);
        assert_int_equal(buf_status(&out), 0);
        buf_append_char(&out, '\0');
        assert_string_equal(text, out.ptr);
        buf_fini(&out);
    }
}

// With every comment sign taken away the sample says what the defaults say.
static void sample_is_valid(void **state)
{
    (void)state;
    struct buf out, sample;
    buf_init(&out, TEXT_MAX);
    buf_init(&sample, TEXT_MAX);
    options_print_properties(&out);
    struct str rest = buf_str(&out);
    size_t keys = 0;
    for (struct str line; str_split_next(&rest, '\n', &line);) {
        if (line.len < 2 || line.ptr[0] != '#' || line.ptr[1] == ' ')
            continue;
        buf_append_str(&sample, str_from(line, 1));
        buf_append_char(&sample, '\n');
        keys++;
    }
    assert_true(keys > 80);
    buf_append_char(&sample, '\0');
    struct reading reading = read_options_file(sample.ptr, NO_ARGS, NO_ENV);
    // The sample names both keys of the pair that excludes each other only as they stand by
    // default.
    assert_string_equal(reading.err.text, "");
    assert_int_equal(reading.rc, 0);
    assert_int_equal(options_warning_count(&reading.options), 0);
    options_fini(&reading.options);
    buf_fini(&out);
    buf_fini(&sample);
}

static void help_has_every_key_in_order(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, TEXT_MAX);
    options_print_help(&out);
    buf_append_char(&out, '\0');
    const char *first = strstr(out.ptr, "  -proxy.addr ");
    const char *second = strstr(out.ptr, "  -proxy.strategy string\n");
    const char *third = strstr(out.ptr, "  -registry.consul.addr string\n");
    assert_true(first && second && third && first < second && second < third);
    assert_non_null(strstr(out.ptr, "(default :9999)"));
    assert_non_null(strstr(out.ptr, "  -insecure\n"));
    buf_fini(&out);
}

static int write_files(void)
{
    for (size_t i = 0; i < ARRAY_LEN(FILES); i++) {
        struct buf out;
        buf_init(&out, TEXT_MAX);
        FILES[i].print(&out);
        FILE *file = fopen(FILES[i].path, "w");
        if (!file || fwrite(out.ptr, 1, out.len, file) != out.len || fclose(file) != 0) {
            perror(FILES[i].path);
            return 1;
        }
        buf_fini(&out);
    }
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "write") == 0)
        return write_files();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(are_up_to_date),
        cmocka_unit_test(sample_is_valid),
        cmocka_unit_test(help_has_every_key_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
