// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"sync"
	"time"
)

var (
	never   = make(chan int)
	never2  = make(chan int)
	held    sync.Mutex
	heldRW  sync.RWMutex
	waited  sync.WaitGroup
	lock    sync.Mutex
	cond    = sync.NewCond(&lock)
	ignored int
)

func init() {
	held.Lock()
	heldRW.Lock()
	waited.Add(1)
}

func receiver() { ignored = <-never }
func sender()   { never2 <- 1 }
func sleeper()  { time.Sleep(time.Hour) }
func locker()   { held.Lock() }
func reader()   { heldRW.RLock() }
func waiter()   { waited.Wait() }
func emptier()  { select {} }
func nilReceiver() {
	var none chan int
	<-none
}
func selector() {
	select {
	case ignored = <-never:
	case never2 <- 1:
	}
}
func conditioner() {
	lock.Lock()
	cond.Wait()
}

func park(kind string, count int) error {
	functions := map[string]func(){
		"receive": receiver, "send": sender, "sleep": sleeper, "mutex": locker, "rwmutex": reader, "waitgroup": waiter,
		"empty": emptier, "nil": nilReceiver, "select": selector, "cond": conditioner,
	}
	f := functions[kind]
	if f == nil {
		return fmt.Errorf("not a kind: %q", kind)
	}
	for i := 0; i < count; i++ {
		go f()
	}
	return nil
}

func spin(count int) {
	var done sync.WaitGroup
	for i := 0; i < count; i++ {
		done.Add(1)
		go func() {
			defer done.Done()
			for began := time.Now(); time.Since(began) < 20*time.Millisecond; {
				ignored++
			}
		}()
	}
	done.Wait()
}

func churn(count int) {
	var done sync.WaitGroup
	done.Add(count)
	for i := 0; i < count; i++ {
		go done.Done()
	}
	done.Wait()
	park("receive", count)
}
