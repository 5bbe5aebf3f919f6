# SPDX-License-Identifier: Apache-2.0
"""Sends numbered frames into one end of a veth pair until SIGTERM; then prints how many the device took.

python3 frames.py INTERFACE [RATE]: frame n carries the number n. A frame that the device refuses is sent again, so that
every number that is counted as sent was delivered to the other end.
"""

import errno
import json
import signal
import socket
import struct
import sys
import time

ETHERTYPE = 0x88B5
BATCH = 64


def main(interface, rate):
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    out.bind((interface, ETHERTYPE))
    head = b"\xff" * 6 + b"\x02\0\0\0\0\x01" + struct.pack(">H", ETHERTYPE)
    sent = refused = 0
    print("started", flush=True)
    began = time.monotonic()
    while not stop and time.monotonic() - began < 120:
        for number in range(sent, sent + BATCH):
            frame = head + struct.pack("=I", number) + bytes(42)
            while True:
                try:
                    out.send(frame)
                    break
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    refused += 1
                    time.sleep(0)
        sent += BATCH
        ahead = sent / rate - (time.monotonic() - began)
        if ahead > 0:
            time.sleep(ahead)
    print(json.dumps({"sent": sent, "refused": refused, "seconds": time.monotonic() - began}))


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else 50000)
