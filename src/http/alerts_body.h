// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <vector>

#include "alerts/alert.h"
#include "base/result.h"

namespace mapshift::http {

inline constexpr size_t kMaxAlerts = 1000;  // in one request

// Alertmanager's webhook, version 4. Members that are not needed are passed over. An alert that lacks something is given with
// its `fault`, so that the others are not lost; kInvalid when the document as a whole is none, kTooLarge beyond kMaxAlerts.
[[nodiscard]] Result<std::vector<alerts::Alert>> parse_webhook(const std::string& body);
// The answer of Alertmanager's GET /api/v2/alerts. The same limits.
[[nodiscard]] Result<std::vector<alerts::Alert>> parse_active_alerts(const std::string& body);
// What a delivery is answered with: {"alerts": [{"fingerprint", "status", "alertname", "disposition", …}]}, in its order.
[[nodiscard]] std::string deliveries_text(const std::vector<alerts::Delivery>& deliveries);

}  // namespace mapshift::http
