// SPDX-License-Identifier: Apache-2.0
// A search goes down the tree by the request's bytes at the places where paths differ, without a
// look at those between: what it comes to is the only path, with those that are prefixes of it,
// that can be the one. One comparison tells how much of it the request shares, and each prefix says
// which one is the next longer.
//
// It may stop at any branch, because the request ends or goes on as no path does. All paths below a
// branch begin alike up to there, so that any of them knows the same prefixes: the first will do.
// For the same reason a path that is a prefix of all others at a branch needs no place in the tree.
#include "path_index.h"

#include <stdlib.h>

#include "base/mem.h"

struct path_key {
    struct str text; // in lower case when folded; bytes lie behind the array
    uint32_t parent; // the longest other key that is a prefix, or PATH_INDEX_NONE
    uint32_t rank;   // among the paths given
};

// A place in the tree: the number of a key with this bit, or where in `cells` a branch begins.
#define LEAF (UINT32_C(1) << 31)

struct branch {
    uint32_t offset; // of the byte that tells the keys apart
    uint32_t first;  // the first key below, with LEAF
    uint8_t shift;   // 4: by its upper half, 0: by its lower one
    uint8_t low;     // the least half byte; children are those from there on
    uint8_t count;
    uint32_t children[]; // `count` places; where no key is: first
};

enum {
    HALVES = 16,
    BRANCH_CELLS = sizeof(struct branch) / sizeof(uint32_t),
    KEYS_MAX = 1 << 26, // so that all places fit into 31 bits
};

struct path_index {
    uint32_t refs;
    uint32_t count;
    bool is_folded;
    uint32_t root;
    uint32_t *cells; // owned
    struct path_key keys[];
};

static char fold(char c, bool is_folded)
{
    return is_folded ? char_lower(c) : c;
}

static int compare_keys(const void *a, const void *b)
{
    const struct path_key *left = a, *right = b;
    int order = str_cmp(left->text, right->text);
    return order != 0 ? order : left->rank < right->rank ? -1 : 1;
}

static void copy_keys(struct path_index *index, const struct str *paths)
{
    uint32_t count = index->count;
    char *text = (char *)(index->keys + count);
    for (uint32_t i = 0; i < count; i++) { // from behind: ascending, but for folded case
        struct str path = paths[count - 1 - i];
        for (size_t k = 0; k < path.len; k++)
            text[k] = fold(path.ptr[k], index->is_folded);
        index->keys[i].text = str_make(text, path.len);
        index->keys[i].rank = count - 1 - i;
        text += path.len;
    }
    if (index->is_folded)
        qsort(index->keys, count, sizeof index->keys[0], compare_keys);
    for (uint32_t i = 0; i < count; i++) {
        // Any prefix of this key is the key before or one of that key's prefixes.
        uint32_t parent = i == 0 ? PATH_INDEX_NONE : i - 1;
        while (parent != PATH_INDEX_NONE &&
               !str_starts_with(index->keys[i].text, index->keys[parent].text))
            parent = index->keys[parent].parent;
        index->keys[i].parent = parent;
    }
}

// Neighbouring keys that go into one place of the tree. Those that wait are never of the same key.
struct range {
    uint32_t from;
    uint32_t to;
    uint32_t shared; // so many leading bytes are known to be equal
    uint32_t cell;   // where the place is to be written
};

struct builder {
    struct path_index *index;
    uint32_t used;        // of index->cells
    struct range *ranges; // those that wait
    uint32_t waiting;
};

static uint32_t half_of(const struct path_index *index, uint32_t key, const struct branch *branch)
{
    unsigned char byte = (unsigned char)index->keys[key].text.ptr[branch->offset];
    return byte >> branch->shift & (HALVES - 1);
}

// Finds where the keys of the range differ; false when one is left that is not a prefix of others.
static bool narrow(const struct path_index *index, struct range *range)
{
    while (range->from + 1 < range->to) {
        // What the first and the last of sorted keys share, all share.
        struct str first = index->keys[range->from].text, last = index->keys[range->to - 1].text;
        size_t common = MIN(first.len, last.len);
        while (range->shared < common && first.ptr[range->shared] == last.ptr[range->shared])
            range->shared++;
        if (range->shared < first.len)
            return true;
        range->from++;
    }
    return false;
}

static void put_branch(struct builder *b, const struct range *range)
{
    const struct path_index *index = b->index;
    struct branch *branch = (struct branch *)(index->cells + b->used);
    *branch = (struct branch){.offset = range->shared, .first = range->from | LEAF, .shift = 4};
    if (half_of(index, range->from, branch) == half_of(index, range->to - 1, branch))
        branch->shift = 0;
    uint32_t low = half_of(index, range->from, branch);
    uint32_t count = half_of(index, range->to - 1, branch) - low + 1;
    branch->low = (uint8_t)low;
    branch->count = (uint8_t)count;
    for (uint32_t i = 0; i < count; i++)
        branch->children[i] = branch->first;
    index->cells[range->cell] = b->used;
    for (uint32_t from = range->from, to; from < range->to; from = to) {
        uint32_t half = half_of(index, from, branch);
        for (to = from + 1; to < range->to && half_of(index, to, branch) == half;)
            to++;
        uint32_t cell = b->used + BRANCH_CELLS + half - low;
        b->ranges[b->waiting++] = (struct range){from, to, range->shared, cell};
    }
    b->used += BRANCH_CELLS + count;
}

// Each branch parts at least two keys, so that there are fewer branches than keys.
static bool build_tree(struct path_index *index)
{
    size_t room = 1 + (size_t)index->count * (BRANCH_CELLS + HALVES);
    struct builder b = {.index = index, .used = 1};
    b.ranges = mem_alloc(index->count * sizeof *b.ranges);
    index->cells = mem_alloc(room * sizeof *index->cells);
    if (!b.ranges || !index->cells) {
        mem_free(b.ranges);
        return false;
    }
    b.ranges[b.waiting++] = (struct range){.to = index->count};
    while (b.waiting > 0) {
        struct range range = b.ranges[--b.waiting];
        if (narrow(index, &range))
            put_branch(&b, &range);
        else
            index->cells[range.cell] = range.from | LEAF;
    }
    mem_free(b.ranges);
    index->root = index->cells[0];
    uint32_t *fitted = mem_realloc(index->cells, b.used * sizeof *fitted);
    if (fitted)
        index->cells = fitted;
    return true;
}

struct path_index *path_index_new(const struct str *paths, size_t count, bool is_folded)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += paths[i].len;
    if (count == 0 || count > KEYS_MAX)
        return NULL;
    struct path_index *index = mem_alloc(sizeof *index + count * sizeof index->keys[0] + bytes);
    if (!index)
        return NULL;
    *index = (struct path_index){.refs = 1, .count = (uint32_t)count, .is_folded = is_folded};
    copy_keys(index, paths);
    if (build_tree(index))
        return index;
    path_index_unref(index);
    return NULL;
}

struct path_index *path_index_ref(struct path_index *index)
{
    index->refs++;
    return index;
}

void path_index_unref(struct path_index *index)
{
    if (!index || --index->refs > 0)
        return;
    mem_free(index->cells);
    mem_free(index);
}

// The key that knows all those that are prefixes of path.
static const struct path_key *descend(const struct path_index *index, struct str path)
{
    uint32_t at = index->root;
    while (!(at & LEAF)) {
        const struct branch *branch = (const struct branch *)(index->cells + at);
        at = branch->first;
        if (branch->offset >= path.len)
            break;
        unsigned char byte = (unsigned char)fold(path.ptr[branch->offset], index->is_folded);
        unsigned child = (byte >> branch->shift & (HALVES - 1u)) - branch->low;
        if (child >= branch->count)
            break;
        at = branch->children[child];
    }
    return &index->keys[at & ~LEAF];
}

static uint64_t eight_bytes(const char *at)
{
    uint64_t bytes;
    memcpy(&bytes, at, sizeof bytes);
    return bytes;
}

// How many leading bytes a key and a path share.
static size_t shared_len(struct str key, struct str path, bool is_folded)
{
    size_t i = 0, common = MIN(key.len, path.len);
    while (!is_folded && i + 8 <= common && eight_bytes(key.ptr + i) == eight_bytes(path.ptr + i))
        i += 8;
    while (i < common && key.ptr[i] == fold(path.ptr[i], is_folded))
        i++;
    return i;
}

uint32_t path_index_find(const struct path_index *index, struct str path)
{
    const struct path_key *key = descend(index, path);
    size_t shared = shared_len(key->text, path, index->is_folded);
    uint32_t best = PATH_INDEX_NONE;
    for (;; key = &index->keys[key->parent]) {
        if (key->text.len <= shared) {
            best = MIN(best, key->rank);
            if (!index->is_folded)
                return best; // the longest is the first in descending order
        }
        if (key->parent == PATH_INDEX_NONE)
            return best;
    }
}
