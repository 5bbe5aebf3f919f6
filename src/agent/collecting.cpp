// SPDX-License-Identifier: Apache-2.0
#include <map>
#include <optional>

#include "agent/agent.h"
#include "config/manifest.h"
#include "update/names.h"
#include "update/paths.h"

namespace mapshift::agent {
namespace {

constexpr std::chrono::seconds kCountInterval(30);  // counting walks the map: 100,000 keys take a few milliseconds
constexpr uint64_t kCountedAtOnce = 16'384;         // a map that had more is not walked while somebody waits for the answer

}  // namespace

// What hooks run, and the programs of all generations that are there: a program that was swapped out keeps what it counted
// since the last look. Also called before a generation goes. Counting one twice does no harm: counts are kept by program id.
void Agent::collect_programs(metrics::Metrics& out, const std::string& module) {
  const update::Paths paths(config_.bpffs, module);
  const std::vector<std::string> none;
  const auto set = [&](const std::string& program, const Result<ProgramStats>& stats) {
    if (stats) out.set_program(module, program, {stats->id, static_cast<double>(stats->run_ns) / 1e9, stats->runs, stats->missed});
  };
  for (const std::string& program : kernel_->list(paths.root() + "/hooks").value_or(none)) {
    set(program, kernel_->hook_stats(paths.hook(program)));
    for (const std::string& generation : kernel_->list(paths.root() + "/gen").value_or(none)) {
      set(program, kernel_->program_stats(paths.root() + "/gen/" + generation + "/progs/" + program));
    }
  }
}

// At each scrape. Entries of large maps are counted by count_entries() beforehand.
void Agent::collect(metrics::Metrics& out) {
  alerts_.collect(out);
  changes_.collect(out);
  go_.collect(out);
  leases_.collect(out);
  const auto rows = store_->modules();
  if (!rows) return;
  for (const store::ModuleRow& row : *rows) {
    collect_programs(out, row.name);
    const update::Paths paths(config_.bpffs, row.name);
    std::map<std::string, metrics::MapUsage> usages;
    for (const std::string& map : kernel_->list(paths.root() + "/maps").value_or(std::vector<std::string>())) {
      const auto stats = kernel_->map_stats(paths.published(map));
      if (!stats || is_change_log(map)) continue;
      metrics::MapUsage& told = usages[map];
      told.memory_bytes = stats->memory_bytes;
      if (const auto held = usage(row.name, map); held && held->uncounted.empty()) told.entries = held->entries;
    }
    out.set_map_usage(row.name, usages);
  }
}

// What an earlier agent loaded: only its object says which maps log their changes.
void Agent::recover_changes(const store::ModuleRow& row) {
  const auto manifest = config::parse_manifest(row.manifest, "/", {}, row.name);
  if (const auto generation = manifest ? prepare(*manifest, row.generation, row.object_path) : Result<Prepared>(fail(manifest.error()))) {
    LoadRequest unused;  // it is loaded already
    changes_.prepare(generation->input, unused);
  }
  changes_.published(row.name, row.generation);
}

std::optional<Agent::Usage> Agent::count(const std::string& module, const std::string& map) {
  const auto entries = kernel_->count_entries(update::Paths(config_.bpffs, module).published(map));
  if (entries) return Usage{*entries};
  if (entries.error().code == ErrorCode::kUnsupported) return Usage{0, entries.error().message};
  return std::nullopt;
}

std::optional<Agent::Usage> Agent::usage(const std::string& module, const std::string& map) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = usage_.find({module, map});
    if (found != usage_.end() && (found->second.entries > kCountedAtOnce || !found->second.uncounted.empty())) return found->second;
  }
  const auto counted = count(module, map);
  const std::lock_guard lock(mutex_);
  if (counted) usage_[{module, map}] = *counted;
  return counted;
}

void Agent::count_entries() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const auto rows = store_->modules();
    std::map<std::pair<std::string, std::string>, Usage> counted;
    for (const store::ModuleRow& row : rows.value_or(std::vector<store::ModuleRow>())) {
      const update::Paths paths(config_.bpffs, row.name);
      for (const std::string& map : kernel_->list(paths.root() + "/maps").value_or(std::vector<std::string>())) {
        if (is_change_log(map)) continue;
        if (const auto held = count(row.name, map)) counted[{row.name, map}] = *held;
      }
    }
    lock.lock();
    usage_ = std::move(counted);
    if (!stopping_) wake_.wait_for(lock, kCountInterval);
  }
}

}  // namespace mapshift::agent
