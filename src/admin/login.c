// SPDX-License-Identifier: Apache-2.0
// The way of one request with a password that is slow to check:
//   1. login_admit   finds no verdict and queues a job, which holds the connection and the users.
//   2. start_next    hands the first job to the thread pool; one at a time, because the pool also
//                    resolves names.
//   3. on_checked    back on the control thread: a right password is remembered and the request is
//                    handed in again, which now finds the verdict; a wrong one is answered 401.
// A full queue is answered 503. A connection that has gone meanwhile takes the answer and drops it.
#include "admin/login.h"

#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "admin/reply.h"
#include "auth/htpasswd.h"
#include "auth/verdicts.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/basic.h"

struct job {
    uv_work_t work;
    struct list link;
    struct login *login;
    struct server_conn *conn;  // referenced
    struct htpasswd *users;    // referenced
    char room[HTTP_BASIC_MAX]; // of user and password
    struct str user;
    struct str password;
    bool is_right;
};

struct login {
    const struct admin_login *config;
    uv_loop_t *loop;
    uv_timer_t timer;
    struct htpasswd *users;    // reference; never NULL
    struct stat file;          // as it was when the users were read; all zero: it was not there
    struct verdicts *verdicts; // the right ones; whoever guesses pays for each guess
    struct list waiting;       // jobs
    size_t waiting_count;
    struct job *running;
    bool is_timer_open;
    bool is_closing;
    bool is_replaced;
    void (*on_closed)(void *ctx);
    void *on_closed_ctx;
};

// --- users ---

static void on_bad_line(void *ctx, uint32_t line, const char *reason)
{
    const struct login *login = ctx;
    log_warn("ui.auth: %.*s line %u: %s", STR_FMT(login->config->file), line, reason);
}

static int read_users(struct login *login, struct err *err)
{
    char *path = str_dup(login->config->file);
    if (!path)
        return err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    struct stat file = {0};
    stat(path, &file); // before reading: a change in between is seen at the next look
    struct htpasswd *users = htpasswd_load(path, on_bad_line, login, err);
    mem_free(path);
    if (!users)
        return err->code;
    htpasswd_unref(login->users);
    login->users = users;
    login->file = file;
    return 0;
}

static bool has_changed(const struct login *login)
{
    char path[4096];
    struct stat now = {0};
    if (login->config->file.len >= sizeof path)
        return false;
    memcpy(path, login->config->file.ptr, login->config->file.len);
    path[login->config->file.len] = '\0';
    if (stat(path, &now) != 0)
        now = (struct stat){0};
    return now.st_mtim.tv_sec != login->file.st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != login->file.st_mtim.tv_nsec ||
           now.st_size != login->file.st_size || now.st_ino != login->file.st_ino;
}

// A file that is gone lets nobody in until it is back, as in fabio.
static void on_refresh(uv_timer_t *timer)
{
    struct login *login = timer->data;
    struct err err = {0};
    if (!has_changed(login))
        return;
    if (read_users(login, &err) == 0) {
        log_info("ui.auth: %.*s has changed: %zu users", STR_FMT(login->config->file),
                 htpasswd_count(login->users));
        return;
    }
    log_error("ui.auth: %s. Nobody is let in until it can be read", err.text);
    struct htpasswd *nobody = htpasswd_parse(STR(""), NULL, NULL);
    if (!nobody)
        return; // the next look tries again
    htpasswd_unref(login->users);
    login->users = nobody;
    login->file = (struct stat){0};
}

// --- answers ---

static void refuse(const struct login *login, struct server_conn *conn)
{
    struct buf extra;
    struct buf body;
    buf_init(&extra, 1024);
    buf_init(&body, 64);
    buf_printf(&extra, "WWW-Authenticate: Basic realm=\"%.*s\", charset=\"UTF-8\"\r\n",
               STR_FMT(login->config->realm));
    buf_append_cstr(&body, "authorization failed\n");
    server_reply(conn, 401, TYPE_TEXT, buf_str(&extra), &body);
    buf_fini(&extra);
}

static void job_free(struct job *job)
{
    list_remove(&job->link);
    server_conn_unref(job->conn);
    htpasswd_unref(job->users);
    mem_free(job);
}

// --- slow passwords ---

static void start_next(struct login *login);

static void finish(struct login *login)
{
    if (login->running || login->is_timer_open)
        return;
    void (*on_closed)(void *) = login->on_closed;
    void *ctx = login->on_closed_ctx;
    htpasswd_unref(login->users);
    verdicts_free(login->verdicts);
    mem_free(login);
    if (on_closed)
        on_closed(ctx);
}

static void answer(struct login *login, struct job *job, bool is_right)
{
    if (is_right)
        server_ask_again(job->conn);
    else
        refuse(login, job->conn);
    job_free(job);
}

static bool is_known_right(const struct login *login, const struct htpasswd *users, struct str user,
                           struct str password)
{
    uint8_t key[VERDICT_KEY_LEN];
    return verdicts_key(login->verdicts, users, user, password, key) &&
           verdicts_get(login->verdicts, key) == VERDICT_RIGHT;
}

static void remember(struct login *login, const struct job *job)
{
    uint8_t key[VERDICT_KEY_LEN];
    if (verdicts_key(login->verdicts, job->users, job->user, job->password, key))
        verdicts_put(login->verdicts, key, true);
}

static void check(uv_work_t *work) // on a thread of the pool
{
    struct job *job = work->data;
    job->is_right = htpasswd_verify(job->users, job->user, job->password);
}

static void on_checked(uv_work_t *work, int status)
{
    struct job *job = work->data;
    struct login *login = job->login;
    login->running = NULL;
    if (login->is_closing) {
        if (login->is_replaced)
            server_ask_again(job->conn);
        job_free(job);
        finish(login);
        return;
    }
    bool is_right = status == 0 && job->is_right;
    if (is_right)
        remember(login, job);
    answer(login, job, is_right);
    start_next(login);
}

// A browser sends the same password with a dozen requests: the first check answers for all.
static void start_next(struct login *login)
{
    while (!login->running && !list_is_empty(&login->waiting)) {
        struct job *job = CONTAINER_OF(login->waiting.next, struct job, link);
        list_remove(&job->link);
        login->waiting_count--;
        if (is_known_right(login, job->users, job->user, job->password)) {
            answer(login, job, true);
            continue;
        }
        job->work.data = job;
        login->running = job;
        if (uv_queue_work(login->loop, &job->work, check, on_checked) != 0) {
            login->running = NULL;
            answer(login, job, false);
        }
    }
}

bool login_admit(struct login *login, struct server_conn *conn, const struct http_head *head)
{
    char room[HTTP_BASIC_MAX];
    struct str user, password;
    const struct http_field *field = http_find_name(head, STR("Authorization"));
    if (!field || !http_basic_parse(field->value, room, &user, &password)) {
        refuse(login, conn);
        return false;
    }
    if (is_known_right(login, login->users, user, password))
        return true;
    if (!htpasswd_is_slow(login->users, user)) {
        bool is_right = htpasswd_verify(login->users, user, password);
        if (!is_right)
            refuse(login, conn);
        return is_right;
    }
    struct job *job = NULL;
    if (login->waiting_count < LOGIN_WAITING_MAX)
        job = mem_zalloc(sizeof *job);
    if (!job) {
        server_reply_text(conn, 503, "too many passwords to check\n");
        return false;
    }
    list_init(&job->link);
    job->login = login;
    job->conn = server_conn_ref(conn);
    job->users = htpasswd_ref(login->users);
    memcpy(job->room, user.ptr, user.len);
    memcpy(job->room + user.len, password.ptr, password.len);
    job->user = str_make(job->room, user.len);
    job->password = str_make(job->room + user.len, password.len);
    list_push_back(&login->waiting, &job->link);
    login->waiting_count++;
    start_next(login);
    return false;
}

// --- life ---

static void on_timer_closed(uv_handle_t *handle)
{
    struct login *login = handle->data;
    login->is_timer_open = false;
    finish(login);
}

struct login *login_open(struct uv_loop_s *loop, const struct admin_login *config, struct err *err)
{
    struct login *login = mem_zalloc(sizeof *login);
    if (!login) {
        err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
        return NULL;
    }
    login->config = config;
    login->loop = loop;
    list_init(&login->waiting);
    login->verdicts = verdicts_new();
    if (!login->verdicts)
        err_set(err, ERR_NOMEM, "%s", err_text(ERR_NOMEM));
    if (!login->verdicts || read_users(login, err) != 0) {
        verdicts_free(login->verdicts);
        mem_free(login);
        return NULL;
    }
    uv_timer_init(loop, &login->timer);
    login->timer.data = login;
    login->is_timer_open = true;
    if (config->refresh_ms > 0)
        uv_timer_start(&login->timer, on_refresh, config->refresh_ms, config->refresh_ms);
    return login;
}

void login_set_config(struct login *login, const struct admin_login *config)
{
    login->config = config;
}

void login_replace(struct login *login, void (*on_closed)(void *ctx), void *ctx)
{
    login->is_replaced = true;
    while (!list_is_empty(&login->waiting)) {
        struct job *job = CONTAINER_OF(list_take_front(&login->waiting), struct job, link);
        login->waiting_count--;
        answer(login, job, true); // which asks the other one
    }
    login_close(login, on_closed, ctx);
}

void login_close(struct login *login, void (*on_closed)(void *ctx), void *ctx)
{
    login->is_closing = true;
    login->on_closed = on_closed;
    login->on_closed_ctx = ctx;
    LIST_FOREACH_SAFE (node, &login->waiting)
        job_free(CONTAINER_OF(node, struct job, link));
    if (login->running)
        uv_cancel((uv_req_t *)&login->running->work); // fails when it runs already: awaited
    uv_close((uv_handle_t *)&login->timer, on_timer_closed);
}
