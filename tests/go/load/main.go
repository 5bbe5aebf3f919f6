// SPDX-License-Identifier: Apache-2.0

// Asks an HTTP server on loopback for a bounded time and a bounded number of requests, each connection one request at a time, and
// prints as JSON how many were answered, and how soon. The client is as small as HTTP allows, so that the server is what is measured.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"sort"
	"sync"
	"syscall"
	"time"
)

const mostSamples = 1 << 20 // latencies kept, by all connections together

type options struct {
	address, path string
	seconds       float64
	requests      int64
	connections   int
	rate          float64
}

type report struct {
	Requests    int64              `json:"requests"`
	Errors      int64              `json:"errors"`
	Error       string             `json:"error"`
	Seconds     float64            `json:"seconds"`
	PerSecond   float64            `json:"requests_per_second"`
	Latency     map[string]float64 `json:"latency_seconds"`
	Connections int                `json:"connections"`
}

func main() {
	var o options
	flag.StringVar(&o.address, "address", "", "HOST:PORT on loopback")
	flag.StringVar(&o.path, "path", "/order", "what to ask for")
	flag.Float64Var(&o.seconds, "seconds", 5, "at most this long, and never above 3600")
	flag.Int64Var(&o.requests, "requests", 1<<40, "at most so many")
	flag.IntVar(&o.connections, "connections", 8, "connections, at most 1024")
	flag.Float64Var(&o.rate, "rate", 0, "requests a second by all connections; 0: as many as are answered")
	flag.Parse()
	result, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(result)
}

func run(o options) (*report, error) {
	address, err := net.ResolveTCPAddr("tcp", o.address)
	if err != nil {
		return nil, err
	}
	if !address.IP.IsLoopback() {
		return nil, fmt.Errorf("%s is not loopback", o.address)
	}
	if o.connections < 1 || o.connections > 1024 || o.seconds <= 0 || o.seconds > 3600 {
		return nil, fmt.Errorf("connections must be 1 to 1024, seconds at most 3600")
	}
	stop := make(chan struct{})
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	go func() {
		select {
		case <-signals:
		case <-time.After(time.Duration(o.seconds * float64(time.Second))):
		}
		close(stop)
	}()

	began := time.Now()
	clients := make([]*client, o.connections)
	var all sync.WaitGroup
	for i := range clients {
		clients[i] = newClient(address, o, stop)
		all.Add(1)
		go func(c *client) {
			defer all.Done()
			c.run(began)
		}(clients[i])
	}
	all.Wait()
	return summarise(clients, time.Since(began).Seconds()), nil
}

func summarise(clients []*client, seconds float64) *report {
	out := &report{Seconds: seconds, Connections: len(clients), Latency: map[string]float64{}}
	var latencies []float64
	for _, c := range clients {
		out.Requests += c.done
		out.Errors += c.failed
		if c.err != nil {
			out.Error = c.err.Error()
		}
		latencies = append(latencies, c.latencies...)
	}
	out.PerSecond = float64(out.Requests) / seconds
	sort.Float64s(latencies)
	if n := len(latencies); n > 0 {
		for name, share := range map[string]float64{"p50": 0.5, "p90": 0.9, "p99": 0.99, "p999": 0.999, "max": 1} {
			out.Latency[name] = latencies[int(share*float64(n-1))]
		}
	}
	return out
}
