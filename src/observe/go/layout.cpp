// SPDX-License-Identifier: Apache-2.0
#include "observe/go/layout.h"

namespace mapshift::observe::go {
namespace {

std::optional<uint32_t> member(const StructLayouts& structs, std::string_view structure, std::string_view name) {
  const auto found = structs.find(structure);
  if (found == structs.end()) return std::nullopt;
  const auto offset = found->second.members.find(name);
  return offset == found->second.members.end() ? std::nullopt : std::optional(offset->second);
}

// One row for the versions from `first` to `last`; 0 where there is no such field.
struct Row {
  int first, last;
  uint32_t goid, waitreason, parent_goid, startpc, procid, curg, time_to_run, stopping_gc, histogram;
};

// From the debugging information of programs built with each version.
constexpr Row kRows[] = {
    {18, 19, 152, 176, 0, 312, 72, 192, 312, 0, 5768},
    {20, 20, 152, 176, 0, 312, 72, 192, 320, 0, 1296},
    {21, 21, 152, 176, 272, 296, 72, 192, 320, 0, 1296},
    {22, 22, 152, 176, 272, 296, 72, 192, 320, 1632, 1296},
    {23, 24, 160, 184, 280, 304, 72, 192, 320, 1632, 1296},
    {25, 25, 152, 176, 272, 296, 64, 184, 344, 1656, 1296},
    {26, 27, 152, 176, 280, 304, 64, 184, 360, 1672, 1296},
};

std::optional<uint32_t> present(uint32_t offset) { return offset == 0 ? std::nullopt : std::optional(offset); }

}  // namespace

const std::vector<std::string_view>& wanted_structs() {
  static const std::vector<std::string_view> kWanted = {"runtime.g",      "runtime.m",
                                                        "runtime.schedt", "runtime.timeHistogram",
                                                        "runtime.mstats", "runtime.gcControllerState",
                                                        "internal/poll.FD"};
  return kWanted;
}

std::optional<Layout> layout_from(const StructLayouts& structs) {
  Layout out;
  out.origin = Origin::kDwarf;
  out.g_goid = member(structs, "runtime.g", "goid");
  out.g_status = member(structs, "runtime.g", "atomicstatus");
  out.g_waitreason = member(structs, "runtime.g", "waitreason");
  out.g_parent_goid = member(structs, "runtime.g", "parentGoid");
  out.g_startpc = member(structs, "runtime.g", "startpc");
  out.g_m = member(structs, "runtime.g", "m");
  out.m_procid = member(structs, "runtime.m", "procid");
  out.m_curg = member(structs, "runtime.m", "curg");
  out.sched_time_to_run = member(structs, "runtime.schedt", "timeToRun");
  out.sched_stopping_gc = member(structs, "runtime.schedt", "stwStoppingTimeGC");
  out.sched_stopping_other = member(structs, "runtime.schedt", "stwStoppingTimeOther");
  out.sched_total_gc = member(structs, "runtime.schedt", "stwTotalTimeGC");
  out.sched_total_other = member(structs, "runtime.schedt", "stwTotalTimeOther");
  out.fd_sysfd = member(structs, "internal/poll.FD", "Sysfd");
  if (!out.g_goid || !out.g_status || !out.g_waitreason || !out.g_startpc || !out.sched_time_to_run) return std::nullopt;
  const auto histogram = structs.find("runtime.timeHistogram");
  if (histogram == structs.end() || histogram->second.size == 0 || histogram->second.size > (1U << 16)) return std::nullopt;
  out.histogram_size = static_cast<uint32_t>(histogram->second.size);
  return out;
}

std::optional<Layout> layout_of(const Version& version) {
  // Between two releases the structures may be those of either or of none.
  if (version.text.find("devel") != std::string::npos) return std::nullopt;
  for (const auto& row : kRows) {
    if (version.minor < row.first || version.minor > row.last) continue;
    Layout out;
    out.origin = Origin::kTable;
    out.g_goid = row.goid;
    out.g_status = row.goid - 8;
    out.g_waitreason = row.waitreason;
    out.g_parent_goid = present(row.parent_goid);
    out.g_startpc = row.startpc;
    out.g_m = 48;
    out.m_procid = row.procid;
    out.m_curg = row.curg;
    out.sched_time_to_run = row.time_to_run;
    out.fd_sysfd = 16;
    out.histogram_size = row.histogram;
    if (row.stopping_gc == 0) return out;
    out.sched_stopping_gc = row.stopping_gc;
    out.sched_stopping_other = row.stopping_gc + row.histogram;
    out.sched_total_gc = row.stopping_gc + 2 * row.histogram;
    out.sched_total_other = row.stopping_gc + 3 * row.histogram;
    return out;
  }
  return std::nullopt;
}

}  // namespace mapshift::observe::go
