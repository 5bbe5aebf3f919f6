// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <mutex>

#include "observe/changes/log_port.h"
#include "observe/changes/scanner.h"
#include "observe/changes/sources.h"
#include "observe/changes/stream.h"
#include "observe/changes/subscription.h"

namespace mapshift::observe::changes {

// Private to stream*.cpp.
class LinuxStream final : public Stream {
 public:
  LinuxStream(const Settings& settings, std::unique_ptr<ChangeLog> log, std::unique_ptr<LogPort> port);
  ~LinuxStream() override;

  [[nodiscard]] Result<std::vector<std::string>> prepare(const std::string& module, const ObjectSpec& object, LoadRequest& request) override;
  [[nodiscard]] Result<Choice> watch(const Watch& watch) override;
  void unwatch(const MapName& name) override;
  Status release(const std::string& module) override;
  [[nodiscard]] Result<Choice> retarget(const MapName& name, const std::string& pin, bool instrumented,
                                        std::optional<bool> programs_write) override;
  [[nodiscard]] Result<std::unique_ptr<Subscription>> subscribe(const MapName& name, std::optional<uint64_t> since) override;
  [[nodiscard]] Result<uint64_t> version(const MapName& name) override;
  [[nodiscard]] Result<uint64_t> scan(const MapName& name) override;
  [[nodiscard]] Stats stats() override;

 private:
  struct Watched {
    Watch watch;
    uint32_t slot = 0;
    MapStats shape;
    Choice choice;
    std::shared_ptr<Topic> topic;
    std::shared_ptr<MapScan> scan;  // null: this map is not scanned
    MapScan::Totals scans_before;   // of scans that were replaced
    ms_change_lost lost_at_start{};
    // Of topics that were replaced.
    std::array<std::array<uint64_t, kSources>, kOps> seen_before{};
    uint64_t lost_before = 0, malformed_before = 0;
    std::string problem;
  };

  // All with mutex_ held.
  [[nodiscard]] Result<Choice> open(Watched& watched);
  [[nodiscard]] Status open_scan(Watched& watched, const Map& map, Choice& choice);
  [[nodiscard]] Result<bool> renew_scan(Watched& watched, const Map& map, Choice& choice, bool same_map);
  void give_topic(Watched& watched, bool written);
  void forget(std::map<MapName, Watched>::iterator at);
  void close_scan(Watched& watched);
  void close_unused_probes();
  [[nodiscard]] Watched* find(const MapName& name);
  void tick();
  [[nodiscard]] MapReport stats_of(Watched& watched);

  Settings settings_;
  std::unique_ptr<ChangeLog> log_;
  std::unique_ptr<LogPort> port_;
  std::shared_ptr<std::atomic<uint64_t>> subscribers_ = std::make_shared<std::atomic<uint64_t>>(0);
  std::shared_ptr<std::atomic<uint64_t>> resyncs_ = std::make_shared<std::atomic<uint64_t>>(0);
  std::mutex mutex_;
  std::map<MapName, Watched> maps_;
  Sources sources_;
  uint64_t missed_ = 0;
  Bell bell_;
  Reader reader_;
  Scanner scanner_;  // last: its thread uses all of the above
};

}  // namespace mapshift::observe::changes
