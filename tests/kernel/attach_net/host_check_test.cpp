// SPDX-License-Identifier: Apache-2.0
#include "kernel/host_check.h"

#include <algorithm>

#include "tiny.h"

namespace mapshift::test {
namespace {

const HostFact* find(const std::vector<HostFact>& facts, const std::string& name) {
  const auto found = std::ranges::find(facts, name, &HostFact::name);
  return found == facts.end() ? nullptr : &*found;
}

class HostCheckTest : public TinyTest {};

TEST_F(HostCheckTest, AnswersForEverythingAndLeavesNothing) {
  const auto facts = check_host();
  ASSERT_TRUE(ok(facts));
  for (const AttachType& type : attach_types()) {
    const HostFact* found = find(facts->attach_types, std::string(type.name));
    ASSERT_NE(found, nullptr) << type.name;
    EXPECT_TRUE(found->served || !found->reason.empty()) << type.name;
  }
  for (const auto* list : {&facts->map_types, &facts->change_sources, &facts->grace_periods}) {
    for (const HostFact& fact : *list) EXPECT_TRUE(fact.served || !fact.reason.empty()) << fact.name;
  }
  EXPECT_EQ(left_over_since(before_), "");
}

TEST_F(HostCheckTest, AgreesWithWhatWorks) {
  const auto facts = check_host();
  ASSERT_TRUE(ok(facts));
  for (const char* name : {"xdp", "tc", "cgroup", "sk_lookup", "flow_dissector"}) {
    EXPECT_TRUE(find(facts->attach_types, name)->served) << name << ": " << find(facts->attach_types, name)->reason;
  }
  EXPECT_EQ(find(facts->attach_types, "tcx")->served, needs_linux(6, 6, "").empty());
  EXPECT_TRUE(find(facts->map_types, "lru_hash")->served);
  EXPECT_TRUE(find(facts->grace_periods, "non-sleepable")->served);
}

}  // namespace
}  // namespace mapshift::test
