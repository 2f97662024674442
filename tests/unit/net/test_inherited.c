// SPDX-License-Identifier: Apache-2.0
// Descriptors as systemd and a predecessor pass them. Each case is a process of its own, whose
// descriptors from 3 on are the case's.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/inherited.h"
#include "net/listener.h"

// A socket of 127.0.0.1 at that descriptor; its address.
static struct sockaddr_in put_socket(int at, bool listens)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) != 0 || (listens && listen(fd, 1) != 0) ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0 || (fd != at && dup2(fd, at) != at))
        _exit(99);
    if (fd != at)
        close(fd);
    return addr;
}

static void set_number(const char *name, long number)
{
    char text[32];
    snprintf(text, sizeof text, "%ld", number);
    setenv(name, text, 1);
}

static int in_child(int (*run)(void))
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(run());
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

#define CHECK(condition)                                            \
    do {                                                            \
        if (!(condition)) {                                         \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition); \
            return 1;                                               \
        }                                                           \
    } while (0)

static int take_by_address(void)
{
    struct sockaddr_in one = put_socket(3, true), two = put_socket(4, true);
    set_number("LISTEN_FDS", 2);
    set_number("LISTEN_PID", getpid());
    struct inherited *inherited = inherited_new();
    CHECK(inherited);
    CHECK(!getenv("LISTEN_FDS") && !getenv("LISTEN_PID"));
    CHECK(inherited_count(inherited, (struct sockaddr *)&two) == 1);
    CHECK(inherited_take(inherited, (struct sockaddr *)&two) == 4);
    CHECK(inherited_take(inherited, (struct sockaddr *)&two) == -1);
    CHECK(inherited_take(inherited, (struct sockaddr *)&one) == 3);
    CHECK(inherited_take_successor_pipe(inherited) == -1);
    inherited_free(inherited);
    return 0;
}

static int leave_those_of_others(void)
{
    struct sockaddr_in one = put_socket(3, true);
    set_number("LISTEN_FDS", 1);
    set_number("LISTEN_PID", getpid() + 1);
    struct inherited *inherited = inherited_new();
    CHECK(inherited && inherited_count(inherited, (struct sockaddr *)&one) == 0);
    CHECK(!getenv("LISTEN_FDS"));
    inherited_free(inherited);
    CHECK(listener_port(3) == ntohs(one.sin_port)); // still open
    return 0;
}

static int ignore_what_does_not_listen(void)
{
    struct sockaddr_in one = put_socket(3, false);
    set_number("LISTEN_FDS", 2); // and 4 is not open
    set_number("LISTEN_PID", getpid());
    close(4);
    struct inherited *inherited = inherited_new();
    CHECK(inherited && inherited_count(inherited, (struct sockaddr *)&one) == 0);
    inherited_free(inherited);
    return 0;
}

static int take_from_a_predecessor(void)
{
    int ends[2];
    struct sockaddr_in one = put_socket(3, true);
    CHECK(pipe(ends) == 0);
    set_number("LISTEN_FDS", 1);
    set_number("TAGWAY_UPGRADE", ends[1]);
    struct inherited *inherited = inherited_new();
    CHECK(inherited && inherited_count(inherited, (struct sockaddr *)&one) == 1);
    CHECK(inherited_take_successor_pipe(inherited) == ends[1]);
    CHECK(!getenv("TAGWAY_UPGRADE"));
    inherited_close_rest(inherited);
    CHECK(listener_port(3) == 0);
    inherited_free(inherited);
    return 0;
}

static int survive_nonsense(void)
{
    static const char *const TEXTS[] = {"", "-1", "x", "99999999999999999999", "5000"};
    for (size_t i = 0; i < sizeof TEXTS / sizeof TEXTS[0]; i++) {
        setenv("LISTEN_FDS", TEXTS[i], 1);
        set_number("LISTEN_PID", getpid());
        setenv("TAGWAY_UPGRADE", TEXTS[i], 1);
        struct inherited *inherited = inherited_new();
        CHECK(inherited && inherited_take_successor_pipe(inherited) == -1);
        inherited_free(inherited);
    }
    return 0;
}

#define CASE(name)                           \
    static void test_##name(void **state)    \
    {                                        \
        (void)state;                         \
        assert_int_equal(in_child(name), 0); \
    }
CASE(take_by_address)
CASE(leave_those_of_others)
CASE(ignore_what_does_not_listen)
CASE(take_from_a_predecessor)
CASE(survive_nonsense)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_take_by_address),
        cmocka_unit_test(test_leave_those_of_others),
        cmocka_unit_test(test_ignore_what_does_not_listen),
        cmocka_unit_test(test_take_from_a_predecessor),
        cmocka_unit_test(test_survive_nonsense),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
