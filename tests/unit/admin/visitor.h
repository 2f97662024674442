// SPDX-License-Identifier: Apache-2.0
// An admin over a real socket, and a client that talks to it. Both share the loop's thread: the
// client turns the loop until its answer is there. For the tests of the admin's parts.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "admin/server.h"
#include "base/clock.h"
#include "base/mem.h"
#include "world.h"

enum { DEADLINE_MS = 60000 };

extern struct world world;
extern struct admin *admin;
extern struct admin_config config; // of admin
extern struct buf answer;          // of ask() and get()

extern uint64_t clock_ahead_ms; // of the real one; added to it
// One turn of the loop.
void turn(void);
int dial(void);
void send_all(int fd, const char *bytes, size_t len);
// Reads until `needle` has appeared (NULL: until the server closes). False when closed without.
bool read_until(int fd, struct buf *in, const char *needle);
// One request on a connection of its own; the whole answer, terminated.
const char *ask(const char *head, const char *body);
const char *get(const char *target);
int status_of(const char *text);
const char *body_of(const char *text);

void restart(struct admin_config with);
void on_closed(void *is_closed);
int setup(void **state);
int teardown(void **state);

#define ADMIN_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
