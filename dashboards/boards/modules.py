# SPDX-License-Identifier: Apache-2.0
"""Modules: what their programs cost, what their maps hold, and what was captured of their changes."""

from boards.common import AGENT, AGENT_VARIABLES, GENERATIONS, MAP, MODULE, MODULE_VARIABLE, ROLLBACKS, quantile, rate
from grafana import RED, dashboard, query, steps, table, timeseries, variable

PROGRAM = "{{instance}} {{module}} {{program}}"
WHERE = "{{instance}} {{module}}/{{map}}"
RED_ABOVE_0 = steps(("transparent", None), (RED, 0.000001))


def generations():
    return [
        table(
            "Active generations",
            "The generation of each module that runs now, and the update that brought it.",
            [query(f"max by (instance, module, generation, version, update_id, digest) (mapshift_module_info{{{MODULE}}})")],
            "none",
            {
                "instance": "Agent",
                "module": "Module",
                "generation": "Generation",
                "version": "Version",
                "update_id": "Update",
                "digest": "Digest",
            },
            width=24,
            height=6,
        )
    ]


def programs():
    by = "instance, module, program"
    seconds, runs = (rate(f"mapshift_program_{name}", MODULE, by) for name in ("run_seconds_total", "runs_total"))
    return [
        timeseries("Run time", "Mean time of one run of each program.", [query(f"{seconds} / ({runs} > 0)", PROGRAM)], "s"),
        timeseries("CPU", "Share of one core that each program takes.", [query(seconds, PROGRAM)], "percentunit"),
        timeseries("Runs", "Runs of each program, all generations together.", [query(runs, PROGRAM)], "ops"),
        timeseries(
            "Misses",
            "Runs that the kernel skipped because the program was already running on that CPU: events that nobody saw.",
            [query(rate("mapshift_program_missed_total", MODULE, by), PROGRAM)],
            "ops",
            width=24,
            height=6,
            thresholds=RED_ABOVE_0,
        ),
    ]


def maps():
    return [
        timeseries(
            "Entries",
            "Entries in the active generation's maps.",
            [query(f"mapshift_map_entries{{{MAP}}}", WHERE)],
            "short",
            width=12,
        ),
        timeseries(
            "Memory",
            "Memory that the kernel accounts to each map.",
            [query(f"mapshift_map_memory_bytes{{{MAP}}}", WHERE)],
            "bytes",
            width=12,
        ),
    ]


def changes():
    return [
        timeseries(
            "Changes",
            "Changes of captured maps, by operation and by where they were seen.",
            [
                query(
                    rate("mapshift_map_changes_total", MAP, "instance, module, map, op, source"), WHERE + " {{op}} ({{source}})"
                )
            ],
            "ops",
        ),
        timeseries(
            "Changes lost",
            "Changes that did not reach their consumers, which were told to resynchronise.",
            [query(rate("mapshift_map_changes_lost_total", MAP, "instance, module, map, reason"), WHERE + " {{reason}}")],
            "ops",
            thresholds=RED_ABOVE_0,
        ),
        timeseries(
            "From write to consumer",
            "Time from the write to the delivery of the change, of all maps of the agent.",
            [
                query(quantile(q, "mapshift_map_change_latency_seconds", AGENT, "source"), "{{source}} " + name)
                for q, name in ((0.5, "p50"), (0.99, "p99"))
            ],
            "s",
        ),
    ]


def board():
    rows = [("Generations", generations()), ("Programs", programs()), ("Maps", maps()), ("Captured changes", changes())]
    return dashboard(
        "mapshift-modules",
        "mapshift / Modules",
        "eBPF modules: run time, runs, misses, entries, memory, changes and losses.",
        [*AGENT_VARIABLES, MODULE_VARIABLE, variable("map", "Map", "mapshift_map_entries", MODULE)],
        rows,
        [GENERATIONS, ROLLBACKS],
    )
