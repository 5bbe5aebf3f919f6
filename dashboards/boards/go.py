# SPDX-License-Identifier: Apache-2.0
"""Go runtime: what was captured of Go processes from outside, and what the capture costs them."""

from boards.common import AGENT, AGENT_VARIABLES, PROCESS, quantile, rate
from grafana import RED, YELLOW, annotation, dashboard, heatmap, query, stat, steps, table, timeseries, variable

NAME = "{{instance}} {{process}}"
BUDGET = 0.01  # go.overhead_budget, unless the configuration says otherwise


def processes():
    return [
        stat(
            "Processes",
            "Go processes by what the agent does with them.",
            [query(f"sum by (state) (mapshift_go_processes{{{AGENT}}})", "{{state}}", instant=True)],
            "none",
            width=8,
            height=6,
        ),
        table(
            "Captured processes",
            "Each captured process and the Go version that built it.",
            [query(f"max by (instance, process, go_version) (mapshift_go_info{{{PROCESS}}})")],
            "none",
            {"instance": "Agent", "process": "Process", "go_version": "Go"},
            width=16,
            height=6,
        ),
    ]


def pauses():
    kinds = "instance, process, kind"
    pause, stopping, sched = (f"mapshift_go_{name}_seconds" for name in ("stw_pause", "stw_stopping", "sched_latency"))
    return [
        timeseries(
            "Stop-the-world pauses",
            "Time for which all goroutines stood still, for the collector and for other reasons.",
            [
                query(quantile(q, pause, PROCESS, kinds), NAME + " {{kind}} " + name)
                for q, name in ((0.5, "p50"), (0.99, "p99"))
            ],
            "s",
        ),
        timeseries(
            "Time to stop the world",
            "Part of each pause that passed until the last goroutine stood still.",
            [query(quantile(0.99, stopping, PROCESS, kinds), NAME + " {{kind}} p99")],
            "s",
        ),
        heatmap(
            "Pauses by length",
            "How many pauses took how long.",
            f"sum by (le) (increase({pause}_bucket{{{PROCESS}}}[$__rate_interval]))",
        ),
        timeseries(
            "Scheduler latency",
            "Time that goroutines waited to run once they could.",
            [
                query(quantile(q, sched, PROCESS, "instance, process"), f"{NAME} {name}")
                for q, name in ((0.5, "p50"), (0.99, "p99"), (0.999, "p99.9"))
            ],
            "s",
            width=16,
        ),
        heatmap(
            "Scheduler latency by length",
            "How many goroutines waited how long.",
            f"sum by (le) (increase({sched}_bucket{{{PROCESS}}}[$__rate_interval]))",
        ),
        timeseries(
            "Scheduler latency as probed",
            "The same time as the probes saw it, each transition in their windows, where the runtime looks at every eighth.",
            [
                query(quantile(q, "mapshift_go_run_queue_seconds", PROCESS, "instance, process"), f"{NAME} {name}")
                for q, name in ((0.5, "p50"), (0.99, "p99"))
            ],
            "s",
            width=24,
        ),
    ]


def goroutines():
    return [
        timeseries(
            "Blocked goroutines",
            "Goroutines that wait, by reason, at the last census.",
            [query(f'sum by (process, reason) (mapshift_go_goroutines{{{PROCESS},reason!=""}})', "{{process}} {{reason}}")],
            "short",
            stack=True,
        ),
        timeseries(
            "Time blocked",
            "99th percentile of the time from parking to waking, by reason.",
            [query(quantile(0.99, "mapshift_go_block_seconds", PROCESS, "process, reason"), "{{process}} {{reason}}")],
            "s",
        ),
        timeseries(
            "Goroutines",
            "Goroutines by state, at the last census.",
            [query(f"sum by (process, state) (mapshift_go_goroutines{{{PROCESS}}})", "{{process}} {{state}}")],
            "short",
        ),
        timeseries(
            "Goroutines created",
            "Goroutines that began, and that ended.",
            [
                query(rate(f"mapshift_go_goroutines_{what}_total", PROCESS, "instance, process"), f"{NAME} {what}")
                for what in ("created", "exited")
            ],
            "ops",
        ),
        timeseries(
            "Collections",
            "Cycles of the garbage collector.",
            [query(rate("mapshift_go_gc_cycles_total", PROCESS, "instance, process"), NAME)],
            "ops",
        ),
        timeseries("Heap", "Bytes on the heap.", [query(f"mapshift_go_heap_bytes{{{PROCESS}}}", NAME)], "bytes"),
        timeseries(
            "Network poller",
            "Descriptors that the network poller found ready, for reading and for writing.",
            [query(rate("mapshift_go_netpoll_events_total", PROCESS, "instance, process, mode"), NAME + " {{mode}}")],
            "ops",
        ),
        timeseries(
            "Reads and writes",
            "99th percentile of the time of a read or write of a connection or file, waiting for it included.",
            [query(quantile(0.99, "mapshift_go_io_seconds", PROCESS, "instance, process, op"), NAME + " {{op}} p99")],
            "s",
        ),
        timeseries(
            "Reads and writes that fail",
            "Calls that returned an error; the end of a connection is one.",
            [query(rate("mapshift_go_io_errors_total", PROCESS, "instance, process, op"), NAME + " {{op}}")],
            "ops",
        ),
    ]


def overhead():
    return [
        timeseries(
            "Overhead",
            "CPU time that the probes cost each process, as a share of its own. The default budget is 1 %.",
            [query(f"mapshift_go_probe_overhead_ratio{{{PROCESS}}}", NAME)],
            "percentunit",
            thresholds=steps(("transparent", None), (YELLOW, 0.8 * BUDGET), (RED, BUDGET)),
        ),
        timeseries(
            "Duty",
            "Share of the time for which the dear probes were attached. What they see is scaled by it.",
            [query(f"mapshift_go_probe_duty_ratio{{{PROCESS}}}", NAME)],
            "percentunit",
            high=1,
        ),
        timeseries(
            "Cross-check",
            "What the probes saw, divided by what the runtime itself counted in the same windows. 1: nothing is missed.",
            [query(f"mapshift_go_crosscheck_ratio{{{PROCESS}}}", NAME)],
            "none",
        ),
        timeseries(
            "Lost events",
            "Events of the probes that found no room, and processes beyond the limit on their number.",
            [
                query(rate("mapshift_go_probe_lost_events_total", PROCESS, "instance, process"), NAME),
                query(rate("mapshift_go_processes_dropped_total", AGENT, "instance"), "{{instance}} processes"),
            ],
            "ops",
            width=24,
        ),
    ]


def board():
    restarts = annotation(
        "Go version changes",
        YELLOW,
        f"mapshift_go_info{{{PROCESS}}} unless mapshift_go_info{{{PROCESS}}} offset 1m",
        "{{process}} on {{instance}}",
        "built by {{go_version}}",
    )
    restarts["tagKeys"] = "instance,process"
    rows = [
        ("Captured", processes()),
        ("Pauses and scheduling", pauses()),
        ("Goroutines and memory", goroutines()),
        ("What the capture costs", overhead()),
    ]
    return dashboard(
        "mapshift-go",
        "mapshift / Go runtime",
        "Go processes seen from outside: pauses, scheduler latency, blocked goroutines, collections.",
        [*AGENT_VARIABLES, variable("process", "Process", "mapshift_go_info", AGENT)],
        rows,
        [restarts],
    )
