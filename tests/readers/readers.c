// SPDX-License-Identifier: Apache-2.0
// Whether what the proxy sends on is read by others as it was meant: mutated streams go through a
// real worker, and each request that comes out goes to every server given, which tells what it has
// read. Started by readers.py:
//   readers FILE SEED COUNT NAME:PORT...
// with seeds and dictionary in FILE. While the servers read one batch, the next is made. The last
// line of the output is the count of everything as JSON; exit 1: somebody reads otherwise.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/attr.h"
#include "feed.h"
#include "mutate.h"
#include "reader.h"

enum { READERS_MAX = 8 };

struct job {
    struct reader reader;
    const struct batch *batch;
    pthread_t thread;
};

static struct job jobs[READERS_MAX];
static unsigned job_count;

static void *run(void *arg)
{
    struct job *job = arg;
    reader_run(&job->reader, job->batch);
    return NULL;
}

static void start(const struct batch *batch)
{
    for (unsigned i = 0; i < job_count; i++) {
        jobs[i].batch = batch;
        if (pthread_create(&jobs[i].thread, NULL, run, &jobs[i]) != 0)
            exit(2);
    }
}

static void join(void)
{
    for (unsigned i = 0; i < job_count; i++)
        pthread_join(jobs[i].thread, NULL);
}

static void add_reader(char *argument)
{
    char *colon = strchr(argument, ':');
    if (!colon || job_count == READERS_MAX)
        exit(2);
    *colon = 0;
    reader_init(&jobs[job_count++].reader, argument, (uint16_t)strtoul(colon + 1, NULL, 10));
}

// Returns the number of requests read otherwise.
static uint64_t report(uint64_t streams, uint64_t forwarding, uint64_t requests)
{
    uint64_t different = 0;
    printf("{\"streams\": %llu, \"forwarding\": %llu, \"requests\": %llu, \"readers\": {",
           (unsigned long long)streams, (unsigned long long)forwarding,
           (unsigned long long)requests);
    for (unsigned i = 0; i < job_count; i++) {
        const struct reader *reader = &jobs[i].reader;
        printf("%s\"%s\": {\"same\": %llu, \"different\": %llu, \"refused\": {", i ? ", " : "",
               reader->name, (unsigned long long)reader->same,
               (unsigned long long)reader->different);
        const char *comma = "";
        for (unsigned j = 0; j < READER_REASON_COUNT; j++) {
            if (!reader->refused[j])
                continue;
            printf("%s\"%s\": %llu", comma, READER_REASONS[j].text,
                   (unsigned long long)reader->refused[j]);
            comma = ", ";
        }
        printf("}}");
        different += reader->different;
    }
    printf("}}\n");
    return different;
}

int main(int argc, char **argv)
{
    static struct mutator mutator;
    static struct batch batches[2];
    if (argc < 5) {
        fprintf(stderr, "usage: %s FILE SEED COUNT NAME:PORT...\n", argv[0]);
        return 2;
    }
    mutator_init(&mutator, argv[1], strtoull(argv[2], NULL, 10));
    uint64_t count = strtoull(argv[3], NULL, 10), streams = 0, forwarding = 0, requests = 0;
    for (int i = 4; i < argc; i++)
        add_reader(argv[i]);
    feed_begin();
    bool is_running = false;
    for (unsigned turn = 0; streams < count; turn++) {
        struct batch *batch = &batches[turn % 2];
        batch->count = 0;
        batch->used = 0;
        while (streams < count && batch_has_room(batch)) {
            unsigned before = batch->count;
            feed_play(mutator_next(&mutator), batch);
            streams++;
            forwarding += batch->count > before;
        }
        requests += batch->count;
        if (is_running)
            join();
        start(batch);
        is_running = true;
    }
    if (is_running)
        join();
    feed_end();
    for (unsigned i = 0; i < job_count; i++)
        reader_fini(&jobs[i].reader);
    mutator_fini(&mutator);
    return report(streams, forwarding, requests) ? 1 : 0;
}
