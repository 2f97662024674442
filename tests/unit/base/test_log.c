// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"

static int saved_stderr;
static FILE *captured;

static int catch_stderr(void **state)
{
    (void)state;
    captured = tmpfile();
    saved_stderr = dup(STDERR_FILENO);
    return captured && dup2(fileno(captured), STDERR_FILENO) >= 0 ? 0 : -1;
}

static int release_stderr(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    log_set_level(LOG_INFO);
    return fclose(captured);
}

// What was logged so far.
static const char *logged(void)
{
    static char text[20000];
    size_t len = 0;
    rewind(captured);
    len = fread(text, 1, sizeof text - 1, captured);
    text[len] = '\0';
    return text;
}

static void writes_one_line_with_time_and_level(void **state)
{
    (void)state;
    log_warn("hello %s %d", "world", 7);
    const char *line = logged();
    int year, month, day, hour, minute, second, at = 0;
    assert_int_equal(sscanf(line, "%4d/%2d/%2d %2d:%2d:%2d %n", &year, &month, &day, &hour, &minute,
                            &second, &at),
                     6);
    assert_int_equal(at, 20);
    assert_string_equal(line + at, "[WARN] hello world 7\n");
}

static void a_message_cannot_forge_a_line(void **state)
{
    (void)state;
    log_error("%s", "a\n2026/01/01 00:00:00 [FATAL] b\x1b[31m\x7f\xff\tz");
    assert_non_null(
        strstr(logged(), "[ERROR] a\\x0a2026/01/01 00:00:00 [FATAL] b\\x1b[31m\\x7f\\xff\tz\n"));
}

static void long_messages_are_cut(void **state)
{
    (void)state;
    char text[9000];
    memset(text, 1, sizeof text - 1); // every byte becomes four
    text[sizeof text - 1] = '\0';
    log_error("%s", text);
    const char *line = logged();
    assert_true(strlen(line) < 4200);
    assert_int_equal(line[strlen(line) - 1], '\n');
}

// A supervisor that has stopped reading holds nobody up.
static void a_full_pipe_is_not_waited_for(void **state)
{
    (void)state;
    static char text[1 << 20];
    char long_text[1500];
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    for (unsigned i = 0; i < 1000; i++)
        log_error("%u %s", i, long_text);
    log_block(LOG_INFO, "Heading", str_of(long_text));
    ssize_t len = read(ends[0], text, sizeof text - 1); // all that there is
    assert_in_range(len, 10000, sizeof text - 1);
    text[len] = '\0';
    assert_int_equal(text[len - 1], '\n');
    unsigned written = 0;
    for (char *at = text; (at = strchr(at, '\n')); at++)
        written++;
    log_error("again");
    len = read(ends[0], text, sizeof text - 1);
    assert_true(len > 0);
    text[len] = '\0';
    char told[64];
    snprintf(told, sizeof told, "[WARN] %u messages are missing", 1001 - written);
    assert_non_null(strstr(text, told));
    assert_non_null(strstr(text, "[ERROR] again\n"));
    close(ends[0]);
    close(ends[1]);
}

static void levels_filter(void **state)
{
    (void)state;
    assert_true(log_is_on(LOG_INFO));
    assert_false(log_is_on(LOG_DEBUG));
    log_debug("quiet");
    assert_string_equal(logged(), "");
    log_set_level(LOG_TRACE);
    log_trace("loud");
    assert_non_null(strstr(logged(), "[TRACE] loud\n"));
}

static void level_names_are_read_in_any_case(void **state)
{
    (void)state;
    enum log_level level = LOG_TRACE;
    assert_true(log_level_parse(STR("warn"), &level));
    assert_int_equal(level, LOG_WARN);
    assert_true(log_level_parse(STR("FATAL"), &level));
    assert_int_equal(level, LOG_FATAL);
    assert_false(log_level_parse(STR("loud"), &level));
    assert_int_equal(level, LOG_FATAL);
}

static void a_block_keeps_its_lines(void **state)
{
    (void)state;
    log_block(LOG_INFO, "Heading", STR("+ one\n\n- t\x1bwo\n"));
    assert_string_equal(logged() + 20, "[INFO] Heading\n+ one\n\n- t\\x1bwo\n");
}

static void a_large_block_is_complete(void **state)
{
    (void)state;
    static char text[17000];
    size_t len = 0;
    for (unsigned i = 0; i < 1000; i++)
        len += (size_t)snprintf(text + len, sizeof text - len, "line %u\n", i);
    memset(text + len, 'x', 5000);
    log_block(LOG_WARN, "H", str_make(text, len + 5000));
    const char *rest = logged() + strlen("2026/01/01 00:00:00 [WARN] H\n");
    assert_memory_equal(rest, text, len + 5000);
    assert_string_equal(rest + len + 5000, "\n");
}

static void an_empty_block_is_its_heading(void **state)
{
    (void)state;
    log_block(LOG_INFO, "Heading", STR(""));
    assert_string_equal(logged() + 20, "[INFO] Heading\n");
    log_block(LOG_DEBUG, "Quiet", STR("x"));
    assert_null(strstr(logged(), "Quiet"));
}

#define LOG_TEST(test) cmocka_unit_test_setup_teardown(test, catch_stderr, release_stderr)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LOG_TEST(writes_one_line_with_time_and_level),
        LOG_TEST(a_message_cannot_forge_a_line),
        LOG_TEST(long_messages_are_cut),
        LOG_TEST(a_full_pipe_is_not_waited_for),
        LOG_TEST(levels_filter),
        LOG_TEST(a_block_keeps_its_lines),
        LOG_TEST(a_large_block_is_complete),
        LOG_TEST(an_empty_block_is_its_heading),
        cmocka_unit_test(level_names_are_read_in_any_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
