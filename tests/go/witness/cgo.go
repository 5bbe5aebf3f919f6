// SPDX-License-Identifier: Apache-2.0

//go:build cgo

// The import makes the linker put libc and runtime/cgo into the program.
package main

import "C"
