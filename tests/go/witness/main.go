// SPDX-License-Identifier: Apache-2.0

// Does what it is told on stdin, line by line, and says of itself what its runtime knows; the collector runs only when told to.
// Each command is answered by one JSON object. Ends with its stdin, or after -seconds.
//
//	figures   what runtime/metrics says
//	gc N      N cycles of the garbage collector
//	stop N    N stops of the world that are not the collector's
//	park N    N more goroutines that wait to receive from a channel, for good
//	churn N   N goroutines that begin and end
//	exec PATH becomes another program
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const most = 200000 // of whatever a command asks for

func main() {
	seconds := flag.Float64("seconds", 300, "ends after this time, whatever happens")
	flag.Parse()
	debug.SetGCPercent(-1)
	time.AfterFunc(time.Duration(*seconds*float64(time.Second)), func() { os.Exit(0) })
	answers := json.NewEncoder(os.Stdout)
	answers.Encode(figures())
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		if err := obey(words); err != nil {
			answers.Encode(map[string]any{"error": err.Error()})
			continue
		}
		answers.Encode(figures())
	}
}

func obey(words []string) error {
	if len(words) == 1 && words[0] == "figures" {
		return nil
	}
	if len(words) != 2 {
		return fmt.Errorf("not a command: %q", words)
	}
	if words[0] == "exec" {
		return syscall.Exec(words[1], words[1:], os.Environ())
	}
	count, err := strconv.Atoi(words[1])
	if err != nil || count < 0 || count > most {
		return fmt.Errorf("not a number from 0 to %d: %s", most, words[1])
	}
	switch words[0] {
	case "gc":
		for i := 0; i < count; i++ {
			runtime.GC()
		}
	case "stop":
		var stats runtime.MemStats
		for i := 0; i < count; i++ {
			runtime.ReadMemStats(&stats)
		}
	case "park":
		park(count)
	case "churn":
		churn(count)
	default:
		return fmt.Errorf("not a command: %s", words[0])
	}
	return nil
}

var (
	never = make(chan struct{})
	begun sync.WaitGroup
)

// Without arguments, or the goroutine would start in a function that the compiler made to pass them.
func waitForGood() {
	begun.Done()
	<-never
}

func park(count int) {
	begun.Add(count)
	for i := 0; i < count; i++ {
		go waitForGood()
	}
	begun.Wait()
	time.Sleep(10 * time.Millisecond) // the last ones are between Done and the channel
}

func churn(count int) {
	var all sync.WaitGroup
	all.Add(count)
	for i := 0; i < count; i++ {
		go all.Done()
	}
	all.Wait()
}
