# SPDX-License-Identifier: Apache-2.0
"""The metrics that users may rely on: name -> (type, labels). Renaming or dropping one breaks dashboards and alerts of others, so
this list is kept apart from the code; check() compares it with src/metrics/names.h, which may lack what a later release adds.
"""

import re

TABLE = """
gauge     mapshift_build_info version
gauge     mapshift_module_info module generation version digest update_id
gauge     mapshift_config_last_reload_successful
counter   mapshift_updates_total module result
counter   mapshift_rollbacks_total module trigger
gauge     mapshift_update_phase module phase
histogram mapshift_update_phase_duration_seconds phase
histogram mapshift_update_duration_seconds result
histogram mapshift_update_latency_seconds
histogram mapshift_update_mixed_window_seconds
gauge     mapshift_migration_progress_ratio module map
gauge     mapshift_migration_staleness_seconds module map
counter   mapshift_migration_keys_total module map op
counter   mapshift_migration_passes_total module map
histogram mapshift_migration_pass_duration_seconds
gauge     mapshift_consistency_mismatched_keys module map
gauge     mapshift_consistency_ratio module map
gauge     mapshift_consistency_last_check_timestamp_seconds module map
counter   mapshift_map_changes_total module map op source
counter   mapshift_map_changes_lost_total module map reason
histogram mapshift_map_change_latency_seconds source
counter   mapshift_ring_records_total module map
counter   mapshift_ring_malformed_total module map
gauge     mapshift_ring_backlog_bytes module map
gauge     mapshift_ring_size_bytes module map
gauge     mapshift_map_change_subscribers
counter   mapshift_map_change_resyncs_total
gauge     mapshift_map_entries module map
gauge     mapshift_map_memory_bytes module map
gauge     mapshift_kept_map_holders module map
counter   mapshift_program_run_seconds_total module program
counter   mapshift_program_runs_total module program
counter   mapshift_program_missed_total module program
gauge     mapshift_objective_value module objective
gauge     mapshift_objective_limit module objective
gauge     mapshift_objective_breached module objective
counter   mapshift_analysis_measurements_total module objective outcome
counter   mapshift_alerts_received_total disposition
gauge     mapshift_alert_path_proven
gauge     mapshift_automation_stopped
gauge     mapshift_go_processes state
counter   mapshift_go_processes_dropped_total
gauge     mapshift_go_info process go_version
histogram mapshift_go_stw_pause_seconds process kind
histogram mapshift_go_stw_stopping_seconds process kind
histogram mapshift_go_sched_latency_seconds process
histogram mapshift_go_block_seconds process reason
histogram mapshift_go_run_queue_seconds process
histogram mapshift_go_io_seconds process op
counter   mapshift_go_io_errors_total process op
counter   mapshift_go_gc_cycles_total process
counter   mapshift_go_netpoll_events_total process mode
counter   mapshift_go_goroutines_created_total process
counter   mapshift_go_goroutines_exited_total process
gauge     mapshift_go_goroutines process state reason
gauge     mapshift_go_heap_bytes process
gauge     mapshift_go_probe_overhead_ratio process
gauge     mapshift_go_probe_duty_ratio process
gauge     mapshift_go_crosscheck_ratio process
counter   mapshift_go_probe_lost_events_total process
counter   mapshift_http_requests_total handler code
histogram mapshift_http_request_duration_seconds handler
counter   process_cpu_seconds_total
gauge     process_resident_memory_bytes
gauge     process_virtual_memory_bytes
gauge     process_open_fds
gauge     process_max_fds
gauge     process_start_time_seconds
"""
METRICS = {words[1]: (words[0], tuple(words[2:])) for words in (line.split() for line in TABLE.strip().splitlines())}

# What Prometheus adds to each series of a target.
TARGET_LABELS = {"job", "instance"}
# Not the agent's: Prometheus' own, and the application of the example.
FOREIGN = {"up": ("gauge", ()), "app_errors_total": ("counter", ())}
# The target of update_latency_p9999 in seconds. It must be a bucket, or rules and dashboards would silently have no data.
LATENCY_TARGET = "0.001"


def series():
    """Name of each series as scraped -> its labels."""
    known = {}
    for name, (kind, labels) in {**METRICS, **FOREIGN}.items():
        everything = set(labels) | TARGET_LABELS
        if kind == "histogram":
            known.update({name + "_bucket": everything | {"le"}, name + "_sum": everything, name + "_count": everything})
        else:
            known[name] = everything
    return known


def check(names_h):
    """What names.h says otherwise than the table."""
    text = names_h.read_text()
    entry = re.compile(
        r'\{Id::\w+,\s*"(\w+)",\s*Kind::k(\w+),\s*"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*(?:,\s*\{([^}]*)\})?', re.S
    )
    found = {name: (kind.lower(), tuple(re.findall(r'"(\w+)"', labels))) for name, kind, labels in entry.findall(text)}
    if len(found) != len(re.findall(r"\{Id::", text)):
        return [f"{names_h}: its table is not laid out as expected"]
    problems = [
        f"{name} is {METRICS[name]} in the list of stable metrics, but {shape} in names.h"
        for name, shape in found.items()
        if name in METRICS and METRICS[name] != shape
    ]
    buckets = re.search(r"kLatencyBuckets\s*=[^{]*\{([^}]*)\}", text)
    if buckets and LATENCY_TARGET not in re.split(r"[,\s]+", buckets.group(1)):
        problems.append(f"{LATENCY_TARGET} is no bucket of mapshift_update_latency_seconds, so the rules' SLO has no data")
    return problems
