# SPDX-License-Identifier: Apache-2.0
"""Random types of keys and values in two generations: which fields there are, how they lie in each generation, and their bytes."""

import dataclasses
import struct

ENUMERATORS = 4
CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


@dataclasses.dataclass
class Form:
    """A field in one generation."""
    name: str
    size: int
    signed: bool = False
    kind: str = "int"  # int, bool, enum, char, union (of one number and its halves)
    count: int = 0  # elements of an array; 0: it is none
    values: tuple = ()  # of an enum: what each enumerator is
    group: str = ""  # the structure that it lies in
    offset: int = 0
    of: int = 0  # number of the map

    @property
    def path(self):
        return f"{self.group}.{self.name}" if self.group and not self.group.startswith("anon") else self.name

    @property
    def bytes(self):
        return self.size * max(self.count, 1)

    def c_type(self):
        if self.kind == "union":
            return f"union {{ __u{8 * self.size} whole; __u{4 * self.size} half[2]; }}"
        fixed = {"bool": "bool", "char": "char", "enum": f"enum kind_{self.of}_{self.name[1:]}"}
        return fixed.get(self.kind) or f"__{'s' if self.signed else 'u'}{8 * self.size}"

    def encode(self, values):
        """Its bytes; `values` are as the model knows them: of enums, the enumerators' numbers."""
        if self.kind == "enum":
            values = [self.values[value] for value in values]
        mask = (1 << 8 * self.size) - 1
        return b"".join(struct.pack("=" + CODES[self.size], value & mask) for value in values)

    def decode(self, raw):
        code = CODES[self.size].lower() if self.signed else CODES[self.size]
        out = struct.unpack_from(f"={max(self.count, 1)}{code}", raw, self.offset)
        if self.kind == "enum":
            return [self.values.index(value) if value in self.values else f"no enumerator: {value}" for value in out]
        return list(out)


@dataclasses.dataclass
class Leaf:
    """A field of both generations, or of one (the other form is None), and what programs do to it."""
    number: int
    op: str  # add, plain, or, max, min, latest, first, user
    step: int = 1  # what is added
    kept: str = "latest"  # of what user space alone writes: its merge
    say: str = ""  # how its merge is declared: tag, manifest, or not
    follow: str = ""  # how a new name is declared: tag, manifest
    default: int = 0
    forms: list = dataclasses.field(default_factory=lambda: [None, None])

    @property
    def merge(self):
        return {"add": "sum", "plain": "sum", "user": self.kept}.get(self.op, self.op)

    @property
    def elements(self):
        """That both generations have."""
        return min(max(form.count, 1) for form in self.forms if form)

    @property
    def bits(self):
        """Of the largest value that fits in both."""
        if any(form and form.kind == "enum" for form in self.forms):
            return 2
        if any(form and form.kind == "bool" for form in self.forms):
            return 1
        return min(8 * form.size - form.signed for form in self.forms if form)

    def value(self, event):
        """What the event writes, where it writes something."""
        return (event * (2654435761 * (2 * self.number + 1)) + self.number) & ((1 << self.bits) - 1)

    def c_value(self):
        return f"((a * {2654435761 * (2 * self.number + 1) & (1 << 64) - 1}ull + {self.number}) & {(1 << self.bits) - 1:#x}ull)"


def lay_out(order, generation, lock):
    """Gives each form its offset. `order`: of groups, each (name, [leaf, …]), a leaf alone being in a group without a name. The size of all."""
    at, align = (4, 4) if lock else (0, 1)
    for name, leaves in order:
        forms = [leaf.forms[generation] for leaf in leaves if leaf.forms[generation]]
        if not forms:
            continue
        wide = max(form.size for form in forms)
        at, align = -(-at // wide) * wide, max(align, wide)
        for form in forms:
            form.group = name
            at = -(-at // form.size) * form.size
            form.offset = at
            at += form.bytes
        at = -(-at // wide) * wide
    return max(-(-at // align) * align, 1)


def declare(name, order, generation, lock, size):
    """The structure in C, with an assertion of each offset that Python reckons with."""
    enums, lines, proofs = [], [], []
    for group, leaves in order:
        live = [leaf for leaf in leaves if leaf.forms[generation]]
        inner = []
        for leaf in live:
            form = leaf.forms[generation]
            if form.kind == "enum":
                enums.append(f"{form.c_type()} {{ " + ", ".join(f"{name}_{form.name[1:]}_{i} = {v}" for i, v in enumerate(form.values)) + " };")
            inner.append(f"\t{form.c_type()} {form.name}" + (f"[{form.count}]" if form.count else "") + tags(leaf, generation) + ";")
            proofs.append(f"_Static_assert(__builtin_offsetof(struct {name}, {form.path}) == {form.offset}, \"{form.path}\");")
        if group and inner:
            lines += ["\tstruct {", *("\t" + line for line in inner), "\t}" + ("" if group.startswith("anon") else " " + group) + ";"]
        else:
            lines += inner
    if lock:
        lines.insert(0, "\tstruct bpf_spin_lock lock;")
    proofs.append(f"_Static_assert(sizeof(struct {name}) == {size}, \"size\");")
    return "\n".join([*enums, f"struct {name} {{", *lines, "};", *proofs])


def tags(leaf, generation):
    form, other = leaf.forms[generation], leaf.forms[1 - generation]
    text = ""
    if leaf.say == "tag":
        text += " MS_" + leaf.merge.upper()
    if other and leaf.follow == "tag":
        text += f' MS_FROM("{other.path}")'
    if not other and leaf.default:
        text += f" MS_DEFAULT({leaf.default})"
    return text
