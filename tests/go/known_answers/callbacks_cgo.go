// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package main

/*
#include <stdint.h>
extern uint64_t known_answers_mix(uint64_t);
static uint64_t through_c(uint64_t seed, int times) {
	while (times-- > 0)
		seed = known_answers_mix(seed);
	return seed;
}
*/
import "C"

//export known_answers_mix
func known_answers_mix(seed C.uint64_t) C.uint64_t { return C.uint64_t(mix(uint64(seed))) }

// Go calls C, which calls Go back, on a goroutine whose stack has to grow meanwhile.
func callBack(times int, seed uint64) uint64 {
	return uint64(C.through_c(C.uint64_t(seed), C.int(times)))
}
