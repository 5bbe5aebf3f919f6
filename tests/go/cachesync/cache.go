// SPDX-License-Identifier: Apache-2.0
package main

import (
	"sync"
	"time"
)

type pending struct {
	number uint32
	at     time.Time
}

// A copy of the map, and what was written to the map and is not in the copy yet.
type cache struct {
	mutex    sync.Mutex
	bound    time.Duration
	version  uint64
	entries  map[uint32]uint32
	waiting  map[uint32][]pending
	measured report
}

type report struct {
	Writes     int     `json:"writes"`
	Changes    int     `json:"changes"`
	Resyncs    int     `json:"resyncs"`
	Reconnects int     `json:"reconnects"`
	Late       int     `json:"late"` // writes that took longer than the bound
	WorstMs    float64 `json:"worst_ms"`
	BoundMs    float64 `json:"bound_ms"`
	Differs    string  `json:"differs,omitempty"`
}

func newCache(bound time.Duration) *cache {
	return &cache{bound: bound, entries: map[uint32]uint32{}, waiting: map[uint32][]pending{}}
}

func (c *cache) wrote(key, number uint32) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.measured.Writes++
	c.waiting[key] = append(c.waiting[key], pending{number, time.Now()})
}

// What the copy holds now for a key: later writes supersede earlier ones, which nobody has to see.
func (c *cache) put(key, number uint32) {
	c.entries[key] = number
	now := time.Now()
	rest := c.waiting[key]
	for len(rest) > 0 && rest[0].number <= number {
		c.measure(now.Sub(rest[0].at))
		rest = rest[1:]
	}
	c.waiting[key] = rest
}

func (c *cache) measure(age time.Duration) {
	if age > c.bound {
		c.measured.Late++
	}
	if ms := age.Seconds() * 1000; ms > c.measured.WorstMs {
		c.measured.WorstMs = ms
	}
}

// All of the map, as of `version` or a little later.
func (c *cache) replace(version uint64, entries map[uint32]uint32) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.version = version
	c.entries = map[uint32]uint32{}
	for key, number := range entries {
		c.put(key, number)
	}
}

func (c *cache) apply(version uint64, op string, key, number uint32) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if version <= c.version {
		return
	}
	c.version = version
	c.measured.Changes++
	if op == "delete" {
		delete(c.entries, key)
		return
	}
	c.put(key, number)
}

func (c *cache) count(counter *int) {
	c.mutex.Lock()
	*counter++
	c.mutex.Unlock()
}

func (c *cache) at() uint64 {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.version
}

func (c *cache) behind() int {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	n := 0
	for _, rest := range c.waiting {
		n += len(rest)
	}
	return n
}

func (c *cache) report() report {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	for _, rest := range c.waiting { // never came
		for _, one := range rest {
			c.measure(time.Since(one.at))
		}
	}
	out := c.measured
	out.BoundMs = c.bound.Seconds() * 1000
	return out
}
