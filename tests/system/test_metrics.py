# SPDX-License-Identifier: Apache-2.0
"""Every metric of the contract, with its labels, there from the start, and right after an update and a rollback."""

import itertools
import re
import time

from lab import SystemTest

RESULTS = ("committed", "rolled_back", "failed", "aborted", "stuck")
TRIGGERS = ("objective", "alert", "operator", "stall", "recovery")
PHASES = ("planning", "loading", "syncing", "swapping", "baking", "rolling_back")
OPS = ("added", "changed", "deleted", "conflict", "clamped")
TYPES = {
    "gauge": """mapshift_build_info mapshift_module_info mapshift_config_last_reload_successful mapshift_update_phase mapshift_migration_progress_ratio
        mapshift_migration_staleness_seconds mapshift_consistency_mismatched_keys mapshift_consistency_ratio
        mapshift_consistency_last_check_timestamp_seconds mapshift_map_entries mapshift_map_memory_bytes mapshift_objective_value
        mapshift_objective_limit mapshift_objective_breached process_resident_memory_bytes process_open_fds process_start_time_seconds""",
    "counter": """mapshift_updates_total mapshift_rollbacks_total mapshift_migration_keys_total mapshift_migration_passes_total
        mapshift_program_run_seconds_total mapshift_program_runs_total mapshift_program_missed_total mapshift_analysis_measurements_total
        mapshift_http_requests_total process_cpu_seconds_total""",
    "histogram": """mapshift_update_phase_duration_seconds mapshift_update_duration_seconds mapshift_update_latency_seconds
        mapshift_update_mixed_window_seconds mapshift_migration_pass_duration_seconds mapshift_http_request_duration_seconds""",
}


def series(**labels):
    return ",".join(f'{name}="{value}"' for name, value in sorted(labels.items()))


class Metrics(SystemTest):
    OBJECTIVE = {"name": "half", "indicator": "map", "ratio": {"num": "totals.frames", "den": "totals.frames"}, "max": 0.5, "failureLimit": 1}

    def read(self, agent):
        """name -> {labels in order of their names: value}, however the text orders them."""
        out = {}
        for name, values in agent.metrics().items():
            out[name] = {",".join(sorted(re.findall(r'\w+="[^"]*"', labels))): value for labels, value in values.items()}
        return out

    def test_at_the_start(self):
        agent = self.agent()
        found = self.read(agent)
        self.assertEqual(list(found["mapshift_build_info"].values()), [1])
        self.assertEqual(found["mapshift_config_last_reload_successful"], {"": 1})
        for name in ("mapshift_update_latency_seconds", "mapshift_update_mixed_window_seconds", "mapshift_migration_pass_duration_seconds"):
            self.assertEqual(found.get(f"{name}_count"), {"": 0}, name)
        for result in RESULTS:
            self.assertEqual(found["mapshift_update_duration_seconds_count"].get(series(result=result)), 0)
        for phase in PHASES:
            self.assertEqual(found["mapshift_update_phase_duration_seconds_count"].get(series(phase=phase)), 0)

    def test_types_and_help(self):
        agent = self.agent()
        self.load(agent, self.meter(1, analysis={"objectives": [self.OBJECTIVE]}))
        frames = self.frames()
        agent.cli("update", self.meter(2, analysis={"bake": "10s", "interval": "50ms", "objectives": [self.OBJECTIVE]}), "--wait")
        frames.stop()
        text = agent.http("GET", "/metrics", listener="metrics").text
        for kind, names in TYPES.items():
            for name in names.split():
                self.assertIn(f"# TYPE {name} {kind}\n", text)
                self.assertRegex(text, rf"# HELP {name} \S+")
                self.assertRegex(text, rf"(?m)^{name}(_bucket|_count)?({{| )", name)

    def test_a_loaded_module_is_there_with_zeros(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        found = self.read(agent)
        info = list(found["mapshift_module_info"])
        self.assertEqual(len(info), 1)
        self.assertRegex(info[0], r'^digest="[^"]+",generation="1",module="meter",update_id="",version="1.0.0"$')
        for name, label, values in (("mapshift_updates_total", "result", RESULTS), ("mapshift_rollbacks_total", "trigger", TRIGGERS), ("mapshift_update_phase", "phase", PHASES)):
            for value in values:
                self.assertEqual(found[name].get(series(module="meter", **{label: value})), 0, f"{name} {value}")
        for program in ("enter",):
            for name in ("runs", "missed"):
                self.assertEqual(found[f"mapshift_program_{name}_total"].get(series(module="meter", program=program)), 0)
        for map_name in ("cells", "totals"):
            self.assertIn(series(module="meter", map=map_name), found["mapshift_map_entries"])
            self.assertGreater(found["mapshift_map_memory_bytes"][series(module="meter", map=map_name)], 0)

    def test_what_an_update_and_a_rollback_leave(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        frames = self.frames()
        self.assertEqual(agent.cli("update", self.meter(2), "--bake", "500ms", "--wait").status, 0)
        found = self.read(agent)
        self.assertEqual(found["mapshift_updates_total"][series(module="meter", result="committed")], 1)
        self.assertRegex(list(found["mapshift_module_info"])[0], r'generation="2",module="meter",update_id="u-000001",version="2.0.0"$')
        for op in OPS:
            self.assertIn(series(module="meter", map="cells", op=op), found["mapshift_migration_keys_total"])
        self.assertGreater(found["mapshift_migration_keys_total"][series(module="meter", map="cells", op="added")], 0)
        self.assertGreater(found["mapshift_migration_passes_total"][series(module="meter", map="cells")], 2)
        self.assertEqual(found["mapshift_migration_progress_ratio"][series(module="meter", map="cells")], 1)
        self.assertEqual(found["mapshift_consistency_mismatched_keys"][series(module="meter", map="cells")], 0)
        self.assertEqual(found["mapshift_consistency_ratio"][series(module="meter", map="cells")], 1)
        self.assertAlmostEqual(found["mapshift_consistency_last_check_timestamp_seconds"][series(module="meter", map="cells")], time.time(), delta=60)
        self.assertEqual(found["mapshift_update_latency_seconds_count"][""], 1)
        self.assertEqual(found["mapshift_update_latency_seconds_sum"][""], 0)
        for phase in PHASES[:5]:
            self.assertEqual(found["mapshift_update_phase_duration_seconds_count"][series(phase=phase)], 1, phase)
        self.assertEqual(found["mapshift_update_duration_seconds_count"][series(result="committed")], 1)
        self.assertTrue(all(value == 0 for value in found["mapshift_update_phase"].values()))

        bad = self.meter(3, analysis={"bake": "10s", "interval": "50ms", "objectives": [self.OBJECTIVE]})
        self.assertEqual(agent.cli("update", bad, "--wait").status, 3)
        found = self.read(agent)
        self.assertEqual(found["mapshift_updates_total"][series(module="meter", result="rolled_back")], 1)
        self.assertEqual(found["mapshift_rollbacks_total"][series(module="meter", trigger="objective")], 1)
        self.assertEqual(found["mapshift_objective_limit"][series(module="meter", objective="half")], 0.5)
        self.assertAlmostEqual(found["mapshift_objective_value"][series(module="meter", objective="half")], 1, delta=0.05)
        self.assertGreaterEqual(found["mapshift_analysis_measurements_total"][series(module="meter", objective="half", outcome="fail")], 2)
        self.assertEqual(found["mapshift_update_phase_duration_seconds_count"][series(phase="rolling_back")], 1)
        sent = frames.stop()
        runs = self.read(agent)["mapshift_program_runs_total"][series(module="meter", program="enter")]
        self.assertAlmostEqual(runs, sent, delta=sent * 0.02)  # of all generations; the kernel counts a little late
        self.assertGreater(self.read(agent)["mapshift_program_run_seconds_total"][series(module="meter", program="enter")], 0)

        self.assertEqual(agent.cli("unload", "meter").status, 0)
        left = [name for name, values in self.read(agent).items() if any('module="meter"' in labels for labels in values)]
        self.assertEqual(left, [], "an unloaded module leaves no series")

    def test_the_phase_while_it_lasts(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        identity = self.start_update(agent, self.meter(2), "--bake", "60s")
        agent.follow(identity, ("baking",))
        phases = {phase: self.read(agent)["mapshift_update_phase"][series(module="meter", phase=phase)] for phase in PHASES}
        self.assertEqual([phase for phase, value in phases.items() if value], ["baking"])

    def test_requests_are_counted_by_route(self):
        agent = self.agent()
        for _ in range(3):
            agent.http("GET", "/api/v1/modules")
        agent.http("GET", "/api/v1/modules", token=None)
        agent.http("GET", "/some/../path")
        found = self.read(agent)["mapshift_http_requests_total"]
        counts = {(re.search('handler="([^"]*)"', labels)[1], re.search('code="([^"]*)"', labels)[1]): value for labels, value in found.items()}
        self.assertIn(3, counts.values())
        self.assertFalse([handler for handler, _ in counts if ".." in handler])

    def test_names_and_series(self):
        agent = self.agent()
        self.load(agent, self.meter(1))
        text = agent.http("GET", "/metrics", listener="metrics").text
        lines = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        self.assertEqual([line for line, group in itertools.groupby(sorted(lines)) if len(list(group)) > 1], [], "a series twice")
        self.assertFalse([line for line in lines if not re.match(r"(mapshift|process)_", line)])
