// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "kernel/kernel.h"
#include "kernel/map_holders.h"
#include "metrics/metrics.h"
#include "store/store.h"
#include "update/kept_map.h"
#include "update/paths.h"
#include "update/record.h"

namespace mapshift::agent {

// Old maps that outlive their commit, because processes hold their descriptors ("keep_old"): each is kept in step with the map
// that runs until nobody holds it any more, its lease is over, or the next update begins. What lasts lies in the store and in
// bpffs, so that a restarted agent goes on. Thread-safe. Never fails an update: what cannot be kept is logged and shown.
class Leases {
 public:
  // Processes, and programs that sockets still run: find_map_holders(), or what a test puts in its place.
  using FindHolders = std::function<MapHolders(const std::set<uint32_t>& ids)>;

  Leases(Kernel& kernel, store::Store& store, std::string bpffs, FindHolders find_holders);
  ~Leases();
  Leases(const Leases&) = delete;
  Leases& operator=(const Leases&) = delete;

  // After recovery: what an earlier agent kept, and what nobody knows of any more goes. Then the thread begins.
  void start(const std::vector<std::string>& modules);
  // Of a module whose update was committed just now, and whose own synchronisation has ended.
  void take_up(const std::string& module);
  // Before the next update, and at unload: a last pass, and the old maps are gone. Returns when that is done.
  void end(const std::string& module, const std::string& why);
  void stop();

  [[nodiscard]] std::optional<update::KeptRecord> describe(const std::string& module, const std::string& map);
  // What an update of the module would end, as warnings of its plan.
  [[nodiscard]] std::vector<Problem> warnings(const std::string& module);
  void collect(metrics::Metrics& out);

 private:
  struct Lease {
    update::KeptMap map;
    std::unique_ptr<Sync> sync;
    WallTime until;
    int unheld = 0;             // looks in a row that found nobody
    update::KeptRecord shown;   // guarded by mutex_
  };
  using Name = std::pair<std::string, std::string>;  // module and map

  void run();
  bool take_up_all(const std::optional<std::string>& module);
  void open(const update::KeptMap& map);
  [[nodiscard]] Nanos visit();  // how long it took
  void look_for_holders();
  void bring_over(Lease& lease);
  void drop(const Name& name, const std::string& why);
  void forget_strays(const std::string& module);

  Kernel& kernel_;
  store::Store& store_;
  const std::string bpffs_;
  const FindHolders find_holders_;

  std::mutex work_;  // before mutex_: held while maps are synchronised and dropped, for up to seconds
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<Name, std::unique_ptr<Lease>> leases_;  // changed with both locks held
  bool stopping_ = false;                          // guarded by mutex_
  std::thread thread_;
};

}  // namespace mapshift::agent
