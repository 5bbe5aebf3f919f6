# SPDX-License-Identifier: Apache-2.0
"""Updates: what is going on now, how it is judged, and what it cost."""

from boards.common import (
    AGENT,
    AGENT_VARIABLES,
    GENERATIONS,
    LATENCY_TARGET,
    MODULE,
    MODULE_VARIABLE,
    ROLLBACKS,
    quantile,
    rate,
)
from grafana import BLUE, GREEN, RED, YELLOW, dashboard, override, query, stat, states, steps, table, timeseries

PHASES = {
    1: ("planning", "super-light-blue"),
    2: ("loading", "light-blue"),
    3: ("syncing", BLUE),
    4: ("swapping", "purple"),
    5: ("baking", YELLOW),
    6: ("rolling back", RED),
    0: ("no update", "transparent"),
}
RED_ABOVE_0 = steps((GREEN, None), (RED, 0.5))
LATENCY = "mapshift_update_latency_seconds"
WHERE = "{{instance}} {{module}}/{{map}}"


def phase_number():
    """One series for each module whose value names the phase."""
    terms = [
        f'mapshift_update_phase{{{MODULE},phase="{text.replace(" ", "_")}"}} * {number}'
        for number, (text, _) in PHASES.items()
        if number
    ]
    return f"sum by (instance, module) ({' or '.join(terms)})"


def share_over_target(window):
    good = f'sum(rate({LATENCY}_bucket{{{AGENT},le="{LATENCY_TARGET}"}}[{window}]))'
    return f"1 - {good} / (sum(rate({LATENCY}_count{{{AGENT}}}[{window}])) > 0)"


def overview():
    return [
        stat(
            "Interruption p99.99",
            "SLI update_latency_p9999: interruption of hooks by an update, over the time shown. Red above its target of 1 ms.",
            [query(f"histogram_quantile(0.9999, sum by (le) (increase({LATENCY}_bucket{{{AGENT}}}[$__range])))", instant=True)],
            "s",
            thresholds=steps((GREEN, None), (RED, LATENCY_TARGET)),
        ),
        stat(
            "Updates above the target",
            "SLI slo_breach_rate_1h: share of the last hour's updates that interrupted for more than 1 ms. At most 0.001 % is "
            "allowed. Without an update in the last hour there is no value.",
            [query(share_over_target("1h"), instant=True)],
            "percentunit",
            thresholds=steps((GREEN, None), (RED, 0.00001)),
            decimals=3,
        ),
        stat(
            "Objectives breached",
            "Objectives whose last measurement failed.",
            [query(f"sum(mapshift_objective_breached{{{MODULE}}})", instant=True)],
            "none",
            thresholds=RED_ABOVE_0,
        ),
        stat(
            "Mismatched keys",
            "Keys that differed between the generations when they were last compared.",
            [query(f"sum(mapshift_consistency_mismatched_keys{{{MODULE}}})", instant=True)],
            "none",
            thresholds=RED_ABOVE_0,
        ),
        stat(
            "Rollbacks",
            "Rollbacks in the time shown.",
            [query(f"sum(increase(mapshift_rollbacks_total{{{MODULE}}}[$__range]))", instant=True)],
            "none",
            thresholds=RED_ABOVE_0,
            decimals=0,
        ),
        stat(
            "Stuck or failed",
            "Updates in the time shown that failed, or that stopped because a step could not be undone.",
            [query(f'sum(increase(mapshift_updates_total{{{MODULE},result=~"failed|stuck"}}[$__range]))', instant=True)],
            "none",
            thresholds=RED_ABOVE_0,
            decimals=0,
        ),
    ]


def migration():
    keys = f"sum by (instance, module, map, op) (rate(mapshift_migration_keys_total{{{MODULE}"
    return [
        states(
            "Phase", "The phase that each module's update is in.", [query(phase_number(), "{{instance}} {{module}}")], PHASES
        ),
        timeseries(
            "Progress",
            "Share of each map's keys that were migrated.",
            [query(f"mapshift_migration_progress_ratio{{{MODULE}}}", WHERE)],
            "percentunit",
            high=1,
        ),
        timeseries(
            "Staleness",
            "How far the other generation's map was behind at its last pass.",
            [query(f"mapshift_migration_staleness_seconds{{{MODULE}}}", WHERE)],
            "s",
        ),
        timeseries(
            "Keys migrated",
            "Keys that the passes added, changed and deleted on the other side.",
            [query(keys + ',op=~"added|changed|deleted"}[$__rate_interval]))', WHERE + " {{op}}")],
            "ops",
        ),
        timeseries(
            "Conflicts",
            "Values that changed on both sides where one had to win, and values cut to a narrower field. Red above 0.",
            [query(keys + ',op=~"conflict|clamped"}[$__rate_interval]))', WHERE + " {{op}}")],
            "ops",
            thresholds=steps(("transparent", None), (RED, 0.000001)),
        ),
        timeseries(
            "Passes",
            "Sweeps of the sync engine over each map.",
            [query(rate("mapshift_migration_passes_total", MODULE, "instance, module, map"), WHERE)],
            "ops",
        ),
        timeseries(
            "Time of a pass",
            "Time that one sweep over one map takes.",
            [
                query(quantile(q, "mapshift_migration_pass_duration_seconds", AGENT, "instance"), "{{instance}} " + name)
                for q, name in ((0.5, "p50"), (0.99, "p99"))
            ],
            "s",
        ),
    ]


def judgement():
    value, limit, breached = (f"mapshift_objective_{name}{{{MODULE}}}" for name in ("value", "limit", "breached"))
    name = "{{instance}} {{module}} {{objective}}"
    return [
        timeseries(
            "Measurements against limits",
            "Each objective's value as a share of its limit: an objective with a maximum is breached above 100 %, one with "
            "a minimum below. Objectives whose limit is 0 are in the table only.",
            [query(f"{value} / ({limit} != 0)", name)],
            "percentunit",
            width=12,
            thresholds=steps(("transparent", None), (RED, 1)),
        ),
        table(
            "Objectives",
            "The last measurement of each objective, and its limit.",
            [query(f"max by (instance, module, objective) ({figure})") for figure in (value, limit, breached)],
            "none",
            {
                "instance": "Agent",
                "module": "Module",
                "objective": "Objective",
                "Value #A": "Value",
                "Value #B": "Limit",
                "Value #C": "Breached",
            },
            overrides=[
                override("Breached", ("custom.displayMode", "color-background"), ("thresholds", steps((GREEN, None), (RED, 1))))
            ],
        ),
        states(
            "Breaches",
            "Red while an objective's last measurement failed.",
            [query(breached, name)],
            {0: ("holds", GREEN), 1: ("breached", RED)},
            width=12,
        ),
        timeseries(
            "Measurements",
            "Measurements by outcome. Only pass counts in favour of an update.",
            [
                query(
                    f"sum by (outcome) (increase(mapshift_analysis_measurements_total{{{MODULE}}}[$__rate_interval]))",
                    "{{outcome}}",
                )
            ],
            "none",
            width=12,
            height=6,
            bars=True,
            stack=True,
            overrides=[
                override("fail", ("color", {"mode": "fixed", "fixedColor": RED})),
                override("pass", ("color", {"mode": "fixed", "fixedColor": GREEN})),
            ],
        ),
    ]


def cost():
    target = override(
        "target", ("color", {"mode": "fixed", "fixedColor": RED}), ("custom.lineStyle", {"fill": "dash", "dash": [8, 8]})
    )
    hourly = f"histogram_quantile(0.9999, sum by (instance, le) (rate({LATENCY}_bucket{{{AGENT}}}[1h])))"
    return [
        timeseries(
            "Interruption p99.99 and its target",
            "Time in which an event at a hook was processed by no generation, over the hour before. Without an "
            "update in that hour there is no value.",
            [query(hourly, "{{instance}}"), query(f"vector({LATENCY_TARGET})", "target")],
            "s",
            overrides=[target],
        ),
        timeseries(
            "Mixed window",
            "Time from the first hook that runs the new generation to the last, over the hour before.",
            [
                query(
                    f"histogram_quantile({q}, sum by (instance, le)"
                    f" (rate(mapshift_update_mixed_window_seconds_bucket{{{AGENT}}}[1h])))",
                    "{{instance}} " + text,
                )
                for q, text in ((0.5, "p50"), (0.99, "p99"))
            ],
            "s",
        ),
        timeseries(
            "Time of a phase",
            "Mean time that updates spent in each phase, over the hour before.",
            [
                query(
                    f"sum by (phase) (rate(mapshift_update_phase_duration_seconds_sum{{{AGENT}}}[1h]))"
                    f" / (sum by (phase) (rate(mapshift_update_phase_duration_seconds_count{{{AGENT}}}[1h])) > 0)",
                    "{{phase}}",
                )
            ],
            "s",
        ),
        timeseries(
            "Time of an update",
            "95th percentile from start to end, by result, over the hour before.",
            [
                query(
                    "histogram_quantile(0.95, sum by (result, le)"
                    f" (rate(mapshift_update_duration_seconds_bucket{{{AGENT}}}[1h])))",
                    "{{result}}",
                )
            ],
            "s",
        ),
        timeseries(
            "Updates",
            "Updates that ended, by how they ended.",
            [query(f"sum by (result) (increase(mapshift_updates_total{{{MODULE}}}[$__rate_interval]))", "{{result}}")],
            "none",
            bars=True,
            stack=True,
        ),
        timeseries(
            "Consistency",
            "Share of keys that agreed when the generations were last compared.",
            [query(f"mapshift_consistency_ratio{{{MODULE}}}", WHERE)],
            "percentunit",
            low=None,
            high=1,
        ),
    ]


def rollbacks():
    return [
        timeseries(
            "Rollbacks by reason",
            "What asked for each rollback: an objective, an alert, an operator, a stall, or recovery after the agent died.",
            [
                query(
                    f"sum by (module, trigger) (increase(mapshift_rollbacks_total{{{MODULE}}}[$__rate_interval]))",
                    "{{module}}: {{trigger}}",
                )
            ],
            "none",
            bars=True,
            stack=True,
        ),
        table(
            "Rollbacks in the time shown",
            "The same, counted. `mapshift explain` tells the measurement behind each.",
            [query(f"sum by (instance, module, trigger) (increase(mapshift_rollbacks_total{{{MODULE}}}[$__range])) > 0")],
            "none",
            {"instance": "Agent", "module": "Module", "trigger": "Reason", "Value": "Rollbacks"},
            width=8,
        ),
        table(
            "Comparison of the generations",
            "The last comparison of each map, and how long ago it was.",
            [
                query(f"max by (instance, module, map) ({figure})")
                for figure in (
                    f"mapshift_consistency_mismatched_keys{{{MODULE}}}",
                    f"time() - mapshift_consistency_last_check_timestamp_seconds{{{MODULE}}}",
                )
            ],
            "none",
            {"instance": "Agent", "module": "Module", "map": "Map", "Value #A": "Mismatched", "Value #B": "Checked before"},
            width=8,
            overrides=[
                override("Checked before", ("unit", "s")),
                override("Mismatched", ("custom.displayMode", "color-background"), ("thresholds", RED_ABOVE_0)),
            ],
        ),
    ]


def board():
    rows = [
        ("At a glance", overview()),
        ("Migration", migration()),
        ("Judgement", judgement()),
        ("What updates cost", cost()),
        ("Rollbacks and consistency", rollbacks()),
    ]
    return dashboard(
        "mapshift-updates",
        "mapshift / Updates",
        "Updates of eBPF modules: phase, migration, objectives, interruption, rollbacks.",
        [*AGENT_VARIABLES, MODULE_VARIABLE],
        rows,
        [GENERATIONS, ROLLBACKS],
    )
