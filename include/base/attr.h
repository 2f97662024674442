// SPDX-License-Identifier: Apache-2.0
// Compiler annotations and the few macros every layer shares. Includes nothing of the project.
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/param.h> // MIN, MAX

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
// Where a constant argument makes most of the body go away.
#define ALWAYS_INLINE inline __attribute__((always_inline))
// Where large buffers would cost callers that need none of them.
#define NOINLINE    __attribute__((noinline))
#define NORETURN    __attribute__((noreturn))
#define LIKELY(x)   __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)

// Whether this is built with a sanitizer that is to see all memory as it is used.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define IS_SANITIZED 1
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

// The object that embeds `member` at `ptr`.
#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

// For what cannot happen unless our own code is wrong. Never on data from outside: remote input
// must not be able to end the process.
#define BUG_ON(cond)                                                          \
    do {                                                                      \
        if (UNLIKELY(cond)) {                                                 \
            fprintf(stderr, "BUG at %s:%d: %s\n", __FILE__, __LINE__, #cond); \
            abort();                                                          \
        }                                                                     \
    } while (0)
