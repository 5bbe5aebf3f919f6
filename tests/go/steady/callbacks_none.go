// SPDX-License-Identifier: Apache-2.0

//go:build !cgo

package main

func callbacks(seed uint64) uint64 { return mix(seed) }
