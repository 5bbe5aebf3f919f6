# SPDX-License-Identifier: Apache-2.0
"""A random module in two generations, as C source and manifests, and what its author knows of it."""

import dataclasses
import random

from random_layout import ENUMERATORS, Form, Leaf, declare, lay_out

EVENTS = 1024  # kinds of events; the sender makes them in turn
SHARED, PER_CPU = ("hash", "lru_hash", "array"), ("percpu_hash", "percpu_array")
ATOMIC = ("add", "or")
HASHES = {"hash": "lru_hash", "lru_hash": "hash"}


@dataclasses.dataclass
class Map:
    number: int
    kinds: list
    source: str  # call or frame: what is counted in it
    keys: int
    room: list
    names: list
    lock: bool = False
    tight: bool = False  # of an LRU: more keys than it holds, so that nothing but the update's end is known
    control: bool = False  # programs only read it
    follow: str = ""
    leaves: list = dataclasses.field(default_factory=list)
    orders: list = dataclasses.field(default_factory=lambda: [[], []])
    sizes: list = dataclasses.field(default_factory=lambda: [0, 0])
    key: list = dataclasses.field(default_factory=list)  # leaves; empty: a number
    key_orders: list = dataclasses.field(default_factory=lambda: [[], []])
    key_sizes: list = dataclasses.field(default_factory=lambda: [4, 4])

    @property
    def per_cpu(self):
        return self.kinds[0] in PER_CPU

    def is_array(self):
        return "array" in self.kinds[0]

    def live(self, generation):
        return [leaf for leaf in self.leaves if leaf.forms[generation]]

    def key_bytes(self, number, generation):
        raw = bytearray(self.key_sizes[generation])
        if self.kinds[0] == "lpm_trie":
            return (32).to_bytes(4, "little") + number.to_bytes(4, "big")
        if not self.key:
            return number.to_bytes(4, "little")
        for leaf in self.key:
            form = leaf.forms[generation]
            if form:
                raw[form.offset:form.offset + form.bytes] = form.encode([key_part(leaf, number)])
        return bytes(raw)

    def value_bytes(self, fields, generation):
        """`fields`: number of the leaf -> its elements; what is not named is zero."""
        raw = bytearray(self.sizes[generation])
        for leaf in self.live(generation):
            form = leaf.forms[generation]
            values = fields.get(leaf.number, [])
            raw[form.offset:form.offset + form.bytes] = form.encode((values + [0] * max(form.count, 1))[:max(form.count, 1)])
        return bytes(raw)


def key_part(leaf, number):
    """The first field of a key tells them apart, whatever the others do."""
    if leaf.number == 0:
        return number
    if not all(leaf.forms):
        return 0  # one that only a generation has
    return (number * 77 + leaf.number) & ((1 << leaf.bits) - 1)


class Maker:
    """The same seed makes the same module."""

    def __init__(self, seed, features=None):
        self.random = random.Random(seed)
        self.features = features

    def one_in(self, n):
        return self.random.randrange(n) == 0

    def make(self):
        return [self.map(i) for i in range(self.random.randint(1, 3))]

    def map(self, number):
        pick = self.random
        kind = pick.choice(("hash", "hash", "lru_hash", "array", "percpu_hash", "percpu_array"))
        after = kind
        if kind in HASHES and self.one_in(3):
            after = HASHES[kind]
        if kind in PER_CPU and self.one_in(8):
            after = kind.removeprefix("percpu_")
        source = pick.choice(("call", "frame"))
        keys = pick.choice((1, 2, 7, 64, 200, 1000))
        room = [4096, pick.choice((4096, 8192, 2048))]
        if "array" in kind:
            room = [keys + pick.randint(0, 20)] * 2
            if self.one_in(8):
                room[1] += pick.randint(1, 100)
        out = Map(number, [kind, after], source, keys, room, [f"m{number}"] * 2)
        if not out.is_array() and kind not in PER_CPU and self.one_in(4):
            out.control = True
            if self.one_in(2):
                out.kinds = ["lpm_trie"] * 2
                out.key_sizes = [8, 8]
                after = kind = "lpm_trie"
        if kind == after == "lru_hash" and not out.control and self.one_in(4):
            out.tight, out.keys, out.room = True, 1000, [256, pick.choice((256, 512))]
        out.lock = not out.control and kind in ("hash", "array") and after == kind and source == "frame" and self.one_in(3)
        if self.one_in(4):
            out.names, out.follow = [f"m{number}", f"n{number}"], "manifest"
        sums_only = kind in PER_CPU and after not in PER_CPU
        out.leaves = [self.leaf(out, i, sums_only) for i in range(pick.randint(1, 8))]
        if not any(all(leaf.forms) for leaf in out.leaves):
            out.leaves[0].forms[1] = out.leaves[0].forms[1] or dataclasses.replace(out.leaves[0].forms[0])
            out.leaves[0].forms[0] = out.leaves[0].forms[0] or dataclasses.replace(out.leaves[0].forms[1])
        self.place(out)
        if not out.is_array() and kind != "lpm_trie" and pick.randrange(2):
            self.make_key(out)
        return out

    def leaf(self, of, number, sums_only):
        pick = self.random
        ops = ["add", "plain"] if of.per_cpu or of.lock else ["add", "add", "plain"]
        if not sums_only:
            ops += ["or", "max", "latest"] + ([] if of.per_cpu else ["user"]) + ([] if of.is_array() or of.per_cpu else ["min", "first"])
        leaf = Leaf(number, "user" if of.control else pick.choice(ops), pick.randint(1, 5), say=pick.choice(("", "tag", "manifest")))
        if of.control and leaf.say and of.number:
            leaf.kept = pick.choice(("latest", "sum", "max", "min", "or"))
        size = pick.choice((4, 8) if leaf.op in ATOMIC else (1, 2, 4, 8))
        signed = leaf.merge != "or" and self.one_in(4)
        if signed and leaf.merge == "sum" and self.one_in(2):
            leaf.step = -leaf.step
        form = Form(f"f{number}", size, signed)
        if leaf.op in ("latest", "user") and leaf.kept == "latest" and self.one_in(4):
            form = Form(f"f{number}", 4, False, "enum", 0, tuple(range(ENUMERATORS)), of=of.number)
        elif leaf.op in ("latest", "user") and leaf.kept == "latest" and self.one_in(6):
            form = Form(f"f{number}", 1, False, "bool")
        elif leaf.op in ("latest", "user") and leaf.kept == "latest" and self.one_in(5):
            form = Form(f"f{number}", pick.choice((4, 8)), False, "union")
        elif leaf.op == "user" and leaf.kept == "latest" and self.one_in(3):
            form = Form(f"f{number}", 1, True, "char", pick.randint(2, 20))
        elif leaf.op in ("add", "or", "plain", "max", "user") and self.one_in(4):
            form.count = pick.randint(2, 6)
        fate = pick.randrange(10)
        leaf.forms = [form, dataclasses.replace(form) if fate < 2 else self.changed(leaf, form)]
        if fate == 0:
            leaf.forms[1] = None
        if fate == 1:
            leaf.forms[0] = None
            if leaf.op in ("add", "max", "user") and form.kind == "int" and not form.count:
                leaf.default = pick.choice((0, 0, 1, 7))
        return leaf

    def changed(self, leaf, form):
        """The field as the other generation has it."""
        pick = self.random
        new = dataclasses.replace(form)
        if form.kind == "int" and self.one_in(3):
            new.size = pick.choice([size for size in (1, 2, 4, 8) if size >= (4 if leaf.op in ATOMIC else 1)])
        if form.kind == "int" and leaf.step > 0 and self.one_in(8):
            new.signed = not form.signed and leaf.merge != "or"
        if form.kind == "enum" and self.one_in(2):
            new.values = tuple(pick.sample(range(9), ENUMERATORS))
        if form.count and self.one_in(3):
            new.count = pick.randint(2, 8)
        elif not form.count and form.kind == "int" and leaf.op in ("add", "user", "max") and self.one_in(10):
            new.count = pick.randint(2, 4)
        if self.one_in(6):
            new.name = f"r{leaf.number}"
        return new

    def place(self, of):
        """The order of fields, and the structures that they lie in."""
        for generation in (0, 1):
            order = [("", [leaf]) for leaf in of.leaves]
            if generation == 1 and self.one_in(2):
                order = [(name, list(leaves)) for name, leaves in of.orders[0]]
            else:
                self.random.shuffle(order)
                if self.one_in(3) and len(order) > 2:
                    n = self.random.randint(1, 3)
                    inner = [leaf for _, leaves in order[:n] for leaf in leaves]
                    order = [(self.random.choice(("inner", "anon")), inner), *order[n:]]
                    self.random.shuffle(order)
            of.orders[generation] = order
            of.sizes[generation] = lay_out(order, generation, of.lock)
        for leaf in of.leaves:
            self.declare_renames(leaf)

    def declare_renames(self, leaf):
        old, new = leaf.forms
        if not old or not new or old.path == new.path:
            return
        same_type = (old.size, old.signed, old.kind, old.count, old.values) == (new.size, new.signed, new.kind, new.count, new.values)
        if old.name != new.name or not same_type or self.one_in(3):
            leaf.follow = self.random.choice(("tag", "manifest"))

    def make_key(self, of):
        pick = self.random
        for i in range(pick.randint(1, 3)):
            form = Form(f"k{i}", pick.choice((2, 4, 8) if i == 0 else (1, 2, 4, 8)))
            new = dataclasses.replace(form)
            if self.one_in(8):
                new.size = pick.choice([size for size in (2, 4, 8) if size >= form.size] or [form.size])
            of.key.append(Leaf(i, "key", forms=[form, new]))
        if self.one_in(12):
            of.key.append(Leaf(len(of.key), "key", forms=[None, Form("added", pick.choice((1, 4)))]))
        for generation in (0, 1):
            order = [("", [leaf]) for leaf in of.key]
            if generation == 1 and self.one_in(3):
                pick.shuffle(order)
            of.key_orders[generation] = order
            of.key_sizes[generation] = lay_out(order, generation, False)


def manifest_maps(maps, generation):
    """The member "maps" of a manifest of this generation, for an update from the other one."""
    out = {}
    for m in maps:
        fields = {}
        for leaf in m.live(generation):
            form, other = leaf.forms[generation], leaf.forms[1 - generation]
            rule = {}
            if leaf.say == "manifest":
                rule["merge"] = leaf.merge
            if other and leaf.follow == "manifest":
                rule["from"] = other.path
            if rule:
                fields[form.path] = rule
        rules = {"fields": fields} if fields else {}
        if m.names[0] != m.names[1]:
            rules["from"] = m.names[1 - generation]
        if rules:
            out[m.names[generation]] = rules
    return out
