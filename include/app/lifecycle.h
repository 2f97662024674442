// SPDX-License-Identifier: Apache-2.0
// Starts everything in order, runs the control loop, and ends everything in order. Called by main,
// on the control thread, which it is from then on.
#pragma once

#include "app/options.h"

// Runs until a signal or an error ends the process. options must outlive the call; limits that
// depend on the machine (proxy.maxclients=0) are filled in. Returns the exit status: 0 after a
// signal, 1 on error. argv is what options were read from, for reloads and for a successor.
int lifecycle_run(struct options *options, int argc, char **argv);
