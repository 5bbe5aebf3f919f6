// SPDX-License-Identifier: Apache-2.0
#include "http/alerts_body.h"
#include "http/app.h"
#include "http/problem.h"

namespace mapshift::http {

// Alertmanager repeats what is answered with anything but 2xx, 5xx at once and up to 22 times: so whatever can be read and
// stored is answered with 200, and what became of each alert is in the body.
Response App::receive_alerts(const Call& call) {
  const auto alerts = parse_webhook(call.body);
  if (!alerts) return problem(alerts.error());
  const auto deliveries = service_.receive_alerts(*alerts);
  if (!deliveries) {
    return problem({ErrorCode::kUnavailable, 0, "The alerts could not be stored: " + deliveries.error().message, {}, {}});
  }
  return {200, "application/json", deliveries_text(*deliveries), {}};
}

}  // namespace mapshift::http
