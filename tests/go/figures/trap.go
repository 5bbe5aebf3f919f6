// SPDX-License-Identifier: Apache-2.0
package main

import (
	"fmt"
	"strconv"
	"syscall"
	"unsafe"
)

// Makes every access to the page of ADDRESS wait for ever, reads from outside too: its contents are to come from a userfaultfd that
// nobody serves. The runtime itself stops as soon as it needs the page.
func trap(address string) error {
	where, err := strconv.ParseUint(address, 0, 64)
	if err != nil {
		return err
	}
	const userfaultfd, api, register, missing, dontneed, page = 323, 0xc018aa3f, 0xc020aa00, 1, 4, 4096
	fd, _, failed := syscall.RawSyscall(userfaultfd, syscall.O_CLOEXEC, 0, 0)
	if failed != 0 {
		return fmt.Errorf("userfaultfd: %v", failed)
	}
	hello := [3]uint64{0xaa}
	if _, _, failed := syscall.RawSyscall(syscall.SYS_IOCTL, fd, api, uintptr(unsafe.Pointer(&hello))); failed != 0 {
		return fmt.Errorf("UFFDIO_API: %v", failed)
	}
	region := [4]uint64{where &^ (page - 1), page, missing, 0}
	if _, _, failed := syscall.RawSyscall(syscall.SYS_IOCTL, fd, register, uintptr(unsafe.Pointer(&region))); failed != 0 {
		return fmt.Errorf("UFFDIO_REGISTER: %v", failed)
	}
	_, _, _ = syscall.RawSyscall(syscall.SYS_MADVISE, uintptr(region[0]), page, dontneed)
	return nil
}
