# SPDX-License-Identifier: Apache-2.0
"""Agent: the agent itself."""

from boards.common import AGENT, AGENT_VARIABLES, quantile, rate
from grafana import GREEN, RED, dashboard, mapping, query, stat, steps, table, timeseries

NAME = "{{instance}}"
RED_BELOW_1 = steps((RED, None), (GREEN, 1))


def health():
    return [
        stat(
            "Up",
            "Agents that answer Prometheus. `instance` does not filter here: one that is down must not vanish from the choice.",
            [
                query('sum(up{job=~"$job"})', "up", instant=True),
                query('count(up{job=~"$job"}) - sum(up{job=~"$job"})', "down", instant=True),
            ],
            "none",
            width=6,
        ),
        stat(
            "Configuration",
            "Whether the last attempt to read the configuration was successful.",
            [query(f"min(mapshift_config_last_reload_successful{{{AGENT}}})", instant=True)],
            "none",
            width=6,
            thresholds=RED_BELOW_1,
            mappings=mapping({0: ("refused", RED), 1: ("valid", GREEN)}),
        ),
        table(
            "Versions",
            "Each agent, its version, and for how long it has run.",
            [
                query(f"max by (instance, version) (mapshift_build_info{{{AGENT}}})"),
                query(f"max by (instance) (time() - process_start_time_seconds{{{AGENT}}})"),
            ],
            "s",
            {"instance": "Agent", "version": "Version", "Value #B": "Runs for"},
            height=5,
        ),
    ]


def resources():
    return [
        timeseries(
            "CPU",
            "Share of one core.",
            [query(f"rate(process_cpu_seconds_total{{{AGENT}}}[$__rate_interval])", NAME)],
            "percentunit",
        ),
        timeseries(
            "Memory",
            "Resident and virtual memory.",
            [
                query(f"process_resident_memory_bytes{{{AGENT}}}", NAME + " resident"),
                query(f"process_virtual_memory_bytes{{{AGENT}}}", NAME + " virtual"),
            ],
            "bytes",
        ),
        timeseries(
            "File descriptors",
            "Open file descriptors as a share of their limit.",
            [query(f"process_open_fds{{{AGENT}}} / process_max_fds{{{AGENT}}}", NAME)],
            "percentunit",
            thresholds=steps(("transparent", None), (RED, 0.8)),
        ),
        timeseries(
            "Scrape",
            "Time that Prometheus needs to read the agent's metrics.",
            [query(f"scrape_duration_seconds{{{AGENT}}}", NAME)],
            "s",
            width=12,
        ),
        timeseries(
            "Samples",
            "Samples in each scrape. Each module, map, program and Go process adds some.",
            [query(f"scrape_samples_scraped{{{AGENT}}}", NAME)],
            "short",
            width=12,
        ),
    ]


def requests():
    name = "mapshift_http_request_duration_seconds"
    return [
        timeseries(
            "Requests",
            "Requests answered, by route and status.",
            [query(rate("mapshift_http_requests_total", AGENT, "handler, code"), "{{handler}} {{code}}")],
            "reqps",
        ),
        timeseries(
            "Errors",
            "Requests answered with an error of the agent.",
            [
                query(
                    f'sum by (handler, code) (rate(mapshift_http_requests_total{{{AGENT},code=~"5.."}}[$__rate_interval]))',
                    "{{handler}} {{code}}",
                )
            ],
            "reqps",
            thresholds=steps(("transparent", None), (RED, 0.000001)),
        ),
        timeseries(
            "Time to answer",
            "99th percentile by route. Routes that wait for news include the waiting.",
            [query(quantile(0.99, name, AGENT, "handler"), "{{handler}}")],
            "s",
        ),
        timeseries(
            "Alerts received",
            "Alerts that Alertmanager delivered, by what the agent made of them.",
            [
                query(
                    f"sum by (disposition) (increase(mapshift_alerts_received_total{{{AGENT}}}[$__rate_interval]))",
                    "{{disposition}}",
                )
            ],
            "none",
            width=24,
            height=6,
            bars=True,
            stack=True,
        ),
    ]


def board():
    rows = [("Health", health()), ("Resources", resources()), ("HTTP and alerts", requests())]
    return dashboard(
        "mapshift-agent",
        "mapshift / Agent",
        "The agent itself: health, CPU, memory, HTTP, alerts received.",
        AGENT_VARIABLES,
        rows,
    )
