// SPDX-License-Identifier: Apache-2.0
#pragma once

// The documents that the interface's description shows.
inline constexpr const char* kFullConfig = R"json({
  "state_dir": "/var/lib/mapshift",   "run_dir": "/run/mapshift",   "bpffs": "/sys/fs/bpf",
  "metrics": {"listen": "127.0.0.1:9847"},
  "api":     {"listen": "127.0.0.1:9848", "token_file": "/run/mapshift/token", "rollback_token_file": "/run/mapshift/rollback-token"},
  "module_dirs": ["/etc/mapshift/modules"],
  "limits":  {"migration_timeout": "60s", "swap_timeout": "1s", "rollback_timeout": "10s", "stall_timeout": "10s", "memory_headroom": 0.2, "max_concurrent_updates": 1},
  "go":      {"enabled": true, "overhead_budget": 0.02, "max_processes": 10, "census_interval": "30s",
              "processes": [{"path": "/usr/bin/*"}, {"cgroup": "/system.slice/*"}]},
  "changes": {"maps": [{"module": "flowmeter", "map": "flows", "sources": ["auto"]}]},
  "prometheus": {"url": "http://127.0.0.1:9090"},
  "alertmanager": {"url": "http://127.0.0.1:9093", "poll": false},
  "objectives": []
})json";

inline constexpr const char* kFullManifest = R"json({
  "name": "flowmeter", "version": "2.0.0", "object": "flowmeter_v2.bpf.o",
  "programs": {
    "count_packets": {"attach": {"type": "xdp", "interface": "$IFACE", "mode": "auto"}},
    "on_exec":       {"attach": {"type": "tracepoint", "category": "sched", "name": "sched_process_exec"}},
    "on_park":       {"attach": {"type": "uprobe", "path": "/usr/bin/app", "symbol": "main.work", "pid": 0}},
    "egress":        {"attach": {"type": "tcx", "interface": "$IFACE", "direction": "egress"}},
    "filter":        {"attach": {"type": "cgroup", "path": "/sys/fs/cgroup/unified/app", "hook": "skb_egress"}}
  },
  "maps": {"flows": {"policy": "auto", "fields": {"packets": {"merge": "sum"}, "source": {"from": "saddr"}, "weight": {"default": 1}}}},
  "analysis": {"bake": "60s", "interval": "1s", "objectives": [
      {"name": "drop-ratio", "indicator": "map", "ratio": {"num": "stats.dropped", "den": "stats.seen"}, "max": 0.01, "failureLimit": 2},
      {"name": "run-time",   "indicator": "program", "program": "count_packets", "value": "run_time_avg", "maxIncrease": "200%"},
      {"name": "errors",     "indicator": "promql", "query": "sum(rate(app_errors_total[10s]))", "max": 1}]},
  "params": {"IFACE": "eth0"}
})json";
