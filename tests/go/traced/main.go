// SPDX-License-Identifier: Apache-2.0

// Does a mixture of work under runtime/trace: traced TRACE WORKERS TIME.
//
// It says "ready". The first line that it is told starts the trace, the second the work, which takes about TIME, the third
// stops the trace; each time it says "done". Between them nothing of it runs, so that who looks from outside can look
// at the same stretch: "begin" and "end" in the trace.
package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/trace"
	"strconv"
	"time"
)

func fail(what interface{}) {
	fmt.Fprintln(os.Stderr, "traced:", what)
	os.Exit(1)
}

func mark(what string) { trace.Log(context.Background(), "mix", what) }

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: traced TRACE WORKERS TIME")
		os.Exit(2)
	}
	workers, err := strconv.Atoi(os.Args[2])
	length, err2 := time.ParseDuration(os.Args[3])
	if err != nil || err2 != nil {
		fail("no number, or no duration")
	}
	file, err := os.Create(os.Args[1])
	if err != nil {
		fail(err)
	}
	lines := bufio.NewReader(os.Stdin)
	steps := []func(){
		func() {
			if err := trace.Start(file); err != nil {
				fail(err)
			}
		},
		func() {
			before := runtime.NumGoroutine()
			mark("begin")
			mix(workers, length)
			// Who said that it is through may still have to end.
			for runtime.NumGoroutine() > before {
				time.Sleep(time.Millisecond)
			}
			mark("end")
		},
		func() {
			trace.Stop()
			file.Close()
		},
	}
	os.Stdout.WriteString("ready\n")
	for _, step := range steps {
		if _, err := lines.ReadString('\n'); err != nil {
			return
		}
		step()
		os.Stdout.WriteString("done\n")
	}
	lines.ReadString('\n')
}
