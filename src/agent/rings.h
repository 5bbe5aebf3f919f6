// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "metrics/metrics.h"
#include "observe/changes/module_rings.h"
#include "update/plan.h"
#include "update/record.h"

namespace mapshift::agent {

// The ring buffers that modules declare in their manifests, read while their module is loaded, whatever generation runs.
// Thread-safe. Never fails a load or an update: what cannot be read is logged, and shown with its reason.
class Rings {
 public:
  using Start = std::function<Result<std::unique_ptr<observe::changes::ModuleRings>>()>;

  Rings(std::string bpffs, Start start) : bpffs_(std::move(bpffs)), start_(std::move(start)) {}

  // What a generation declares. Call before it runs.
  void prepare(const update::GenerationInput& input);
  // This generation's maps are the published ones from now on.
  void published(const std::string& module, uint64_t generation);
  // No program of another generation can be running any more.
  void settle(const std::string& module);
  void unloaded(const std::string& module);

  [[nodiscard]] bool has(const observe::changes::MapName& name);
  [[nodiscard]] Result<std::unique_ptr<observe::changes::RingSubscription>> subscribe(const observe::changes::MapName& name,
                                                                                     std::optional<uint64_t> since);
  [[nodiscard]] uint64_t version(const observe::changes::MapName& name);  // the number of its last record
  [[nodiscard]] std::optional<update::MapChanges> describe(const observe::changes::MapName& name);
  void collect(metrics::Metrics& out);

 private:
  struct Read {
    bool open = false;
    std::string problem = {};
  };
  struct Declared {
    TypeRef record = {};
    bool values = false;
  };
  using Types = std::map<std::string, Declared>;  // by ring

  [[nodiscard]] Status start();  // once; with mutex_ held
  [[nodiscard]] std::optional<observe::changes::RingReport> report(const observe::changes::MapName& name);

  const std::string bpffs_;
  const Start start_;
  std::mutex mutex_;  // held while the kernel is asked: milliseconds
  std::unique_ptr<observe::changes::ModuleRings> reader_;
  std::map<std::pair<std::string, uint64_t>, Types> declared_;  // by module and generation
  std::map<observe::changes::MapName, Read> rings_;             // of the running generations
};

}  // namespace mapshift::agent
