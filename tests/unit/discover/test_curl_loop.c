// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"
#include "discover/curl_loop.h"
#include "net/addr.h"
#include "net/listener.h"

static int listen_locally(struct sockaddr_storage *addr)
{
    struct err err;
    assert_true(addr_from_literal(STR("127.0.0.1"), 0, addr));
    int fd = listener_bind(addr, true, "test", &err);
    assert_true(fd >= 0);
    assert_int_equal(listen(fd, 4), 0);
    return fd;
}

static void on_done(void *ctx, CURL *easy, CURLcode result)
{
    (void)easy;
    *(int *)ctx = (int)result;
}

static void on_closed(void *ctx)
{
    *(bool *)ctx = true;
}

// Each allocation of ours fails for a while, that for the socket's poll among them.
static void a_socket_without_memory_is_watched_later(void **state)
{
    (void)state;
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct sockaddr_storage addr;
    int server = listen_locally(&addr);
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", listener_port(server));

    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    int result = -1;
    struct curl_loop *curl = curl_loop_new(&loop, 4, on_done, &result);
    assert_non_null(curl);
    CURL *easy = curl_easy_init();
    curl_easy_setopt(easy, CURLOPT_URL, url);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 20000L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");

    mem_fail_after(0);
    assert_int_equal(curl_loop_add(curl, easy), 0);
    for (int turns = 0; turns < 20; turns++) {
        uv_run(&loop, UV_RUN_NOWAIT);
        usleep(1000); // curl's timers are due by then
    }
    mem_fail_after(-1);
    int client = accept(server, NULL, NULL);
    assert_true(client >= 0);
    assert_int_equal(write(client, answer, sizeof answer - 1), sizeof answer - 1);
    while (result == -1)
        uv_run(&loop, UV_RUN_ONCE);
    assert_int_equal(result, CURLE_OK);

    curl_easy_cleanup(easy);
    bool is_closed = false;
    curl_loop_close(curl, on_closed, &is_closed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(is_closed);
    assert_int_equal(uv_loop_close(&loop), 0);
    close(client);
    close(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_socket_without_memory_is_watched_later),
    };
    curl_global_init(CURL_GLOBAL_DEFAULT);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
