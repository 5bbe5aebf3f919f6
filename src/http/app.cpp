// SPDX-License-Identifier: Apache-2.0
#include "http/app.h"

#include "base/clock.h"
#include "http/openapi.h"
#include "http/problem.h"

namespace mapshift::http {
namespace {

Response not_allowed(const Match& match) {
  std::string allow;
  for (const std::string& method : match.allowed) allow += (allow.empty() ? "" : ", ") + method;
  Response response = problem(405, "method-not-allowed", "This path is served with " + allow + ".");
  response.headers.emplace_back("Allow", allow);
  return response;
}

}  // namespace

App::App(Service& service, metrics::Metrics& metrics, Codec codec)
    : service_(service), metrics_(metrics), codec_(std::move(codec)) {}

Response App::handle(Listener listener, Request& request) {
  const Nanos begun = monotonic_now();
  std::string_view handler = "none";  // whatever the client asks for, the label's values are those of the table
  Response response = route(listener, request, handler);
  metrics_.http_request(handler, response.status, Seconds(monotonic_now() - begun).count());
  return response;
}

// `route`: none for a path that does not exist.
bool App::allowed(const Request& request, const Route* route) const {
  const std::string_view shown = request.header("Authorization").value_or("");
  return token_.accepts(shown) || (route != nullptr && route->auth == Auth::kRollbackToken && rollback_token_.accepts(shown));
}

Response App::route(Listener listener, Request& request, std::string_view& handler) {
  const Match match = match_route(listener, request.method, request.path);
  if (match.route != nullptr) handler = match.route->name;
  // Before anything else, so that a stranger learns nothing about what is there.
  const bool open = listener == Listener::kMetrics || (match.route != nullptr && match.route->auth == Auth::kNone);
  if (!open && !allowed(request, match.route))
    return problem({ErrorCode::kUnauthorized, 0, "This needs the header \"Authorization: Bearer TOKEN\" with the agent's token.", {}, {}});
  request.trusted = !open;
  if (match.route == nullptr && match.allowed.empty()) return problem({ErrorCode::kNotFound, 0, "There is nothing at this path.", {}, {}});
  if (match.route == nullptr) return not_allowed(match);
  if (!open && !service_.ready())
    return problem({ErrorCode::kUnavailable, 0, "The agent is still recovering; try again when /-/ready answers 200.", {}, {}});

  Call call{request, {}, match.parameter};
  if (match.route->method == "POST" || match.route->method == "PUT") {
    auto body = request.read_body();
    if (!body && body.error().code == ErrorCode::kTimeout) return problem(408, "incomplete-body", body.error().message);
    if (!body) return problem(body.error());
    call.body = std::move(*body);
  }
  return dispatch(match.route->action, call);
}

Response App::dispatch(Action action, const Call& call) {
  switch (action) {
    case Action::kIndex: return index();
    case Action::kMetrics: return metrics_page();
    case Action::kHealthy: return {200, "text/plain; charset=utf-8", "healthy\n", {}};
    case Action::kReady: return ready();
    case Action::kOpenApi: return {200, "application/json", std::string(openapi_document()), {}};
    case Action::kLoadModule: return load_module(call);
    case Action::kListModules: return list_modules();
    case Action::kShowModule: return show_module(call);
    case Action::kUnloadModule: return unload_module(call);
    case Action::kAdopt: return adopt(call);
    case Action::kPlan: return plan(call);
    case Action::kStartUpdate: return start_update(call);
    case Action::kListUpdates: return list_updates(call);
    case Action::kShowUpdate: return show_update(call);
    case Action::kRollback: return decide(call, Verdict::kRollback);
    case Action::kCommit: return decide(call, Verdict::kCommit);
    case Action::kAbort: return decide(call, Verdict::kAbort);
    case Action::kAlerts: return receive_alerts(call);
    case Action::kListGo: return list_go();
    case Action::kShowGo: return show_go(call);
    case Action::kReload: return reload();
    case Action::kWatchChanges: return watch_changes(call);
    case Action::kShowMap: return show_map(call);
    case Action::kReplaceMap: return replace_map(call);
  }
  return problem({ErrorCode::kInternal, 0, "The route has no handler.", {}, {}});
}

}  // namespace mapshift::http
