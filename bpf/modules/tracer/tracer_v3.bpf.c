// SPDX-License-Identifier: GPL-2.0-only
// tracer 3: against version 2 the map is called `getpgid_latency`, and the histogram has 32 buckets, for calls up to 4 s.
#define BUCKETS 32
#define LATENCY getpgid_latency
#include "tracer_v2.bpf.c"
