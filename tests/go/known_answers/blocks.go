// SPDX-License-Identifier: Apache-2.0
package main

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Starts `count` goroutines that each block once, lets them wait for `hold`, releases them, and waits for their end without
// blocking on anything but sleep.
func each(count int, hold time.Duration, block func(i int), release func()) figures {
	var left int64 = int64(count)
	for i := 0; i < count; i++ {
		go func(i int) {
			block(i)
			atomic.AddInt64(&left, -1)
		}(i)
	}
	nap(hold)
	release()
	for atomic.LoadInt64(&left) > 0 {
		nap(time.Millisecond)
	}
	return figures{"blocked": uint64(count), "created": uint64(count)}
}

func sleeping(count int, hold time.Duration) func() figures {
	return func() figures { return each(count, hold, func(int) { time.Sleep(hold) }, func() {}) }
}

func receiving(count int, hold time.Duration) func() figures {
	return func() figures {
		gate := make(chan int)
		return each(count, hold, func(int) { <-gate }, func() { close(gate) })
	}
}

func sending(count int, hold time.Duration) func() figures {
	return func() figures {
		gate := make(chan int)
		return each(count, hold, func(i int) { gate <- i }, func() {
			for i := 0; i < count; i++ {
				<-gate
			}
		})
	}
}

func selecting(count int, hold time.Duration) func() figures {
	return func() figures {
		gate, never := make(chan int), make(chan int)
		block := func(int) {
			select {
			case <-gate:
			case <-never:
			}
		}
		return each(count, hold, block, func() { close(gate) })
	}
}

func locking(count int, hold time.Duration) func() figures {
	return func() figures {
		var mutex sync.Mutex
		mutex.Lock()
		block := func(int) {
			mutex.Lock()
			mutex.Unlock()
		}
		return each(count, hold, block, mutex.Unlock)
	}
}

func readLocking(count int, hold time.Duration) func() figures {
	return func() figures {
		var mutex sync.RWMutex
		mutex.Lock()
		block := func(int) {
			mutex.RLock()
			mutex.RUnlock()
		}
		return each(count, hold, block, mutex.Unlock)
	}
}

func waiting(count int, hold time.Duration) func() figures {
	return func() figures {
		var group sync.WaitGroup
		group.Add(1)
		return each(count, hold, func(int) { group.Wait() }, group.Done)
	}
}

func conditions(count int, hold time.Duration) func() figures {
	return func() figures {
		var mutex sync.Mutex
		cond, open := sync.NewCond(&mutex), false
		block := func(int) {
			mutex.Lock()
			for !open {
				cond.Wait()
			}
			mutex.Unlock()
		}
		return each(count, hold, block, func() {
			mutex.Lock()
			open = true
			mutex.Unlock()
			cond.Broadcast()
		})
	}
}

// Each connection is read from twice: the first blocks until there is a byte, the second finds the other end closed.
func networking(count int, hold time.Duration) func() figures {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	ours, theirs := make([]net.Conn, count), make([]net.Conn, count)
	for i := range ours {
		if ours[i], err = net.Dial("tcp", listener.Addr().String()); err != nil {
			panic(err)
		}
		if theirs[i], err = listener.Accept(); err != nil {
			panic(err)
		}
	}
	return func() figures {
		var closed int64
		block := func(i int) {
			buffer := make([]byte, 1)
			if _, err := ours[i].Read(buffer); err != nil {
				panic(err)
			}
			for atomic.LoadInt64(&closed) == 0 {
				runtime.Gosched()
			}
			ours[i].Read(buffer)
		}
		answer := each(count, hold, block, func() {
			for _, conn := range theirs {
				if _, err := conn.Write([]byte{1}); err != nil {
					panic(err)
				}
				conn.Close()
			}
			atomic.StoreInt64(&closed, 1)
		})
		answer["reads"], answer["read_errors"], answer["writes"] = uint64(2*count), uint64(count), uint64(count)
		return answer
	}
}

func spawning(count int, hold time.Duration) func() figures {
	return func() figures { return each(count, hold, func(int) {}, func() {}) }
}

// Runnable and running again, without ever waiting.
func yielding(count int, hold time.Duration) func() figures {
	return func() figures {
		for i := 0; i < count; i++ {
			runtime.Gosched()
		}
		return figures{"yields": uint64(count)}
	}
}

func idling(int, time.Duration) func() figures {
	return func() figures { return figures{} }
}

// Goroutines come, wait and go, all the time: ten in each of `count` rounds.
func rounds(count int, hold time.Duration) func() figures {
	return func() figures {
		const workers = 10
		for round := 0; round < count; round++ {
			gate := make(chan int)
			for worker := 0; worker < workers; worker++ {
				go func() { <-gate }()
			}
			nap(hold)
			close(gate)
		}
		return figures{"created": uint64(count * workers)}
	}
}
