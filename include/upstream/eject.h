// SPDX-License-Identifier: Apache-2.0
// Passive ejection: what one worker has learnt of an endpoint's health from the requests it sent.
// A state machine without clock or sockets; owned by the endpoint's pool (upstream/pool.h), changed
// by its worker only. The control thread reads the atomics.
//
// States: in use (until_ms is 0) -> after `failures` failures in a row: out until until_ms -> then
// due: one request, the probe, is let through, the others go elsewhere -> the probe succeeds: in
// use; it fails: out again, for twice as long; it ends without a verdict (its client left): due.
// Any success, whoever brings it, ends the ejection: it works.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"

// Why an endpoint was taken out. name, words that follow "target"
#define EJECT_CAUSES(X)                          \
    X(CONNECT, "cannot be connected to")         \
    X(TLS, "fails in the TLS handshake")         \
    X(TIMEOUT, "does not answer in time")        \
    X(BROKEN, "closes or garbles its responses") \
    X(GATEWAY, "answers with 502, 503 or 504")

enum eject_cause {
    EJECT_NONE,
#define X(name, words) EJECT_##name,
    EJECT_CAUSES(X)
#undef X
};
// Empty for EJECT_NONE.
const char *eject_cause_text(enum eject_cause cause);

// A request that cannot be repeated waits this long for another one to be the probe.
enum { EJECT_PROBE_PATIENCE_MS = 1000 };

struct eject_config {
    uint32_t failures; // in a row; 0: nothing is ever ejected
    uint32_t first_ms; // of the first time; doubled each time, +-10 % of jitter
    uint32_t max_ms;
};

struct ejection {
    _Atomic uint64_t until_ms; // 0: in use
    _Atomic uint32_t cause;    // enum eject_cause, of the newest ejection
    uint32_t failures;         // in a row
    uint32_t times;            // ejected in a row: exponent of the time
    bool is_probing;
};

static inline uint64_t ejection_until_ms(const struct ejection *ejection)
{
    return atomic_load_explicit(&ejection->until_ms, memory_order_relaxed);
}

// Whether a request may go there. can_repeat: it can be sent elsewhere when it fails.
bool ejection_admits(const struct ejection *ejection, uint64_t now_ms, bool can_repeat);
// A request goes there. True: it is the probe; ejection_end_probe must follow.
bool ejection_begin(struct ejection *ejection, uint64_t now_ms);
void ejection_end_probe(struct ejection *ejection);
void ejection_succeed(struct ejection *ejection);
// True when this failure took the endpoint out. may_eject: not the only one there is.
bool ejection_fail(struct ejection *ejection, const struct eject_config *config, struct rng *rng,
                   uint64_t now_ms, enum eject_cause cause, bool was_probe, bool may_eject);
