// SPDX-License-Identifier: Apache-2.0
package main

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"
)

// Commands of bpf(2).
const (
	mapLookup = 1
	mapUpdate = 2
	objGet    = 7
	objInfo   = 15
)

func bpf(command uintptr, attributes []byte) (int, error) {
	number := map[string]uintptr{"amd64": 321, "arm64": 280}[runtime.GOARCH]
	fd, _, errno := syscall.Syscall(number, command, uintptr(unsafe.Pointer(&attributes[0])), uintptr(len(attributes)))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}

func pointer(to []byte) uint64 { return uint64(uintptr(unsafe.Pointer(&to[0]))) }

// The map that a pin names now, opened for one use: a hot update may put another one there at any time.
type opened struct {
	fd        int
	valueSize uint32
}

func open(pin string) (opened, error) {
	path := append([]byte(pin), 0)
	attributes := make([]byte, 16)
	binary.LittleEndian.PutUint64(attributes, pointer(path))
	fd, err := bpf(objGet, attributes)
	runtime.KeepAlive(path)
	if err != nil {
		return opened{}, fmt.Errorf("open %s: %w", pin, err)
	}
	info := make([]byte, 80)
	attributes = make([]byte, 16)
	binary.LittleEndian.PutUint32(attributes, uint32(fd))
	binary.LittleEndian.PutUint32(attributes[4:], uint32(len(info)))
	binary.LittleEndian.PutUint64(attributes[8:], pointer(info))
	_, err = bpf(objInfo, attributes)
	runtime.KeepAlive(info)
	if err != nil {
		syscall.Close(fd)
		return opened{}, err
	}
	return opened{fd, binary.LittleEndian.Uint32(info[12:])}, nil // struct bpf_map_info: type, id, key_size, value_size
}

func (m opened) element(command uintptr, key uint32, value []byte) error {
	k := make([]byte, 4)
	binary.LittleEndian.PutUint32(k, key)
	attributes := make([]byte, 32)
	binary.LittleEndian.PutUint32(attributes, uint32(m.fd))
	binary.LittleEndian.PutUint64(attributes[8:], pointer(k))
	binary.LittleEndian.PutUint64(attributes[16:], pointer(value))
	_, err := bpf(command, attributes)
	runtime.KeepAlive(k)
	runtime.KeepAlive(value)
	return err
}

func write(pin string, key, number uint32) error {
	m, err := open(pin)
	if err != nil {
		return err
	}
	defer syscall.Close(m.fd)
	value := make([]byte, m.valueSize)
	binary.LittleEndian.PutUint32(value, number)
	return m.element(mapUpdate, key, value)
}

// Whether the map holds what the copy holds.
func compare(pin string, copied *cache) error {
	m, err := open(pin)
	if err != nil {
		return err
	}
	defer syscall.Close(m.fd)
	copied.mutex.Lock()
	defer copied.mutex.Unlock()
	for key, number := range copied.entries {
		value := make([]byte, m.valueSize)
		if err := m.element(mapLookup, key, value); err != nil {
			return fmt.Errorf("key %d: %w", key, err)
		}
		if held := binary.LittleEndian.Uint32(value); held != number {
			return fmt.Errorf("key %d: the map has %d, the copy %d", key, held, number)
		}
	}
	return nil
}
