// SPDX-License-Identifier: Apache-2.0
// Private to lifecycle.c, reload.c and upgrade.c: the process as a whole. Control thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "admin/admin.h"
#include "app/options.h"
#include "discover/own_targets.h"
#include "proxy/proxy.h"

enum { PROCESS_SIGNALS = 4, UPGRADE_REASON_MAX = 200 };

enum phase {
    PHASE_WAITING,  // no listeners yet -> SERVING | LEAVING
    PHASE_SERVING,  // -> LEAVING
    PHASE_LEAVING,  // deregistering, then grace -> DRAINING
    PHASE_DRAINING, // the proxy waits for its requests -> ENDING
    PHASE_ENDING,   // handles close
};

// A configuration that workers may still read.
struct old_options {
    struct old_options *next;
    struct options *options;
};

// The successor while it starts; see upgrade.c.
struct upgrade {
    uv_process_t child;
    uv_pipe_t pipe; // says when it serves
    uv_timer_t timer;
    char word[4096];                 // which a pipe takes whole
    char reason[UPGRADE_REASON_MAX]; // why it is being killed; empty: it is not
    bool is_running;
    bool has_child; // handles that are open
    bool has_pipe;
    bool has_timer;
};

struct process {
    uv_loop_t loop;
    uv_timer_t tick;
    uv_timer_t grace;
    uv_signal_t signals[PROCESS_SIGNALS];

    int argc;
    char **argv;
    // What the process was started with; main's. Parts that no reload changes go on reading it.
    struct options *first;
    struct options *options; // in use; `first` or reload.c's
    struct old_options *old_options;
    struct admin_reloads reloads;
    bool is_reloading;
    bool must_reload_again; // asked for meanwhile
    struct upgrade upgrade;

    struct inherited *inherited;
    int predecessor_pipe; // >= 0: another process serves until we tell that we do
    struct problems *problems;
    struct targets *targets;
    struct own_targets own_targets;
    struct feed *feed;
    struct backend *backend;
    struct snapshot_keeper *snapshot; // NULL: none is kept
    struct admin *admin;
    struct auth_files *auth_files;
    struct proxy *proxy; // NULL before the listeners open

    enum phase phase;
    int exit_status;
    bool is_hurried; // no grace, no drain
    uint64_t started_at_ms;
    uint64_t warned_at_ms; // last warning about running as root
    uint64_t synced_at_ms; // 0: the feed has no table yet
    unsigned open_parts;   // parts of PHASE_ENDING that are not closed yet
};

// lifecycle.c: limits that depend on the machine are filled in.
void process_fill_limits(struct options *options);
// lifecycle.c: the proxy's listeners are open, or others than before.
void process_note_listeners(struct process *process);
// lifecycle.c: another process serves now, and has registered these names; this one ends what it
// has begun.
void process_hand_over(struct process *process, struct str registered);

// reload.c: SIGHUP.
void reload_start(struct process *process);
// Frees configurations that no worker reads any more; now and then.
void reload_collect(struct process *process);
// At the very end.
void reload_free(struct process *process);

// upgrade.c: SIGUSR2.
void upgrade_start(struct process *process);
// Ends a successor that does not serve yet; when the process leaves.
void upgrade_cancel(struct process *process);
// In the successor: tells the predecessor to leave.
void upgrade_tell_serving(struct process *process);
