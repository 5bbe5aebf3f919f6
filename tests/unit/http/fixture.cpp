// SPDX-License-Identifier: Apache-2.0
#include "fixture.h"

#include <algorithm>

namespace mapshift::http {
namespace {

Error missing(const std::string& what) { return {ErrorCode::kNotFound, 0, "no " + what, {}, {}}; }

}  // namespace

Result<update::ModuleRecord> FakeService::load(const update::Manifest& manifest) {
  const std::lock_guard lock(mutex);
  last_manifest = manifest;
  if (error) return fail(*error);
  if (loaded.contains(manifest.name)) return fail(ErrorCode::kConflict, manifest.name + " is loaded");
  return loaded[manifest.name] = {manifest.name, manifest.version, "digest", 1, {}, {}, {}};
}

Result<update::ModuleRecord> FakeService::adopt(const AdoptOptions& options) {
  const std::lock_guard lock(mutex);
  last_adoption = options;
  if (error) return fail(*error);
  return loaded[options.name] = {options.name, "adopted", "", 1, {}, {}, {}};
}

std::vector<update::ModuleRecord> FakeService::modules() {
  const std::lock_guard lock(mutex);
  std::vector<update::ModuleRecord> all;
  for (const auto& [name, record] : loaded) all.push_back(record);
  return all;
}

Result<update::ModuleRecord> FakeService::module(const std::string& name) {
  const std::lock_guard lock(mutex);
  if (!loaded.contains(name)) return fail(missing("module " + name));
  return loaded[name];
}

Status FakeService::unload(const std::string& name) {
  const std::lock_guard lock(mutex);
  if (error) return fail(*error);
  loaded.erase(name);
  return {};
}

Result<update::UpdateRecord> FakeService::plan(const update::Manifest& manifest) {
  const std::lock_guard lock(mutex);
  last_manifest = manifest;
  if (error) return fail(*error);
  update::UpdateRecord record;
  record.module = manifest.name;
  record.state = update::State::kPlanned;
  record.refusals = {{"lossy", "maps.flows", "would lose the field x"}};
  return record;
}

Result<update::UpdateRecord> FakeService::start_update(const update::Manifest& manifest, const UpdateOptions& options) {
  const std::lock_guard lock(mutex);
  last_manifest = manifest;
  last_options = options;
  if (error) return fail(*error);
  update::UpdateRecord record;
  record.id = "u-" + std::to_string(records.size() + 1);
  record.module = manifest.name;
  record.revision = 1;
  records.push_back(record);
  return record;
}

std::vector<update::UpdateRecord> FakeService::updates(const std::string& module) {
  const std::lock_guard lock(mutex);
  std::vector<update::UpdateRecord> all(records.rbegin(), records.rend());
  std::erase_if(all, [&](const auto& record) { return !module.empty() && record.module != module; });
  return all;
}

Result<update::UpdateRecord> FakeService::update(const std::string& id, uint64_t since, std::chrono::nanoseconds wait) {
  std::unique_lock lock(mutex);
  const auto find = [&] { return std::find_if(records.begin(), records.end(), [&](const auto& record) { return record.id == id; }); };
  if (find() == records.end()) return fail(missing("update " + id));
  ++waiting;
  if (wait.count() > 0) {
    // Not wait_for(): the thread sanitizer of this compiler does not know the clock that it waits on.
    changed.wait_until(lock, std::chrono::system_clock::now() + wait, [&] { return find()->revision > since; });
  }
  --waiting;
  return *find();
}

Result<update::UpdateRecord> FakeService::decide(const std::string& id, Verdict verdict, const std::string& reason,
                                                 const std::string& trigger) {
  const std::lock_guard lock(mutex);
  if (error) return fail(*error);
  if (records.empty()) return fail(missing("update " + id));
  const char* const names[] = {"rollback", "commit", "abort"};
  last_decision = id + " " + names[static_cast<int>(verdict)] + " " + reason + " " + trigger;
  return records.back();
}

Result<std::vector<alerts::Delivery>> FakeService::receive_alerts(const std::vector<alerts::Alert>& alerts) {
  const std::lock_guard lock(mutex);
  last_alerts = alerts;
  if (error) return fail(*error);
  std::vector<alerts::Delivery> out;
  for (const alerts::Alert& one : alerts) {
    const auto disposition = one.fault.empty() ? alerts::Disposition::kAccepted : alerts::Disposition::kInvalid;
    out.push_back({one.key, one.label("alertname"), one.label("module"), "u-1", disposition, one.fault});
  }
  return out;
}

GoProcesses FakeService::go_processes() {
  const std::lock_guard lock(mutex);
  return go;
}

Result<observe::go::ProcessReport> FakeService::go_process(int pid) {
  const std::lock_guard lock(mutex);
  if (error) return fail(*error);
  for (const auto& report : go.processes)
    if (report.pid == pid) return report;
  return fail(missing("Go process " + std::to_string(pid)));
}

Status FakeService::reload() {
  if (error) return fail(*error);
  ++reloads;
  return {};
}

void FakeService::revise(const std::string& id) {
  const std::lock_guard lock(mutex);
  for (auto& record : records)
    if (record.id == id) ++record.revision;
  changed.notify_all();
}

Codec fake_codec() {
  const auto named = [](std::string name, std::string text) {
    update::Manifest manifest;
    manifest.name = std::move(name);
    manifest.version = "1.0.0";
    manifest.text = std::move(text);
    return manifest;
  };
  return {
      .load_manifest = [=](const std::string& path, const Settings& set) -> Result<update::Manifest> {
        if (path == "/missing") return fail(ErrorCode::kNotFound, "there is no file /missing");
        if (path == "/bad") return fail(Error{ErrorCode::kInvalid, 0, "bad", {}, {{"a", "x", "1"}, {"b", "y", "2"}}});
        return named("flowmeter", path + " " + std::to_string(set.size()));
      },
      .parse_manifest = [=](const std::string& text, const std::string& folder, const Settings& set,
                            const std::string&) -> Result<update::Manifest> {
        return named("inline", text + " " + folder + " " + (set.contains("IFACE") ? set.at("IFACE") : ""));
      },
      .update_text = [](const update::UpdateRecord& record) {
        return nlohmann::json{{"id", record.id}, {"module", record.module}, {"revision", record.revision},
                              {"refusals", record.refusals.size()}}.dump();
      },
      .module_text = [](const update::ModuleRecord& record) {
        return nlohmann::json{{"name", record.name}, {"generation", record.generation}}.dump();
      },
      .go_processes_text = standard_codec().go_processes_text,
      .go_process_text = standard_codec().go_process_text,
  };
}

void HttpTest::SetUp() {
  app_.set_token("secret\n");
  app_.set_rollback_token("rollback-only");
  const auto start = [this](Listener listener, int threads) {
    return Server::start({"127.0.0.1:0", threads, [this](int status) { app_.count_refused(status); }},
                         [this, listener](Request& request) { return app_.handle(listener, request); });
  };
  auto metrics = start(Listener::kMetrics, 8), api = start(Listener::kApi, 32);
  ASSERT_TRUE(metrics) << metrics.error().message;
  ASSERT_TRUE(api) << api.error().message;
  metrics_server_ = std::move(*metrics);
  api_server_ = std::move(*api);
  metrics_client_ = {metrics_server_->address(), ""};
  api_ = {api_server_->address(), "secret"};
}

HttpTest::Json HttpTest::json(const Reply& reply) { return Json::parse(reply.body, nullptr, false); }

std::string HttpTest::problem_code(const Reply& reply, int status) {
  EXPECT_EQ(reply.status, status) << reply.body;
  EXPECT_EQ(reply.header("Content-Type"), "application/problem+json");
  const Json body = json(reply);
  for (const char* member : {"type", "title", "detail"}) {
    EXPECT_TRUE(body.contains(member) && body[member].is_string()) << member << " in " << reply.body;
  }
  EXPECT_EQ(body.value("status", 0), status);
  if (!body.contains("errors") || body["errors"].empty()) {
    ADD_FAILURE() << "no errors in " << reply.body;
    return {};
  }
  for (const Json& error : body["errors"]) EXPECT_TRUE(error.contains("code") && error.contains("where") && error.contains("message"));
  return body["errors"][0]["code"];
}

}  // namespace mapshift::http
