// SPDX-License-Identifier: Apache-2.0
// Intrusive doubly linked list: the node is embedded in the object, so linking never allocates.
// A head and an unlinked node both point at themselves; list_remove is therefore safe to repeat.
// Not thread-safe.
#pragma once

#include <stdbool.h>

#include "base/attr.h"

struct list {
    struct list *next;
    struct list *prev;
};

static inline void list_init(struct list *node)
{
    node->next = node;
    node->prev = node;
}

static inline bool list_is_empty(const struct list *head)
{
    return head->next == head;
}

// Whether an initialised node stands in some list.
static inline bool list_is_linked(const struct list *node)
{
    return node->next != node;
}

static inline void list_insert_between(struct list *node, struct list *prev, struct list *next)
{
    node->prev = prev;
    node->next = next;
    prev->next = node;
    next->prev = node;
}

static inline void list_push_front(struct list *head, struct list *node)
{
    list_insert_between(node, head, head->next);
}

static inline void list_push_back(struct list *head, struct list *node)
{
    list_insert_between(node, head->prev, head);
}

static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

// First node, unlinked, of a list that is not empty.
static inline struct list *list_take_front(struct list *head)
{
    struct list *node = head->next;
    list_remove(node);
    return node;
}

// First node, unlinked, or NULL when the list is empty.
static inline struct list *list_pop_front(struct list *head)
{
    return list_is_empty(head) ? NULL : list_take_front(head);
}

// Moves all nodes of `from` to the end of `to`; `from` is empty afterwards.
static inline void list_splice_back(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    list_init(from);
}

#define LIST_FOREACH(node, head) \
    for (struct list *node = (head)->next; node != (head); node = node->next)

// The body may remove `node`.
#define LIST_FOREACH_SAFE(node, head)                                                 \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)
