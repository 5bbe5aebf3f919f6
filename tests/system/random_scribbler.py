# SPDX-License-Identifier: Apache-2.0
"""User space that goes on writing through the public pin while the generations change below it."""

import random
import threading
import time

import bpf


class Scribbler:
    """Sets existing entries of the maps that programs only read and whose fields are all `latest`, in one thread: the last value counts.

    Only numbers that do not come again: what is set to the value of the last pass looks unchanged.
    """

    def __init__(self, case, old, new):
        self.case, self.old, self.new = case, old, new
        self.random = random.Random(case.seed)
        self.last = {}  # (model, key) -> fields, generation
        self.models = [model for model in case.models if model.of.control and len(set(model.of.names)) == 1 and model.keys
                       and all(leaf.merge == "latest" and all(leaf.forms) and leaf.bits > 30 for leaf in model.of.leaves)]
        self.ids = {}
        for model in self.models:
            with self.open(model) as found:
                self.ids[model] = found.id
        self.ending = False
        self.thread = threading.Thread(target=self.run)
        self.error = None

    def open(self, model):
        return bpf.Map(self.case.agent.bpffs / "mapshift" / self.case.name / "maps" / model.of.names[0])

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending = True
        self.thread.join()
        if self.error:
            raise self.error
        for (model, key), (fields, generation) in self.last.items():
            model.write(key, fields, False, generation)

    def run(self):
        try:
            while self.models and not self.ending:
                self.write(self.random.choice(self.models))
                time.sleep(0.0005)
        except OSError as error:
            self.error = error

    def write(self, model):
        key = self.random.choice(sorted(model.keys))
        while True:
            with self.open(model) as found:
                generation = self.old if found.id == self.ids[model] else self.new
                fields = self.case.values(model.of, None, generation, self.random)
                found.update(model.of.key_bytes(key, generation), model.of.value_bytes(fields, generation))
            with self.open(model) as now:  # else the generation may have gone before the write, and its last pass too
                if now.id == found.id:
                    break
        self.last[model, key] = fields, generation
