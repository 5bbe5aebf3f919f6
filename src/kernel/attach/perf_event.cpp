// SPDX-License-Identifier: Apache-2.0
#include <linux/perf_event.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "kernel/attach/functions.h"
#include "kernel/attach/perf_probe.h"

namespace mapshift {
namespace {

struct Event {
  std::string_view name;
  uint32_t type;
  uint64_t config;
};
constexpr std::array<Event, 15> kEvents{{{"cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK},
                                         {"task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK},
                                         {"page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS},
                                         {"minor-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MIN},
                                         {"major-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS_MAJ},
                                         {"context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES},
                                         {"cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS},
                                         {"cpu-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES},
                                         {"instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS},
                                         {"cache-references", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_REFERENCES},
                                         {"cache-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CACHE_MISSES},
                                         {"branch-instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_INSTRUCTIONS},
                                         {"branch-misses", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BRANCH_MISSES},
                                         {"bus-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_BUS_CYCLES},
                                         {"ref-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_REF_CPU_CYCLES}}};

Result<perf_event_attr> attributes_of(const Hook& hook) {
  const auto* event = std::ranges::find(kEvents, std::string_view(hook.trace.event), &Event::name);
  if (event == kEvents.end()) {
    std::string known;
    for (const Event& each : kEvents) known += (known.empty() ? "" : ", ") + std::string(each.name);
    return fail(ErrorCode::kInvalid, "\"" + hook.trace.event + "\" is no perf_event that is served; served are " + known);
  }
  perf_event_attr attributes{};
  attributes.size = sizeof(attributes);
  attributes.type = event->type;
  attributes.config = event->config;
  attributes.freq = hook.trace.frequency != 0 ? 1 : 0;
  if (hook.trace.frequency != 0) attributes.sample_freq = hook.trace.frequency;
  if (hook.trace.frequency == 0) attributes.sample_period = std::max<uint64_t>(hook.trace.period, 1);
  return attributes;
}

Result<std::vector<Fd>> open_events(const Hook& hook) {
  MS_TRY(const perf_event_attr attributes, attributes_of(hook));
  std::vector<Fd> events;
  const long cpus = ::sysconf(_SC_NPROCESSORS_CONF);
  for (int cpu = 0; cpu < std::max(1L, cpus); ++cpu) {
    auto event = open_perf_event(attributes, -1, cpu);
    if (event) {
      events.push_back(std::move(*event));
      continue;
    }
    const int err = event.error().sys_errno;
    if (err == ENODEV && !events.empty()) continue;  // this CPU is offline
    if (err == ENOENT || err == EOPNOTSUPP || err == ENODEV) {
      return fail(Error{ErrorCode::kUnsupported, err, "no perf_event here: this machine cannot count " + hook.trace.event, {}, {}});
    }
    return fail_errno(err, "open the perf_event " + hook.trace.event);
  }
  return events;
}

}  // namespace

Result<uint32_t> perf_event_attach_type(const Hook&) { return 0u; }

Status check_perf_event(const Hook& hook) {
  MS_CHECK(open_events(hook));
  return {};
}

// A link for each CPU that is online now.
Result<std::vector<Fd>> open_perf_event_links(const Hook& hook, int program_fd, const Program&) {
  MS_TRY(const auto events, open_events(hook));
  std::vector<Fd> links;
  for (const Fd& event : events) {
    MS_TRY(Fd link, link_perf_event(program_fd, event.get(), 0, "attach to the perf_event " + hook.trace.event));
    links.push_back(std::move(link));
  }
  return links;
}

}  // namespace mapshift
