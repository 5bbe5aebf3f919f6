// SPDX-License-Identifier: Apache-2.0

// An HTTP server with the habits of a real one: it allocates, waits for locks, channels and timers, and keeps a cache. It serves
// loopback only and ends by itself: after -seconds, at SIGTERM, or when the pipe that is its stdin closes.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"syscall"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "where to serve; loopback only")
	seconds := flag.Float64("seconds", 600, "ends after this time, whatever happens")
	workers := flag.Int("workers", 8, "goroutines that do the work of all requests")
	idle := flag.Int("idle", 100, "goroutines that mostly sleep")
	flag.Parse()
	if err := run(*listen, time.Duration(*seconds*float64(time.Second)), *workers, *idle); err != nil {
		fmt.Fprintln(os.Stderr, "service:", err)
		os.Exit(1)
	}
}

func run(listen string, life time.Duration, workers, idle int) error {
	listener, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	if !listener.Addr().(*net.TCPAddr).IP.IsLoopback() {
		listener.Close()
		return fmt.Errorf("%s is not loopback", listen)
	}
	end, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	end, cancel := context.WithTimeout(end, life)
	defer cancel()
	go endWithStdin(cancel)

	shop := newShop(end, workers, idle)
	server := &http.Server{Handler: routes(shop), ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-end.Done()
		last, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if server.Shutdown(last) != nil {
			server.Close()
		}
	}()
	json.NewEncoder(os.Stdout).Encode(map[string]any{"address": listener.Addr().String(), "pid": os.Getpid(), "go_version": runtime.Version()})
	if err := server.Serve(listener); err != http.ErrServerClosed {
		return err
	}
	return nil
}

// A pipe closes when the process that holds its other end is gone. Anything else, such as /dev/null, says nothing.
func endWithStdin(cancel context.CancelFunc) {
	if info, err := os.Stdin.Stat(); err != nil || info.Mode()&os.ModeNamedPipe == 0 {
		return
	}
	io.Copy(io.Discard, os.Stdin)
	cancel()
}

func routes(shop *shop) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/order", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		text := shop.order(r.Context())
		w.Header().Set("Content-Length", strconv.Itoa(len(text)))
		w.Write(text)
	})
	mux.HandleFunc("/figures", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(figures())
	})
	return mux
}
