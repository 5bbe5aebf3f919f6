// SPDX-License-Identifier: Apache-2.0

// Does a thing exactly so many times, and says how often: known_answers MODE COUNT HOLD.
//
// It says "ready", does the work when it is told "go", says "done" with what it knows of it, and ends when its input does.
package main

import (
	"bufio"
	"fmt"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"
)

type figures map[string]uint64

// Prepares what is not to be counted, and returns the work.
var modes = map[string]func(count int, hold time.Duration) func() figures{
	"sleep": sleeping, "receive": receiving, "send": sending, "select": selecting, "mutex": locking, "rwmutex": readLocking,
	"waitgroup": waiting, "cond": conditions, "network": networking, "stop": stopping, "spawn": spawning, "yield": yielding,
	"storm": storming, "idle": idling, "rounds": rounds,
}

var naps uint64 // of the main goroutine

func nap(hold time.Duration) {
	naps++
	time.Sleep(hold)
}

func say(text string, answer figures) {
	names := []string{}
	for name := range answer {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		text += fmt.Sprintf(" %s=%d", name, answer[name])
	}
	os.Stdout.Write([]byte(text + "\n"))
}

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: known_answers MODE COUNT HOLD")
		os.Exit(2)
	}
	prepare := modes[os.Args[1]]
	count, err := strconv.Atoi(os.Args[2])
	hold, err2 := time.ParseDuration(os.Args[3])
	if prepare == nil || err != nil || err2 != nil {
		fmt.Fprintln(os.Stderr, "known_answers: no such mode, or no number, or no duration:", strings.Join(os.Args[1:], " "))
		os.Exit(2)
	}
	work := prepare(count, hold)
	input := bufio.NewReader(os.Stdin)
	say("ready", nil)
	for {
		if _, err := input.ReadString('\n'); err != nil {
			return
		}
		naps = 0
		answer := work()
		answer["naps"] = naps
		say("done", answer)
	}
}
