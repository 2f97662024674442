// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "auth/verdicts.h"
#include "base/mem.h"

struct world {
    struct verdicts *verdicts;
    struct htpasswd *set;
};

static int set_up(void **state)
{
    static struct world world;
    world.verdicts = verdicts_new();
    world.set = htpasswd_parse(STR("anna:one\nbert:one\ncleo:two\n"), NULL, NULL);
    assert_non_null(world.verdicts);
    assert_non_null(world.set);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    verdicts_free(world->verdicts);
    htpasswd_unref(world->set);
    return 0;
}

static void key_of(struct world *world, const char *user, const char *password, uint8_t *key)
{
    assert_true(verdicts_key(world->verdicts, world->set, str_of(user), str_of(password), key));
}

static void what_was_put_is_found(void **state)
{
    struct world *world = *state;
    uint8_t right[VERDICT_KEY_LEN], wrong[VERDICT_KEY_LEN];
    key_of(world, "anna", "one", right);
    key_of(world, "anna", "two", wrong);
    assert_int_equal(verdicts_get(world->verdicts, right), VERDICT_UNKNOWN);
    verdicts_put(world->verdicts, right, true);
    assert_int_equal(verdicts_get(world->verdicts, right), VERDICT_RIGHT);
    assert_int_equal(verdicts_get(world->verdicts, wrong), VERDICT_UNKNOWN);
    verdicts_put(world->verdicts, wrong, false);
    assert_int_equal(verdicts_get(world->verdicts, right), VERDICT_RIGHT);
    assert_int_equal(verdicts_get(world->verdicts, wrong), VERDICT_WRONG);
}

static void every_question_has_a_key_of_its_own(void **state)
{
    struct world *world = *state;
    static const char *const rows[][2] = {
        {"anna", "one"}, {"anna", "two"}, {"anna", ""},    {"bert", "one"}, {"cleo", "one"},
        {"annao", "ne"}, {"annaone", ""}, {"ann", "aone"}, {"", "annaone"}, {"", ""},
        {"dora", "one"}, {"doraone", ""}, {"cleo", "two"}, {"anna", "One"},
    };
    uint8_t keys[ARRAY_LEN(rows)][VERDICT_KEY_LEN], again[VERDICT_KEY_LEN];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        key_of(world, rows[i][0], rows[i][1], keys[i]);
        key_of(world, rows[i][0], rows[i][1], again);
        assert_memory_equal(keys[i], again, VERDICT_KEY_LEN);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[i], keys[k], VERDICT_KEY_LEN);
    }
}

static void a_key_goes_with_the_line_and_the_process(void **state)
{
    struct world *world = *state;
    uint8_t key[VERDICT_KEY_LEN], other[VERDICT_KEY_LEN];
    key_of(world, "anna", "x", key);
    static const struct {
        const char *text;
        bool is_same;
    } rows[] = {{"dora:two\nanna:one\n", true},
                {"anna:changed\n", false},
                {"bert:one\n", false},
                {"", false}};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct htpasswd *set = htpasswd_parse(str_of(rows[i].text), NULL, NULL);
        assert_true(verdicts_key(world->verdicts, set, STR("anna"), STR("x"), other));
        assert_int_equal(memcmp(key, other, VERDICT_KEY_LEN) == 0, rows[i].is_same);
        htpasswd_unref(set);
    }
    struct verdicts *elsewhere = verdicts_new();
    assert_true(verdicts_key(elsewhere, world->set, STR("anna"), STR("x"), other));
    assert_memory_not_equal(key, other, VERDICT_KEY_LEN);
    verdicts_free(elsewhere);
}

static unsigned count(struct world *world, unsigned from, unsigned to, enum verdict verdict)
{
    unsigned found = 0;
    for (unsigned i = from; i < to; i++) {
        char password[16];
        uint8_t key[VERDICT_KEY_LEN];
        snprintf(password, sizeof password, "%u", i);
        key_of(world, "anna", password, key);
        if (verdict == VERDICT_UNKNOWN)
            verdicts_put(world->verdicts, key, i % 2);
        else
            found += verdicts_get(world->verdicts, key) == verdict;
    }
    return found;
}

static void guesses_drive_out_guesses_only(void **state)
{
    struct world *world = *state;
    uint8_t key[VERDICT_KEY_LEN];
    key_of(world, "bert", "one", key);
    verdicts_put(world->verdicts, key, true);
    for (unsigned i = 0; i < 5000; i++) {
        char password[16];
        uint8_t guess[VERDICT_KEY_LEN];
        snprintf(password, sizeof password, "%u", i);
        key_of(world, "anna", password, guess);
        verdicts_put(world->verdicts, guess, false);
        assert_int_equal(verdicts_get(world->verdicts, guess), VERDICT_WRONG);
    }
    assert_int_equal(verdicts_get(world->verdicts, key), VERDICT_RIGHT);
    assert_in_range(count(world, 0, 5000, VERDICT_WRONG), 100, 128);
    assert_int_equal(count(world, 0, 5000, VERDICT_RIGHT), 0);
}

static void the_oldest_give_way(void **state)
{
    struct world *world = *state;
    count(world, 0, 20000, VERDICT_UNKNOWN); // puts
    unsigned right = count(world, 0, 20000, VERDICT_RIGHT);
    assert_in_range(right, 500, 512);
    // Most of them are among the last.
    assert_true(count(world, 16000, 20000, VERDICT_RIGHT) > right * 9 / 10);
}

static void shortage_is_survived(void **state)
{
    (void)state;
    mem_fail_after(0);
    assert_null(verdicts_new());
    mem_fail_after(-1);
    verdicts_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_was_put_is_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(every_question_has_a_key_of_its_own, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_key_goes_with_the_line_and_the_process, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(guesses_drive_out_guesses_only, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_oldest_give_way, set_up, tear_down),
        cmocka_unit_test(shortage_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
