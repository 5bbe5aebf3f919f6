# SPDX-License-Identifier: Apache-2.0
"""What a plan says of a random module's maps, against what its author knows of them."""

import json

FITS = ("does not fit", "have no place")  # what is written has a place on both sides


class Wrong(Exception):
    """What a seed brought to light."""


def read_plan(model, generation, said, warnings):
    if said["policy"] == "refuse":
        return  # its fields are told as far as they were understood
    for leaf in model.of.live(generation):
        form, other = leaf.forms[generation], leaf.forms[1 - generation]
        field = next((f for f in said["fields"] if f["name"] == form.path), None)
        if field is None:
            if said["policy"] == "sync":
                raise Wrong(f"the plan says nothing of {form.path}: {json.dumps(said)}")
            continue
        if field["from"] != (other.path if other else ""):
            raise Wrong(f"the plan says that {form.path} comes from {field['from'] or 'nowhere'}, not from {other and other.path}")
        if not field["exact"] and not all(any(word in reason for word in FITS) for reason in field["reason"].split("; ")):
            model.doubted.add(leaf.number)
        read_merge(model, leaf, field, said, warnings)
        read_change(leaf, field, generation)
    gone = {leaf.forms[1 - generation].path for leaf in model.of.leaves if leaf.forms[1 - generation] and not leaf.forms[generation]}
    dropped = {f["from"] for f in said["fields"] if f["change"] == "dropped"}
    if said["policy"] == "sync" and dropped != gone:
        raise Wrong(f"the plan drops {dropped}, not {gone}")


def read_merge(model, leaf, field, said, warnings):
    """Whether the plan calls the field what its author would."""
    origin = {"tag": ("declared",), "manifest": ("manifest",)}.get(leaf.say, ("inferred", "default"))
    if field["origin"] not in origin or leaf.say and field["merge"] != leaf.merge:
        raise Wrong(f"{field['name']} is {field['merge']} ({field['origin']}), and its author said {leaf.merge} by {leaf.say or 'nothing'}")
    if field["merge"] == leaf.merge or not all(leaf.forms):
        return
    model.doubted.add(leaf.number)
    warned = any(w["code"] == "declare-merge" and w["where"].endswith("." + field["name"]) for w in warnings)
    if leaf.op in ("add", "or") and said["policy"] == "sync" and not warned:
        raise Wrong(f"{field['name']} ({leaf.op}) is guessed {field['merge']} without a warning: {field['reason']}")


def read_change(leaf, field, generation):
    """Whether the plan's words for a change are those of the change that was made."""
    new, old, words = leaf.forms[generation], leaf.forms[1 - generation], []
    if not old:
        words.append(f"new, default {leaf.default}" if leaf.default else "new")
    else:
        if old.path != new.path:
            words.append("moved" if old.name == new.name else "renamed")
        if max(old.count, 1) != max(new.count, 1):
            words.append(f"{'grew' if old.count < new.count else 'shrunk'} {max(old.count, 1)} to {max(new.count, 1)}")
        was, now = (f"{'s' if form.signed else 'u'}{8 * form.size}" for form in (old, new))
        if was != now:
            words.append({-1: "narrowed ", 0: "", 1: "widened "}[(new.size > old.size) - (new.size < old.size)] + f"{was} to {now}")
        if old.values != new.values:
            words.append("enum values follow their names")
    if [word for word in words if word not in field["change"]] or not words and field["change"]:
        raise Wrong(f"the plan says that {field['name']} is \"{field['change']}\", and it is {words}")


def doubt(model):
    """Fields of which nothing exact is known, whatever the plan says: programs that run at a time lose each other's changes, or it is too narrow."""
    of = model.of
    for leaf in of.leaves:
        if leaf.op in ("plain", "max", "min") and not (of.per_cpu or of.lock):
            model.doubted.add(leaf.number)
        a, b = leaf.forms
        if a and b and leaf.merge == "sum" and (a.size, a.signed) != (b.size, b.signed) and min(a.size, b.size) < 4:
            model.doubted.add(leaf.number)
