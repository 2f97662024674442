// SPDX-License-Identifier: Apache-2.0
// The body of answers to requests without a route: immutable text shared by all workers, replaced
// by message.
#pragma once

#include <stdatomic.h>

#include "base/attr.h"
#include "base/str.h"

struct page {
    atomic_uint refs;
    struct str text;         // empty: so is the answer
    struct str content_type; // static
};

MUST_CHECK struct page *page_new(struct str text);
struct page *page_ref(struct page *page);
void page_unref(struct page *page);
