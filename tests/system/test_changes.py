# SPDX-License-Identifier: Apache-2.0
"""Changes of maps as clients see them: streams, resumption, replacement, and clients that stall."""

import struct

from lab import SystemTest
from watching import Watcher


class Try(SystemTest):
    def test_first(self):
        agent = self.agent(changes={"maps": [{"module": "meter", "map": "cells"}]})
        self.load(agent, self.meter(1))
        print(agent.json("status", "meter")[1]["maps"])
        with Watcher(agent, "meter", "cells") as watcher:
            print(watcher.status, watcher.headers)
            with self.map(agent, "cells") as cells:
                cells.update(struct.pack("=I", 7), bytes(cells.value_size))
            print(watcher.take(1))
        print(agent.http("GET", "/api/v1/maps/meter/cells").text)
        print({k: v for k, v in agent.metrics().items() if "map_change" in k})
        print(agent.log()[-1500:])
