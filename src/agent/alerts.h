// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "alerts/judge.h"
#include "base/result.h"
#include "metrics/metrics.h"
#include "store/store.h"

namespace mapshift::agent {

// Takes alerts in, by push or by poll: judges them, stores them with the rollbacks that they order, and only then acts, on a
// thread of its own, so that whoever delivers gets an answer at once. What was stored and not done when the agent died is
// done by the next start. Thread-safe; the hooks may be called from any thread.
class Alerts {
 public:
  struct Settings {
    alerts::Policy policy = {};
    Nanos watchdog_timeout = std::chrono::seconds(90);
    std::vector<std::string> hosts = {};  // beside host_names()
    bool poll = false;
    std::string url = {};  // of Alertmanager
  };
  struct Hooks {
    std::function<Settings()> settings;
    std::function<std::vector<update::UpdateRecord>()> running;  // updates that have not ended, as they are now
    std::function<Status(const std::string& update_id, const std::string& reason)> roll_back;
  };

  Alerts(store::Store& store, metrics::Metrics& metrics, Hooks hooks);
  ~Alerts();

  void start();  // when recovery is over
  void stop();   // idempotent

  // Fails only when it could not store.
  [[nodiscard]] Result<std::vector<alerts::Delivery>> receive(const std::vector<alerts::Alert>& alerts);
  // Names of the alerts about the module that fire as far as is known here; may ask Alertmanager, for 2 s. kUnavailable when the path is not proven: then
  // nothing is known.
  [[nodiscard]] Result<std::vector<std::string>> firing(const std::string& module);
  // Adds what is known of alerts to an update's record.
  void complete(update::UpdateRecord& record);
  void collect(metrics::Metrics& metrics);

 private:
  [[nodiscard]] Result<alerts::Situation> situation(const std::vector<alerts::Alert>& alerts);
  [[nodiscard]] Result<alerts::ModuleFacts> module_facts(const std::string& module, const std::vector<update::UpdateRecord>& running);
  [[nodiscard]] Result<std::vector<alerts::Delivery>> judge_all(const std::vector<alerts::Alert>& alerts);
  [[nodiscard]] Status keep(const std::vector<alerts::Delivery>& deliveries);
  void remember(const std::vector<alerts::Alert>& delivered);
  [[nodiscard]] bool path_proven();
  void act();
  void act_once();
  void watch_path();
  void poll();
  void poll_once(const std::string& url);

  store::Store& store_;
  metrics::Metrics& metrics_;
  const Hooks hooks_;

  std::mutex receiving_;  // one delivery at a time: the next one must see what this one ordered
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false, ordered_ = true;              // guarded by mutex_
  std::optional<Nanos> watchdog_at_;                    // guarded by mutex_
  struct Firing {
    std::string name, module;
    Nanos seen;
  };
  std::map<std::string, Firing> firing_;                // by fingerprint; guarded by mutex_
  struct Path {
    std::string state;
    Nanos since;  // when the update was first seen to bake
  };
  std::map<std::string, Path> paths_;                   // by update; only the acting thread
  std::map<alerts::Key, alerts::Disposition> polled_;   // only the polling thread
  bool poll_failed_ = false;                            // only the polling thread
  std::thread actor_, poller_;
};

}  // namespace mapshift::agent
