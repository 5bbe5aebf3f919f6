// SPDX-License-Identifier: Apache-2.0
#include "alerts/judge.h"

#include <algorithm>

namespace mapshift::alerts {
namespace {

using update::State;

Delivery with(Delivery delivery, Disposition disposition, std::string message) {
  delivery.disposition = disposition;
  delivery.message = std::move(message);
  return delivery;
}

// Both labels are optional, but what is said must be true.
bool about_this_host(const Alert& alert, const Situation& situation) {
  return std::ranges::all_of(std::initializer_list<std::string_view>{"instance", "host"}, [&](std::string_view name) {
    const std::string value = alert.label(name);
    return value.empty() || names_host(value, situation.hosts);
  });
}

const UpdateFacts* find(const ModuleFacts& module, const std::string& id) {
  const auto found = std::ranges::find(module.updates, id, &UpdateFacts::id);
  return found == module.updates.end() ? nullptr : &*found;
}

const UpdateFacts* running(const ModuleFacts& module) {
  const auto found = std::ranges::find_if(module.updates, [](const UpdateFacts& one) { return !update::is_final(one.state); });
  return found == module.updates.end() ? nullptr : &*found;
}

bool began_before(const Alert& alert, const UpdateFacts& update, const Policy& policy) {
  return update.swap_began && alert.started < *update.swap_began - std::chrono::duration_cast<WallTime::duration>(policy.skew);
}

// The loop breakers. Empty: nothing is in the way.
std::string held_by(const Alert& alert, const ModuleFacts& module, const Situation& situation) {
  const Policy& policy = situation.policy;
  if (situation.rollbacks_in_hour >= static_cast<size_t>(std::max(policy.max_rollbacks_per_hour, 0))) {
    return std::to_string(situation.rollbacks_in_hour) + " automatic rollbacks in an hour: limits.max_rollbacks_per_hour stops further ones; roll back by hand if that is right";
  }
  const bool cooling = module.last_automatic_rollback &&
                       situation.now - *module.last_automatic_rollback < std::chrono::duration_cast<WallTime::duration>(policy.cooldown);
  if (cooling && alert.label("update_id").empty()) {
    return "the module was rolled back within limits.rollback_cooldown (" + format_duration(policy.cooldown) +
           "), and the alert names no update_id: it may still be about the former update";
  }
  return {};
}

Delivery judge_baking(const Alert& alert, const UpdateFacts& update, const ModuleFacts& module, const Situation& situation, Delivery out) {
  if (began_before(alert, update, situation.policy)) {
    return with(std::move(out), Disposition::kStale, "it began at " + alert.key.starts_at + ", before the swap at " + format_time(*update.swap_began));
  }
  if (update.lossy) return with(std::move(out), Disposition::kIrreversible, "the update transformed state with loss: going back would lose it again; a person must decide");
  if (update.rollback_ordered) return with(std::move(out), Disposition::kDuplicate, "an alert ordered this rollback before");
  if (std::string why = held_by(alert, module, situation); !why.empty()) return with(std::move(out), Disposition::kHeld, std::move(why));
  return with(std::move(out), Disposition::kAccepted, "alert " + alert.label("alertname") + " fires since " + alert.key.starts_at +
                                                               (alert.summary.empty() ? "" : ": " + alert.summary));
}

Delivery judge_update(const Alert& alert, const UpdateFacts& update, const ModuleFacts& module, const Situation& situation, Delivery out) {
  const std::string state(to_string(update.state));
  switch (update.state) {
    case State::kBaking: return judge_baking(alert, update, module, situation, std::move(out));
    case State::kCommitted:
      if (began_before(alert, update, situation.policy)) return with(std::move(out), Disposition::kStale, "it began before update " + update.id);
      return with(std::move(out), Disposition::kIrreversible, "update " + update.id + " is committed, and the former generation is gone: update to a repaired version");
    case State::kRollingBack:
    case State::kRolledBack:
      if (update.rollback_ordered) return with(std::move(out), Disposition::kDuplicate, "an alert ordered this rollback before");
      return with(std::move(out), Disposition::kNotBaking, "update " + update.id + " is " + state + " already");
    case State::kPlanned:
    case State::kPlanning:
    case State::kLoading:
    case State::kSyncing:
    case State::kSwapping:
    case State::kFailed:
    case State::kAborted:
    case State::kStuck: return with(std::move(out), Disposition::kNotBaking, "update " + update.id + " is " + state);
  }
  return out;
}

}  // namespace

Delivery judge(const Alert& alert, const Situation& situation, bool accepted_before) {
  Delivery out{alert.key, alert.label("alertname"), alert.label("module"), alert.label("update_id")};
  if (!alert.fault.empty()) return with(std::move(out), Disposition::kInvalid, alert.fault);
  if (out.name == kWatchdogName && alert.firing()) return with(std::move(out), Disposition::kWatchdog, "the path from Prometheus to this agent works");
  if (!alert.firing()) return with(std::move(out), Disposition::kResolved, "nothing is applied again because an alert is over");
  if (alert.label(kActionLabel) != kActionRollback) {
    return with(std::move(out), Disposition::kNoAction, "it has no label mapshift_action=\"rollback\"");
  }
  if (accepted_before) return with(std::move(out), Disposition::kDuplicate, "delivered before, and acted upon");
  const auto module = situation.modules.find(out.module);
  if (module == situation.modules.end()) {
    return with(std::move(out), Disposition::kUnknownModule,
                out.module.empty() ? "it has no label \"module\"" : "no module \"" + out.module + "\" is loaded here");
  }
  if (!about_this_host(alert, situation)) return with(std::move(out), Disposition::kOtherHost, "its labels name another host");
  const UpdateFacts* current = running(module->second);
  const UpdateFacts* target = current;
  if (!out.update_id.empty()) {
    target = find(module->second, out.update_id);
    if (target == nullptr || (current != nullptr && target != current)) {
      return with(std::move(out), Disposition::kStale, "it is about update " + alert.label("update_id") + ", which is not the current one");
    }
  }
  if (target == nullptr && !module->second.updates.empty()) target = &module->second.updates.front();
  if (target == nullptr) return with(std::move(out), Disposition::kNotBaking, "module \"" + module->first + "\" was never updated");
  out.update_id = target->id;
  return judge_update(alert, *target, module->second, situation, std::move(out));
}

void note_order(Situation& situation, const Delivery& delivery) {
  if (delivery.disposition != Disposition::kAccepted) return;
  for (UpdateFacts& update : situation.modules[delivery.module].updates) {
    if (update.id == delivery.update_id) update.rollback_ordered = true;
  }
  ++situation.rollbacks_in_hour;
}

}  // namespace mapshift::alerts
