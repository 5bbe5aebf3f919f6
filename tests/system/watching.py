# SPDX-License-Identifier: Apache-2.0
"""A client of GET /api/v1/changes: reads server-sent events from a socket, as slowly as a test likes."""

import collections
import json
import socket
import time
import urllib.parse

Event = collections.namedtuple("Event", "kind id data")


class Watcher:
    """One stream. `status` and `headers` are there once it is connected; refused ones have a `body`."""

    def __init__(self, agent, module, map_name, since=None, last=None, method="GET", read=True, receive_buffer=None):
        query = {"module": module, "map": map_name}
        if since is not None:
            query["since"] = since
        host, port = agent.address["api"].rsplit(":", 1)
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(20)
        self.socket.connect((host, int(port)))
        more = f"Last-Event-ID: {last}\r\n" if last is not None else ""
        self.socket.sendall(f"{method} /api/v1/changes?{urllib.parse.urlencode(query)} HTTP/1.1\r\nHost: {host}\r\n"
                            f"Accept: text/event-stream\r\nAuthorization: Bearer {agent.token()}\r\n{more}\r\n".encode())
        self.buffer = b""
        self.ended = False
        self.comments = 0
        if read:
            self.read_head()

    def read_head(self):
        head = self._until(b"\r\n\r\n").decode()
        lines = head.split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
        if self.status == 200:
            return
        while len(self.buffer) < int(self.headers.get("content-length", 0)):
            self._receive()
        self.body = json.loads(self.buffer)

    def _receive(self):
        data = self.socket.recv(65536)
        if not data:
            self.ended = True
            raise EOFError("the stream ended")
        self.buffer += data

    def _until(self, mark):
        while mark not in self.buffer:
            self._receive()
        text, self.buffer = self.buffer.split(mark, 1)
        return text

    def next(self, seconds=10):
        """The next event; None when none came in time. EOFError when the agent ended the stream."""
        deadline = time.monotonic() + seconds
        while True:
            left = deadline - time.monotonic()
            if b"\n\n" not in self.buffer:
                if left <= 0:
                    return None
                self.socket.settimeout(left)
                try:
                    self._receive()
                except TimeoutError:
                    return None
                continue
            fields = {}
            for line in self._until(b"\n\n").decode().split("\n"):
                name, _, value = line.partition(": ")
                if name:
                    fields[name] = value
                else:
                    self.comments += 1
            if "event" in fields:
                return Event(fields["event"], int(fields["id"]), json.loads(fields["data"]))

    def take(self, count, seconds=10):
        """So many events, or fewer when no more came in time."""
        deadline = time.monotonic() + seconds
        out = []
        while len(out) < count:
            event = self.next(max(deadline - time.monotonic(), 0))
            if event is None:
                break
            out.append(event)
        return out

    def rest(self, seconds):
        out = []
        deadline = time.monotonic() + seconds
        while (event := self.next(max(deadline - time.monotonic(), 0))) is not None:
            out.append(event)
        return out

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
