#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random modules under full load, updated, rolled back and updated again: what the plan calls exact is exact to the last count.

MAPSHIFT_BUILD=build/release python3 random_updates.py [--seed N] [--count M] [--keep FOLDER]: a module for each seed.
"""

import argparse
import json
import pathlib
import random
import struct
import subprocess
import sys
import time

import bpf
import run_system
from examples import BUILD, LINK, PEER, Lab, Source, write_frames
from lab import run
from random_model import Model
from random_module import EVENTS, Maker, manifest_maps
from random_plan import Wrong, doubt, read_plan
from random_scribbler import Scribbler
from random_source import source

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 240  # seconds for an update to get anywhere
ARRIVAL = 60  # seconds for what was sent to be counted

class Case:
    """One seed: a module, its model and the steps that it goes through."""

    def __init__(self, lab, sources, seed, maps):
        self.lab, self.agent, self.sources, self.seed = lab, lab.agent, sources, seed
        self.name = f"random{seed}"
        self.maps = maps
        self.models = [Model(m) for m in maps]
        for model in self.models:
            doubt(model)
        self.generation = 0
        self.sent = self.count()
        self.before = {by: sum(hits) for by, hits in self.sent.items()}
        self.problems = []
        self.version = 0
        self.random = random.Random(seed)
        self.folder = lab.folder

    # Files
    def build(self):
        for generation in (0, 1):
            text = self.folder / f"{self.name}_{generation}.bpf.c"
            text.write_text(source(self.maps, generation, generation if self.seed % 2 else 0))
            compile_object(text, self.object(generation))

    def object(self, generation):
        return self.folder / f"{self.name}_{generation}.bpf.o"

    def manifest(self, generation, first=False):
        self.version += 1
        manifest = {
            "name": self.name, "version": f"{self.version}.0.0", "object": str(self.object(generation)),
            "programs": {"on_frame": {"attach": {"type": "xdp", "interface": LINK}}},
            "maps": {} if first else manifest_maps(self.maps, generation), "rodata": {"traced_pid": self.sources["call"].pid},
            "analysis": {"bake": "0s", "interval": "100ms"},
        }
        if first:
            declared = manifest_maps(self.maps, generation)
            for rules in declared.values():
                rules.pop("from", None)
                for rule in rules.get("fields", {}).values():
                    rule.pop("from", None)
            manifest["maps"] = declared
        path = self.folder / f"{self.name}_{self.version}.json"
        path.write_text(json.dumps(manifest, indent=1))
        return path

    # Load
    def count(self, word="count"):
        return {name: hits(source.command(word)) for name, source in self.sources.items()}

    def go(self, seconds=0.05):
        for source in self.sources.values():
            source.command("go")
        time.sleep(seconds)

    def pause(self, generations, what):
        """Stops the load, and compares what was counted by whichever of these generations; the last one is now active."""
        now = self.count("pause")
        for model in self.models:
            by = model.of.source
            model.advance([b - a for a, b in zip(self.sent[by], now[by])], generations)
        self.sent = now
        self.arrive(what)
        self.compare(what)

    def arrive(self, what):
        """Frames are under way for a moment after the sender has paused."""
        deadline = time.monotonic() + ARRIVAL
        want = [sum(self.sent[by]) - self.before[by] for by in ("call", "frame")]
        while (got := self.arrived()) != want:
            if time.monotonic() > deadline:
                raise Wrong(f"{what}: {got} calls and frames counted of {want}")
            time.sleep(0.01)

    def arrived(self):
        pin = self.agent.bpffs / "mapshift" / self.name / "maps" / "bss"
        variables = {}
        for item in json.loads(run("bpftool", "-j", "map", "dump", "pinned", pin).stdout)[0]["formatted"]["value"][".bss"]:
            variables.update(item)
        return [variables["calls"], variables["frames"]]

    def compare(self, what):
        deadline = time.monotonic() + ARRIVAL
        while problems := [text for model in self.models for text in model.compare(self.entries(model.of), self.generation)]:
            if time.monotonic() > deadline:
                raise Wrong(f"{what}: " + "\n  ".join(problems))
            time.sleep(0.05)

    def open(self, m, generation=None):
        """The active generation's map, or the other one's during a bake."""
        module = self.agent.bpffs / "mapshift" / self.name
        if generation is None or generation == self.generation:
            return bpf.Map(module / "maps" / m.names[self.generation])
        folder = min((module / "gen").iterdir(), key=lambda path: int(path.name))
        return bpf.Map(folder / "maps" / m.names[generation])

    def entries(self, m, generation=None):
        """Bytes of each key -> its values, one for each CPU or one."""
        generation = self.generation if generation is None else generation
        with self.open(m, generation) as found:
            step = -(-m.sizes[generation] // 8) * 8
            out = {}
            for key in found.keys():
                raw = found.lookup(key)
                if raw is not None:
                    out[key] = [raw[at:at + step] for at in range(0, len(raw), step)] if m.kinds[generation].startswith("percpu") else [raw]
            return out

    # What user space does while nothing else happens
    def meddle(self, generation):
        """Writes, adds and deletes entries in this generation's maps."""
        for model in self.models:
            # What is not compared may still be on its way to the passive side: a deletion there would take an older value.
            if not model.of.per_cpu and not model.of.tight and (generation == self.generation or not model.doubted):
                with self.open(model.of, generation) as found:
                    self.meddle_with(model, found, generation)

    def meddle_with(self, model, found, generation):
        m = model.of
        for key in self.random.sample(range(m.keys), min(m.keys, 200 if m.control else 20)):
            raw = found.lookup(m.key_bytes(key, generation))
            if raw is not None and not m.is_array() and self.random.randrange(2):
                if generation == self.generation or m.kinds[generation] != "lru_hash":  # of an LRU's passive side an absence says nothing
                    found.delete(m.key_bytes(key, generation))
                    model.delete(key, generation)
                continue
            fields = self.values(m, raw, generation)
            found.update(m.key_bytes(key, generation), m.value_bytes(fields, generation))
            model.write(key, fields, raw is None, generation)

    def values(self, m, raw, generation, chance=None):
        """What user space writes: random numbers, but what was there where the field is written once or where no model knows it."""
        fields = {}
        for leaf in m.live(generation):
            form = leaf.forms[generation]
            top = (1 << leaf.bits) - 1
            if leaf.merge == "sum":
                top = min(top, 100)
            fields[leaf.number] = [(chance or self.random).randint(0, top) for _ in range(leaf.elements)]
            if raw is not None and leaf.op == "first":
                fields[leaf.number] = form.decode(raw)[:leaf.elements]
        return fields

    def agree(self, generation, what):
        """Waits until the passive generation's maps hold the same."""
        deadline = time.monotonic() + ARRIVAL
        while problems := [text for model in self.models for text in model.compare(self.entries(model.of, generation), generation)]:
            if time.monotonic() > deadline:
                raise Wrong(f"{what}, the passive side: " + "\n  ".join(problems))
            time.sleep(0.05)

    # Steps
    def must(self, *arguments):
        status, document, errors = self.agent.json(*arguments)
        if status != 0:
            raise Wrong(f"mapshift {' '.join(map(str, arguments))}: exit status {status}: {errors} {json.dumps(document)[:2000]}")
        return document

    def plan(self, generation):
        path = self.manifest(generation)
        _, plan, errors = self.agent.json("plan", path)
        if not plan["refusals"] and errors:
            raise Wrong(f"the plan: {errors}")
        for model in self.models:
            read_plan(model, generation, next(p for p in plan["maps"] if p["name"] == model.of.names[generation]), plan["warnings"])
        return path, plan

    def begin(self, path, bake):
        return self.must("update", path, "--allow-lossy", "--bake", bake)["id"]

    def ended(self, identity, state):
        record = self.agent.follow(identity, (state,), PATIENCE)
        if record["state"] != state:
            raise Wrong(f"the update ended {record['state']}, not {state}: {record.get('reason')} {record.get('warnings')}")
        bad = [f"{m['name']}: {m['mismatched']} keys differ" for m in record["maps"] if m.get("mismatched") and not m.get("clamped")]
        if bad and state != "baking":
            raise Wrong(f"{state}: {bad}")
        return record

    def step(self, generation):
        """There and back and there again."""
        path, plan = self.plan(generation)
        if plan["refusals"]:
            return [f"{r['code']} {r['where']}: {r['message']}" for r in plan["refusals"]]
        old = self.generation
        self.go()
        with Scribbler(self, old, generation):
            identity = self.begin(path, "1h")
            self.ended(identity, "baking")
        for model in self.models:
            model.enter(generation)
        self.generation = generation
        self.pause({old, generation}, f"in the bake of generation {generation}")
        self.agree(old, f"in the bake of generation {generation}")
        if self.random.randrange(2):
            self.meddle(generation)
        # What an LRU lacks counts while it is the active one.
        if any(m.kinds[generation] == "lru_hash" for m in self.maps) or self.random.randrange(2):
            self.agree(old, "after user space wrote to the active side")
            self.meddle(old)
            self.compare("after user space wrote to the passive side")
        quiet = self.random.randrange(3) == 0
        if not quiet:
            self.go()
        with Scribbler(self, generation, old):
            self.must("rollback", self.name)
            self.ended(identity, "rolled_back")
        self.generation = old
        self.pause({old, generation}, f"rolled back {'in silence ' * quiet}from generation {generation}")
        for model in self.models:
            model.leave(generation)
            model.enter(generation)
        self.go()
        identity = self.begin(path, "0s")
        self.ended(identity, "committed")
        self.generation = generation
        self.pause({old, generation}, f"updated to generation {generation}")
        for model in self.models:
            model.leave(old)
        return []

    def run(self):
        self.build()
        self.must("load", self.manifest(0, first=True))
        try:
            self.meddle(0)
            self.go()
            self.pause({0}, "loaded")
            return self.step(1) or self.step(0)
        finally:
            for source in self.sources.values():
                source.command("pause")
            if self.agent.json("status", self.name)[1].get("running_update"):
                self.agent.cli("rollback", self.name)
                time.sleep(1)
            self.agent.cli("unload", self.name)


def hits(sent):
    """How often each event happened, of what each thread has sent."""
    return [sum(n // EVENTS + (a < n % EVENTS) for n in sent) for a in range(EVENTS)]


def compile_object(text, out):
    arch = subprocess.run(["gcc", "-print-multiarch"], capture_output=True, text=True).stdout.strip()
    run("clang-14", "-O2", "-g", "-target", "bpf", "-mcpu=v3", "-Wall", f"-I{ROOT}/bpf/include", f"-isystem/usr/include/{arch}",
        "-c", text, "-o", out)


def start_sources(lab):
    head = b"\xff" * 6 + b"\x02\0\0\0\0\x01\x88\xb5"
    frames = write_frames(lab.folder / "frames", [head + struct.pack("=I", a) + bytes(42) for a in range(EVENTS)])
    return {"call": Source("calls", threads=2), "frame": Source("frames", "--interface", PEER, "--file", frames, threads=2)}


def drive(seeds, keep_in=None, say=print):
    """What was wrong, by seed."""
    wrong = {}
    with Lab() as lab:
        lab.agent.start()
        sources = start_sources(lab)
        for started in sources.values():
            lab.stack.callback(started.end)
        for seed in seeds:
            began = time.monotonic()
            case = Case(lab, sources, seed, Maker(seed).make())
            refused = []
            try:
                refused = case.run()
            except (Wrong, RuntimeError, AssertionError, OSError) as error:
                wrong[seed] = str(error)
                if keep_in:
                    keep(case, keep_in)
            say(f"seed {seed}: {wrong.get(seed, 'ok')}, {time.monotonic() - began:.1f} s{' refused: ' * bool(refused)}{'; '.join(refused)}")
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--keep", type=pathlib.Path, help="where the sources of modules that went wrong are kept")
    chosen = parser.parse_args()
    if reason := run_system.missing():
        print(f"SKIPPED: {reason}")
        return run_system.SKIPPED
    return 1 if drive(range(chosen.seed, chosen.seed + chosen.count), chosen.keep, lambda text: print(text, flush=True)) else 0


def keep(case, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for path in case.folder.glob(f"{case.name}_*"):
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / f"{case.name}.log").write_text(case.agent.log()[-20000:])


if __name__ == "__main__":
    sys.exit(main())
