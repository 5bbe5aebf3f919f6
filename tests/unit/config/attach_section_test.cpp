// SPDX-License-Identifier: Apache-2.0
#include "update/attach_section.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;

TEST(AttachSection, NamesThatSayWhere) {
  for (const char* section : {"tp/sched/sched_switch", "tracepoint/sched/sched_switch", "?tp/sched/sched_switch"}) {
    const auto attach = attach_from_section(section);
    ASSERT_TRUE(attach && *attach) << section;
    EXPECT_EQ((*attach)->type, "tracepoint");
    EXPECT_EQ((*attach)->category, "sched");
    EXPECT_EQ((*attach)->name, "sched_switch");
  }
  for (const char* section : {"raw_tp/sys_enter", "raw_tracepoint/sys_enter"}) {
    const auto attach = attach_from_section(section);
    ASSERT_TRUE(attach && *attach) << section;
    EXPECT_EQ((*attach)->type, "raw_tracepoint");
    EXPECT_EQ((*attach)->name, "sys_enter");
  }
}

TEST(AttachSection, NamesThatLeaveItOpenSayWhatIsMissing) {
  const auto message = [](const char* section) {
    const auto attach = attach_from_section(section);
    return attach ? std::string("no error") : attach.error().message;
  };
  EXPECT_THAT(message("xdp"), HasSubstr("\"interface\""));
  EXPECT_THAT(message("xdp.frags"), HasSubstr("\"interface\""));
  EXPECT_THAT(message("tcx/egress"), HasSubstr("\"direction\": \"egress\""));
  EXPECT_THAT(message("cgroup_skb/ingress"), HasSubstr("\"hook\": \"skb_ingress\""));
  EXPECT_THAT(message("tp/sched"), HasSubstr("\"category\""));
  EXPECT_THAT(message("tracepoint//x"), HasSubstr("\"category\""));
  EXPECT_THAT(message("raw_tp"), HasSubstr("\"name\""));
  EXPECT_THAT(message("uprobe"), HasSubstr("\"symbol\""));
}

TEST(AttachSection, OthersAreNotAttached) {
  for (const char* section : {"syscall", "iter/bpf_map_elem", "", "classifier/3", "kprobe/do_exit", "/"}) {
    const auto attach = attach_from_section(section);
    ASSERT_TRUE(attach) << section;
    EXPECT_FALSE(*attach) << section;
  }
}

}  // namespace
}  // namespace mapshift::update
