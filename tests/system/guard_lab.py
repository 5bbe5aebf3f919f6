# SPDX-License-Identifier: Apache-2.0
"""The module `guard`, whose maps are followed in every way."""

import struct

from lab import FIXTURES, SystemTest
from watching import Watcher


def u32(*numbers):
    return struct.pack(f"={len(numbers)}I", *numbers)


class ChangesTest(SystemTest):
    def policy(self, number, **more):
        manifest = {"name": "guard", "version": f"{number}.0.0", "object": str(FIXTURES / f"system_policy_v{number}.bpf.o"),
                    "programs": {"admit": {"attach": {"type": "xdp", "interface": "$IFACE", "mode": "auto"}}},
                    "analysis": {"bake": "0s", "interval": "100ms"}, "params": {"IFACE": self.LINK}, **more}
        return self.manifest(f"guard_v{number}", manifest)

    def guard(self, *maps, **more):
        """An agent with the module `guard`, whose maps are watched as given: a name, or a whole entry."""
        entries = [{"module": "guard", "map": entry} if isinstance(entry, str) else {"module": "guard", **entry} for entry in maps]
        agent = self.agent(changes={"maps": entries, **more})
        self.load(agent, self.policy(1))
        return agent

    def write(self, agent, *keys, name="policy", value=1):
        with self.map(agent, name, "guard") as rules:
            for key in keys:
                rules.update(u32(key), u32(*[value] * (rules.value_size // 4)))

    def watch(self, agent, name="policy", **more):
        watcher = Watcher(agent, "guard", name, **more)
        self.addCleanup(watcher.close)
        return watcher

    def entry(self, agent, name):
        for one in agent.json("status", "guard")[1]["maps"]:
            if one["name"] == name:
                return one["changes"]
        raise AssertionError(f"status has no map {name}")
