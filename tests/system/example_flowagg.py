# SPDX-License-Identifier: Apache-2.0
"""flowagg: an exporter takes flows out (lookup and delete) while they are updated; drained and left together are what was sent.

Two maps hold a record while an update runs, so whoever takes records out of one and then of the other has some twice. This exporter
stops before an order to update, and goes on with the new map at the moment its pin is there: long before what the old programs
counted last has moved. That is where `keep_delta` comes in. It stops before a rollback, too, and waits for its end: what it took out
of the new map last leaves the old one only then.
"""

import struct
import threading
import time

import bpf
from examples import LINK, Example, compare, frame_source, host_order, ipv4_frame

AT_ONCE = 64  # flows that frames go to in turn
ROUND = 64 * AT_ONCE  # frames until the flows are done, and others begin
BEHIND = 8192  # frames that may be under way: more than the queues of the interface hold
FIRST = 10 << 24  # 10.0.0.0: the source address of the first flow
FIRST_PORT = 1000
# Of each version, told by the size of its values: where packets and bytes are.
LAYOUTS = {24: struct.Struct("=II16x"), 40: struct.Struct("=16xQQ8x"), 56: struct.Struct("=QQ40x")}


def length(slot):
    return 20 + 8 + 18 + slot


def flow_of(key):
    """The number of a flow, by the map's key: its round and its place in it."""
    source, _, port = struct.unpack_from(">IIH", key)
    return (source - FIRST) * AT_ONCE + port - FIRST_PORT


class Flowagg(Example):
    """Counts are exact end to end only because deleting a record keeps what the old generation still holds of it."""

    name = "flowagg"
    sets = {"IFACE": LINK}
    back = {1: {"records": {"on_delete": "keep_delta", "fields": {"first_seen": {"from": "start"}}}},
            2: {"records": {"on_delete": "keep_delta", "fields": {"bytes": {"from": "octets"}}}}}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.taken = {}  # flow -> [packets, bytes]
        self.takings = 0
        self.compared = 0  # flows below are done, and right
        self.lock = threading.Lock()  # of all above
        self.turn = threading.Lock()  # held while the exporter looks through a map
        self.left_map = None  # the id of the map that it must not touch any more
        self.waits = False  # for the end of a rollback
        self.ended = threading.Event()
        self.error = None
        self.exporter = threading.Thread(target=self.export, daemon=True)

    def make_source(self):
        frames = [_frame(slot) for slot in range(AT_ONCE)]
        return frame_source(self, frames, "--fresh-every", ROUND, "--fresh-at", 26)

    def loaded(self):
        self.exporter.start()

    def end(self):
        self.ended.set()
        if self.exporter.is_alive():
            self.exporter.join()

    def export(self):
        """The user space of this module: takes out, through the pin, all flows that are done."""
        try:
            while not self.ended.is_set():
                done = max(min(self.source.command("count")) - BEHIND, 0) // ROUND * AT_ONCE
                with self.turn, bpf.Map(self.pin("records")) as records:
                    if not self.waits and records.id != self.left_map:
                        self.left_map = None
                        for key in records.keys():
                            if flow_of(key) < done:
                                self.take(records, key)
                time.sleep(0.005)
        except Exception as error:  # told at the next comparison
            self.error = error

    def before_swap(self):
        """Returns when the exporter has left the present map."""
        with self.turn, bpf.Map(self.pin("records")) as records:
            self.left_map = records.id

    def before_rollback(self):
        with self.turn:
            self.waits = True

    def finished(self, *arguments):
        self.waits = False
        self.left_map = None
        return super().finished(*arguments)

    def take(self, records, key):
        with self.lock:
            value = records.take(key)
            if value is None:
                return
            packets, octets = LAYOUTS[records.value_size].unpack(value)
            sums = self.taken.setdefault(flow_of(key), [0, 0])
            sums[0] += packets
            sums[1] += octets
            self.takings += 1

    def check(self, sent):
        if self.error:
            return [f"the exporter ended: {self.error!r}"]
        with self.lock:
            packets = {flow: sums[0] for flow, sums in self.taken.items()}
            octets = {flow: sums[1] for flow, sums in self.taken.items()}
            left = set()
            for name, record in self.dump("records"):
                flow = (host_order(name["saddr"], 4) - FIRST) * AT_ONCE + host_order(name["sport"], 2) - FIRST_PORT
                left.add(flow)
                packets[flow] = packets.get(flow, 0) + record["packets"]
                octets[flow] = octets.get(flow, 0) + record.get("bytes", record.get("octets", 0))
        totals = self.per_cpu_sum("totals")
        want = self.expected(sent)
        problems = compare("totals.seen", {"all": sum(sent)}, {"all": totals["seen"]})
        problems += compare("totals", {"other": 0, "overflow": 0}, {"other": totals["other"], "overflow": totals["overflow"]})
        problems += compare("packets by flow", want, packets)
        problems += compare("bytes by flow", {flow: count * length(flow % AT_ONCE) for flow, count in want.items()}, octets)
        if not problems:
            self.forget(min([min(sent) // ROUND * AT_ONCE, *left]))
        return problems

    def forget(self, upto):
        """Flows below `upto` are done, out of the map and right: whatever turns up of them later was counted twice."""
        with self.lock:
            self.compared = max(self.compared, upto)
            self.taken = {flow: sums for flow, sums in self.taken.items() if flow >= self.compared}

    def expected(self, sent):
        """Packets of each flow that is not yet compared. Each thread sends ROUND frames to a set of flows, in turn, then to the next."""
        want = {}
        for number in sent:
            for generation in range(self.compared // AT_ONCE, -(-number // ROUND)):
                frames = min(number - generation * ROUND, ROUND)
                for slot in range(min(frames, AT_ONCE)):
                    flow = generation * AT_ONCE + slot
                    if flow >= self.compared:
                        want[flow] = want.get(flow, 0) + frames // AT_ONCE + (slot < frames % AT_ONCE)
        return want

    def rows(self):
        return [("records that the exporter took out", f"{self.takings:,}")]


def _frame(slot):
    return ipv4_frame(FIRST, 0xC6336401, 17, FIRST_PORT + slot, 4739, 18 + slot)
