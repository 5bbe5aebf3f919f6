# SPDX-License-Identifier: Apache-2.0
"""conntrack: connections whose counters and state change together under a lock, and clients in a map that forgets."""

from examples import LINK, Example, compare, frame_source, host_order, ipv4_frame, share

CONNECTIONS = 256
CLIENT, SERVER = 10 << 24, 0xC6336401  # 10.0.0.0 and following; the client's is the lower address
SYN, ACK = 0x02, 0x10
# What a connection does, again and again: who sends, flags, bytes of payload.
TALK = ((False, SYN, 0), (True, SYN | ACK, 0), (False, ACK, 20), (True, ACK, 300))
EVER = len(TALK) * CONNECTIONS


def frame(slot):
    """Connections take turns, so that neighbouring frames belong to different ones."""
    reply, flags, payload = TALK[slot // CONNECTIONS]
    number = slot % CONNECTIONS
    client, server = (CLIENT + number % 64, 2000 + number), (SERVER, 443)
    source, to = (server, client) if reply else (client, server)
    return ipv4_frame(source[0], to[0], 6, source[1], to[1], payload, flags)


class Conntrack(Example):
    name = "conntrack"
    sets = {"IFACE": LINK}
    back = {2: {"ct4": {"from": "connections"}}}

    def make_source(self):
        return frame_source(self, [frame(slot) for slot in range(EVER)])

    def check(self, sent):
        want = {}
        clients = {SERVER: 0}
        for slot in range(EVER):
            reply, _, payload = TALK[slot // CONNECTIONS]
            number, frames = slot % CONNECTIONS, share(sent, EVER, slot)
            sums = want.setdefault(number, {"packets_forward": 0, "bytes_forward": 0, "packets_reply": 0, "bytes_reply": 0})
            direction = "reply" if reply else "forward"
            sums[f"packets_{direction}"] += frames
            sums[f"bytes_{direction}"] += frames * (40 + payload)
            who = SERVER if reply else CLIENT + number % 64
            clients[who] = clients.get(who, 0) + frames
        return self.compare_connections(want, sent) + self.compare_clients(clients) + self.compare_totals(sent)

    def compare_connections(self, want, sent):
        got, states = {}, {}
        for key, conn in self.dump("ct4" if self.pin("ct4").exists() else "connections"):
            number = host_order(key.get("sport", key.get("low_port")), 2) - 2000
            got[number] = {**conn, **conn.get("counters", {})}
            states[number] = conn["state"]
        problems = []
        for field in ("packets_forward", "packets_reply", "bytes_forward", "bytes_reply"):
            problems += compare(f"{field} of connections", {n: sums[field] for n, sums in want.items() if sums[field]},
                                {n: conn[field] for n, conn in got.items() if conn[field]})
        if min(sent) >= EVER:
            other = {n: state for n, state in states.items() if state != "CONN_ESTABLISHED"}
            if other:
                problems.append(f"{len(other)} connections are not established: {dict(list(other.items())[:3])}")
        return problems

    def compare_clients(self, want):
        got = {host_order(key, 4): client for key, client in self.dump("clients")}
        problems = compare("packets of clients", want, {who: client["packets"] for who, client in got.items()})
        return problems + compare("connections of clients", {"all": self.per_cpu_sum("totals")["created"]},
                                  {"all": sum(client["connections"] for client in got.values())})

    def compare_totals(self, sent):
        totals = self.per_cpu_sum("totals")
        return compare("totals", {"seen": sum(sent), "other": 0, "overflow": 0}, {name: totals[name] for name in ("seen", "other", "overflow")})
