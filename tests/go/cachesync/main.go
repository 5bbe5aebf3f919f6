// SPDX-License-Identifier: Apache-2.0

// Keeps a copy of a map in step by the agent's change stream, while it writes that map itself through its pin, and measures how
// long each write took to reach the copy. Exit status 1 when one took longer than the bound.
//
//	cachesync -agent 127.0.0.1:9848 -token /run/mapshift/token -module guard -map policy -pin /sys/fs/bpf/mapshift/guard/maps/policy
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"
)

func main() {
	var where source
	var tokenFile string
	flag.StringVar(&where.agent, "agent", "127.0.0.1:9848", "address of the agent's API")
	flag.StringVar(&tokenFile, "token", "/run/mapshift/token", "file with the API's token")
	flag.StringVar(&where.module, "module", "", "the module")
	flag.StringVar(&where.name, "map", "", "the map: 4-byte keys, values that begin with a 4-byte number; its values are allowed to leave")
	pin := flag.String("pin", "", "the pin of the active generation's map")
	bound := flag.Duration("bound", time.Second, "how old the copy may be at most")
	duration := flag.Duration("for", 5*time.Second, "how long to write")
	pause := flag.Duration("pause", time.Millisecond, "between two writes")
	keys := flag.Uint("keys", 64, "keys that are written in turn")
	flag.Parse()
	token, err := os.ReadFile(tokenFile)
	if err != nil {
		fail(err)
	}
	where.token = string(token)

	copied := newCache(*bound)
	if err := where.read(copied); err != nil {
		fail(err)
	}
	stop := make(chan struct{})
	go where.follow(copied, stop)
	fmt.Fprintln(os.Stderr, "writing")
	for number, until := uint32(1), time.Now().Add(*duration); time.Now().Before(until); number++ {
		key := number % uint32(*keys)
		copied.wrote(key, number) // before: a write that is seen early is not late
		if err := write(*pin, key, number); err != nil {
			fail(err)
		}
		time.Sleep(*pause)
	}
	for until := time.Now().Add(2 * *bound); copied.behind() > 0 && time.Now().Before(until); {
		time.Sleep(10 * time.Millisecond)
	}
	close(stop)
	report := copied.report()
	if err := compare(*pin, copied); err != nil {
		report.Differs = err.Error()
	}
	if err := json.NewEncoder(os.Stdout).Encode(report); err != nil {
		fail(err)
	}
	if report.Late > 0 || report.Differs != "" {
		os.Exit(1)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "cachesync:", err)
	os.Exit(1)
}
