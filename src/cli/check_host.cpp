// SPDX-License-Identifier: Apache-2.0
#include "cli/check_host.h"

#include "cli/table.h"

namespace mapshift::cli {
namespace {

Json list(const std::vector<HostFact>& facts) {
  Json out = Json::array();
  for (const HostFact& fact : facts) out.push_back({{"name", fact.name}, {"served", fact.served}, {"reason", fact.reason}});
  return out;
}

std::string section(const std::string& title, const std::vector<HostFact>& facts) {
  Table table({title, "SERVED", ""});
  for (const HostFact& fact : facts) table.add({fact.name, fact.served ? "yes" : "no", printable(fact.reason)});
  return "\n" + table.text();
}

}  // namespace

Json host_json(const HostFacts& facts) {
  return {{"kernel", facts.kernel},
          {"attach_types", list(facts.attach_types)},
          {"map_types", list(facts.map_types)},
          {"change_sources", list(facts.change_sources)},
          {"grace_periods", list(facts.grace_periods)}};
}

std::string render_host(const HostFacts& facts) {
  return "Linux " + printable(facts.kernel) + "\n" + section("ATTACH TYPE", facts.attach_types) + section("MAP TYPE", facts.map_types) +
         section("CHANGE SOURCE", facts.change_sources) + section("GRACE PERIOD OF", facts.grace_periods);
}

int check_host(Console& console) {
  const Result<HostFacts> facts = mapshift::check_host();
  if (!facts) return show(console, to_failure(facts.error()));
  show(console, host_json(*facts), render_host(*facts));
  return kDone;
}

}  // namespace mapshift::cli
