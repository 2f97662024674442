// SPDX-License-Identifier: Apache-2.0
// A whole worker between clients and an origin that do what the input says. The first byte chooses
// settings. Then: bytes go to whoever has the word, until an escape (0xfe) gives an order:
//   c, d, e  client 1, 2, 3 has the word      o, p  the newest, the one before it of the origin's
//   t        let everything settle            1     one turn only
//   f, r     FIN, RST from who has the word   s     it stops reading, or starts again
//   w N      time passes                      m N   the N-th allocation from here fails, and all
//   later M        allocations succeed again        z N   (N + 1) x 4 KiB of filler x        an
//   origin that was asked for nothing answers all the same
// Whatever happens: see connection_check.c, and at the end nothing is left behind.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "connection_check.h"
#include "connection_world.h"

enum { ESCAPE = 0xfe, FILLER = 4096, INPUT_MAX = 64 << 10, TIMES_MAX = 400 };

static const char POISON[] = "HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nPo!s0nP0i5on";

static const uint32_t DELAYS_MS[] = {60, 500, 1100, 3100, 10100, 20100, 30100, 60100};

struct player {
    struct world world;
    struct world_end *speaker;
    struct str input;
    bool has_poison;
};

static struct world_end *origin(struct world *world, unsigned back)
{
    return world->origin_count > back ? &world->origins[world->origin_count - 1 - back] : NULL;
}

// Returns the number of bytes the order took behind its letter.
static size_t obey(struct player *player, char order, uint8_t number)
{
    static char filler[FILLER];
    struct world *world = &player->world;
    struct world_end *speaker = player->speaker;
    switch (order) {
    case 'c': player->speaker = world_client(world, 0); return 0;
    case 'd': player->speaker = world_client(world, 1); return 0;
    case 'e': player->speaker = world_client(world, 2); return 0;
    case 'o':
        world_settle(world);
        player->speaker = origin(world, 0);
        return 0;
    case 'p':
        world_settle(world);
        player->speaker = origin(world, 1);
        return 0;
    case 't': world_settle(world); return 0;
    case '1': world_turn(world); return 0;
    case 'f': world_fin(speaker); return 0;
    case 'r': world_reset(speaker); return 0;
    case 's':
        if (speaker)
            speaker->is_reading = !speaker->is_reading;
        return 0;
    case 'w': world_wait(world, DELAYS_MS[number % ARRAY_LEN(DELAYS_MS)]); return 1;
    case 'm': mem_fail_after(number); return 1;
    case 'M': mem_fail_after(-1); return 0;
    case 'z':
        memset(filler, 'a', sizeof filler);
        for (unsigned i = 0; i <= number % 64U; i++)
            world_send(speaker, filler, sizeof filler);
        return 1;
    case 'x': {
        world_settle(world);
        struct world_end *idle = origin(world, 0);
        if (idle && check_is_idle(idle)) {
            world_send(idle, POISON, sizeof POISON - 1);
            player->has_poison = true;
        }
        return 0;
    }
    default: return 0;
    }
}

static void play(struct player *player)
{
    struct str rest = player->input;
    unsigned orders = 0;
    while (rest.len > 0 && orders < TIMES_MAX) {
        ptrdiff_t at = str_find_char(rest, (char)ESCAPE);
        size_t len = at < 0 ? rest.len : (size_t)at;
        if (len > 0)
            world_send(player->speaker, rest.ptr, len);
        rest = str_from(rest, len);
        if (rest.len < 2)
            break;
        uint8_t number = rest.len > 2 ? (uint8_t)rest.ptr[2] : 0;
        size_t more = obey(player, rest.ptr[1], number);
        rest = str_from(rest, MIN(rest.len, 2 + more));
        orders++;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > INPUT_MAX)
        return 0;
    static struct player player;
    player.has_poison = false;
    player.input = str_make((const char *)data + 1, size - 1);
    world_begin(&player.world, data[0]);
    player.speaker = world_client(&player.world, 0);
    play(&player);
    world_end(&player.world);
    check_world(&player.world);
    // What was not asked for reaches nobody.
    struct str mark = STR("Po!s0nP0i5on");
    if (player.has_poison && str_find(player.input, STR("Po!s0nP0i5on")) < 0) {
        for (unsigned i = 0; i < WORLD_CLIENTS; i++)
            REQUIRE(
                str_find(str_make(player.world.clients[i].in.ptr, player.world.clients[i].in.len),
                         mark) < 0);
    }
    world_free(&player.world);
    return 0;
}
