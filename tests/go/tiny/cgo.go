// SPDX-License-Identifier: Apache-2.0
//go:build cgo

package main

// int twice(int x) { return 2 * x; }
import "C"

func init() { calls = int(C.twice(C.int(calls))) }
