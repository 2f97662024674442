// SPDX-License-Identifier: Apache-2.0
// Overrides: reading, writing, checking; and who is let in.
#include "admin/check.h"
#include "visitor.h"

static const char VALID_BODY[] = "{\"value\":\"route del x\",\"version\":\"7\"}";

static void test_manual(void **state)
{
    (void)state;
    assert_string_equal(body_of(get("/api/paths")), "[\"\",\"/b\"]");
    const char *text = get("/api/manual/b?pretty");
    assert_string_equal(body_of(text),
                        "{\n    \"value\": \"sub /b?pretty\",\n    \"version\": \"7\"\n}");
    assert_non_null(strstr(text, "application/json"));
    assert_string_equal(body_of(get("/api/manual/b")), "{\"value\":\"sub /b\",\"version\":\"7\"}");
    text = ask("PUT /api/manual/b HTTP/1.1\r\nHost: 127.0.0.1", VALID_BODY);
    assert_int_equal(status_of(text), 200);
    assert_string_equal(body_of(text), "");
    assert_string_equal(world.manual.sub_path, "/b");
    assert_string_equal(world.manual.value, "route del x");
    assert_string_equal(world.manual.version, "7");
    text = ask("PUT /api/manual HTTP/1.1\r\nHost: 127.0.0.1", "{\"value\":\"\",\"version\":\"8\"}");
    assert_int_equal(status_of(text), 409);
    assert_string_equal(body_of(text), "version mismatch\n");
    assert_int_equal(world.manual.puts, 2);

    static const char *const bad[] = {"",
                                      "{",
                                      "[]",
                                      "{\"value\":1,\"version\":\"7\"}",
                                      "{\"value\":\"\",\"version\":7}",
                                      "{\"version\":\"7\"}",
                                      "{\"value\":\"a\\u0000b\",\"version\":\"7\"}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(status_of(ask("PUT /api/manual HTTP/1.1\r\nHost: 127.0.0.1", bad[i])),
                         400);
    assert_int_equal(status_of(ask("POST /api/manual HTTP/1.1\r\nHost: 127.0.0.1", "")), 405);
    assert_int_equal(status_of(ask("DELETE /api/paths HTTP/1.1\r\nHost: 127.0.0.1", "")), 405);
    assert_int_equal(status_of(ask("PUT /api/manual HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                   "Origin: http://evil.example",
                                   VALID_BODY)),
                     403);
    assert_int_equal(status_of(get("/api/manualx")), 303);
    assert_int_equal(world.manual.puts, 2);
    // As Go reads it: any case, no version is the one of a new key, what follows is not read.
    static const char *const lax[] = {"{\"VALUE\":\"\\\\u0000\"}",
                                      "{\"value\":\"\",\"version\":null}x"};
    for (size_t i = 0; i < ARRAY_LEN(lax); i++) {
        status_of(ask("PUT /api/manual HTTP/1.1\r\nHost: 127.0.0.1", lax[i]));
        assert_int_equal(world.manual.puts, 3 + i);
        assert_string_equal(world.manual.version, "0");
    }

    restart((struct admin_config){.access = UI_ACCESS_RO});
    assert_int_equal(status_of(get("/api/manual")), 403);
    assert_int_equal(status_of(get("/api/paths")), 403);
    assert_int_equal(status_of(get("/api/override?path=")), 403);
    assert_int_equal(status_of(get("/manual/b")), 403);
    assert_int_equal(status_of(get("/api/routes")), 200);
}

static void test_documents_of_any_name(void **state)
{
    (void)state;
    static const struct {
        const char *query;
        const char *sub_path; // NULL: refused
    } cases[] = {
        {"?path=", ""},
        {"?path=%2Fb", "/b"},
        {"?x=1&path=/a%20b%2fc+d", "/a b/c d"},
        {"?path=xyz%3F%23", "xyz?#"},
        {"", NULL},
        {"?pathx=1", NULL},
        {"?path=%", NULL},
        {"?path=%2", NULL},
        {"?path=%zz", NULL},
        {"?path=a%00b", NULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char head[256], body[256];
        snprintf(head, sizeof head, "GET /api/override%s HTTP/1.1\r\nHost: 127.0.0.1",
                 cases[i].query);
        snprintf(body, sizeof body, "{\"value\":\"sub %s\",\"version\":\"7\"}", cases[i].sub_path);
        const char *text = ask(head, NULL);
        assert_int_equal(status_of(text), cases[i].sub_path ? 200 : 400);
        if (cases[i].sub_path)
            assert_string_equal(body_of(text), body);
    }
    assert_int_equal(
        status_of(ask("PUT /api/override?path=x%20y HTTP/1.1\r\nHost: 127.0.0.1", VALID_BODY)),
        200);
    assert_string_equal(world.manual.sub_path, "x y");
}

static void test_check(void **state)
{
    (void)state;
    const char *post = "POST /api/override/check HTTP/1.1\r\nHost: 127.0.0.1";
    assert_string_equal(body_of(ask(post, "# nothing\n\nroute add a / http://b/\n")),
                        "{\"commands\":1,\"wrong\":0,\"errors\":[]}");
    assert_string_equal(body_of(ask(post, "")), "{\"commands\":0,\"wrong\":0,\"errors\":[]}");
    assert_string_equal(body_of(ask(post, "route del\nroute del x\n <b>")),
                        "{\"commands\":1,\"wrong\":2,\"errors\":["
                        "{\"line\":1,\"text\":\"route del\","
                        "\"error\":\"syntax error: 'route del' invalid\"},"
                        "{\"line\":3,\"text\":\"\\u003cb\\u003e\","
                        "\"error\":\"syntax error: 'route' expected\"}]}");
    assert_int_equal(status_of(get("/api/override/check")), 405);
    assert_int_equal(status_of(ask("POST /api/override/check HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                                   "Sec-Fetch-Site: cross-site",
                                   "")),
                     403);
    restart((struct admin_config){.access = UI_ACCESS_RO}); // it changes nothing
    assert_int_equal(status_of(ask(post, "")), 200);
    assert_int_equal(world.manual.puts, 0);
}

static void test_many_wrong_lines(void **state)
{
    (void)state;
    struct buf text, json;
    buf_init(&text, 1 << 20);
    buf_init(&json, 1 << 20);
    for (int i = 0; i < CHECK_ERRORS_MAX + 10; i++)
        buf_append_cstr(&text, "x\n");
    check_write(&json, buf_str(&text));
    assert_int_equal(buf_status(&json), 0);
    buf_append_char(&json, '\0');
    assert_non_null(strstr(json.ptr, "\"wrong\":510,"));
    assert_non_null(strstr(json.ptr, "{\"line\":500,"));
    assert_null(strstr(json.ptr, "{\"line\":501,"));
    for (int64_t allocations = 0; allocations < 40; allocations++) {
        buf_fini(&json);
        mem_fail_after(allocations);
        check_write(&json, STR("route add a / http://b/ tags \"x\"\nx\n"));
        mem_fail_after(-1);
        assert_true(buf_status(&json) == ERR_NOMEM || buf_status(&json) == 0);
    }
    buf_fini(&json);
    buf_fini(&text);
}

static void test_a_registry_without_overrides(void **state)
{
    (void)state;
    world.sources.backend = NULL;
    restart((struct admin_config){0});
    assert_string_equal(body_of(get("/api/paths")), "null");
    assert_string_equal(body_of(get("/api/manual/x")), "{\"value\":\"\",\"version\":\"0\"}");
    assert_int_equal(status_of(ask("PUT /api/manual HTTP/1.1\r\nHost: 127.0.0.1", VALID_BODY)),
                     409);
    assert_int_equal(status_of(get("/manual")), 200);
    assert_non_null(strstr(get("/api/ui"), "\"overrides\":false"));
}

// The base path is the operator's, but it stands in markup.
static void test_the_page_names_the_base(void **state)
{
    (void)state;
    restart((struct admin_config){.path = STR("/a\"<b>&'")});
    const char *text = get("/a\"<b>&'/manual/x");
    assert_int_equal(status_of(text), 200);
    assert_non_null(strstr(text, "\"/a&#34;&#60;b&#62;&#38;&#39;/assets/app.js\""));
    assert_null(strstr(text, "{base}"));
    assert_int_equal(status_of(get("/a\"<b>&'/assets/index.html")), 404);
}

// user: plain, password "secret"; slow: bcrypt of "secret" with a cost of 4.
static const char USERS[] = "plain:secret\n"
                            "slow:$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW\n";

static struct str write_users(char path[32], const char *text)
{
    strcpy(path, "/tmp/tagway-users-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
    return str_of(path);
}

static int ask_as(const char *target, const char *credentials)
{
    char head[512];
    snprintf(head, sizeof head, "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic %s",
             target, credentials);
    return status_of(ask(head, NULL));
}

static void test_login(void **state)
{
    (void)state;
    char path[32];
    struct admin_login login = {
        .is_required = true, .realm = STR("staff"), .file = write_users(path, USERS)};
    restart((struct admin_config){.login = login});
    unlink(path);
    static const char *const targets[] = {
        "/",           "/routes",  "/api/routes",    "/api/manual", "/api/events",
        "/api/config", "/metrics", "/assets/app.js", "/api/ui",     "/manual"};
    for (size_t i = 0; i < ARRAY_LEN(targets); i++) {
        const char *text = get(targets[i]);
        assert_int_equal(status_of(text), 401);
        assert_non_null(
            strstr(text, "WWW-Authenticate: Basic realm=\"staff\", charset=\"UTF-8\"\r\n"));
        assert_string_equal(body_of(text), "authorization failed\n");
    }
    assert_int_equal(status_of(get("/health")), 200);
    assert_int_equal(status_of(get("/ready")), 503); // asked and answered: no table yet
    assert_int_equal(ask_as("/api/routes", "cGxhaW46c2VjcmV0"), 200); // plain:secret
    assert_int_equal(ask_as("/api/routes", "cGxhaW46d3Jvbmc="), 401); // plain:wrong
    assert_int_equal(ask_as("/api/routes", "bm9ib2R5OnNlY3JldA=="), 401);
    assert_int_equal(ask_as("/api/routes", "!"), 401);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ask_as("/api/routes", "c2xvdzpzZWNyZXQ="), 200); // slow:secret
    assert_int_equal(ask_as("/api/routes", "c2xvdzp3cm9uZw=="), 401);     // slow:wrong
    // A body is kept while its password is checked.
    const char *text = ask("PUT /api/manual/b HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                           "Authorization: Basic c2xvdzpzZWNyZXQ=",
                           VALID_BODY);
    assert_int_equal(status_of(text), 200);
    assert_string_equal(world.manual.value, "route del x");
}

// Clients that go, and an end, while passwords are being checked.
static void test_login_ends_in_the_middle(void **state)
{
    (void)state;
    char path[32];
    struct admin_login login = {
        .is_required = true, .realm = STR("staff"), .file = write_users(path, USERS)};
    restart((struct admin_config){.login = login});
    unlink(path);
    const char wrong[] =
        "GET /routes HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Basic c2xvdzp3cm9uZw==\r\n\r\n";
    int fds[20];
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        fds[i] = dial();
        send_all(fds[i], wrong, sizeof wrong - 1);
        turn();
    }
    for (size_t i = 0; i < ARRAY_LEN(fds); i += 2)
        close(fds[i]);
    restart((struct admin_config){0});
    for (size_t i = 1; i < ARRAY_LEN(fds); i += 2)
        close(fds[i]);
}

static void test_login_needs_its_file(void **state)
{
    (void)state;
    struct admin_config bad = {.addr = STR("127.0.0.1:0"),
                               .login = {.is_required = true, .file = STR("/nonexistent/users")}};
    struct err err = {0};
    assert_null(admin_start(&world.loop, &bad, &world.sources, NULL, false, &err));
    assert_non_null(strstr(err.text, "ui.auth: "));
    assert_non_null(strstr(err.text, "/nonexistent/users"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        ADMIN_TEST(test_manual),
        ADMIN_TEST(test_documents_of_any_name),
        ADMIN_TEST(test_check),
        ADMIN_TEST(test_many_wrong_lines),
        ADMIN_TEST(test_a_registry_without_overrides),
        ADMIN_TEST(test_the_page_names_the_base),
        ADMIN_TEST(test_login),
        ADMIN_TEST(test_login_ends_in_the_middle),
        ADMIN_TEST(test_login_needs_its_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
