# SPDX-License-Identifier: Apache-2.0
"""policy: rules that user space writes through a descriptor that it never opens again, and a version that means something else."""

import json
import struct

import bpf
from examples import LINK, Example, compare, frame_source, host_order, ipv4_frame, share

SERVICES = 48  # destination ports in the frames; ports beyond RULES have no rule
RULES = 40
FIRST_PORT = 5000
SOURCE, DESTINATION = 0xC6336402, 0xC6336401
OWN_PORT = 9000  # of the rule that changes under load; no frame has it
# Of each version, told by the size of its values: how a rule is written. An action by its name.
LAYOUTS = {8: ("=II", ("id", "action"), {"allow": 0, "deny": 1}), 16: ("=IIII", ("action", "id", "priority", "expires"), {"deny": 0, "allow": 1, "log": 2})}
PRIORITY = {1: None, 2: 100, 3: ~100 & 0xFFFFFFFF}  # of all rules, under each version


def service(port):
    return struct.pack(">HBx", port, 17)


def encode(value_size, **rule):
    form, names, actions = LAYOUTS[value_size]
    rule = {**rule, "action": actions[rule["action"]]}
    return struct.pack(form, *(rule.get(name, 0) for name in names))


def action_of(rule_id):
    return "deny" if rule_id % 3 == 0 else "allow"


class Policy(Example):
    name = "policy"
    sets = {"IFACE": LINK}
    back = {2: {"rules": {"transform": {"up": "rule_up", "down": "rule_down"}}}}

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.held = None  # the control plane's descriptor of `rules`; it holds it over updates
        self.written = 0

    def make_source(self):
        return frame_source(self, [ipv4_frame(SOURCE, DESTINATION, 17, 4000, FIRST_PORT + slot) for slot in range(SERVICES)])

    def loaded(self):
        self.reopen()
        for rule_id in range(RULES):
            self.held.update(service(FIRST_PORT + rule_id), encode(self.held.value_size, id=rule_id, action=action_of(rule_id)))

    def reopen(self):
        if self.held:
            self.held.close()
        self.held = bpf.Map(self.pin("rules"))

    def end(self):
        if self.held:
            self.held.close()
            self.held = None

    def write_rule(self):
        """A rule that no packet meets, with a new number each time, through the descriptor that is held."""
        self.written += 1
        self.held.update(service(OWN_PORT), encode(self.held.value_size, id=500 + self.written % 500, action="allow"))

    def update_and_roll_back(self, version):
        problems = self.refusal() if version == 3 else []
        problems += super().update_and_roll_back(version)
        return problems + self.rules_are_right()

    def pause(self):
        """Whoever holds the old map in mid-bake writes to it, and the new one gets it."""
        if self.version:
            self.write_rule()
        return super().pause()

    def update(self, version):
        problems = super().update(version)
        self.reopen()
        return problems

    def rules_are_right(self):
        got = {}
        for key, rule in self.dump("rules"):
            got[host_order(key["port"], 2)] = rule
        problems = []
        for rule_id in range(RULES):
            rule = got.get(FIRST_PORT + rule_id, {})
            priority_is_right = rule.get("priority") in (PRIORITY.values() if self.baking else (PRIORITY[self.version],))
            if rule.get("id") != rule_id or not priority_is_right or not str(rule.get("action", "")).endswith(action_of(rule_id).upper()):
                problems.append(f"rule {rule_id} became {rule}")
        if self.written and got.get(OWN_PORT, {}).get("id") != 500 + self.written % 500:
            problems.append(f"what was written through the descriptor held did not arrive: {got.get(OWN_PORT)}, expected {500 + self.written % 500}")
        return problems

    def check(self, sent):
        by_slot = [share(sent, SERVICES, slot) for slot in range(SERVICES)]
        want = {rule_id: by_slot[rule_id] for rule_id in range(RULES)}
        got = {key: value["packets"] for key, value in self.dump("verdicts") if value["packets"]}
        denied = sum(count for rule_id, count in want.items() if action_of(rule_id) == "deny")
        totals = {"seen": sum(sent), "denied": denied, "allowed": sum(want.values()) - denied, "unmatched": sum(by_slot[RULES:]), "other": 0}
        return compare("packets by rule", want, got) + compare("totals", totals, self.per_cpu_sum("totals")) + self.rules_are_right()

    def manifest(self, version):
        """Version 3 by the manifest that says how rules are converted."""
        path = super().manifest(version)
        return path.with_name("policy_v3_converted.json") if version == 3 else path

    def refusal(self):
        """What is wrong with how version 3 is refused by a manifest that does not say it."""
        plain = self.manifest(3).with_name("policy_v3.json")
        status, plan, _ = self.agent.json("plan", plain, *self.parameters())
        said = [r["message"] for r in plan.get("refusals", []) if "epoch" in json.dumps(r).lower()]
        if not said:
            return [f"version 3 is not refused for its epoch: exit status {status}, {plan.get('refusals')}"]
        self.say(f"refused  policy 3.0.0 without a conversion: {said[0]}")
        return []
