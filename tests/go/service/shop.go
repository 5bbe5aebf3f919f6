// SPDX-License-Identifier: Apache-2.0
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	customers  = 4096
	kept       = 512 // answers in the cache
	articles   = 50000
	restEvery  = 64 // every so many orders wait for something slow
	restLength = time.Millisecond
)

type item struct {
	Name     string   `json:"name"`
	Price    int      `json:"price"`
	Tags     []string `json:"tags"`
	Quantity int      `json:"quantity"`
}

type answer struct {
	Number   uint64 `json:"number"`
	Customer string `json:"customer"`
	Items    []item `json:"items"`
	Total    int    `json:"total"`
}

type job struct {
	number uint64
	done   chan []byte
}

// Orders go through a channel to workers, which share accounts and a cache behind locks.
type shop struct {
	catalogue []*item
	numbers   atomic.Uint64
	jobs      chan job
	accounts  struct {
		sync.Mutex
		owed map[string]int
	}
	cache struct {
		sync.RWMutex
		answers map[uint64][]byte
	}
}

func newShop(end context.Context, workers, idle int) *shop {
	s := &shop{jobs: make(chan job, 64)}
	s.accounts.owed = map[string]int{}
	s.cache.answers = map[uint64][]byte{}
	for i := 0; i < articles; i++ {
		s.catalogue = append(s.catalogue, &item{fmt.Sprintf("item-%05d", i), i%997 + 1, []string{"new", "blue", fmt.Sprint(i % 7)}, i%3 + 1})
	}
	for i := 0; i < workers; i++ {
		go s.work(end)
	}
	for i := 0; i < idle; i++ {
		go heartbeat(end)
	}
	return s
}

func (s *shop) order(request context.Context) []byte {
	todo := job{s.numbers.Add(1), make(chan []byte, 1)}
	select {
	case s.jobs <- todo:
	case <-request.Done():
		return nil
	}
	select {
	case text := <-todo.done:
		return text
	case <-request.Done():
		return nil
	}
}

func (s *shop) work(end context.Context) {
	for {
		select {
		case todo := <-s.jobs:
			if todo.number%restEvery == 0 {
				time.Sleep(restLength)
			}
			todo.done <- s.serve(todo.number)
		case <-end.Done():
			return
		}
	}
}

func (s *shop) serve(number uint64) []byte {
	customer := number * 2654435761 % customers
	s.cache.RLock()
	text := s.cache.answers[customer%kept]
	s.cache.RUnlock()
	if text != nil && number%4 != 0 {
		return text
	}
	order := answer{Number: number, Customer: fmt.Sprintf("customer-%04d", customer)}
	for i := 0; i < 12; i++ {
		article := s.catalogue[number*uint64(i+1)%articles]
		order.Items = append(order.Items, *article)
		order.Total += article.Price * article.Quantity
	}
	s.accounts.Lock()
	s.accounts.owed[order.Customer] += order.Total
	s.accounts.Unlock()
	text, _ = json.Marshal(order)
	s.cache.Lock()
	s.cache.answers[customer%kept] = text
	s.cache.Unlock()
	return text
}

func heartbeat(end context.Context) {
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
		case <-end.Done():
			return
		}
	}
}
