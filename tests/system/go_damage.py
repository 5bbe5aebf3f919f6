# SPDX-License-Identifier: Apache-2.0
"""Executables that run, and are not what they seem: damaged Go programs, and others that claim to be Go."""

import pathlib
import shutil
import struct
import subprocess

MAGIC = b"\xff Go buildinf:"


def sections(data):
    """name -> (offset in the file, size) of an ELF64 file."""
    table, = struct.unpack_from("<Q", data, 40)
    size, count, names = struct.unpack_from("<HHH", data, 58)
    headers = [struct.unpack_from("<IIQQQQIIQQ", data, table + i * size) for i in range(count)]
    strings = headers[names][4]
    out = {}
    for header in headers:
        begin = strings + header[0]
        out[data[begin:data.index(b"\0", begin)].decode()] = (header[4], header[5])
    return out


def _changed(path, change):
    """A copy in place of the file, so that what runs from it is another inode."""
    data = bytearray(path.read_bytes())
    change(data)
    path.unlink()
    path.write_bytes(data)
    path.chmod(0o755)
    return path


def build_info_length(path):
    """The version claims to be longer than the file."""
    def change(data):
        at = sections(data)[".go.buildinfo"][0]
        data[at + 32:at + 41] = b"\xff" * 8 + b"\x7f"
    return _changed(path, change)


def build_info_magic(path):
    def change(data):
        at = sections(data)[".go.buildinfo"][0]
        data[at:at + 8] = b"nonsense"
    return _changed(path, change)


def function_names(path):
    """No function of the runtime goes by its name any more. It needs none to run."""
    def change(data):
        found = sections(data)
        for name in (".gopclntab", ".data.rel.ro.gopclntab", ".strtab"):
            begin, size = found.get(name, (0, 0))
            data[begin:begin + size] = data[begin:begin + size].replace(b"runtime.", b"rumtine.").replace(b"internal/poll.", b"internal/pool.")
    return _changed(path, change)


def section_table(path):
    """The kernel runs it by its segments; the sections lie beyond the file's end."""
    def change(data):
        struct.pack_into("<Q", data, 40, 1 << 60)
    return _changed(path, change)


def section_sizes(path):
    def change(data):
        table, = struct.unpack_from("<Q", data, 40)
        size, count = struct.unpack_from("<HH", data, 58)
        for i in range(1, count):
            struct.pack_into("<Q", data, table + i * size + 32, 1 << 62)
    return _changed(path, change)


def debug_information(path):
    """DWARF of random bytes."""
    def change(data):
        for name, (begin, size) in sections(data).items():
            if name.startswith((".debug_", ".zdebug_")):
                data[begin:begin + size] = bytes((i * 7919 >> 3) & 0xff for i in range(size))
    return _changed(path, change)


def build_info(version):
    text = version.encode()
    return MAGIC + b"\x08\x02" + bytes(16) + bytes([len(text)]) + text + b"\0"


def pretender(folder, name, **contents):
    """A program that is not Go, with sections that say so: build_info, pclntab."""
    path = pathlib.Path(shutil.copy("/bin/sleep", folder / name))
    for section, content in contents.items():
        file = folder.parent / "section.bin"
        file.write_bytes(content)
        title = {"build_info": ".go.buildinfo", "pclntab": ".gopclntab"}[section]
        subprocess.run(["objcopy", "--add-section", f"{title}={file}", "--set-section-flags", f"{title}=alloc,readonly,data", path],
                       check=True, capture_output=True)
    return path
