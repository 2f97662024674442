// SPDX-License-Identifier: Apache-2.0
// The listeners with proto=prometheus: the path serves the metrics, every other sends there. Owned
// by admin.c; control loop.
#pragma once

#include "admin/api.h"

struct scrape;

// Binds all of them, or takes inherited sockets; *scrape is NULL when there are none. 0, or an
// err_code with err.
MUST_CHECK int scrape_start(struct uv_loop_s *loop, struct api *api, struct inherited *inherited,
                            struct scrape **scrape, struct err *err);
// As the functions of server.h, for each listener.
void scrape_listen(struct scrape *scrape);
unsigned scrape_sockets(const struct scrape *scrape, int *sockets, unsigned max);
void scrape_retire(struct scrape *scrape);
// Frees itself, then on_closed.
void scrape_close(struct scrape *scrape, void (*on_closed)(void *ctx), void *ctx);
