// SPDX-License-Identifier: Apache-2.0
#include "proxy/page.h"

#include <string.h>

#include "base/mem.h"

// What the operator wrote as a page, told by its beginning.
static struct str type_of(struct str text)
{
    struct str start = str_trim(text);
    if (start.len == 0)
        return STR_NULL;
    if (str_starts_with(start, STR("<?xml")))
        return STR("text/xml; charset=utf-8");
    return str_starts_with(start, STR("<")) ? STR("text/html; charset=utf-8")
                                            : STR("text/plain; charset=utf-8");
}

struct page *page_new(struct str text)
{
    struct page *page = mem_alloc(sizeof *page + text.len);
    if (!page)
        return NULL;
    atomic_init(&page->refs, 1);
    char *bytes = (char *)(page + 1);
    if (text.len)
        memcpy(bytes, text.ptr, text.len);
    page->text = str_make(bytes, text.len);
    page->content_type = type_of(page->text);
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
