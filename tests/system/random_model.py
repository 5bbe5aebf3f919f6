# SPDX-License-Identifier: Apache-2.0
"""What a random module must have counted: known exactly where every event does the same in whatever generation it meets, else between bounds."""

from random_module import EVENTS

SETS = ("latest", "first", "user")  # known by the values that may be there; the others by the lowest and the highest


class Cell:
    """One element of one field under one key."""

    def __init__(self, op, start=0, least=None):
        self.low = self.high = start
        if least is not None:
            self.low = min(start, least)
            self.high = max(start, least)
        self.may = {start} if least is None else {start, least}
        self.op = op

    def allows(self, value, bits):
        if self.op in SETS:
            return value in self.may
        if self.low == self.high:
            return (value - self.low) % (1 << bits) == 0
        if self.op == "or":
            return value & self.low == self.low and value & ~self.high == 0
        return self.low <= value <= self.high or self.high - self.low >= 1 << bits or self.low < 0

    def seen(self, value):
        """It was read while nothing happened: from here on it is known."""
        if self.op in SETS:
            self.may = {value}

    def __str__(self):
        return str(sorted(self.may)) if self.op in SETS else f"{self.low}..{self.high}" if self.low != self.high else str(self.low)


class Model:
    """One map. Tells what is wrong in words."""

    def __init__(self, of):
        self.of = of
        self.keys = {}  # number -> {number of the leaf: [Cell]}
        self.doubted = set()  # leaves that a plan called inexact: only that they are there is compared
        self.ghosts = {}  # likewise, of keys that were deleted: what is left of them where only the other generation has it
        if of.is_array():
            for key in range(of.keys):
                self.keys[key] = self.made(0, False)

    def made(self, generation, mixed):
        """A new entry; `mixed`: of whichever generation."""
        cells = {}
        for leaf in self.of.leaves:
            least = leaf.default if mixed and leaf.default else None
            if leaf.forms[generation] or mixed:
                cells[leaf.number] = [Cell(leaf.op, 0, least) for _ in range(leaf.elements)]
                if leaf.op in ("min", "first"):
                    for cell in cells[leaf.number]:
                        cell.low = cell.high = None
                        cell.may = set()
        return cells

    def spots(self, leaf, key):
        """(element, events that reach it)"""
        for element in range(leaf.elements):
            yield element, range(key + element * self.of.keys, EVENTS, self.of.keys * leaf.elements)

    def advance(self, hits, generations):
        """`hits`: how often each event happened, met by one of these generations each time."""
        for key in range(self.of.keys):
            if self.of.control or self.of.tight or not any(hits[a] for a in range(key, EVENTS, self.of.keys)):
                continue
            fresh = key not in self.keys
            if fresh:
                self.keys[key] = self.made(min(generations), len(generations) > 1)
                self.haunt(key)
            for leaf in self.of.leaves:
                if leaf.number in self.keys[key]:
                    self.advance_leaf(leaf, key, hits, all(leaf.forms[g] for g in generations), fresh)

    def advance_leaf(self, leaf, key, hits, certain, fresh):
        for element, events in self.spots(leaf, key):
            happened = [a for a in events if hits[a]]
            if happened and leaf.op != "user":
                self.apply(leaf, self.keys[key][leaf.number][element], happened, hits, certain, fresh)

    def apply(self, leaf, cell, happened, hits, certain, fresh):
        values = [leaf.value(a) for a in happened] if leaf.op not in ("add", "plain", "or") else []
        if leaf.merge == "sum":
            total = leaf.step * sum(hits[a] for a in happened)
            cell.low += total if certain or total < 0 else 0
            cell.high += total if certain or total > 0 else 0
        elif leaf.op == "or":
            bits = 0
            for a in happened:
                bits |= 1 << (a // self.of.keys) % leaf.bits
            cell.low |= bits if certain else 0
            cell.high |= bits
        elif leaf.op == "max":
            cell.low = max([cell.low, *values]) if certain else cell.low
            cell.high = max([cell.high, *values])
        elif leaf.op == "min":
            cell.high = min(values) if cell.high is None else min([cell.high, *values]) if certain else cell.high
            cell.low = min(values) if cell.low is None else min([cell.low, *values])
        elif leaf.op == "latest":
            cell.may = set(values) if certain else cell.may | set(values)
        elif leaf.op == "first" and fresh:
            cell.may = set(values) if certain else set(values) | {0}

    def enter(self, generation):
        """An update to this generation begins: what only it has starts with its default."""
        for cells in self.keys.values():
            for leaf in self.of.leaves:
                if leaf.forms[generation] and not leaf.forms[1 - generation]:
                    cells[leaf.number] = [Cell(leaf.op, leaf.default) for _ in range(leaf.elements)]

    def leave(self, generation):
        """This generation is gone, and with it what only it has."""
        for cells in self.keys.values():
            for leaf in self.of.leaves:
                if not leaf.forms[1 - generation]:
                    cells.pop(leaf.number, None)

    def delete(self, key, generation):
        """User space did. The other generation hears of it, unless the key is there again by then."""
        cells = self.keys.pop(key)
        self.ghosts[key] = {leaf.number: cells[leaf.number] for leaf in self.of.leaves if not leaf.forms[generation] and leaf.number in cells}

    def haunt(self, key):
        for number, ghosts in self.ghosts.pop(key, {}).items():
            for cell, ghost in zip(self.keys[key].get(number, []), ghosts):
                cell.may |= ghost.may
                known = [x for x in (cell.low, ghost.low, cell.high, ghost.high) if x is not None]
                cell.low, cell.high = min(known, default=None), max(known, default=None)

    def write(self, key, fields, new, generation):
        """User space wrote these."""
        if new:
            self.keys[key] = {}
        for leaf in self.of.leaves:
            if leaf.number in fields:
                self.keys[key][leaf.number] = [Cell(leaf.op, value) for value in fields[leaf.number]]
            elif new:
                start = leaf.default if leaf.forms[1] and not leaf.forms[0] else 0
                self.keys[key][leaf.number] = [Cell(leaf.op, start) for _ in range(leaf.elements)]
        self.haunt(key)

    def compare(self, entries, generation):
        """`entries`: bytes of keys -> the values (of each CPU). What is wrong, in words."""
        of, wrong = self.of, []
        if of.tight:
            return []
        names = {of.key_bytes(key, generation): key for key in range(of.keys)}
        got = {names[raw]: values for raw, values in entries.items() if raw in names}
        strange = [raw.hex() for raw in entries if raw not in names] if not of.is_array() else []
        if strange:
            wrong.append(f"{len(strange)} keys that nobody wrote: {strange[:3]}")
        missing, surplus = self.keys.keys() - got.keys(), got.keys() - self.keys.keys()
        if missing or surplus:
            wrong.append(f"missing keys {sorted(missing)[:5]} ({len(missing)}), surplus {sorted(surplus)[:5]} ({len(surplus)})")
        for leaf in of.live(generation):
            bad = [text for key in sorted(got.keys() & self.keys.keys()) for text in self.compare_leaf(leaf, key, got[key], generation)]
            if bad and leaf.number not in self.doubted:
                wrong.append(f"{leaf.forms[generation].path} ({leaf.op} by {leaf.step}): {len(bad)} differ: {'; '.join(bad[:3])}")
        return [f"{of.names[generation]}: {text}" for text in wrong]

    def compare_leaf(self, leaf, key, slots, generation):
        form = leaf.forms[generation]
        decoded = [form.decode(raw) for raw in slots]
        bits = min(8 * f.size for f in leaf.forms if f)
        for element, cell in enumerate(self.keys[key].get(leaf.number, [])):
            values = [slot[element] for slot in decoded]
            if len(values) > 1:
                values = joined(leaf.op, values, cell)
            for value in values:
                if isinstance(value, str) or not cell.allows(value, bits):
                    yield f"key {key}[{element}] is {value}, not {cell}"
                elif len(slots) == 1:
                    cell.seen(value)


def joined(op, values, cell):
    """The slots of all CPUs."""
    if op == "or":
        out = 0
        for value in values:
            out |= value
        return [out]
    if op == "max":
        return [max(values)]
    if op in SETS:
        return [value for value in values if value and not isinstance(value, str)]
    return [sum(values)]
