// SPDX-License-Identifier: Apache-2.0

// Parks goroutines as it is told on stdin, line by line, and says what its runtime knows; then it sits still. The collector runs only
// when told to. Each command is answered by lines that end with "end". Ends with its stdin, or after some minutes.
//
//	park KIND N   N more goroutines that wait for good: see park.go
//	gc N          N cycles of the garbage collector
//	stop N        N stops of the world that are not the collector's
//	spin N        N goroutines that run 20 ms at the same time
//	churn N       N goroutines that begin and end, then N that stay
//	figures       what runtime/metrics says, bucket for bucket
//	trap ADDRESS  makes every access to that page wait for ever
//	exec PATH     becomes another program
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

func main() {
	debug.SetGCPercent(-1)
	time.AfterFunc(5*time.Minute, func() { os.Exit(0) })
	out := bufio.NewWriter(os.Stdout)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if err := obey(words, out); err != nil {
			fmt.Fprintf(out, "error %v\n", err)
		}
		fmt.Fprintln(out, "end")
		out.Flush()
	}
}

func obey(words []string, out *bufio.Writer) error {
	if len(words) == 1 && words[0] == "figures" {
		figures(out)
		return nil
	}
	if len(words) == 2 && words[0] == "exec" {
		return syscall.Exec(words[1], words[1:], os.Environ())
	}
	if len(words) == 2 && words[0] == "trap" {
		return trap(words[1])
	}
	count, err := strconv.Atoi(words[len(words)-1])
	if err != nil || count < 0 || count > 200000 {
		return fmt.Errorf("no number from 0 to 200000 in %q", words)
	}
	switch words[0] {
	case "park":
		return park(words[1], count)
	case "gc":
		for ; count > 0; count-- {
			runtime.GC()
		}
	case "stop":
		var stats runtime.MemStats
		for ; count > 0; count-- {
			runtime.ReadMemStats(&stats)
		}
	case "spin":
		spin(count)
	case "churn":
		churn(count)
	default:
		return fmt.Errorf("not a command: %q", words)
	}
	return nil
}

// "value NAME N" and, for each histogram, "histogram NAME" with lines "LOWER-EDGE-IN-NANOSECONDS COUNT" of what is not empty.
func figures(out *bufio.Writer) {
	wanted := map[string]bool{
		"/gc/cycles/total:gc-cycles": true, "/sched/latencies:seconds": true, "/gc/pauses:seconds": true,
		"/sched/pauses/stopping/gc:seconds": true, "/sched/pauses/stopping/other:seconds": true,
		"/sched/pauses/total/gc:seconds": true, "/sched/pauses/total/other:seconds": true,
	}
	var samples []metrics.Sample
	for _, known := range metrics.All() {
		if wanted[known.Name] {
			samples = append(samples, metrics.Sample{Name: known.Name})
		}
	}
	metrics.Read(samples)
	fmt.Fprintf(out, "version %s\nvalue goroutines %d\n", runtime.Version(), runtime.NumGoroutine())
	for _, sample := range samples {
		if sample.Value.Kind() == metrics.KindUint64 {
			fmt.Fprintf(out, "value %s %d\n", sample.Name, sample.Value.Uint64())
			continue
		}
		fmt.Fprintf(out, "histogram %s\n", sample.Name)
		histogram := sample.Value.Float64Histogram()
		for i, count := range histogram.Counts {
			if count > 0 {
				fmt.Fprintf(out, "%.0f %d\n", histogram.Buckets[i]*1e9, count)
			}
		}
	}
}
