// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "agent/rings.h"
#include "config/config.h"
#include "http/map_service.h"
#include "kernel/kernel.h"
#include "kernel/object_spec.h"
#include "metrics/metrics.h"
#include "observe/changes/stream.h"
#include "update/plan.h"
#include "update/record.h"

namespace mapshift::agent {

[[nodiscard]] std::string sources_of(const observe::changes::Choice& choice);  // "instrumented+syscall"

// The change streams of the maps that the configuration names: watched while their module is loaded, whatever generation runs.
// Thread-safe. Nothing here ever fails a load or an update: what cannot be watched is logged, and shown with its reason.
class Changes final : public http::MapService {
 public:
  struct Engines {
    std::function<Result<std::unique_ptr<observe::changes::Stream>>(const observe::changes::Settings&)> open = {};
    Rings::Start start_rings = {};
  };
  // Whether a module is loaded, and which maps its running generation publishes.
  using ListMaps = std::function<Result<std::vector<std::string>>(const std::string& module)>;

  Changes(std::string bpffs, const config::ChangeCapture& config, Engines engines, ListMaps list_maps);

  // What a generation needs beside its object to log its own changes. Call before it is loaded.
  void prepare(const update::GenerationInput& input, LoadRequest& request);
  // This generation's maps are the published ones from now on: after a load, a swap, a rollback, or at the agent's start.
  void published(const std::string& module, uint64_t generation);
  // The module's update has ended: no program of another generation can be running any more.
  void settled(const std::string& module) { rings_.settle(module); }
  void unloaded(const std::string& module);
  // Watches what `config` names and nothing else.
  void configure(const config::ChangeCapture& config);

  // How the changes of a map will be followed once that generation runs, as far as it can be told before; empty: not at all.
  [[nodiscard]] std::string forecast(const observe::changes::MapName& name, const update::GenerationInput& next);
  [[nodiscard]] std::optional<update::MapChanges> describe(const observe::changes::MapName& name);
  void collect(metrics::Metrics& out);

  [[nodiscard]] Result<std::unique_ptr<observe::changes::Subscription>> subscribe(const http::MapName& name,
                                                                                 std::optional<uint64_t> since) override;
  [[nodiscard]] Result<uint64_t> version(const http::MapName& name) override;
  [[nodiscard]] Result<std::unique_ptr<observe::changes::RingSubscription>> subscribe_ring(const http::MapName& name,
                                                                                          std::optional<uint64_t> since) override;
  [[nodiscard]] std::optional<uint64_t> ring_version(const http::MapName& name) override;
  [[nodiscard]] Result<http::MapContents> read_map(const http::MapName& name) override;
  [[nodiscard]] Result<uint64_t> replace_map(const http::MapName& name, uint64_t if_version,
                                             const std::vector<http::MapEntry>& entries) override;

 private:
  struct Watched {
    observe::changes::Watch watch;
    bool running = false;      // the stream watches it
    std::string problem = {};  // why it does not
  };

  struct Generation {
    std::set<std::string> logged = {};   // maps whose changes its programs log
    std::set<std::string> written = {};  // maps that its programs write
    std::vector<std::string> instances = {};
    std::set<std::string> divided = {};  // maps of which each instance has its own
    bool understood = false;             // the analysis went to the end: what is not in `written` is not written
  };

  [[nodiscard]] Status open_stream();  // once; with mutex_ held
  void start(Watched& watched);        // with mutex_ held
  [[nodiscard]] const Generation* running(const std::string& module) const;
  [[nodiscard]] bool logs(const observe::changes::MapName& name) const;
  [[nodiscard]] std::string divided(const observe::changes::MapName& name) const;  // what to name instead; empty: it is one map
  [[nodiscard]] std::optional<bool> programs_write(const observe::changes::MapName& name) const;  // absent: nobody knows
  [[nodiscard]] Error not_watched(const observe::changes::MapName& name);
  [[nodiscard]] std::string pin(const observe::changes::MapName& name) const;

  const std::string bpffs_;
  const observe::changes::Settings settings_;
  const Engines engines_;
  const ListMaps list_maps_;

  std::mutex mutex_;  // held while the kernel is asked: milliseconds
  std::unique_ptr<observe::changes::Stream> stream_;  // made by the first who needs it, kept until the end
  std::string stream_problem_;
  std::map<observe::changes::MapName, Watched> maps_;
  std::map<std::string, uint64_t> published_;                                      // generation by module
  std::map<std::pair<std::string, uint64_t>, Generation> generations_;             // by module and generation
  Rings rings_;
  std::mutex replacing_;  // one replacement at a time; taken before mutex_
};

}  // namespace mapshift::agent
