// SPDX-License-Identifier: Apache-2.0
package main

import (
	"runtime"
	"runtime/metrics"
)

// What the runtime says of itself, without stopping the world. A metric that this version does not have is left out.
func figures() map[string]any {
	out := map[string]any{"go_version": runtime.Version(), "goroutines": runtime.NumGoroutine()}
	names := map[string]string{
		"/gc/cycles/total:gc-cycles":         "gc_cycles",
		"/memory/classes/heap/objects:bytes": "heap_objects_bytes",
		"/sched/latencies:seconds":           "sched_latencies",
		"/gc/pauses:seconds":                 "gc_pauses",
		"/sched/pauses/total/gc:seconds":     "pauses_gc",
		"/sched/pauses/total/other:seconds":  "pauses_other",
	}
	var samples []metrics.Sample
	for _, known := range metrics.All() {
		if names[known.Name] != "" {
			samples = append(samples, metrics.Sample{Name: known.Name})
		}
	}
	metrics.Read(samples)
	for _, sample := range samples {
		switch sample.Value.Kind() {
		case metrics.KindUint64:
			out[names[sample.Name]] = sample.Value.Uint64()
		case metrics.KindFloat64Histogram:
			total := uint64(0)
			for _, count := range sample.Value.Float64Histogram().Counts {
				total += count
			}
			out[names[sample.Name]] = total
		}
	}
	return out
}
