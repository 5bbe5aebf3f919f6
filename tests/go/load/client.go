// SPDX-License-Identifier: Apache-2.0
package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

const (
	mostBody  = 1 << 20
	tries     = 3 // failed connections in a row, then it gives up
	patience  = 5 * time.Second
	statusOK  = "HTTP/1.1 200"
	lengthKey = "Content-Length: "
)

// One connection that asks, waits for the answer, and asks again.
type client struct {
	address   *net.TCPAddr
	request   []byte
	limit     int64
	interval  time.Duration // between its requests; 0: none
	sampled   int
	stop      <-chan struct{}
	done      int64
	failed    int64
	err       error
	latencies []float64
}

func newClient(address *net.TCPAddr, o options, stop <-chan struct{}) *client {
	c := &client{address: address, stop: stop, limit: o.requests / int64(o.connections), sampled: mostSamples / o.connections}
	c.request = []byte("GET " + o.path + " HTTP/1.1\r\nHost: " + o.address + "\r\n\r\n")
	if o.rate > 0 {
		c.interval = time.Duration(float64(o.connections) / o.rate * float64(time.Second))
	}
	return c
}

func (c *client) run(began time.Time) {
	for failures := 0; failures < tries && !c.stopped(); {
		before := c.done
		if c.err = c.talk(began); c.err == nil {
			return
		}
		c.failed++
		failures++
		if c.done > before {
			failures = 1
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (c *client) stopped() bool {
	select {
	case <-c.stop:
		return true
	default:
		return c.done >= c.limit
	}
}

func (c *client) talk(began time.Time) error {
	connection, err := net.DialTCP("tcp", nil, c.address)
	if err != nil {
		return err
	}
	defer connection.Close()
	reader := bufio.NewReaderSize(connection, 16<<10)
	for !c.stopped() {
		if c.interval > 0 {
			time.Sleep(time.Until(began.Add(time.Duration(c.done) * c.interval)))
		}
		asked := time.Now()
		connection.SetDeadline(asked.Add(patience))
		if _, err := connection.Write(c.request); err != nil {
			return err
		}
		if err := readAnswer(reader); err != nil {
			return err
		}
		if len(c.latencies) < c.sampled {
			c.latencies = append(c.latencies, time.Since(asked).Seconds())
		}
		c.done++
	}
	return nil
}

func readAnswer(reader *bufio.Reader) error {
	line, err := reader.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte(statusOK)) {
		return fmt.Errorf("the server answered %.40q", line)
	}
	length := -1
	for {
		if line, err = reader.ReadSlice('\n'); err != nil {
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if bytes.HasPrefix(line, []byte(lengthKey)) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[len(lengthKey):]))); err != nil {
				return err
			}
		}
	}
	if length < 0 || length > mostBody {
		return fmt.Errorf("the server gave no usable Content-Length")
	}
	_, err = io.CopyN(io.Discard, reader, int64(length))
	return err
}
