/* SPDX-License-Identifier: GPL-2.0-only */
#define GENERATION 2
#include "kinds.bpf.h"
