// SPDX-License-Identifier: GPL-2.0-only
// policy 3: version 2, but of two rules the one with the higher priority comes first. No layout changed, so nothing but
// MS_EPOCH keeps the rules of version 2 from being read with the opposite meaning.
#define POLICY_HIGHEST_FIRST
#include "policy_v2.bpf.c"
