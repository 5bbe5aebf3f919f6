// SPDX-License-Identifier: Apache-2.0
#include <stdint.h>

extern uint64_t fromC(int depth, uint64_t seed);

uint64_t call_back(int depth, uint64_t seed)
{
	volatile uint64_t frame[64] = {seed};

	return fromC(depth, frame[0]) + (uint64_t)depth;
}
