# SPDX-License-Identifier: Apache-2.0
"""The few calls of bpf(2) that the tests need: maps by pin, and everything that the kernel holds, by id."""

import ctypes
import errno
import os
import pathlib
import platform
import struct
import time

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYSCALL = {"x86_64": 321, "aarch64": 280}[platform.machine()]
_CREATE, _LOOKUP, _UPDATE, _DELETE, _NEXT_KEY, _GET, _PROG_NEXT, _MAP_NEXT, _PROG_FD, _MAP_FD, _INFO, _TAKE, _UPDATE_BATCH, _LINK_UPDATE = 0, 1, 2, 3, 4, 7, 11, 12, 13, 14, 15, 21, 26, 29


def _bpf(command, attributes):
    attributes = ctypes.create_string_buffer(attributes.ljust(160, b"\0"), 160)
    result = _LIBC.syscall(_SYSCALL, command, attributes, 160)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result, attributes.raw


def _address(buffer):
    return ctypes.addressof(buffer)


def probe():
    """Makes an array of one element; OSError when this process may not use BPF."""
    fd, _ = _bpf(_CREATE, struct.pack("=IIIII", 2, 4, 4, 1, 0))
    os.close(fd)


def open_pin(path):
    """A descriptor of what is pinned there."""
    name = ctypes.create_string_buffer(os.fsencode(str(path)))
    return _bpf(_GET, struct.pack("=QII", _address(name), 0, 0))[0]


class Map:
    """A map opened by its pin, or by a descriptor that it takes over. Keys and values are bytes; closed when it goes out of scope."""

    def __init__(self, path=None, fd=None):
        self.fd = open_pin(path) if fd is None else fd
        info = _info(self.fd)
        self.type, self.id, self.key_size, self.value_size, self.max_entries = struct.unpack_from("=5I", info)
        per_cpu = self.type in (5, 6, 10)  # BPF_MAP_TYPE_PERCPU_HASH, _PERCPU_ARRAY, _LRU_PERCPU_HASH
        self.read_size = -(-self.value_size // 8) * 8 * os.cpu_count() if per_cpu else self.value_size

    @classmethod
    def create(cls, kind, key_size, value_size, entries):
        return cls(fd=_bpf(_CREATE, struct.pack("=IIIII", kind, key_size, value_size, entries, 0))[0])

    @classmethod
    def by_id(cls, number):
        return cls(fd=_bpf(_MAP_FD, struct.pack("=III", number, 0, 0))[0])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        os.close(self.fd)

    def lookup(self, key):
        """The value, of a per-CPU map all slots together; None when the key is not there."""
        return self._read(_LOOKUP, key)

    def take(self, key):
        """The same, and the key is gone."""
        return self._read(_TAKE, key)

    def _read(self, command, key):
        key, value = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(self.read_size)
        try:
            _bpf(command, struct.pack("=IIQQQ", self.fd, 0, _address(key), _address(value), 0))
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return value.raw

    def keys(self):
        """The keys, as far as they can be had while others write: a walk whose cursor is deleted begins anew, so it is bounded."""
        out, after = [], 0
        key = ctypes.create_string_buffer(self.key_size)
        for _ in range(2 * self.max_entries):
            try:
                _bpf(_NEXT_KEY, struct.pack("=IIQQ", self.fd, 0, after, _address(key)))
            except OSError as error:
                if error.errno == errno.ENOENT:
                    break
                raise
            out.append(key.raw)
            after = _address(key)
        return out

    def update(self, key, value):
        key, value = ctypes.create_string_buffer(key, len(key)), ctypes.create_string_buffer(value, len(value))
        _bpf(_UPDATE, struct.pack("=IIQQQ", self.fd, 0, _address(key), _address(value), 0))

    def delete(self, key):
        key = ctypes.create_string_buffer(key, len(key))
        _bpf(_DELETE, struct.pack("=IIQ", self.fd, 0, _address(key)))

    def fill(self, keys, values, count):
        """`count` keys and values, each side one string of bytes."""
        keys, values = ctypes.create_string_buffer(keys, len(keys)), ctypes.create_string_buffer(values, len(values))
        _bpf(_UPDATE_BATCH, struct.pack("=QQQQIIQQ", 0, 0, _address(keys), _address(values), count, self.fd, 0, 0))


def _info(fd):
    info = ctypes.create_string_buffer(256)
    _bpf(_INFO, struct.pack("=IIQ", fd, 256, _address(info)))
    return info.raw


def _walk(command):
    ids, last = set(), 0
    while True:
        try:
            _, raw = _bpf(command, struct.pack("=III", last, 0, 0))
        except OSError:
            return ids
        last = struct.unpack_from("=I", raw, 4)[0]
        ids.add(last)


def ids():
    """The programs and maps that live in the kernel now: {("prog", 7), ("map", 3), …}."""
    return {("prog", number) for number in _walk(_PROG_NEXT)} | {("map", number) for number in _walk(_MAP_NEXT)}


def name(kind, number):
    """What its author called it; "" when it is gone."""
    try:
        fd, _ = _bpf(_PROG_FD if kind == "prog" else _MAP_FD, struct.pack("=III", number, 0, 0))
    except OSError:
        return ""
    try:
        return _info(fd)[64 if kind == "prog" else 24:].split(b"\0", 1)[0].decode()
    finally:
        os.close(fd)


def held_by(pid):
    """What a process's descriptors hold: programs, maps and links."""
    out = set()
    for fd in pathlib.Path(f"/proc/{pid}/fd").glob("*"):
        try:
            if not os.readlink(fd).startswith("anon_inode:bpf"):
                continue
            for line in (fd.parent.parent / "fdinfo" / fd.name).read_text().splitlines():
                word, _, number = line.partition(":")
                if word in ("prog_id", "map_id", "link_id"):
                    out.add((word[:-3], int(number)))
        except OSError:
            continue
    return out


def pins(bpffs):
    """Every pin of an agent: its path and what it is, ("map", 3)."""
    out = {}
    folder = pathlib.Path(bpffs) / "mapshift"
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            out[str(path.relative_to(folder))] = "folder"
            continue
        fd = open_pin(path)
        kind = os.readlink(f"/proc/self/fd/{fd}").rpartition("bpf")[2].strip("-_")
        out[str(path.relative_to(folder))] = (kind, struct.unpack_from("=II", _info(fd))[1])
        os.close(fd)
    return out


def run_by(link):
    """The id of the program that a pinned link runs."""
    fd = open_pin(link)
    try:
        return struct.unpack_from("=III", _info(fd))[2]
    finally:
        os.close(fd)


def set_program(link, program):
    """Makes a pinned link run the pinned program, whatever it ran before."""
    fds = []
    for pin in (link, program):
        fds.append(open_pin(pin))
    try:
        _bpf(_LINK_UPDATE, struct.pack("=IIII", *fds, 0, 0))
    finally:
        for fd in fds:
            os.close(fd)


def left_over(before, names):
    """Programs and maps with one of these names that appeared since `before` and live on. The kernel frees late: waits for
    that, and asks for names seldom, since each look at a program array puts off its end. Other processes' are told apart by
    their names, for a pin has no owner."""
    rest = set()
    for pause in (0, 0.1, 0.5, 1, 2, 3):
        time.sleep(pause)
        rest = {(kind, number, name(kind, number)) for kind, number in ids() - before}
        rest = {item for item in rest if item[2] in names}
        if not rest:
            break
    return rest
