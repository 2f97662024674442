// SPDX-License-Identifier: Apache-2.0
// Who may do what on the admin listener: the Host check against DNS rebinding, and the rules for
// writes (cross-site requests, DNS rebinding). Pure.
#pragma once

#include <stdbool.h>

#include "admin/admin.h"
#include "http/head.h"

struct access_hosts {
    struct str hostname; // gethostname(); may be empty
    struct str fqdn;     // canonical name of it; empty: not known
    struct str more;     // admin_config.hosts: comma-separated names, "*" for any
};

// Whether a request for this authority can only come from somebody who meant this machine: an IP
// literal, localhost, the machine's own names, a name Consul gives (*.consul), or a configured one.
// A page of a foreign site whose name was pointed at us fails here.
bool access_host_is_ours(const struct access_hosts *hosts, struct str authority);

enum access_verdict {
    ACCESS_GRANTED,
    ACCESS_READ_ONLY,    // ui.access=ro
    ACCESS_NOT_LOOPBACK, // ui.access unset and a write from another machine, or through a proxy
    ACCESS_CROSS_SITE,   // a browser says that another site's page is behind the write
};

// Whether the request says nothing of its origin, or that our own page is behind it.
bool access_is_same_origin(const struct http_head *head);

// For the override editor's page.
enum access_verdict access_check_page(enum ui_access access);
// For the manual endpoints, which alone can change anything.
enum access_verdict access_check_manual(enum ui_access access, const struct http_head *head,
                                        bool is_peer_loopback);

struct buf;
// fabio's (Go's) notion of a clean path: no empty, "." or ".." segment, a trailing slash kept. True
// when `path` is clean already; else the clean one is appended to out.
bool access_path_is_clean(struct str path, struct buf *out);
