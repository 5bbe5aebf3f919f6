// SPDX-License-Identifier: Apache-2.0

// A small program for the readers of Go executables: it has the parts of the runtime that are looked for and little else. With an
// argument it runs until its input ends, collecting garbage for each line and answering with the number of cycles.
package main

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
)

var calls = 1

func waiter(c chan int) { <-c }

func main() {
	if len(os.Args) < 2 {
		fmt.Println("tiny", calls)
		return
	}
	c := make(chan int)
	for i := 0; i < 10; i++ {
		go waiter(c)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		fmt.Println(m.NumGC, runtime.NumGoroutine(), m.HeapAlloc)
	}
}
