// SPDX-License-Identifier: GPL-2.0-only
// flowmeter 3: version 2 with a guard that drops floods, and counts for each flow what it dropped. It is broken on
// purpose: the objective of its manifest catches it and the update is rolled back.
#define FLOWMETER_GUARD
#include "flowmeter_v2.bpf.c"
