// SPDX-License-Identifier: Apache-2.0
// One route from its definitions and the manual commands:
//  1. the services' definitions in fabio's order, duplicates left out;
//  2. the commands of this host and path, and those for all routes, in the order of the text;
//  3. those that are up first, then shares of traffic and the ring;
//  4. if that is what the present node says, the present node; else a new one, its targets bound.
// Only step 4 has effects outside, and it is undone when memory runs out.
#include <stdatomic.h>

#include "base/hash.h"
#include "base/mem.h"
#include "duplicate.h"
#include "entry.h"

void workspace_fini(struct workspace *work)
{
    mem_free(work->candidates);
    mem_free(work->shares);
    mem_free(work->slots);
    mem_free(work->chains);
    *work = (struct workspace){0};
}

static int grow(void **array, size_t cap, size_t size)
{
    void *grown = mem_realloc(*array, cap * size);
    if (!grown)
        return ERR_NOMEM;
    *array = grown;
    return 0;
}

static int workspace_reserve(struct workspace *work, size_t need)
{
    if (need <= work->cap)
        return 0;
    size_t cap = MAX(need, work->cap * 2);
    void *candidates = work->candidates, *shares = work->shares, *slots = work->slots;
    int rc = grow(&candidates, cap, sizeof *work->candidates);
    work->candidates = candidates;
    if (rc == 0)
        rc = grow(&shares, cap, sizeof *work->shares);
    work->shares = shares;
    if (rc == 0)
        rc = grow(&slots, cap, sizeof *work->slots);
    work->slots = slots;
    if (rc == 0)
        work->cap = cap;
    return rc;
}

static bool is_up(const struct candidate *candidate)
{
    return candidate->def->health == ROUTE_UP;
}

static bool means_none(const struct routes *routes, bool has_weight, double weight)
{
    return routes->config.is_weight_zero_none && has_weight && !(weight < 0) && !(weight > 0);
}

static int add_candidate(struct routes *routes, struct route_def *def)
{
    struct workspace *work = &routes->work;
    int rc = workspace_reserve(work, work->count + 1);
    if (rc != 0)
        return rc;
    work->candidates[work->count++] =
        (struct candidate){.def = def,
                           .fixed = def->rule->weight,
                           .is_none = means_none(routes, def->rule->has_weight, def->rule->weight)};
    return 0;
}

static int note_duplicate(struct path_entry *entry, const struct route_def *lost,
                          const struct route_def *kept)
{
    if (str_eq(lost->rule->opts, kept->rule->opts))
        return 0; // nothing is lost
    return notes_add(&entry->next_notes, (struct note){NOTE_DUPLICATE, lost, kept, 0});
}

// Duplicates stand side by side in this order. Of each group the first that is up wins, as fabio
// knows no others; if none is, the first.
static int add_services(struct routes *routes, struct path_entry *entry)
{
    for (size_t from = 0, to; from < entry->def_count; from = to) {
        struct route_def *first = entry->defs[from], *winner = first;
        for (to = from + 1; to < entry->def_count; to++) {
            struct route_def *def = entry->defs[to];
            if (!route_def_is_duplicate(def, first, first->rule->weight))
                break;
            if (winner->health != ROUTE_UP && def->health == ROUTE_UP)
                winner = def;
        }
        int rc = add_candidate(routes, winner);
        for (size_t i = from; i < to && rc == 0; i++) {
            struct route_def *def = entry->defs[i];
            if (def != winner && def->health == ROUTE_UP)
                rc = note_duplicate(entry, def, winner);
        }
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int apply_add(struct routes *routes, struct path_entry *entry, struct route_def *def)
{
    const struct candidate *old;
    int rc = duplicate_find(&routes->work, def, &old);
    if (rc != 0 || old)
        return rc != 0 ? rc : note_duplicate(entry, def, old->def);
    const char *warning = route_def_warning(def);
    if (warning) {
        rc = notes_add(&entry->next_notes, (struct note){NOTE_OPTION, def, NULL, 0});
        if (rc != 0)
            return rc;
    }
    return add_candidate(routes, def);
}

static bool has_tag(const struct route_def *def, struct str tag)
{
    for (size_t i = 0; i < def->rule->tag_count; i++) {
        if (str_eq(def->rule->tags[i], tag))
            return true;
    }
    return false;
}

static bool is_selected(const struct command *command, const struct route_def *def)
{
    if (command->service.len > 0 && !str_eq(command->service, def->rule->service))
        return false;
    if (command->dst.len > 0 && !str_eq(command->dst, route_def_dst(def)))
        return false;
    for (size_t i = 0; i < command->tag_count; i++) {
        if (!has_tag(def, command->tags[i]))
            return false;
    }
    return true;
}

static void apply_del(struct routes *routes, const struct command *command)
{
    struct workspace *work = &routes->work;
    size_t kept = 0;
    for (size_t i = 0; i < work->count; i++) {
        if (!is_selected(command, work->candidates[i].def))
            work->candidates[kept++] = work->candidates[i];
    }
    if (kept < work->count)
        duplicate_forget(work);
    work->count = kept;
}

static int apply_weight(struct routes *routes, struct path_entry *entry,
                        const struct command *command, uint32_t index)
{
    struct workspace *work = &routes->work;
    size_t up_count = 0, count = 0;
    for (size_t i = 0; i < work->count; i++) {
        bool is_meant = is_selected(command, work->candidates[i].def);
        count += is_meant;
        up_count += is_meant && is_up(&work->candidates[i]);
    }
    if (count == 0)
        return notes_add(&entry->next_notes, (struct note){NOTE_NO_MATCH, NULL, NULL, index});
    for (size_t i = 0; i < work->count; i++) {
        struct candidate *candidate = &work->candidates[i];
        if (!is_up(candidate) || !is_selected(command, candidate->def))
            continue;
        // Stays negative when it is, so that in fabio's way a later `route add` is no duplicate.
        candidate->fixed = command->weight / (double)up_count;
        candidate->is_none = means_none(routes, true, command->weight);
    }
    return 0;
}

static int apply_command(struct routes *routes, struct path_entry *entry, uint32_t index)
{
    const struct command *command = command_list_at(routes->manual, index);
    switch (command->kind) {
    case COMMAND_ADD: return apply_add(routes, entry, command->def);
    case COMMAND_DEL: apply_del(routes, command); return 0;
    case COMMAND_WEIGHT: return apply_weight(routes, entry, command, index);
    }
    return 0;
}

// The entry's own commands and those for all routes, merged by their place in the text.
static int apply_manual(struct routes *routes, struct path_entry *entry)
{
    size_t own = 0, global = 0;
    const struct command_ref *refs = routes->command_refs;
    while (own < entry->command_count || global < routes->global_count) {
        uint32_t next_own =
            own < entry->command_count ? refs[entry->command_first + own].command : UINT32_MAX;
        uint32_t next_global =
            global < routes->global_count ? routes->global_commands[global] : UINT32_MAX;
        int rc = apply_command(routes, entry, MIN(next_own, next_global));
        if (rc != 0)
            return rc;
        own += next_own < next_global;
        global += next_global < next_own;
    }
    return 0;
}

// Stable: those that are up to the front. Returns how many.
static size_t partition(struct workspace *work)
{
    size_t up_count = 0, down_count = 0;
    struct candidate *down = work->candidates + work->count; // the array's other half
    for (size_t i = 0; i < work->count; i++) {
        if (is_up(&work->candidates[i]))
            work->candidates[up_count++] = work->candidates[i];
        else
            down[down_count++] = work->candidates[i];
    }
    memcpy(work->candidates + up_count, down, down_count * sizeof *down);
    return up_count;
}

static int note_shared(struct path_entry *entry, const struct workspace *work, size_t up_count)
{
    for (size_t i = 1; i < up_count; i++) {
        const struct route_def *first = work->candidates[0].def, *def = work->candidates[i].def;
        const struct route_def *before = work->candidates[i - 1].def;
        if (def->rule == before->rule || str_eq(def->rule->service, before->rule->service) ||
            str_eq(def->rule->service, first->rule->service))
            continue;
        int rc = notes_add(&entry->next_notes, (struct note){NOTE_SHARED, def, first, 0});
        if (rc != 0)
            return rc;
    }
    return 0;
}

static bool is_known_auth(const struct routes_config *config, struct str name)
{
    for (size_t i = 0; i < config->auth_count; i++) {
        if (str_eq(config->auth_names[i], name))
            return true;
    }
    return false;
}

static int note_unknown_auth(const struct routes *routes, struct path_entry *entry)
{
    const struct workspace *work = &routes->work;
    for (size_t i = 0; i < work->count; i++) {
        const struct route_def *def = work->candidates[i].def;
        if (def->rule->auth.len == 0 || is_known_auth(&routes->config, def->rule->auth))
            continue;
        int rc = notes_add(&entry->next_notes, (struct note){NOTE_NO_AUTH, def, NULL, 0});
        if (rc != 0)
            return rc;
    }
    return 0;
}

static void share_out(struct workspace *work, size_t up_count)
{
    work->has_weights = false;
    for (size_t i = 0; i < work->count && !work->has_weights; i++)
        work->has_weights =
            !route_weight_eq(work->candidates[i].fixed, 0) || work->candidates[i].is_none;
    if (!work->has_weights)
        return;
    for (size_t i = 0; i < up_count; i++)
        work->shares[i] = (struct share){work->candidates[i].fixed, work->candidates[i].is_none, 0};
    weight_share_out(work->shares, up_count);
}

static struct route_weight weight_of(const struct workspace *work, size_t i, size_t up_count)
{
    return (struct route_weight){.share = i < up_count ? work->shares[i].weight : 0,
                                 .fixed = work->candidates[i].fixed};
}

static bool is_as_before(const struct route_node *node, const struct workspace *work,
                         size_t up_count)
{
    if (!node || node->route.count != work->count || node->route.up_count != up_count ||
        !node->route.weights == work->has_weights)
        return false;
    for (size_t i = 0; i < work->count; i++) {
        if (!route_def_eq(node->targets[i].def, work->candidates[i].def))
            return false;
        if (!work->has_weights)
            continue;
        struct route_weight old = node->route.weights[i], weight = weight_of(work, i, up_count);
        if (!route_weight_eq(old.share, weight.share) || !route_weight_eq(old.fixed, weight.fixed))
            return false;
    }
    return true;
}

void route_node_free(struct routes *routes, struct route_node *node)
{
    const struct routes_binding *binding = &routes->binding;
    for (uint32_t i = 0; i < node->route.count; i++) {
        if (node->targets[i].target)
            binding->unbind(binding->ctx, node->targets[i].target);
        route_def_unref((struct route_def *)(uintptr_t)node->targets[i].def);
    }
    if (node->route.state && --node->route.state->refs == 0)
        mem_free(node->route.state);
    ring_put(&routes->rings, node->ring);
    glob_free(node->glob);
    mem_free(node);
}

static int take_state(struct route_node *node, const struct route_node *before)
{
    struct route_state *state = before ? before->route.state : mem_zalloc(sizeof *state);
    if (!state)
        return ERR_NOMEM;
    state->refs++;
    node->route.state = state;
    return 0;
}

static int take_ring(struct routes *routes, struct route_node *node)
{
    struct workspace *work = &routes->work;
    struct route *route = &node->route;
    route->ring_len = route->up_count;
    if (!work->has_weights)
        return 0;
    bool needs_ring = false; // those with a weight may be down
    uint32_t total = 0;
    for (uint32_t i = 0; i < route->up_count; i++) {
        needs_ring = needs_ring || work->shares[i].fixed > 0 || work->shares[i].is_none;
        work->slots[i] = weight_slots(work->shares[i].weight);
        total += work->slots[i];
    }
    if (!needs_ring)
        return 0;
    route->ring_len = total;
    if (total == 0)
        return 0;
    node->ring = ring_get(&routes->rings, work->slots, route->up_count);
    if (!node->ring)
        return ERR_NOMEM;
    route->ring = node->ring->cells;
    route->ring_len = node->ring->len;
    return 0;
}

// What a rule adds to the identity and to the content of its targets: most often the same for all
// of a route.
struct rule_hash {
    const struct route_rule *rule;
    uint64_t identity;
    uint64_t content;
};

static void hash_rule(struct rule_hash *hash, const struct route_rule *rule)
{
    if (hash->rule == rule)
        return;
    hash->rule = rule;
    hash->identity = hash_str(rule->path, hash_str(rule->host, hash_str(rule->service, 1)));
    hash->content = hash_str(rule->opts, 1);
    for (size_t i = 0; i < rule->tag_count; i++)
        hash->content = hash_str(rule->tags[i], hash->content);
}

static uint64_t digest_of(const struct route_def *def, struct route_weight weight,
                          uint64_t identity, uint64_t rule, uint64_t before)
{
    struct {
        uint64_t identity, rule, health;
        struct route_weight weight;
    } content = {identity, rule, def->health, weight};
    return hash_bytes(&content, sizeof content, before);
}

int routes_bind(struct routes *routes)
{
    struct workspace *work = &routes->work;
    size_t count = work->unbound_count;
    work->unbound_count = 0;
    return count > 0 ? routes->binding.bind(routes->binding.ctx, work->unbound, count) : 0;
}

static int take_targets(struct routes *routes, struct route_node *node)
{
    struct workspace *work = &routes->work;
    struct rule_hash rule = {0};
    for (size_t i = 0; i < work->count; i++) {
        struct route_def *def = work->candidates[i].def;
        struct route_target *target = &node->targets[i];
        target->def = route_def_ref(def);
        node->route.count++;
        hash_rule(&rule, def->rule);
        uint64_t identity = hash_str(route_def_dst(def), rule.identity);
        struct route_weight weight = route_weight_of(&node->route, target);
        node->digest = digest_of(def, weight, identity, rule.content, node->digest);
        work->unbound[work->unbound_count++] = (struct routes_unbound){target, identity};
        if (work->unbound_count == ROUTES_BIND_TOGETHER && routes_bind(routes) != 0)
            return ERR_NOMEM;
    }
    return 0;
}

static void take_weights(struct route_node *node, const struct workspace *work)
{
    if (!work->has_weights)
        return;
    struct route_weight *weights = (void *)(node->targets + work->count); // in this allocation
    for (size_t i = 0; i < work->count; i++)
        weights[i] = weight_of(work, i, node->route.up_count);
    node->route.weights = weights;
}

static struct route_node *make_node(struct routes *routes, const struct path_entry *entry,
                                    size_t up_count, uint64_t version)
{
    const struct workspace *work = &routes->work;
    size_t targets = work->count * sizeof(struct route_target);
    size_t weights = work->has_weights ? work->count * sizeof(struct route_weight) : 0;
    struct route_node *node = mem_zalloc(sizeof *node + targets + weights);
    if (!node)
        return NULL;
    const struct route_def *def = work->candidates[0].def;
    list_init(&node->life.link);
    node->life.born = version;
    // The first target pins the texts.
    node->route.host = def->rule->host;
    node->route.path = def->rule->path;
    node->route.targets = node->targets;
    node->route.up_count = (uint32_t)up_count;
    take_weights(node, work);
    int rc = take_targets(routes, node);
    if (rc == 0)
        rc = take_state(node, entry->node);
    if (rc == 0)
        rc = take_ring(routes, node);
    if (rc == 0 && routes->config.matcher == ROUTE_MATCH_GLOB && glob_is_pattern(def->rule->path)) {
        node->glob =
            glob_new(def->rule->path, NULL); // was compiled before, when the definition was made
        rc = node->glob ? 0 : ERR_NOMEM;
    }
    if (rc != 0) {
        route_node_free(routes, node);
        return NULL;
    }
    return node;
}

static int note_bad_host(struct routes *routes, struct path_entry *entry)
{
    int rc = 0;
    for (size_t i = 0; i < entry->def_count && rc == 0; i++)
        rc = notes_add(&entry->next_notes, (struct note){NOTE_BAD_HOST, entry->defs[i], NULL, 0});
    for (uint32_t i = 0; i < entry->command_count && rc == 0; i++) {
        uint32_t index = routes->command_refs[entry->command_first + i].command;
        const struct command *command = command_list_at(routes->manual, index);
        struct note note = {command->def ? NOTE_BAD_HOST : NOTE_NO_MATCH, command->def, NULL,
                            index};
        if (command->kind != COMMAND_DEL)
            rc = notes_add(&entry->next_notes, note);
    }
    return rc;
}

int route_build(struct routes *routes, struct path_entry *entry, uint64_t version)
{
    struct workspace *work = &routes->work;
    work->count = 0;
    duplicate_forget(work);
    entry->next_node = NULL;
    entry->next_notes.count = 0;
    if (entry->host->bad_reason)
        return note_bad_host(routes, entry);
    for (size_t i = 0; i < entry->def_count; i++)
        __builtin_prefetch(entry->defs[i]->text);
    int rc = add_services(routes, entry);
    if (rc == 0)
        rc = apply_manual(routes, entry);
    if (rc == 0)
        rc = workspace_reserve(work, 2 * work->count);
    if (rc != 0 || work->count == 0)
        return rc;
    size_t up_count = partition(work);
    share_out(work, up_count);
    rc = note_shared(entry, work, up_count);
    if (rc == 0)
        rc = note_unknown_auth(routes, entry);
    if (rc != 0)
        return rc;
    if (!routes->is_config_new && is_as_before(entry->node, work, up_count)) {
        entry->next_node = entry->node;
        return 0;
    }
    entry->next_node = make_node(routes, entry, up_count, version);
    return entry->next_node ? 0 : ERR_NOMEM;
}
