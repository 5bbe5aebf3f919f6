// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"hash/fnv"
	"net"
	"os"
	"runtime"
	"sync"
	"time"
)

// Each call has a frame of its own on a stack that must grow, and a checksum that only comes out when nothing was disturbed.
func deep(depth int, seed uint64) uint64 {
	var frame [64]uint64
	for i := range frame {
		seed = seed*6364136223846793005 + 1442695040888963407
		frame[i] = seed
	}
	if depth > 0 {
		seed = deep(depth-1, seed)
	}
	for _, word := range frame {
		seed ^= word
	}
	return seed
}

// A tight loop without calls: the runtime stops it by a signal.
func spin(rounds int, seed uint64) uint64 {
	for i := 0; i < rounds; i++ {
		seed = seed ^ seed<<13 ^ seed>>7
	}
	return seed
}

func talk(messages int, seed uint64) uint64 {
	one, other := net.Pipe()
	defer one.Close()
	go func() {
		defer other.Close()
		buffer := make([]byte, 8)
		for {
			if _, err := other.Read(buffer); err != nil {
				return
			}
			buffer[0] ^= 0xff
			other.Write(buffer)
		}
	}()
	buffer := make([]byte, 8)
	for i := 0; i < messages; i++ {
		buffer[i%8] += byte(seed >> (i % 56))
		one.Write(buffer)
		one.Read(buffer)
	}
	sum := fnv.New64a()
	sum.Write(buffer)
	return sum.Sum64()
}

func one(round, worker int) uint64 {
	seed := uint64(round)*0x9e3779b97f4a7c15 + uint64(worker)
	switch worker % 5 {
	case 0:
		return deep(50+worker*40, seed)
	case 1:
		return spin(200000, seed)
	case 2:
		return talk(20, seed)
	case 3:
		return callBack(50, seed)
	default:
		garbage := make([][]byte, 64)
		for i := range garbage {
			garbage[i] = make([]byte, 1024+int(seed%512))
			seed = seed*31 + uint64(len(garbage[i]))
		}
		runtime.Gosched()
		return seed
	}
}

// A line of checksums for each of `count` rounds: always the same lines. New goroutines each round, so that stacks grow anew.
func storming(count int, hold time.Duration) func() figures {
	return func() figures {
		const workers = 40
		for round := 0; round < count; round++ {
			var sums [workers]uint64
			var group sync.WaitGroup
			for worker := range sums {
				group.Add(1)
				go func(worker int) {
					defer group.Done()
					sums[worker] = one(round, worker)
				}(worker)
			}
			group.Wait()
			total := fnv.New64a()
			fmt.Fprint(total, sums)
			fmt.Fprintf(os.Stdout, "round %d %016x\n", round, total.Sum64())
			if hold > 0 {
				time.Sleep(hold)
			}
		}
		return figures{}
	}
}
