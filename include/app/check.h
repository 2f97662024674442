// SPDX-License-Identifier: Apache-2.0
// `tagway check`: judges a configuration without starting anything. Called by main once the options
// are read.
#pragma once

#include <stdbool.h>

#include "app/options.h"

// Prints warnings, bad routes of the static and file backends, with asks_consul also what the token
// may do, and "configuration OK" to stdout; what the start would end with goes to the error log.
// Returns the exit status: 0 or 1.
int check_run(const struct options *options, bool asks_consul);
