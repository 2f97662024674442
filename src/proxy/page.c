// SPDX-License-Identifier: Apache-2.0
#include "proxy/page.h"

#include <string.h>

#include "base/mem.h"

struct page *page_new(struct str html)
{
    struct page *page = mem_alloc(sizeof *page + html.len);
    if (!page)
        return NULL;
    atomic_init(&page->refs, 1);
    char *bytes = (char *)(page + 1);
    if (html.len)
        memcpy(bytes, html.ptr, html.len);
    page->html = str_make(bytes, html.len);
    return page;
}

struct page *page_ref(struct page *page)
{
    atomic_fetch_add_explicit(&page->refs, 1, memory_order_relaxed);
    return page;
}

void page_unref(struct page *page)
{
    if (page && atomic_fetch_sub_explicit(&page->refs, 1, memory_order_acq_rel) == 1)
        mem_free(page);
}
