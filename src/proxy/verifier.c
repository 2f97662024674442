// SPDX-License-Identifier: Apache-2.0
#include "proxy/verifier.h"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

#include "base/err.h"
#include "base/mem.h"

enum {
    WORKERS_PER_THREAD = 4,
    THREADS_MAX = 4,
    NICENESS = 10, // workers go first
};

struct verifier {
    struct net_loop loop;
    uv_thread_t thread;
    struct message stop_message;
};

struct verifiers {
    atomic_uint under_way;
    unsigned count;
    struct verifier items[THREADS_MAX];
};

static void run(void *arg)
{
    struct verifier *verifier = arg;
    setpriority(PRIO_PROCESS, (id_t)gettid(), NICENESS); // on Linux that is of the thread
    net_loop_run(&verifier->loop);
}

static void stop(struct message *message)
{
    net_loop_stop(&CONTAINER_OF(message, struct verifier, stop_message)->loop);
}

static int start(struct verifier *verifier)
{
    int rc = net_loop_init(&verifier->loop, NULL);
    if (rc != 0)
        return rc;
    verifier->stop_message.run = stop;
    // Signals are the control thread's.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = uv_thread_create(&verifier->thread, run, verifier);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc == 0)
        return 0;
    net_loop_stop(&verifier->loop);
    net_loop_run(&verifier->loop);
    net_loop_fini(&verifier->loop);
    return ERR_NOMEM;
}

struct verifiers *verifiers_start(unsigned worker_count, struct err *err)
{
    struct verifiers *verifiers = mem_zalloc(sizeof *verifiers);
    unsigned count = MIN(1 + (worker_count - 1) / WORKERS_PER_THREAD, (unsigned)THREADS_MAX);
    int rc = verifiers ? 0 : ERR_NOMEM;
    for (unsigned i = 0; i < count && rc == 0; i++) {
        rc = start(&verifiers->items[i]);
        verifiers->count += rc == 0;
    }
    if (rc == 0)
        return verifiers;
    err_set(err, rc, "threads for passwords: %s", err_text(rc));
    verifiers_stop(verifiers);
    return NULL;
}

void verifiers_stop(struct verifiers *verifiers)
{
    if (!verifiers)
        return;
    for (unsigned i = 0; i < verifiers->count; i++) {
        struct verifier *verifier = &verifiers->items[i];
        net_loop_post(&verifier->loop, &verifier->stop_message);
        uv_thread_join(&verifier->thread);
        net_loop_fini(&verifier->loop);
    }
    mem_free(verifiers);
}

// On the thread that asked.
static void give_back(struct message *message)
{
    struct verification *verification = CONTAINER_OF(message, struct verification, message);
    verification->on_done(verification);
}

// On a thread of ours.
static void verify(struct message *message)
{
    struct verification *verification = CONTAINER_OF(message, struct verification, message);
    if (!atomic_load_explicit(&verification->is_unwanted, memory_order_relaxed)) {
        verification->is_right =
            htpasswd_verify(verification->set, verification->user, verification->password);
        verification->has_verdict = true;
    }
    atomic_fetch_sub_explicit(&verification->verifiers->under_way, 1, memory_order_relaxed);
    message->run = give_back;
    net_loop_post(verification->home, message);
}

bool verifiers_submit(struct verifiers *verifiers, unsigned worker,
                      struct verification *verification)
{
    if (atomic_fetch_add_explicit(&verifiers->under_way, 1, memory_order_relaxed) >=
        VERIFICATIONS_MAX) {
        atomic_fetch_sub_explicit(&verifiers->under_way, 1, memory_order_relaxed);
        return false;
    }
    verification->verifiers = verifiers;
    verification->message.run = verify;
    net_loop_post(&verifiers->items[worker % verifiers->count].loop, &verification->message);
    return true;
}
