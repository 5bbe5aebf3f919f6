// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <utility>

#include "observe/go/report.h"

namespace mapshift::metrics {

inline observe::Histogram milliseconds(std::vector<uint64_t> counts, double sum) {
  return {.bounds = {0.001, 0.01}, .counts = std::move(counts), .sum = sum};
}

// A captured process of which everything is known.
inline observe::go::ProcessReport full_go_report() {
  observe::go::ProcessReport report;
  report.pid = 42;
  report.start_ticks = 1000;
  report.name = "app";
  report.path = "/usr/bin/app";
  report.go_version = "go1.22.12";
  report.goroutines = 12;
  report.groups = {{"running", "", 2}, {"waiting", "select", 7}, {"waiting", "IO wait", 3}};
  report.gc_cycles = 5;
  report.heap_bytes = 4096;
  report.stw_pause = {{"gc", milliseconds({8, 2, 0}, 0.02)}, {"other", milliseconds({1, 0, 0}, 0.0001)}};
  report.stw_stopping = report.stw_pause;
  report.sched_latency = milliseconds({90, 9, 1}, 0.5);
  report.block = {{"select", milliseconds({1, 2, 3}, 9)}, {"IO wait", milliseconds({4, 5, 6}, 10)}};
  report.run_queue = milliseconds({7, 0, 0}, 0.001);
  report.netpoll_events = {{"r", 3}, {"w", 2}, {"rw", 1}};
  report.io = {{"read", milliseconds({3, 0, 0}, 0.001)}, {"write", milliseconds({2, 0, 0}, 0.001)}};
  report.io_errors = {{"read", 1}, {"write", 0}};
  report.created = 100;
  report.exited = 90;
  report.probing = {.duty = 0.02, .overhead = 0.004, .crosscheck = 1.01, .windows = 9, .lost = 3};
  return report;
}

}  // namespace mapshift::metrics
