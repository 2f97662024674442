// SPDX-License-Identifier: Apache-2.0
// The way from workers to a descriptor: nothing is mixed, nothing is lost without being counted,
// and a reader that does not read holds nobody.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proxy/access_log.h"

enum { WORKERS = 3, LINES = 50000 };

static struct access_log *start(int fd, unsigned workers)
{
    struct err err = {0};
    struct access_log *log = access_log_start(fd, workers, &err);
    assert_non_null(log);
    return log;
}

struct producer {
    struct access_log *log;
    unsigned index;
    uint64_t refused;
};

static void *produce(void *arg)
{
    struct producer *producer = arg;
    for (unsigned i = 0; i < LINES; i++) {
        char line[64];
        int len = snprintf(line, sizeof line, "%u %u %.*s\n", producer->index, i, (int)(i % 30),
                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx");
        producer->refused +=
            !access_log_put(producer->log, producer->index, str_make(line, (size_t)len));
    }
    return NULL;
}

// Reads lines of produce(); each worker's numbers only go up. Returns the number of lines.
static uint64_t read_lines(FILE *in)
{
    long last[WORKERS] = {-1, -1, -1};
    uint64_t count = 0;
    char line[128], filler[64];
    for (; fgets(line, sizeof line, in); count++) {
        unsigned worker;
        long number;
        filler[0] = '\0';
        assert_true(sscanf(line, "%u %ld %63s", &worker, &number, filler) >= 2);
        assert_true(worker < WORKERS && number > last[worker] && number < LINES);
        assert_int_equal(strlen(filler), number % 30);
        last[worker] = number;
    }
    return count;
}

struct ending {
    struct access_log *log;
    pthread_t threads[WORKERS];
    int fd;
    uint64_t dropped;
};

static void *end_all(void *arg)
{
    struct ending *ending = arg;
    for (unsigned i = 0; i < WORKERS; i++)
        pthread_join(ending->threads[i], NULL);
    ending->dropped = access_log_dropped(ending->log);
    access_log_stop(ending->log);
    close(ending->fd);
    return NULL;
}

static void lines_of_many_workers_arrive_whole(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    FILE *in = fdopen(fds[0], "r");
    struct ending ending = {.log = start(fds[1], WORKERS), .fd = fds[1]};
    struct producer producers[WORKERS];
    for (unsigned i = 0; i < WORKERS; i++) {
        producers[i] = (struct producer){.log = ending.log, .index = i};
        assert_int_equal(pthread_create(&ending.threads[i], NULL, produce, &producers[i]), 0);
    }
    // The end comes from a thread of its own, so that this one can read all the time.
    pthread_t ender;
    assert_int_equal(pthread_create(&ender, NULL, end_all, &ending), 0);
    uint64_t got = read_lines(in);
    pthread_join(ender, NULL);
    fclose(in);
    uint64_t refused = 0;
    for (unsigned i = 0; i < WORKERS; i++)
        refused += producers[i].refused;
    assert_int_equal(ending.dropped, refused);
    assert_int_equal(got + refused, WORKERS * LINES);
    assert_true(got > 0);
}

// Nobody reads: the pipe and then the ring fill, lines are refused and counted, and the end comes
// within its bound.
static void a_blocked_reader_holds_nobody(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct access_log *log = start(fds[1], 1);
    char line[1024];
    memset(line, 'x', sizeof line);
    line[sizeof line - 1] = '\n';
    uint64_t refused = 0;
    for (int i = 0; i < 4096; i++) // 4 MiB: more than ring and pipe together
        refused += !access_log_put(log, 0, str_make(line, sizeof line));
    assert_true(refused > 4096 - 1024);
    assert_int_equal(access_log_dropped(log), refused);
    uint64_t before_ms = clock_now_ms();
    access_log_stop(log);
    assert_in_range(clock_now_ms() - before_ms, 900, 5000);
    close(fds[0]);
    close(fds[1]);
}

// The reader is gone: what cannot be written is counted, and later lines still find room.
static void a_closed_reader_costs_lines_only(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    close(fds[0]);
    struct access_log *log = start(fds[1], 2);
    uint64_t accepted = 0;
    for (int i = 0; i < 1000; i++)
        accepted += access_log_put(log, 1, STR("a line\n"));
    assert_int_equal(accepted, 1000);
    uint64_t deadline_ms = clock_now_ms() + 10000;
    while (access_log_dropped(log) < 1000 && clock_now_ms() < deadline_ms)
        usleep(1000);
    assert_int_equal(access_log_dropped(log), 1000);
    access_log_stop(log);
    close(fds[1]);
}

// A descriptor that does not block, as a supervisor may hand over, loses nothing while it is read.
static void a_nonblocking_descriptor_is_fine(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
    struct access_log *log = start(fds[1], 1);
    size_t sent = 0;
    for (int i = 0; i < 2000; i++)
        sent += access_log_put(log, 0, STR("0123456789012345678901234567890123456789012345678\n"));
    assert_int_equal(sent, 2000);
    size_t got = 0;
    uint64_t deadline_ms = clock_now_ms() + 10000;
    while (got < sent * 50 && clock_now_ms() < deadline_ms) {
        char piece[8192];
        ssize_t len = read(fds[0], piece, sizeof piece);
        got += len > 0 ? (size_t)len : 0;
    }
    assert_int_equal(got, sent * 50);
    assert_int_equal(access_log_dropped(log), 0);
    access_log_stop(log);
    close(fds[0]);
    close(fds[1]);
}

static void what_is_queued_is_written_at_the_end(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    struct access_log *log = start(fds[1], 1);
    assert_true(access_log_put(log, 0, STR("last words\n")));
    access_log_stop(log);
    char text[64] = "";
    assert_int_equal(read(fds[0], text, sizeof text), 11);
    assert_string_equal(text, "last words\n");
    close(fds[0]);
    close(fds[1]);
}

static void survives_shortage(void **state)
{
    (void)state;
    for (int64_t allowed = 0; allowed < 4; allowed++) {
        struct err err = {0};
        mem_fail_after(allowed);
        struct access_log *log = access_log_start(STDOUT_FILENO, 2, &err);
        mem_fail_after(-1);
        assert_int_equal(log == NULL, allowed < 3);
        assert_int_equal(err.code, log ? 0 : ERR_NOMEM);
        if (log)
            access_log_stop(log);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_of_many_workers_arrive_whole),
        cmocka_unit_test(a_blocked_reader_holds_nobody),
        cmocka_unit_test(a_closed_reader_costs_lines_only),
        cmocka_unit_test(a_nonblocking_descriptor_is_fine),
        cmocka_unit_test(what_is_queued_is_written_at_the_end),
        cmocka_unit_test(survives_shortage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
