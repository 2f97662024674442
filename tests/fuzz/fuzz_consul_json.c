// SPDX-License-Identifier: Apache-2.0
// Consul's answers, every decoder over every input. The first byte says in how many pieces the
// streaming decoder gets it; its verdict must not depend on that. An accepted answer must hold what
// it promises: terminated strings, counts within their limits, equal digests for equal input.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "discover/decode.h"
#include "discover/state_digest.h"

static void require(bool is_true)
{
    if (!is_true)
        abort();
}

static void check_text(struct str text)
{
    require(text.ptr && strlen(text.ptr) == text.len);
}

static void fuzz_health(struct str body)
{
    const struct decode_rules rules = {.accepted_status = {"passing,warning", 15},
                                       .checks_required = CHECKS_ALL,
                                       .honours_node_checks = true};
    struct health_answer answer, again;
    struct err err;
    if (decode_health(body, &rules, &answer, &err) < 0)
        return;
    size_t tags = 0;
    for (size_t i = 0; i < answer.count; i++) {
        const struct instance *instance = &answer.items[i];
        check_text(instance->node);
        check_text(instance->id);
        check_text(instance->address);
        check_text(instance->kind);
        for (size_t k = 0; k < instance->tag_count; k++) {
            check_text(instance->tags[k]);
            require(instance->tags[k].len <= TAG_BYTES_MAX);
        }
        tags += instance->tag_count;
        require((instance->health == ROUTE_UP) == (instance->health_note.len == 0));
    }
    require(tags <= ANSWER_TAGS_MAX);
    require(decode_health(body, &rules, &again, &err) == 0);
    require(again.digest == answer.digest && again.count == answer.count);
    health_answer_fini(&answer);
    health_answer_fini(&again);
}

static int on_service(void *ctx, struct str name, const struct str *tags, size_t tag_count)
{
    (void)ctx;
    check_text(name);
    for (size_t i = 0; i < tag_count; i++)
        check_text(tags[i]);
    return 0;
}

static int on_pair(void *ctx, struct str key, struct str value, uint64_t modify_index)
{
    size_t *bytes = ctx;
    check_text(key);
    require(modify_index <= INT64_MAX);
    *bytes += value.len;
    return 0;
}

static int on_string(void *ctx, struct str text)
{
    (void)ctx;
    check_text(text);
    return 0;
}

static void on_node_service(void *ctx, struct str service, uint64_t place)
{
    uint64_t *sum = ctx;
    require(!service.ptr || strlen(service.ptr) == service.len);
    *sum += place;
}

static void fuzz_node(struct str body)
{
    struct err err;
    uint64_t sum = 0, again = 0;
    if (decode_node_services(body, STR("n1"), on_node_service, &sum, &err) < 0)
        return;
    require(decode_node_services(body, STR("n1"), on_node_service, &again, &err) == 0);
    require(sum == again);
}

static int digest_in_pieces(struct str body, size_t piece, uint64_t *value)
{
    struct state_digest digest;
    state_digest_init(&digest);
    int status = 0;
    for (size_t at = 0; at < body.len && status == 0; at += piece)
        status = state_digest_feed(&digest, str_upto(str_from(body, at), piece));
    if (status == 0)
        status = state_digest_finish(&digest);
    *value = status == 0 ? state_digest_of(&digest, STR("web")) : 0;
    state_digest_fini(&digest);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    // A copy of the exact size, so that reading behind it is noticed.
    char *copy = malloc(size);
    require(copy);
    memcpy(copy, data, size);
    struct str body = {copy + 1, size - 1};
    struct err err;
    uint64_t digest, whole, pieces;
    size_t bytes = 0;

    fuzz_health(body);
    (void)!decode_catalog(body, on_service, NULL, &digest, &err);
    if (decode_kv(body, on_pair, &bytes, &err) == 0)
        require(bytes <= size);
    (void)!decode_strings(body, on_string, NULL, &err);
    (void)!decode_nodes(body, on_string, NULL, &err);
    fuzz_node(body);
    int status = digest_in_pieces(body, body.len + 1, &whole);
    require(digest_in_pieces(body, data[0] % 16 + 1u, &pieces) == status && pieces == whole);
    free(copy);
    return 0;
}
