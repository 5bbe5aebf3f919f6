// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace mapshift::alerts {

// What an alert must say to roll something back, and the one that proves the path; see alerts/README.md.
inline constexpr std::string_view kActionLabel = "mapshift_action";
inline constexpr std::string_view kActionRollback = "rollback";
inline constexpr std::string_view kWatchdogName = "MapshiftWatchdog";

// Of one Alertmanager sends: identifies a delivery. The same alert firing anew has another start.
struct Key {
  std::string fingerprint, starts_at, status;
  auto operator<=>(const Key&) const = default;
};

// One alert as Alertmanager reports it.
struct Alert {
  Key key;
  WallTime started = {};
  std::map<std::string, std::string> labels = {};
  std::string summary = {};  // an annotation
  std::string fault = {};    // why nothing can be made of it; else empty

  [[nodiscard]] bool firing() const { return key.status == "firing"; }
  [[nodiscard]] std::string label(std::string_view name) const {
    const auto found = labels.find(std::string(name));
    return found == labels.end() ? std::string() : found->second;
  }
};

// What became of a delivered alert.
enum class Disposition : uint8_t {
  kAccepted,       // the update is rolled back
  kDuplicate,      // the same delivery, or another alert, ordered that before
  kStale,          // about another update, or began before the swap
  kUnknownModule,  // it names no loaded module
  kResolved,       // over: nothing is ever applied again because of it
  kNotBaking,      // there is no update that could be rolled back now
  kIrreversible,   // committed, or state was transformed with loss
  kOtherHost,      // about another host
  kNoAction,       // it asks for nothing
  kWatchdog,       // proves that the path works
  kHeld,           // the breaker of the host, or the cooldown of the module: a person must decide
  kInvalid,        // a member that is needed is missing or wrong
};
inline constexpr auto kDispositions = std::to_array<Disposition>(
    {Disposition::kAccepted, Disposition::kDuplicate, Disposition::kStale, Disposition::kUnknownModule, Disposition::kResolved,
     Disposition::kNotBaking, Disposition::kIrreversible, Disposition::kOtherHost, Disposition::kNoAction, Disposition::kWatchdog,
     Disposition::kHeld, Disposition::kInvalid});
[[nodiscard]] std::string_view name_of(Disposition disposition);

// One delivery with what became of it: answered, stored, and shown by `mapshift explain`.
struct Delivery {
  Key key;
  std::string name, module, update_id;  // update_id: of the update that was looked at
  Disposition disposition = Disposition::kInvalid;
  std::string message = {};             // why, for people
};

}  // namespace mapshift::alerts
