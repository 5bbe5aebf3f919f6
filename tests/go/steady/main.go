// SPDX-License-Identifier: Apache-2.0

// Computes the same text every time, by all means that a runtime has: goroutines, stacks that grow, garbage collections, locks,
// channels, timers, sockets, signals, and calls from C where it was built with cgo. Whoever traces it must not change a byte.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/signal"
	"runtime"
	"sync"
	"syscall"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 20, "how many lines to print")
	seconds := flag.Float64("seconds", 120, "fails after this time")
	wait := flag.Bool("wait", false, "begins when a line comes from stdin")
	linger := flag.Bool("linger", false, "ends with stdin")
	flag.Parse()
	time.AfterFunc(time.Duration(*seconds*float64(time.Second)), func() {
		fmt.Fprintln(os.Stderr, "steady: out of time")
		os.Exit(1)
	})
	stdin := bufio.NewReader(os.Stdin)
	if *wait {
		stdin.ReadString('\n')
	}
	state := uint64(1)
	for round := 0; round < *rounds; round++ {
		parts := make([]uint64, len(tasks))
		var all sync.WaitGroup
		for i, task := range tasks {
			all.Add(1)
			go func(i int, task func(uint64) uint64) {
				defer all.Done()
				parts[i] = task(state + uint64(i))
			}(i, task)
		}
		all.Wait()
		state = mix(append(parts, state)...)
		fmt.Printf("%d %016x %016x\n", round, parts, state)
	}
	if *linger {
		io.Copy(io.Discard, stdin)
	}
}

var tasks = []func(uint64) uint64{crowd, grow, collect, pipeline, timers, echo, signals, callbacks}

func mix(values ...uint64) uint64 {
	hash := fnv.New64a()
	fmt.Fprint(hash, values)
	return hash.Sum64()
}

// Many goroutines that meet at one lock.
func crowd(seed uint64) uint64 {
	var lock sync.Mutex
	var all sync.WaitGroup
	sum := uint64(0)
	for i := uint64(0); i < 500; i++ {
		all.Add(1)
		go func(i uint64) {
			defer all.Done()
			value := mix(seed, i)
			lock.Lock()
			sum += value
			lock.Unlock()
			runtime.Gosched()
		}(i)
	}
	all.Wait()
	return sum
}

//go:noinline
func deep(level int, seed uint64) uint64 {
	var frame [128]uint64
	frame[level%128] = seed
	if level == 0 {
		return seed
	}
	return deep(level-1, seed*6364136223846793005+frame[(level+1)%128]+1) ^ frame[level%128]
}

// Stacks that are copied to larger ones, again and again, with frames that hold values.
func grow(seed uint64) uint64 {
	results := make(chan uint64)
	for i := uint64(0); i < 40; i++ {
		go func(i uint64) { results <- deep(int(100+i*20), seed+i) }(i)
	}
	sum := uint64(0)
	for i := 0; i < 40; i++ {
		sum += <-results
	}
	return sum
}

type node struct {
	left, right *node
	value       uint64
}

func tree(depth int, seed uint64) *node {
	if depth == 0 {
		return &node{value: seed}
	}
	return &node{tree(depth-1, seed*2+1), tree(depth-1, seed*3+1), seed}
}

func (n *node) sum() uint64 {
	if n == nil {
		return 0
	}
	return n.left.sum()*31 + n.right.sum()*17 + n.value
}

// Garbage, and the collector in between.
func collect(seed uint64) uint64 {
	sum := uint64(0)
	for i := uint64(0); i < 4; i++ {
		kept := tree(12, seed+i)
		runtime.GC()
		sum += kept.sum()
	}
	return sum
}

func pipeline(seed uint64) uint64 {
	first := make(chan uint64)
	last := first
	for i := 0; i < 20; i++ {
		next := make(chan uint64, i%3)
		go func(in, out chan uint64) {
			defer close(out)
			for value := range in {
				out <- value*2654435761 + 1
			}
		}(last, next)
		last = next
	}
	go func() {
		defer close(first)
		for i := uint64(0); i < 200; i++ {
			first <- seed + i
		}
	}()
	sum := uint64(0)
	for value := range last {
		sum = sum*31 + value
	}
	return sum
}

func timers(seed uint64) uint64 {
	var all sync.WaitGroup
	for i := 0; i < 50; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			select {
			case <-time.After(time.Duration(i%5) * time.Millisecond):
			case <-make(chan int):
			}
		}(i)
	}
	all.Wait()
	return mix(seed)
}

// Signals to itself, one at a time, so that none is merged with another.
func signals(seed uint64) uint64 {
	arrived := make(chan os.Signal, 1)
	signal.Notify(arrived, syscall.SIGUSR1)
	defer signal.Stop(arrived)
	count := uint64(0)
	for i := 0; i < 50; i++ {
		syscall.Kill(os.Getpid(), syscall.SIGUSR1)
		<-arrived
		count++
	}
	return mix(seed, count)
}
