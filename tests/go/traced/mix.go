// SPDX-License-Identifier: Apache-2.0
package main

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Times from `least` to 16 times that, each octave as likely: medians are well inside of a wide distribution.
type dice struct {
	state uint64
	least time.Duration
}

func (d *dice) roll() time.Duration {
	d.state = d.state*6364136223846793005 + 1442695040888963407
	bits := d.state >> 40
	return d.least * time.Duration(64+bits>>8&63) / 64 << (bits & 3)
}

var garbage atomic.Value // of bytes: nobody reads it

// Each kind of work has times of its own, so that a mix-up of reasons shows in the medians too.
var kinds = []struct {
	least time.Duration
	work  func(seed dice, over func() bool)
}{
	{100 * time.Microsecond, receiving}, {500 * time.Microsecond, sending}, {1500 * time.Microsecond, selecting},
	{200 * time.Microsecond, locking}, {200 * time.Microsecond, readLocking}, {300 * time.Microsecond, gathering},
	{900 * time.Microsecond, signalling}, {600 * time.Microsecond, talking}, {300 * time.Microsecond, running},
}

// Workers of all kinds, for about so long.
func mix(workers int, length time.Duration) {
	var ended int32
	over := func() bool { return atomic.LoadInt32(&ended) != 0 }
	var all sync.WaitGroup
	for worker := 0; worker < workers; worker++ {
		for i := range kinds {
			all.Add(1)
			go func(worker, i int) {
				defer all.Done()
				kinds[i].work(dice{uint64(worker*97 + i), kinds[i].least}, over)
			}(worker, i)
		}
	}
	time.Sleep(length)
	atomic.StoreInt32(&ended, 1)
	all.Wait()
}

func receiving(seed dice, over func() bool) {
	items := make(chan int)
	go func() {
		for !over() {
			time.Sleep(seed.roll())
			items <- 1
		}
		close(items)
	}()
	for range items {
	}
}

func sending(seed dice, over func() bool) {
	items := make(chan int)
	go func() {
		for !over() {
			items <- 1
		}
		close(items)
	}()
	for range items {
		time.Sleep(seed.roll())
	}
}

func selecting(seed dice, over func() bool) {
	one, other, end := make(chan int), make(chan int), make(chan int)
	go func() {
		for i := 0; !over(); i++ {
			time.Sleep(seed.roll())
			if i%2 == 0 {
				one <- i
			} else {
				other <- i
			}
		}
		close(end)
	}()
	for {
		select {
		case <-one:
		case <-other:
		case <-end:
			return
		}
	}
}

func contend(over func() bool, others int, enter func(i int)) {
	var group sync.WaitGroup
	for i := 0; i < others; i++ {
		group.Add(1)
		go func(i int) {
			defer group.Done()
			for !over() {
				enter(i)
			}
		}(i)
	}
	group.Wait()
}

func locking(seed dice, over func() bool) {
	var mutex sync.Mutex
	contend(over, 3, func(int) {
		mutex.Lock()
		time.Sleep(seed.roll())
		mutex.Unlock()
	})
}

func readLocking(seed dice, over func() bool) {
	var mutex sync.RWMutex
	contend(over, 3, func(i int) {
		if i == 0 {
			mutex.Lock()
			time.Sleep(seed.roll())
			mutex.Unlock()
			return
		}
		mutex.RLock()
		time.Sleep(200 * time.Microsecond)
		mutex.RUnlock()
	})
}

func gathering(seed dice, over func() bool) {
	for !over() {
		var group sync.WaitGroup
		for i := 0; i < 4; i++ {
			group.Add(1)
			go func(hold time.Duration) {
				time.Sleep(hold)
				group.Done()
			}(seed.roll())
		}
		group.Wait()
	}
}

func signalling(seed dice, over func() bool) {
	var mutex sync.Mutex
	cond, tokens, through := sync.NewCond(&mutex), 0, false
	var group sync.WaitGroup
	group.Add(1)
	go func() {
		defer group.Done()
		mutex.Lock()
		for !through {
			for tokens == 0 && !through {
				cond.Wait()
			}
			tokens = 0
		}
		mutex.Unlock()
	}()
	for last := false; !last; {
		last = over()
		time.Sleep(seed.roll())
		mutex.Lock()
		tokens, through = 1, last
		cond.Signal()
		mutex.Unlock()
	}
	group.Wait()
}

func talking(seed dice, over func() bool) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fail(err)
	}
	defer listener.Close()
	go func() {
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			fail(err)
		}
		for !over() {
			time.Sleep(seed.roll())
			conn.Write([]byte("a request"))
		}
		conn.Close()
	}()
	conn, err := listener.Accept()
	if err != nil {
		fail(err)
	}
	defer conn.Close()
	for buffer := make([]byte, 512); ; {
		if _, err := conn.Read(buffer); err != nil {
			return
		}
	}
}

// Goroutines that compete for a thread, and leave garbage, so that the collector's take part.
func running(seed dice, over func() bool) {
	for !over() {
		var group sync.WaitGroup
		for i := 0; i < 4; i++ {
			group.Add(1)
			go func() {
				garbage.Store(make([]byte, 4096))
				runtime.Gosched()
				group.Done()
			}()
		}
		group.Wait()
		time.Sleep(seed.roll())
	}
}
