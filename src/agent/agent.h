// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "agent/alerts.h"
#include "agent/changes.h"
#include "agent/go_capture.h"
#include "agent/leases.h"
#include "agent/metrics_observer.h"
#include "agent/prepare.h"
#include "agent/store_journal.h"
#include "config/config.h"
#include "http/service.h"
#include "kernel/socket_programs.h"
#include "metrics/metrics.h"
#include "store/store.h"
#include "update/run.h"

namespace mapshift::agent {

// The agent without its listeners: modules, their updates, and what is shown of them. Thread-safe.
//
// Lock order: change_ (one load, unload or start of an update at a time; held for seconds) before mutex_ (the tables; held
// for microseconds). No lock is held while a Run works.
class Agent final : public http::Service {
 public:
  // Everything is injected; `config_path` is read again by reload(). Without `start_go` no Go processes are captured, without
  // `engines` no changes are followed. `find_holders` looks for who holds a map.
  Agent(config::Config config, std::string config_path, std::unique_ptr<Kernel> kernel, std::unique_ptr<store::Store> store,
        metrics::Metrics& metrics, GoCapture::Start start_go = {}, Changes::Engines engines = {},
        Leases::FindHolders find_holders = find_map_holders);
  ~Agent() override;

  // Finishes or undoes what a former agent left; afterwards ready() is true. Log lines say which.
  void recover();
  // Ends the updates' threads: what has not swapped yet is undone, what bakes goes on at the next start.
  void stop();
  // Called by reload() with the content of the token files.
  using SetTokens = std::function<void(const std::string& token, const std::string& rollback_token)>;
  void on_tokens(SetTokens set_tokens) { set_tokens_ = std::move(set_tokens); }

  [[nodiscard]] Result<std::string> find_manifest(const std::string& name) override;
  [[nodiscard]] Result<update::ModuleRecord> load(const update::Manifest& manifest) override;
  [[nodiscard]] Result<update::ModuleRecord> adopt(const http::AdoptOptions& options) override;
  [[nodiscard]] std::vector<update::ModuleRecord> modules() override;
  [[nodiscard]] Result<update::ModuleRecord> module(const std::string& name) override;
  [[nodiscard]] Status unload(const std::string& name) override;
  [[nodiscard]] Result<update::UpdateRecord> plan(const update::Manifest& manifest) override;
  [[nodiscard]] Result<update::UpdateRecord> start_update(const update::Manifest& manifest, const http::UpdateOptions& options) override;
  [[nodiscard]] std::vector<update::UpdateRecord> updates(const std::string& module) override;
  [[nodiscard]] Result<update::UpdateRecord> update(const std::string& id, uint64_t since, std::chrono::nanoseconds wait) override;
  [[nodiscard]] Result<update::UpdateRecord> decide(const std::string& id, http::Verdict verdict, const std::string& reason,
                                                    const std::string& trigger) override;
  [[nodiscard]] Result<std::vector<alerts::Delivery>> receive_alerts(const std::vector<alerts::Alert>& alerts) override;
  [[nodiscard]] http::MapService& maps() override { return changes_; }
  [[nodiscard]] http::GoProcesses go_processes() override { return go_.processes(); }
  [[nodiscard]] Result<observe::go::ProcessReport> go_process(int pid) override { return go_.census(pid); }
  [[nodiscard]] Status reload() override;
  [[nodiscard]] bool ready() override { return ready_.load(); }

 private:
  struct Active {  // an update whose thread lives
    std::unique_ptr<StoreJournal> journal;
    std::unique_ptr<update::Run> run;
    std::thread thread;
    bool bakes_on = false;  // resumed, and nobody had decided its end
  };
  struct Usage {
    uint64_t entries = 0;
    std::string uncounted = {};  // why it cannot be counted
  };

  // agent.cpp
  [[nodiscard]] Result<store::ModuleRow> row(const std::string& name);
  [[nodiscard]] update::ModuleRecord describe(const store::ModuleRow& row);
  [[nodiscard]] std::shared_ptr<Active> active_of_module(const std::string& module);
  [[nodiscard]] std::shared_ptr<Active> active(const std::string& id);
  void reap();
  [[nodiscard]] Status replace_config(config::Config fresh);
  void apply_go();  // what the configuration says now
  void show_module(const store::ModuleRow& row, const std::string& update_id);
  void show_running(const std::string& module);  // the generation that the store names, with the update that made it

  // loading.cpp
  [[nodiscard]] Status load_generation(const Prepared& prepared, const update::Plan& plan, const store::ModuleRow& row);
  [[nodiscard]] Status tear_down(const std::string& module);

  // adopting.cpp
  [[nodiscard]] Status take_over(const http::AdoptOptions& options, const std::optional<Prepared>& known, store::ModuleRow& row);
  [[nodiscard]] Status release(const std::string& module);

  // updating.cpp
  struct Proposal {
    Prepared old_side, next;
    update::Plan plan;
    slo::Analysis analysis;
    store::ModuleRow row;
  };
  [[nodiscard]] Result<Proposal> propose(const update::Manifest& manifest, const std::optional<Nanos>& bake);
  // Refuses in the plan an object that an automatic rollback put into quarantine.
  [[nodiscard]] Status check_quarantine(Proposal& proposal);
  [[nodiscard]] Status keep_object(Proposal& proposal);
  [[nodiscard]] Status admit(const std::string& module, const http::UpdateOptions& options, const store::ModuleRow& row);
  void begin(update::RunInput input, store::ModuleRow next, bool resumed);
  [[nodiscard]] update::RunInput run_input(Proposal proposal, update::UpdateRecord record);

  // sources.cpp
  [[nodiscard]] update::Sources sources();

  // recovery.cpp
  void recover_module(const store::ModuleRow& row, bool updating);
  void recover_update(const store::StoredUpdate& stored);
  void wait_for_recoveries();

  // The running generation's part in the change streams, of a module that this agent did not load itself.
  void recover_changes(const store::ModuleRow& row);

  // alerting.cpp
  [[nodiscard]] Alerts::Hooks alert_hooks();

  // collecting.cpp
  void collect(metrics::Metrics& metrics);
  void collect_programs(metrics::Metrics& metrics, const std::string& module);
  void count_entries();
  // What a map holds, counted now unless that would take long; none when it cannot be read.
  [[nodiscard]] std::optional<Usage> usage(const std::string& module, const std::string& map);
  [[nodiscard]] std::optional<Usage> count(const std::string& module, const std::string& map);

  config::Config config_;  // guarded by mutex_ where reload() changes it: limits
  const std::string config_path_;
  const std::unique_ptr<Kernel> kernel_;
  const std::unique_ptr<store::Store> store_;
  metrics::Metrics& metrics_;
  MetricsObserver observer_;
  SetTokens set_tokens_;
  std::atomic<bool> ready_{false};

  std::mutex change_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::map<std::string, std::shared_ptr<Active>> active_;                    // by update id; guarded by mutex_
  std::map<std::pair<std::string, std::string>, Usage> usage_;               // by module and map; guarded by mutex_
  bool stopping_ = false;                                                    // guarded by mutex_
  std::thread counter_;
  Changes changes_;
  Leases leases_;
  std::mutex go_change_;  // before mutex_: of two that apply the configuration the later one sees the newer
  GoCapture go_;
  Alerts alerts_;  // last: its threads use all of the above
};

}  // namespace mapshift::agent
