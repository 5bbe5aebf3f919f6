// SPDX-License-Identifier: GPL-2.0-only
// tracer 3: against version 2 the map is called `getpgid_latency`, and twice as many calls may be under way.
#define LATENCY getpgid_latency
#define STARTED_MAX 8192
#include "tracer_v2.bpf.c"
