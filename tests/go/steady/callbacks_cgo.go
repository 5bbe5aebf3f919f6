// SPDX-License-Identifier: Apache-2.0

//go:build cgo

package main

/*
#include <stdint.h>
uint64_t call_back(int depth, uint64_t seed);
*/
import "C"

import (
	"runtime"
	"sync"
)

//export fromC
func fromC(depth C.int, seed C.uint64_t) C.uint64_t {
	runtime.Gosched()
	if depth == 0 {
		return C.uint64_t(deep(50, uint64(seed)))
	}
	return C.call_back(depth-1, seed*3+1)
}

// Go calls C, which calls Go, some levels deep, on several threads.
func callbacks(seed uint64) uint64 {
	sums := make([]uint64, 8)
	var all sync.WaitGroup
	for i := range sums {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			for j := uint64(0); j < 20; j++ {
				sums[i] += uint64(C.call_back(5, C.uint64_t(seed+uint64(i)+j)))
			}
		}(i)
	}
	all.Wait()
	return mix(sums...)
}
