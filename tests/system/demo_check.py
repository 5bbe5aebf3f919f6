# SPDX-License-Identifier: Apache-2.0
"""Compares what was sent with what the maps hold. No tolerance anywhere: one packet off is a failure."""

import json
import socket
import struct

from demo_host import run

UDP, TCP = 17, 6


def address(number):
    return socket.inet_ntoa(struct.pack("=I", number))


def read_flows(pin):
    """(src, dst, sport, dport, proto) -> value, by the names that the map's own BTF gives its fields."""
    flows = {}
    for entry in json.loads(run("bpftool", "-j", "map", "dump", "pinned", str(pin)).stdout):
        key = entry["formatted"]["key"]
        name = (address(key["saddr"]), address(key["daddr"]), socket.ntohs(key["sport"]), socket.ntohs(key["dport"]), key["proto"])
        flows[name] = entry["formatted"]["value"]
    return flows


def read_stats(pin):
    """The per-CPU totals, added up."""
    total = {}
    for slot in json.loads(run("bpftool", "-j", "map", "dump", "pinned", str(pin)).stdout)[0]["formatted"]["values"]:
        for name, value in slot["value"].items():
            total[name] = total.get(name, 0) + value
    return total


class Comparison:
    """`sent` and `sink` are the reports of mapshift-traffic; `link` holds the links' counters since the module was loaded."""

    def __init__(self, sent, sink, link, flows, stats):
        self.problems = []
        self.sent_flows = sent["flows"] + sink["flows"]
        # A sender knows what the device refused and sends it again; of TCP only the link knows what it dropped.
        self.tcp_dropped = link["dropped"] - sent["refused"]
        self.sent = sent["sent"] + sink["sent"] - self.tcp_dropped
        self.counted = sum(flow["packets"] for flow in flows.values())
        self.wrong = [text for text in map(lambda f: self._compare(f, flows), self.sent_flows) if text]
        self.problems += self.wrong[:5]
        if len(self.wrong) > 5:
            self.problems.append(f"and {len(self.wrong) - 5} more flows")
        self._totals(link, stats)

    @property
    def lost(self):
        return max(self.sent - self.counted, 0)

    @property
    def twice(self):
        return max(self.counted - self.sent, 0)

    def _compare(self, sent, flows):
        name = tuple(sent[part] for part in ("src", "dst", "sport", "dport", "proto"))
        found = flows.get(name, {"packets": 0, "bytes": 0})
        text = f"{name[0]}:{name[2]} -> {name[1]}:{name[3]}"
        forward_tcp = sent["proto"] == TCP and sent["bytes"] > 0
        packets = sent["packets"] - (self.tcp_dropped if forward_tcp else 0)
        if found["packets"] != packets:
            return f"flow {text}: sent {packets} packets, the map holds {found['packets']}"
        if sent["proto"] == UDP and found["bytes"] != sent["bytes"]:
            return f"flow {text}: sent {sent['bytes']} bytes, the map holds {found['bytes']}"
        return None

    def _totals(self, link, stats):
        seen = stats["seen"]
        if seen != link["in"] + link["out"]:
            self.problems.append(f"stats.seen is {seen}, the link carried {link['in'] + link['out']} frames")
        if seen != self.counted + stats["other"] + stats["overflow"]:
            self.problems.append(f"stats.seen is {seen}, flows + other + overflow are {self.counted + stats['other'] + stats['overflow']}")
        if self.sent != self.counted:
            self.problems.append(f"sent {self.sent} packets, the maps hold {self.counted}")
