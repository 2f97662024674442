// SPDX-License-Identifier: Apache-2.0
// Pushes metrics every metrics.interval: counters and timers by what they gained, gauges as they
// stand. Each target (stdout, statsd, ...) is a form (push_form.h) and a sink (push_sink.h). All on
// the control loop, which it never blocks; what a sink cannot take is dropped and counted.
#pragma once

#include "admin/admin.h"
#include "admin/sampler.h"

struct uv_loop_s;
struct push;

// Starts; *push is NULL when nothing is to be pushed. config, sources and sampler are borrowed.
MUST_CHECK int push_start(struct uv_loop_s *loop, const struct metrics_config *config,
                          const struct admin_sources *sources, struct sampler *sampler,
                          struct push **push);
// Pushes at once what has been gained, without waiting for the interval.
void push_now(struct push *push);
// What was dropped, for /metrics.
void push_write_metrics(const struct push *push, struct buf *out);
// Lets go of sampler and sources at once; frees itself, then on_closed.
void push_close(struct push *push, void (*on_closed)(void *ctx), void *ctx);
