// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <algorithm>

#include "config/changes_json.h"
#include "config/object_reader.h"
#include "config/objective_json.h"
#include "config/text_file.h"
#include "slo/indicator.h"

namespace mapshift::config {
namespace {

using namespace std::chrono_literals;
using Kind = JsonValue::Kind;

constexpr size_t kMaxPath = 4096;
constexpr size_t kMaxEntries = 1000;

bool is_absolute_path(std::string_view text) { return text.starts_with('/') && text.size() < kMaxPath; }
constexpr std::string_view kPathRule = "an absolute path";

bool is_http_url(std::string_view text) {
  const std::string_view scheme = text.starts_with("https://") ? "https://" : "http://";
  const bool clean = std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 0x7f; });
  return text.starts_with(scheme) && text.size() > scheme.size() && text.size() < kMaxPath && clean;
}
constexpr std::string_view kUrlRule = "a URL such as \"http://127.0.0.1:9090\"";

bool is_glob(std::string_view text) { return !text.empty() && text.size() < kMaxPath; }

void read_listen(ObjectReader& reader, Listen& out) {
  std::string text;
  reader.text("listen", text);
  if (text.empty()) return;
  if (Result<Listen> listen = parse_listen(text)) {
    out = *listen;
  } else {
    reader.complain("listen", "bad-address", listen.error().message);
  }
}

void read_listeners(ObjectReader& reader, Config& out) {
  if (std::optional<ObjectReader> metrics = reader.object("metrics")) {
    read_listen(*metrics, out.metrics);
    metrics->finish();
  }
  if (std::optional<ObjectReader> api = reader.object("api")) {
    read_listen(*api, out.api);
    api->text("token_file", out.token_file, is_absolute_path, kPathRule);
    api->text("rollback_token_file", out.rollback_token_file, is_absolute_path, kPathRule);
    api->finish();
  }
}

void read_limits(ObjectReader& reader, Limits& out) {
  std::optional<ObjectReader> limits = reader.object("limits");
  if (!limits) return;
  limits->duration("migration_timeout", out.migration_timeout, 1ms, 24h);
  limits->duration("swap_timeout", out.swap_timeout, 1ms, 1h);
  limits->duration("rollback_timeout", out.rollback_timeout, 1ms, 1h);
  limits->duration("stall_timeout", out.stall_timeout, 1ms, 24h);
  limits->number("memory_headroom", out.memory_headroom, 0, 10);
  limits->integer_as("max_concurrent_updates", out.max_concurrent_updates, 1, 64);
  limits->integer_as("max_rollbacks_per_hour", out.max_rollbacks_per_hour, 0, 100000);
  limits->duration("rollback_cooldown", out.rollback_cooldown, 0ms, 24h);
  limits->finish();
}

// An array of objects.
template <class Read>
void read_list(ObjectReader& reader, std::string_view name, const Read& read) {
  size_t seen = 0;
  reader.items(name, [&](JsonValue& value, const std::string& where) {
    if (++seen > kMaxEntries || !expect_kind(reader.report(), value, where, Kind::kObject)) return;
    ObjectReader item(reader.report(), value, where);
    read(item);
    item.finish();
  });
  if (seen > kMaxEntries) reader.complain(name, "too-many", "more than 1000 entries");
}

// What does not begin like this can match no absolute path.
bool is_path_glob(std::string_view text) { return is_glob(text) && std::string_view("/*?[").find(text.front()) != std::string_view::npos; }

void read_go(ObjectReader& reader, GoCapture& out) {
  std::optional<ObjectReader> go = reader.object("go");
  if (!go) return;
  go->boolean("enabled", out.enabled);
  go->number("overhead_budget", out.settings.overhead_budget, 0, 1);
  go->integer_as("max_processes", out.settings.max_processes, 1, 1000);
  go->duration("census_interval", out.settings.census_interval, 0s, 24h);
  if (out.settings.census_interval > 0s && out.settings.census_interval < 1s) {
    go->complain("census_interval", "bad-value", "is 0 (only on request) or at least 1s: a census reads every goroutine");
  }
  if (go->has("processes")) out.settings.processes.clear();
  read_list(*go, "processes", [&](ObjectReader& process) {
    observe::go::Filter filter;
    process.text("path", filter.path, is_path_glob, "an absolute path or a pattern such as \"/usr/bin/*\"");
    process.text("cgroup", filter.cgroup, is_path_glob, "a control group's path or a pattern such as \"/system.slice/*\"");
    if (!process.has("path") && !process.has("cgroup")) {
      process.complain("path", "missing-member", "name a \"path\", a \"cgroup\", or both; {\"path\": \"*\"} takes every process");
    }
    out.settings.processes.push_back(std::move(filter));
  });
  go->finish();
}

void read_neighbours(ObjectReader& reader, Config& out) {
  if (std::optional<ObjectReader> prometheus = reader.object("prometheus")) {
    prometheus->text("url", out.prometheus_url, is_http_url, kUrlRule);
    prometheus->finish();
  }
  if (std::optional<ObjectReader> alertmanager = reader.object("alertmanager")) {
    alertmanager->text("url", out.alertmanager_url, is_http_url, kUrlRule);
    alertmanager->boolean("poll", out.alertmanager_poll);
    alertmanager->duration("skew", out.alertmanager_skew, 0ms, 1h);
    alertmanager->duration("watchdog_timeout", out.alertmanager_watchdog_timeout, 1s, 24h);
    alertmanager->items("hosts", [&](JsonValue& value, const std::string& where) {
      if (!expect_kind(alertmanager->report(), value, where, Kind::kString)) return;
      std::ranges::transform(value.text, value.text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
      out.alertmanager_hosts.push_back(value.text);
    });
    alertmanager->finish();
  }
}

void read_folders(ObjectReader& reader, Config& out) {
  reader.text("state_dir", out.state_dir, is_absolute_path, kPathRule);
  reader.text("run_dir", out.run_dir, is_absolute_path, kPathRule);
  reader.text("bpffs", out.bpffs, is_absolute_path, kPathRule);
  if (reader.any("module_dirs") == nullptr) return;
  out.module_dirs.clear();
  reader.items("module_dirs", [&](JsonValue& value, const std::string& where) {
    if (!expect_kind(reader.report(), value, where, Kind::kString)) return;
    if (!is_absolute_path(value.text)) {
      reader.report().add("bad-value", where, value.line,
                          "\"" + where + "\": \"" + value.text + "\" is not " + std::string(kPathRule));
    }
    out.module_dirs.push_back(value.text);
  });
}

}  // namespace

Result<Config> parse_config(const std::string& text, const std::string& file_name) {
  MS_TRY(JsonValue document, parse_json(text, file_name));
  Report report(file_name);
  if (document.kind != Kind::kObject) {
    report.add("wrong-type", "", document.line,
               "the configuration must be an object, not " + std::string(to_string(document.kind)));
    return fail(report.error());
  }
  Config config;
  ObjectReader reader(report, document, "");
  read_folders(reader, config);
  read_listeners(reader, config);
  read_limits(reader, config.limits);
  read_go(reader, config.go);
  read_changes(reader, config.changes);
  read_neighbours(reader, config);
  read_objectives(reader, "objectives", {}, config.objectives);
  reader.finish();
  if (config.metrics.port != 0 && config.metrics.port == config.api.port && config.metrics.host == config.api.host) {
    reader.complain("api", "same-port", "metrics and API cannot share port " + std::to_string(config.api.port));
  }
  if (!report.empty()) return fail(report.error());
  if (config.token_file.empty()) config.token_file = config.run_dir + "/token";
  if (config.rollback_token_file.empty()) config.rollback_token_file = config.run_dir + "/rollback-token";
  return config;
}

Result<Config> load_config(const std::string& path) {
  MS_TRY(const std::string text, read_text_file(path, kMaxDocumentBytes));
  return parse_config(text, path);
}

std::vector<std::string> not_served(const Config& config) {
  std::vector<std::string> sentences;
  for (const slo::Objective& objective : config.objectives) {
    if (Status served = slo::check_served(objective); !served)
      sentences.push_back("objectives: " + served.error().message + "; every update will be refused");
  }
  return sentences;
}

}  // namespace mapshift::config
