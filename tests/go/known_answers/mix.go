// SPDX-License-Identifier: Apache-2.0
package main

func mix(seed uint64) uint64 { return deep(int(seed%20), seed) }
