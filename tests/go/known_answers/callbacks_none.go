// SPDX-License-Identifier: Apache-2.0

//go:build !cgo

package main

func callBack(times int, seed uint64) uint64 {
	for i := 0; i < times; i++ {
		seed = mix(seed)
	}
	return seed
}
