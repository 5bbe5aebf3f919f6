//go:build !cgo

// SPDX-License-Identifier: Apache-2.0
package main

func callbacks(seed uint64) uint64 { return mix(seed) }
