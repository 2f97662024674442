// SPDX-License-Identifier: Apache-2.0
// Finds the longest of a host's paths that a request's path begins with, in a time that hardly
// grows with their number: a tree that branches where the paths differ, half a byte at a time, and
// skips what they have in common. host_node.c asks it on the workers' threads; the control thread
// builds it, shares it between the versions of a host node whose set of paths stays the same, and
// frees it. Immutable once built. Private to the route layer.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/attr.h"
#include "base/str.h"

struct path_index;

#define PATH_INDEX_NONE UINT32_MAX

// paths: descending, no two equal; copied. Folded: letters of both cases are the same. NULL when
// memory is short.
MUST_CHECK struct path_index *path_index_new(const struct str *paths, size_t count, bool is_folded);
struct path_index *path_index_ref(struct path_index *index);
void path_index_unref(struct path_index *index);
// Where among the paths given the first stands that `path` begins with, or PATH_INDEX_NONE.
uint32_t path_index_find(const struct path_index *index, struct str path);
