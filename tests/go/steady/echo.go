// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"io"
	"net"
	"os"
)

// Bytes to itself and back, through a socket on loopback.
func echo(seed uint64) uint64 {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	defer listener.Close()
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer connection.Close()
				io.Copy(connection, connection)
			}()
		}
	}()
	sum := uint64(0)
	for i := uint64(0); i < 5; i++ {
		connection, err := net.Dial("tcp", listener.Addr().String())
		fail(err)
		for j := uint64(0); j < 20; j++ {
			said, heard := fmt.Sprintf("%020d", mix(seed, i, j)), make([]byte, 20)
			_, err = connection.Write([]byte(said))
			fail(err)
			_, err = io.ReadFull(connection, heard)
			fail(err)
			sum = sum*31 + mix(uint64(heard[19]), uint64(heard[3]))
		}
		connection.Close()
	}
	return sum
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "steady:", err)
		os.Exit(1)
	}
}
