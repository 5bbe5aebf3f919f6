// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"
#include "promql/client.h"

namespace mapshift::agent {

// Whom an update asks. It keeps asking the same, whatever a reload changes while it runs.
update::Sources Agent::sources() {
  std::string url;
  {
    const std::lock_guard lock(mutex_);
    url = config_.prometheus_url;
  }
  const auto client = std::make_shared<promql::Client>(url);
  return {[client](const std::string& query) { return client->query(query); }, [this](const std::string& module) { return alerts_.firing(module); },
          go_.source()};
}

}  // namespace mapshift::agent
