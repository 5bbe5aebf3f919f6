// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "base/clock.h"

namespace mapshift::update {

struct Limits {
  Nanos migration_timeout = std::chrono::seconds(60);
  Nanos swap_timeout = std::chrono::seconds(1);
  Nanos rollback_timeout = std::chrono::seconds(10);
  Nanos stall_timeout = std::chrono::seconds(10);
  double memory_headroom = 0.2;  // share of a plan's need that must be free beyond it
  int max_concurrent_updates = 1;
  int max_rollbacks_per_hour = 10;  // automatic ones; as many hold every further one that an alert asks for
  Nanos rollback_cooldown = std::chrono::seconds(10);  // of a module, for alerts that name no update
};

}  // namespace mapshift::update
