// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mapshift::http {

enum class Listener : uint8_t { kMetrics, kApi };
enum class Auth : uint8_t {
  kNone,
  kToken,
  kRollbackToken,  // the token, or the one that opens nothing but this
};

enum class Action : uint8_t {
  kIndex, kMetrics, kHealthy, kReady,
  kOpenApi, kLoadModule, kListModules, kShowModule, kUnloadModule, kAdopt,
  kPlan, kStartUpdate, kListUpdates, kShowUpdate, kRollback, kCommit, kAbort, kAlerts,
  kListGo, kShowGo, kWatchChanges, kShowMap, kReplaceMap, kReload,
};

struct Route {
  Listener listener;
  std::string_view method;   // HEAD is served wherever GET is
  std::string_view pattern;  // "{id}" stands for one segment
  Auth auth;
  Action action;
  std::string_view name;     // the metrics' label `handler`
  std::string_view help;
};

// Every request that is answered. Adding one is a line here, a handler in App, and a path in openapi.json.
inline constexpr auto kRoutes = std::to_array<Route>({
    {Listener::kMetrics, "GET", "/", Auth::kNone, Action::kIndex, "index", "Links to what this listener serves"},
    {Listener::kMetrics, "GET", "/metrics", Auth::kNone, Action::kMetrics, "metrics", "Metrics for Prometheus"},
    {Listener::kMetrics, "GET", "/-/healthy", Auth::kNone, Action::kHealthy, "healthy", "The agent runs"},
    {Listener::kMetrics, "GET", "/-/ready", Auth::kNone, Action::kReady, "ready", "Recovery is over, and requests are served"},
    {Listener::kApi, "GET", "/api/v1/openapi.json", Auth::kNone, Action::kOpenApi, "openapi", "This description"},
    {Listener::kApi, "POST", "/api/v1/modules", Auth::kToken, Action::kLoadModule, "load_module", "Load and attach a first generation"},
    {Listener::kApi, "GET", "/api/v1/modules", Auth::kToken, Action::kListModules, "list_modules", "All loaded modules"},
    {Listener::kApi, "GET", "/api/v1/modules/{name}", Auth::kToken, Action::kShowModule, "show_module", "One module"},
    {Listener::kApi, "DELETE", "/api/v1/modules/{name}", Auth::kToken, Action::kUnloadModule, "unload_module", "Detach and remove a module"},
    {Listener::kApi, "POST", "/api/v1/modules/{name}/adopt", Auth::kToken, Action::kAdopt, "adopt", "Take over programs that somebody else attached"},
    {Listener::kApi, "POST", "/api/v1/plans", Auth::kToken, Action::kPlan, "plan", "What an update would do; changes nothing"},
    {Listener::kApi, "POST", "/api/v1/updates", Auth::kToken, Action::kStartUpdate, "start_update", "Start an update"},
    {Listener::kApi, "GET", "/api/v1/updates", Auth::kToken, Action::kListUpdates, "list_updates", "Updates, newest first"},
    {Listener::kApi, "GET", "/api/v1/updates/{id}", Auth::kToken, Action::kShowUpdate, "show_update", "One update, or its next revision"},
    {Listener::kApi, "POST", "/api/v1/updates/{id}/rollback", Auth::kToken, Action::kRollback, "rollback", "Roll the running update back"},
    {Listener::kApi, "POST", "/api/v1/updates/{id}/commit", Auth::kToken, Action::kCommit, "commit", "Commit the running update now"},
    {Listener::kApi, "POST", "/api/v1/updates/{id}/abort", Auth::kToken, Action::kAbort, "abort", "Abort the running update"},
    {Listener::kApi, "POST", "/api/v1/alerts", Auth::kRollbackToken, Action::kAlerts, "alerts", "Alertmanager's webhook, version 4"},
    {Listener::kApi, "GET", "/api/v1/go", Auth::kToken, Action::kListGo, "list_go", "Captured Go processes and their figures"},
    {Listener::kApi, "GET", "/api/v1/go/{pid}", Auth::kToken, Action::kShowGo, "show_go", "One Go process, its goroutines counted now"},
    {Listener::kApi, "GET", "/api/v1/changes", Auth::kToken, Action::kWatchChanges, "watch_changes", "Changes of one map, as they happen"},
    {Listener::kApi, "GET", "/api/v1/maps/{module}/{map}", Auth::kToken, Action::kShowMap, "show_map", "One map: its version and, where allowed, its entries"},
    {Listener::kApi, "PUT", "/api/v1/maps/{module}/{map}", Auth::kToken, Action::kReplaceMap, "replace_map", "Replace a map's contents in one step"},
    {Listener::kApi, "POST", "/-/reload", Auth::kToken, Action::kReload, "reload", "Read the configuration again, all or nothing"},
});

struct Match {
  const Route* route = nullptr;     // none: no such path, or, when `allowed` is set, not with this method
  std::string parameter = {};       // what "{…}" stands for, decoded; of two, joined by the '/' that neither can hold
  std::vector<std::string> allowed = {};
};
// Paths are compared as they are: no normalising, no trailing slash.
[[nodiscard]] Match match_route(Listener listener, std::string_view method, std::string_view path);

}  // namespace mapshift::http
