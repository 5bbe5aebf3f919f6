// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

namespace mapshift::agent {

// Called by threads of alerts_, which the destructor ends before anything that is used here.
Alerts::Hooks Agent::alert_hooks() {
  return {
      .settings =
          [this] {
            const std::lock_guard lock(mutex_);
            return Alerts::Settings{{config_.alertmanager_skew, config_.limits.max_rollbacks_per_hour, config_.limits.rollback_cooldown},
                                    config_.alertmanager_watchdog_timeout, config_.alertmanager_hosts, config_.alertmanager_poll,
                                    config_.alertmanager_url};
          },
      .running =
          [this] {
            std::vector<update::UpdateRecord> out;
            const std::lock_guard lock(mutex_);
            for (const auto& [id, active] : active_) {
              if (!active->run->ended()) out.push_back(active->run->record());
            }
            return out;
          },
      .roll_back = [this](const std::string& update_id, const std::string& reason) -> Status {
        MS_TRY([[maybe_unused]] const update::UpdateRecord record, decide(update_id, http::Verdict::kRollback, reason, "alert"));
        return {};
      },
  };
}

Result<std::vector<alerts::Delivery>> Agent::receive_alerts(const std::vector<alerts::Alert>& alerts) { return alerts_.receive(alerts); }

Status Agent::check_quarantine(Proposal& proposal) {
  const std::string digest = proposal.next.input.object.digest;
  MS_TRY(const auto rolled_back, store_->quarantine(proposal.row.name, digest));
  if (!rolled_back) return {};
  proposal.plan.refusals.push_back({"quarantined", "object",
                                    "update " + rolled_back->id + " to this same object file (SHA-256 " + digest.substr(0, 12) +
                                        "…) was rolled back automatically at " + rolled_back->updated_at + " (" + rolled_back->reason +
                                        "): repair it, or override with `mapshift update --force-quarantined` (\"force_quarantined\": true)"});
  return {};
}

}  // namespace mapshift::agent
