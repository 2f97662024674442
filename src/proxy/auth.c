// SPDX-License-Identifier: Apache-2.0
//
// The way of a request to a route with auth=NAME:
//  1. the scheme and, from the Authorization field, user and password are found; else 401
//  2. a fast hash is computed at once; of a slow one the verdict may be remembered
//  3. else a job goes to a verifier, and the exchange waits in it, its client not being read;
//     requests with the same question join the job
//  4. job_done remembers the verdict and has every waiting exchange begin again, with 1
// An exchange that ends meanwhile leaves its job; a job that nobody waits for is not begun. When
// too many jobs are under way, the answer is 503.
#include "proxy/auth.h"

#include <string.h>

#include "auth/verdicts.h"
#include "base/err.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/basic.h"
#include "proxy/exchange.h"
#include "proxy/verifier.h"

enum { WAIT_MS = 30000 };

struct auth_job {
    struct verification verification;
    struct list link;    // auth.jobs
    struct list waiting; // exchanges, through their link
    struct worker *worker;
    uint8_t key[VERDICT_KEY_LEN];
    size_t text_len;
    char text[]; // user and password
};

// A 401 must have a challenge, also where nothing can be asked for.
static const struct str NO_SCHEME = STR_INIT("WWW-Authenticate: Basic realm=\"restricted\"\r\n");

int auth_init(struct auth *auth, const struct proxy_config *config, struct verifiers *verifiers,
              struct htpasswd *const *users)
{
    *auth = (struct auth){.verifiers = verifiers};
    list_init(&auth->jobs);
    if (config->auth_count == 0)
        return 0;
    auth->verdicts = verdicts_new();
    if (!auth->verdicts)
        return ERR_NOMEM;
    for (unsigned i = 0; i < config->auth_count; i++)
        auth->users[i] = htpasswd_ref(users[i]);
    return 0;
}

void auth_fini(struct auth *auth)
{
    for (unsigned i = 0; i < AUTH_SCHEMES_MAX; i++)
        htpasswd_unref(auth->users[i]);
    verdicts_free(auth->verdicts);
}

void auth_set_schemes(struct auth *auth, const struct proxy_config *config,
                      struct verifiers *verifiers, struct htpasswd *const *users,
                      struct verdicts *spare)
{
    for (unsigned i = 0; i < AUTH_SCHEMES_MAX; i++) {
        htpasswd_unref(auth->users[i]);
        auth->users[i] = i < config->auth_count ? users[i] : NULL;
    }
    auth->verifiers = verifiers;
    auth->generation++;
    if (auth->verdicts)
        verdicts_free(spare);
    else
        auth->verdicts = spare;
}

void auth_set_users(struct auth *auth, unsigned scheme, struct htpasswd *users)
{
    htpasswd_unref(auth->users[scheme]);
    auth->users[scheme] = users;
}

static void job_free(struct auth_job *job)
{
    htpasswd_unref(job->verification.set);
    explicit_bzero(job->text, job->text_len);
    mem_free(job);
}

static void job_done(struct verification *verification)
{
    struct auth_job *job = CONTAINER_OF(verification, struct auth_job, verification);
    struct worker *worker = job->worker;
    struct auth *auth = &worker->auth;
    if (verification->has_verdict) {
        counter_add(&worker->counters.passwords_checked, 1);
        verdicts_put(auth->verdicts, job->key, verification->is_right);
    }
    struct list waiting;
    list_init(&waiting);
    list_splice_back(&waiting, &job->waiting);
    LIST_FOREACH (node, &waiting) {
        CONTAINER_OF(node, struct exchange, link)->auth_job = NULL;
    }
    list_remove(&job->link);
    auth->job_count--;
    job_free(job);
    while (!list_is_empty(&waiting))
        exchange_resume(CONTAINER_OF(list_take_front(&waiting), struct exchange, link));
    worker_job_gone(worker);
}

static struct auth_job *find_job(const struct auth *auth, const uint8_t key[VERDICT_KEY_LEN])
{
    LIST_FOREACH (node, &auth->jobs) {
        struct auth_job *job = CONTAINER_OF(node, struct auth_job, link);
        if (!list_is_empty(&job->waiting) && memcmp(job->key, key, VERDICT_KEY_LEN) == 0)
            return job;
    }
    return NULL;
}

static struct auth_job *job_new(struct worker *worker, struct htpasswd *set, struct str user,
                                struct str password, const uint8_t key[VERDICT_KEY_LEN])
{
    struct auth_job *job = mem_zalloc(sizeof *job + user.len + password.len);
    if (!job)
        return NULL;
    job->worker = worker;
    job->text_len = user.len + password.len;
    memcpy(job->text, user.ptr, user.len);
    memcpy(job->text + user.len, password.ptr, password.len);
    memcpy(job->key, key, VERDICT_KEY_LEN);
    list_init(&job->waiting);
    job->verification = (struct verification){
        .set = htpasswd_ref(set),
        .user = str_make(job->text, user.len),
        .password = str_make(job->text + user.len, password.len),
        .home = &worker->loop,
        .on_done = job_done,
    };
    if (!verifiers_submit(worker->auth.verifiers, worker->id, &job->verification)) {
        job_free(job);
        return NULL;
    }
    list_push_back(&worker->auth.jobs, &job->link);
    worker->auth.job_count++;
    return job;
}

static enum auth_verdict wait_for(struct exchange *exchange, struct auth_job *job)
{
    struct worker *worker = exchange->worker;
    list_push_back(&job->waiting, &exchange->link);
    exchange->auth_job = job;
    if (!exchange->upload.is_complete) {
        exchange->is_client_paused = true;
        exchange->stream->ops->read_stop(exchange->stream);
    }
    net_loop_arm(&worker->loop, &exchange->timer, WAIT_MS);
    return AUTH_PENDING;
}

static enum auth_verdict check_slowly(struct exchange *exchange, struct htpasswd *set,
                                      struct str user, struct str password)
{
    struct worker *worker = exchange->worker;
    uint8_t key[VERDICT_KEY_LEN];
    // Who waits begins anew later, and needs the request for that.
    if (!verdicts_key(worker->auth.verdicts, set, user, password, key) || !exchange->can_replay)
        return AUTH_OVERLOADED;
    switch (verdicts_get(worker->auth.verdicts, key)) {
    case VERDICT_RIGHT: return AUTH_GRANTED;
    case VERDICT_WRONG: return AUTH_REFUSED;
    case VERDICT_UNKNOWN: break;
    }
    struct auth_job *job = find_job(&worker->auth, key);
    if (!job)
        job = job_new(worker, set, user, password, key);
    return job ? wait_for(exchange, job) : AUTH_OVERLOADED;
}

// The one Authorization field. With two, the target might heed the other.
static const struct http_field *find_authorization(const struct http_head *head)
{
    const struct http_field *found = NULL;
    for (size_t i = 0; i < head->field_count; i++) {
        if (head->fields[i].id != HTTP_FIELD_AUTHORIZATION)
            continue;
        if (found)
            return NULL;
        found = &head->fields[i];
    }
    return found;
}

static enum auth_verdict check_credentials(struct exchange *exchange, unsigned scheme)
{
    struct worker *worker = exchange->worker;
    struct htpasswd *set = worker->auth.users[scheme];
    const struct http_field *field = find_authorization(&worker->request_head);
    char room[HTTP_BASIC_MAX];
    struct str user, password;
    enum auth_verdict verdict = AUTH_REFUSED;
    if (field && http_basic_parse(field->value, room, &user, &password)) {
        if (htpasswd_is_slow(set, user))
            verdict = check_slowly(exchange, set, user, password);
        else if (htpasswd_verify(set, user, password))
            verdict = AUTH_GRANTED;
    }
    explicit_bzero(room, sizeof room);
    return verdict;
}

static void tell_unknown(struct str scheme)
{
    static atomic_bool has_told; // the list of problems has them all
    if (!atomic_exchange_explicit(&has_told, true, memory_order_relaxed))
        log_error("auth=%.*s: no such scheme in proxy.auth; requests are answered 401",
                  (int)MIN(scheme.len, 100), scheme.ptr);
}

enum auth_verdict auth_check(struct exchange *exchange, struct str scheme, struct str *challenge)
{
    const struct proxy_config *config = exchange->worker->config;
    unsigned i = 0;
    while (i < config->auth_count && !str_eq(config->auth[i].name, scheme))
        i++;
    if (i == config->auth_count) {
        *challenge = NO_SCHEME;
        tell_unknown(scheme);
        return AUTH_REFUSED;
    }
    *challenge = config->auth[i].challenge;
    const struct auth *auth = &exchange->worker->auth;
    if (exchange->authorized == i + 1 && exchange->auth_generation == auth->generation)
        return AUTH_GRANTED; // an earlier try has asked
    enum auth_verdict verdict = check_credentials(exchange, i);
    if (verdict == AUTH_GRANTED)
        exchange->authorized = (uint8_t)(i + 1);
    exchange->auth_generation = auth->generation;
    return verdict;
}

void auth_forget(struct exchange *exchange)
{
    struct auth_job *job = exchange->auth_job;
    list_remove(&exchange->link); // also from those that job_done is about to resume
    exchange->auth_job = NULL;
    if (job && list_is_empty(&job->waiting))
        atomic_store_explicit(&job->verification.is_unwanted, true, memory_order_relaxed);
}
