// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "client.h"
#include "fake_maps.h"
#include "http/app.h"
#include "http/server.h"

namespace mapshift::http {

// A Service that remembers what it was asked, and fails with `error` when that is set.
class FakeService : public Service {
 public:
  std::mutex mutex;
  std::condition_variable changed;
  std::optional<Error> error;
  std::map<std::string, update::ModuleRecord> loaded;
  std::vector<update::UpdateRecord> records;  // oldest first
  std::optional<update::Manifest> last_manifest;
  std::optional<UpdateOptions> last_options;
  std::string last_decision;
  std::atomic<bool> is_ready = true;
  std::atomic<int> reloads = 0, waiting = 0;

  Result<std::string> find_manifest(const std::string& name) override { return "/modules/" + name; }
  Result<update::ModuleRecord> load(const update::Manifest& manifest) override;
  std::optional<AdoptOptions> last_adoption;
  Result<update::ModuleRecord> adopt(const AdoptOptions& options) override;
  std::vector<update::ModuleRecord> modules() override;
  Result<update::ModuleRecord> module(const std::string& name) override;
  Status unload(const std::string& name) override;
  Result<update::UpdateRecord> plan(const update::Manifest& manifest) override;
  Result<update::UpdateRecord> start_update(const update::Manifest& manifest, const UpdateOptions& options) override;
  std::vector<update::UpdateRecord> updates(const std::string& module) override;
  Result<update::UpdateRecord> update(const std::string& id, uint64_t since, std::chrono::nanoseconds wait) override;
  Result<update::UpdateRecord> decide(const std::string& id, Verdict verdict, const std::string& reason,
                                      const std::string& trigger) override;
  std::vector<alerts::Alert> last_alerts;
  Result<std::vector<alerts::Delivery>> receive_alerts(const std::vector<alerts::Alert>& alerts) override;
  FakeMaps fake_maps;
  MapService& maps() override { return fake_maps; }
  GoProcesses go = {.enabled = true};
  GoProcesses go_processes() override;
  Result<observe::go::ProcessReport> go_process(int pid) override;
  Status reload() override;
  bool ready() override { return is_ready; }

  void revise(const std::string& id);  // the next revision of one update
};

[[nodiscard]] Codec fake_codec();

// Both listeners on free ports, with the token "secret".
class HttpTest : public testing::Test {
 protected:
  void SetUp() override;

  using Json = nlohmann::json;
  static Json json(const Reply& reply);
  // Checks the form of a problem document, and returns the code of its first error.
  static std::string problem_code(const Reply& reply, int status);

  FakeService service_;
  metrics::Metrics metrics_{"test"};
  App app_{service_, metrics_, fake_codec()};
  std::unique_ptr<Server> metrics_server_, api_server_;
  Client metrics_client_, api_;
  const std::string body_ = R"({"manifest": "/m/flowmeter.json"})";
};

}  // namespace mapshift::http
