// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <string>
#include <string_view>

#include "http/codec.h"
#include "http/idempotency.h"
#include "http/message.h"
#include "http/routes.h"
#include "http/service.h"
#include "http/token.h"
#include "metrics/metrics.h"

namespace mapshift::http {

// Answers the requests of both listeners: finds the route, checks the credentials, asks the Service. Thread-safe. `service`
// and `metrics` must outlive it.
class App {
 public:
  // So many requests may wait for news at a time; each holds a thread of the server. One more is answered at once.
  static constexpr int kMaxWaiters = 16;

  // So many clients may watch changes at a time; each holds a thread of the server beside kOrdinaryThreads.
  static constexpr int kMaxStreams = 224;
  static constexpr int kOrdinaryThreads = 32;

  App(Service& service, metrics::Metrics& metrics, Codec codec);
  void set_token(std::string_view token) { token_.set(token); }
  void set_rollback_token(std::string_view token) { rollback_token_.set(token); }

  [[nodiscard]] Response handle(Listener listener, Request& request);
  // Counts a request that the server refused before it got here.
  void count_refused(int status) { metrics_.http_request("malformed", status, 0); }

 private:
  struct Call {
    Request& request;
    std::string body = {};
    std::string parameter = {};
  };
  Response route(Listener listener, Request& request, std::string_view& handler);
  [[nodiscard]] bool allowed(const Request& request, const Route* route) const;
  Response dispatch(Action action, const Call& call);

  // pages.cpp
  static Response index();
  Response metrics_page();
  Response ready();
  // modules.cpp
  Response load_module(const Call& call);
  Response list_modules();
  Response show_module(const Call& call);
  Response unload_module(const Call& call);
  Response adopt(const Call& call);  // adopt.cpp
  Response plan(const Call& call);
  Response reload();
  [[nodiscard]] Result<update::Manifest> read_manifest(const struct ManifestRequest& request) const;
  [[nodiscard]] Response module_response(int status, const update::ModuleRecord& record) const;
  // updates.cpp
  Response start_update(const Call& call);
  Response start_new_update(const Call& call, UpdateOptions options);
  Response list_updates(const Call& call);
  Response show_update(const Call& call);
  Response decide(const Call& call, Verdict verdict);
  // alerts.cpp
  Response receive_alerts(const Call& call);
  // go.cpp
  Response list_go();
  Response show_go(const Call& call);
  // maps.cpp
  Response watch_changes(const Call& call);
  Response show_map(const Call& call);
  Response replace_map(const Call& call);
  Result<update::UpdateRecord> wait_for_news(const Call& call, uint64_t since, std::chrono::nanoseconds wait);
  [[nodiscard]] Response update_response(int status, const update::UpdateRecord& record) const;

  Service& service_;
  metrics::Metrics& metrics_;
  Codec codec_;
  Token token_, rollback_token_;
  Idempotency idempotency_;
  std::atomic<int> waiters_ = 0;
  std::atomic<int> streams_ = 0;
};

}  // namespace mapshift::http
