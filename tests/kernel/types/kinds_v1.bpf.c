/* SPDX-License-Identifier: GPL-2.0-only */
#define GENERATION 1
#include "kinds.bpf.h"
