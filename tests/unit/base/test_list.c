// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/list.h"

struct item {
    int number;
    struct list link;
};

static int number_of(struct list *link)
{
    return CONTAINER_OF(link, struct item, link)->number;
}

static void assert_numbers(struct list *head, const int *want, size_t count)
{
    size_t at = 0;
    LIST_FOREACH (link, head) {
        assert_true(at < count);
        assert_int_equal(number_of(link), want[at++]);
    }
    assert_int_equal(at, count);
}

static void keeps_order_at_both_ends(void **state)
{
    (void)state;
    struct item items[3] = {{.number = 0}, {.number = 1}, {.number = 2}};
    struct list head;
    list_init(&head);
    assert_true(list_is_empty(&head));
    list_push_back(&head, &items[1].link);
    list_push_back(&head, &items[2].link);
    list_push_front(&head, &items[0].link);
    assert_numbers(&head, (int[]){0, 1, 2}, 3);
    assert_int_equal(number_of(list_pop_front(&head)), 0);
    assert_false(list_is_linked(&items[0].link));
    list_remove(&items[2].link);
    list_remove(&items[2].link);
    assert_numbers(&head, (int[]){1}, 1);
    assert_ptr_equal(list_pop_front(&head), &items[1].link);
    assert_null(list_pop_front(&head));
}

static void splices(void **state)
{
    (void)state;
    struct item items[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};
    struct list to, from;
    list_init(&to);
    list_init(&from);
    list_splice_back(&to, &from);
    assert_true(list_is_empty(&to));
    list_push_back(&to, &items[0].link);
    for (int i = 1; i < 4; i++)
        list_push_back(&from, &items[i].link);
    list_splice_back(&to, &from);
    assert_true(list_is_empty(&from));
    assert_numbers(&to, (int[]){0, 1, 2, 3}, 4);
}

static void the_body_may_remove(void **state)
{
    (void)state;
    struct item items[5];
    struct list head;
    list_init(&head);
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_push_back(&head, &items[i].link);
    }
    LIST_FOREACH_SAFE (link, &head) {
        if (number_of(link) % 2)
            list_remove(link);
    }
    assert_numbers(&head, (int[]){0, 2, 4}, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_order_at_both_ends),
        cmocka_unit_test(splices),
        cmocka_unit_test(the_body_may_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
