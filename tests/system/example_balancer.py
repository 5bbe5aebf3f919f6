# SPDX-License-Identifier: Apache-2.0
"""balancer: a table of backends for each service, made and replaced by user space while packets are spread and versions change."""

import struct

import bpf
from examples import LINK, Example, compare, frame_source, ipv4_frame, share

ARRAY = 2  # BPF_MAP_TYPE_ARRAY
PLACES = 16
SERVICES = 3  # a fourth in the frames is nobody's
BACKENDS = 24
CLIENTS = 32
UDP = 17
LATE_MAX = 2
SERVICE = 0xC6336400  # 198.51.100.0: the first service's address
LATE = 0xC6336480  # of services that come while versions change; no frame goes there
KEPT_OUT = ((10 << 24 | 1 << 16, 16, 1), (10 << 24 | 1 << 16 | 2 << 8, 24, 0))  # 10.1.0.0/16, but for 10.1.2.0/24
# Of each version, told by the size of its values.
BACKEND = {8: lambda number: struct.pack("=II", number + 1, number), 12: lambda number: struct.pack("=IIHH", number, number + 1, 1, 0)}
BACKEND_ID = {8: 4, 12: 0}  # where the id lies
RANGE = {4: lambda out: struct.pack("=I", out), 8: lambda out: struct.pack("=II", 7, out)}


def service_key(address):
    return struct.pack(">IHBx", address, 80, UDP)


def backend_of(service, place):
    return (service * 4 + place % 5) % BACKENDS


def client(number):
    """A third each: free, kept out, and the exception."""
    return (10 << 24) | ((0, 1 << 16, 1 << 16 | 2 << 8)[number % 3]) | number


def place_of(address, port):
    return (((address ^ port) * 2654435761 & 0xFFFFFFFF) >> 16) % PLACES


class Balancer(Example):
    name = "balancer"
    sets = {"IFACE": LINK}
    versions = (1, 2)

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.late = []
        self.slots = [(service, number) for service in range(SERVICES + 1) for number in range(CLIENTS)]

    def make_source(self):
        return frame_source(self, [ipv4_frame(client(n), SERVICE + s, UDP, 3000 + n, 80) for s, n in self.slots])

    def loaded(self):
        with bpf.Map(self.pin("sources")) as sources:
            for address, bits, out in KEPT_OUT:
                sources.update(struct.pack("=I", bits) + struct.pack(">I", address), RANGE[sources.value_size](out))
        for service in range(SERVICES):
            self.add_service(SERVICE + service, service)

    def add_service(self, address, service):
        with bpf.Map(self.pin("services")) as services, bpf.Map.create(ARRAY, 4, self.backend_size(), PLACES) as places:
            for place in range(PLACES):
                places.update(struct.pack("=I", place), BACKEND[places.value_size](backend_of(service, place)))
            services.update(service_key(address), struct.pack("=I", places.fd))

    def backend_size(self):
        """Of the version that runs: its loads are as large as no other's."""
        with bpf.Map(self.pin("loads")) as loads:
            return {8: 8, 24: 12}[loads.value_size]

    def pause(self):
        """Services come at any time: also in mid-bake, when two generations are there."""
        if self.version and len(self.late) < LATE_MAX:
            self.late.append(LATE + len(self.late))
            self.add_service(self.late[-1], len(self.late))
        return super().pause()

    def check(self, sent):
        loads = {}
        totals = {"seen": sum(sent), "balanced": 0, "refused": 0, "no_service": 0, "no_backend": 0, "other": 0}
        for slot, (service, number) in enumerate(self.slots):
            frames = share(sent, len(self.slots), slot)
            if number % 3 == 1:
                totals["refused"] += frames
            elif service == SERVICES:
                totals["no_service"] += frames
            else:
                totals["balanced"] += frames
                backend = backend_of(service, place_of(client(number), 3000 + number))
                loads[backend] = loads.get(backend, 0) + frames
        got = dict(self.dump("loads"))
        problems = compare("packets by backend", loads, {number: load["packets"] for number, load in got.items() if load["packets"]})
        problems += compare("bytes by backend", {number: 46 * count for number, count in loads.items()},
                            {number: load["bytes"] for number, load in got.items() if load["bytes"]})
        return problems + compare("totals", totals, self.per_cpu_sum("totals")) + self.tables_are_right()

    def tables_are_right(self):
        """Every service has its table in the active generation, with the right backend at each place."""
        problems = []
        known = [(SERVICE + n, n) for n in range(SERVICES)] + [(address, n + 1) for n, address in enumerate(self.late)]
        with bpf.Map(self.pin("services")) as services:
            for address, service in known:
                number = services.lookup(service_key(address))
                if number is None:
                    problems.append(f"service {address:#x} is gone")
                    continue
                with bpf.Map.by_id(struct.unpack("=I", number)[0]) as places:
                    at = BACKEND_ID[places.value_size]
                    got = [struct.unpack_from("=I", places.lookup(struct.pack("=I", place)), at)[0] for place in range(PLACES)]
                if got != [backend_of(service, place) for place in range(PLACES)]:
                    problems.append(f"service {address:#x} has backends {got}")
        return problems[:3]
