// SPDX-License-Identifier: Apache-2.0
#include "agent/alerts.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "agent/host_names.h"
#include "base/log.h"
#include "http/alertmanager.h"

namespace mapshift::agent {
namespace {

using alerts::Alert;
using alerts::Delivery;
using alerts::Disposition;

constexpr std::chrono::seconds kTick(1);
constexpr std::chrono::minutes kForgotten(3);  // alerts/alertmanager.yml repeats every minute what still fires
constexpr size_t kMostFiring = 10'000;
constexpr std::chrono::seconds kFirstPolls(4);  // what an update is given until a poll has brought the watchdog
constexpr size_t kUpdatesLookedAt = 20;  // of a module, newest first: an alert about an older one is stale anyway

WallTime wall_now() { return std::chrono::system_clock::now(); }

bool asks_for_rollback(const Alert& alert) {
  return alert.fault.empty() && alert.firing() && alert.label(alerts::kActionLabel) == alerts::kActionRollback;
}

}  // namespace

Alerts::Alerts(store::Store& store, metrics::Metrics& metrics, Hooks hooks) : store_(store), metrics_(metrics), hooks_(std::move(hooks)) {
  for (const Disposition disposition : alerts::kDispositions) metrics_.alert_received(alerts::name_of(disposition), 0);
}

Alerts::~Alerts() { stop(); }

void Alerts::start() {
  actor_ = std::thread([this] { act(); });
  poller_ = std::thread([this] { poll(); });
}

void Alerts::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (actor_.joinable()) actor_.join();
  if (poller_.joinable()) poller_.join();
}

Result<alerts::ModuleFacts> Alerts::module_facts(const std::string& module, const std::vector<update::UpdateRecord>& running) {
  alerts::ModuleFacts out;
  MS_TRY(std::vector<update::UpdateRecord> heads, store_.update_heads(module, kUpdatesLookedAt));
  for (update::UpdateRecord& head : heads) {
    const auto live = std::ranges::find(running, head.id, &update::UpdateRecord::id);
    alerts::UpdateFacts facts = alerts::facts_of(live == running.end() ? head : *live);
    MS_TRY(facts.rollback_ordered, store_.has_action(facts.id));
    out.updates.push_back(std::move(facts));
  }
  MS_TRY(const std::string last, store_.last_automatic_rollback(module));
  if (auto at = parse_time(last); at) out.last_automatic_rollback = *at;
  return out;
}

// The history of a module is read only when an alert asks for something.
Result<alerts::Situation> Alerts::situation(const std::vector<Alert>& alerts) {
  const Settings settings = hooks_.settings();
  alerts::Situation out;
  out.now = wall_now();
  out.policy = settings.policy;
  std::set<std::string> asked;
  for (const Alert& alert : alerts) {
    if (asks_for_rollback(alert)) asked.insert(alert.label("module"));
  }
  if (asked.empty()) return out;
  out.hosts = host_names();
  out.hosts.insert(settings.hosts.begin(), settings.hosts.end());
  MS_TRY(out.rollbacks_in_hour, store_.automatic_rollbacks_since(format_time(out.now - std::chrono::hours(1))));
  MS_TRY(const std::vector<store::ModuleRow> rows, store_.modules());
  const std::vector<update::UpdateRecord> running = hooks_.running();
  for (const store::ModuleRow& row : rows) {
    if (!asked.contains(row.name)) continue;
    MS_TRY(out.modules[row.name], module_facts(row.name, running));
  }
  return out;
}

Result<std::vector<Delivery>> Alerts::judge_all(const std::vector<Alert>& alerts) {
  MS_TRY(alerts::Situation now, situation(alerts));
  std::vector<alerts::Key> keys;
  keys.reserve(alerts.size());
  for (const Alert& alert : alerts) keys.push_back(alert.key);
  MS_TRY(const std::vector<bool> before, store_.accepted_before(keys));
  std::vector<Delivery> out;
  out.reserve(alerts.size());
  for (size_t i = 0; i < alerts.size(); ++i) {
    out.push_back(alerts::judge(alerts[i], now, before[i]));
    alerts::note_order(now, out.back());
  }
  return out;
}

Status Alerts::keep(const std::vector<Delivery>& deliveries) {
  MS_CHECK(store_.put_deliveries(deliveries));
  bool ordered = false;
  for (const Delivery& one : deliveries) {
    metrics_.alert_received(alerts::name_of(one.disposition));
    if (one.disposition != Disposition::kAccepted) continue;
    ordered = true;
    log::info("an alert orders a rollback", {{"update_id", one.update_id}, {"module", one.module}, {"alert", one.name}});
  }
  const std::lock_guard lock(mutex_);
  ordered_ = ordered_ || ordered;
  if (ordered) wake_.notify_all();
  return {};
}

Result<std::vector<Delivery>> Alerts::receive(const std::vector<Alert>& alerts) {
  const std::lock_guard lock(receiving_);
  MS_TRY(std::vector<Delivery> out, judge_all(alerts));
  MS_CHECK(keep(out));
  remember(alerts);
  return out;
}

void Alerts::remember(const std::vector<Alert>& delivered) {
  const Nanos now = monotonic_now();
  const std::lock_guard lock(mutex_);
  std::erase_if(firing_, [&](const auto& entry) { return now - entry.second.seen > kForgotten; });
  for (const Alert& alert : delivered) {
    if (alert.fault.empty() && alert.firing() && alert.label("alertname") == alerts::kWatchdogName) watchdog_at_ = now;
    if (!alert.fault.empty() || alert.label("module").empty()) continue;
    if (!alert.firing()) firing_.erase(alert.key.fingerprint);
    else if (firing_.size() < kMostFiring) firing_[alert.key.fingerprint] = {alert.label("alertname"), alert.label("module"), now};
  }
}

Result<std::vector<std::string>> Alerts::firing(const std::string& module) {
  const Settings settings = hooks_.settings();
  if (settings.poll && !path_proven()) {  // nobody polls while no update runs, and a plan asks before one does
    MS_TRY(const std::vector<Alert> found, http::active_alerts(settings.url));
    remember(found);
  }
  if (!path_proven()) return fail(ErrorCode::kUnavailable, "blind: no watchdog alert arrives, so nobody knows which alerts fire");
  std::vector<std::string> out;
  const std::lock_guard lock(mutex_);
  for (const auto& [fingerprint, one] : firing_) {
    if (one.module == module && monotonic_now() - one.seen <= kForgotten) out.push_back(one.name);
  }
  return out;
}

bool Alerts::path_proven() {
  const Nanos timeout = hooks_.settings().watchdog_timeout;
  const std::lock_guard lock(mutex_);
  return watchdog_at_ && monotonic_now() - *watchdog_at_ <= timeout;
}

void Alerts::complete(update::UpdateRecord& record) {
  auto found = store_.alerts_of(record.id);
  auto path = store_.alert_path(record.id);
  if (!found || !path) {
    log::error("cannot read an update's alerts", {{"update_id", record.id}, {"error", found ? path.error().message : found.error().message}});
    return;
  }
  record.alerts = std::move(*found);
  record.alert_path = std::move(*path);
}

void Alerts::collect(metrics::Metrics& metrics) {
  const auto rollbacks = store_.automatic_rollbacks_since(format_time(wall_now() - std::chrono::hours(1)));
  if (!rollbacks) return;
  metrics.set_alerting(path_proven(), *rollbacks >= static_cast<size_t>(std::max(hooks_.settings().policy.max_rollbacks_per_hour, 0)));
}

void Alerts::act() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const bool ordered = std::exchange(ordered_, false);
    lock.unlock();
    if (ordered) act_once();
    watch_path();
    lock.lock();
    wake_.wait_for(lock, kTick, [this] { return stopping_ || ordered_; });
  }
}

// An update that has ended in the meantime cannot be rolled back any more; that is the action's outcome.
void Alerts::act_once() {
  const auto actions = store_.open_actions();
  if (!actions) return log::error("cannot read what alerts ordered", {{"error", actions.error().message}});
  for (const store::OrderedAction& action : *actions) {
    const Status done = hooks_.roll_back(action.update_id, action.reason);
    if (!done) log::warn("a rollback that an alert ordered was not possible", {{"update_id", action.update_id}, {"error", done.error().message}});
    const Status stored = store_.finish_action(action.update_id, done ? "ordered" : done.error().message);
    if (!stored) log::error("cannot store what was done", {{"update_id", action.update_id}, {"error", stored.error().message}});
  }
}

// An update that was blind for a moment of its bake was blind: an alert of that moment is nowhere.
void Alerts::watch_path() {
  const bool proven = path_proven();
  const bool polls = hooks_.settings().poll;
  const Nanos now = monotonic_now();
  std::set<std::string> baking;
  for (const update::UpdateRecord& record : hooks_.running()) {
    if (record.state != update::State::kBaking) continue;
    baking.insert(record.id);
    Path& entry = paths_.try_emplace(record.id, Path{{}, now}).first->second;
    std::string& path = entry.state;
    if (path.empty()) path = store_.alert_path(record.id).value_or("");  // of before a restart
    if (path == "blind" || (proven && path == "proven")) continue;
    if (!proven && polls && now - entry.since < kFirstPolls) continue;
    path = proven ? "proven" : "blind";
    if (!proven) log::warn("blind: no watchdog alert arrives, so no alert could roll this update back", {{"update_id", record.id}});
    if (Status stored = store_.put_alert_path(record.id, path); !stored) log::error("cannot store", {{"error", stored.error().message}});
  }
  std::erase_if(paths_, [&](const auto& entry) { return !baking.contains(entry.first); });
}

void Alerts::poll() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    lock.unlock();
    const Settings settings = hooks_.settings();
    const auto running = settings.poll ? hooks_.running() : std::vector<update::UpdateRecord>();
    if (!running.empty()) poll_once(settings.url);
    else polled_.clear();
    lock.lock();
    wake_.wait_for(lock, kTick, [this] { return stopping_; });
  }
}

// The same alert is found at each poll: only what became of it anew is stored and counted.
void Alerts::poll_once(const std::string& url) {
  const auto found = http::active_alerts(url);
  if (found.has_value() == poll_failed_) {
    if (found) log::info("Alertmanager can be polled again", {{"url", url}});
    else log::warn("Alertmanager cannot be polled", {{"error", found.error().message}});
  }
  poll_failed_ = !found;
  if (!found) return;
  remember(*found);
  const std::lock_guard lock(receiving_);
  auto judged = judge_all(*found);
  if (!judged) return log::error("cannot judge what was polled", {{"error", judged.error().message}});
  std::erase_if(*judged, [this](const Delivery& one) {
    const auto before = polled_.find(one.key);
    return before != polled_.end() && (before->second == one.disposition || one.disposition == Disposition::kDuplicate);
  });
  if (judged->empty()) return;
  if (Status kept = keep(*judged); !kept) return log::error("cannot store what was polled", {{"error", kept.error().message}});
  for (const Delivery& one : *judged) polled_[one.key] = one.disposition;
}

}  // namespace mapshift::agent
