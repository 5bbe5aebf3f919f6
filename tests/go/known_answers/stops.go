// SPDX-License-Identifier: Apache-2.0
package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// What the runtime itself says: how many pauses of each kind there were, and how long they took at most.
func pauseFigures(answer figures, sign uint64) {
	samples := []metrics.Sample{{Name: "/sched/pauses/total/gc:seconds"}, {Name: "/sched/pauses/total/other:seconds"},
		{Name: "/gc/pauses:seconds"}, {Name: "/gc/cycles/total:gc-cycles"}}
	names := []string{"gc_pauses", "other_pauses", "old_gc_pauses", "cycles"}
	metrics.Read(samples)
	for i, sample := range samples {
		switch sample.Value.Kind() {
		case metrics.KindUint64:
			answer[names[i]] += sign * sample.Value.Uint64()
		case metrics.KindFloat64Histogram:
			for _, count := range sample.Value.Float64Histogram().Counts {
				answer[names[i]] += sign * count
			}
		}
	}
}

// Stops the world `count` times to read figures, and collects garbage every 8th time.
func stopping(count int, hold time.Duration) func() figures {
	debug.SetGCPercent(-1)
	return func() figures {
		answer := figures{}
		pauseFigures(answer, math.MaxUint64)
		var stats runtime.MemStats
		for i := 0; i < count; i++ {
			runtime.ReadMemStats(&stats)
			if i%8 == 0 {
				runtime.GC()
			}
		}
		nap(hold)
		pauseFigures(answer, 1)
		answer["reads"] = uint64(count)
		answer["collections"] = uint64((count + 7) / 8)
		return answer
	}
}
