//go:build cgo

// SPDX-License-Identifier: Apache-2.0
package main

// What makes the linker put libc and runtime/cgo into the program.
import "C"
