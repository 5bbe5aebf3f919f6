# SPDX-License-Identifier: Apache-2.0
"""Makes numbered events until SIGTERM: getpgid(n), getsid(n) and one datagram with the number n, in the cgroup given.

python3 events.py CGROUP: prints its pid, then reads a line from stdin before it starts, then prints how many it made.
"""

import ctypes
import json
import os
import pathlib
import signal
import socket
import struct
import sys

MAGIC = 0x6D736576


def main(cgroup):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    (pathlib.Path(cgroup) / "cgroup.procs").write_text(str(os.getpid()))
    libc = ctypes.CDLL(None)
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect(sink.getsockname())
    print(os.getpid(), flush=True)
    sys.stdin.readline()
    number = 0
    while not stop:
        for _ in range(64):
            libc.getpgid(number)
            libc.getsid(number)
            out.send(struct.pack("=II", MAGIC, number))
            number += 1
    print(json.dumps({"sent": number}))


if __name__ == "__main__":
    main(sys.argv[1])
