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

TEST(AttachSection, ProgramsThatTraceSayWhere) {
  const auto attach = [](const char* section) {
    const auto found = attach_from_section(section);
    return found && *found ? **found : AttachSpec{};
  };
  EXPECT_EQ(attach("kprobe/do_exit+0x10").name, "do_exit");
  EXPECT_EQ(attach("kprobe/do_exit+0x10").trace.offset, 16u);
  EXPECT_EQ(attach("kretprobe/do_exit").type, "kretprobe");
  EXPECT_EQ(attach("kprobe.multi/tcp_*").name, "tcp_*");
  EXPECT_EQ(attach("fentry/do_exit").type, "fentry");
  EXPECT_EQ(attach("fexit.s/do_exit").type, "fexit");
  EXPECT_EQ(attach("tp_btf/sched_switch").name, "sched_switch");
  EXPECT_EQ(attach("?lsm.s/file_open").type, "lsm");
  const AttachSpec uprobe = attach("uprobe//usr/bin/app:work+8");
  EXPECT_EQ(uprobe.path, "/usr/bin/app");
  EXPECT_EQ(uprobe.trace.symbol, "work");
  EXPECT_EQ(uprobe.trace.offset, 8u);
  const AttachSpec usdt = attach("usdt//usr/bin/app:provider:name");
  EXPECT_EQ(usdt.path, "/usr/bin/app");
  EXPECT_EQ(usdt.trace.provider, "provider");
  EXPECT_EQ(usdt.name, "name");
  EXPECT_EQ(attach("iter.s/task").type, "iter");
  EXPECT_EQ(attach("iter/tcp").name, "tcp");
  EXPECT_EQ(attach(".struct_ops.link").type, "struct_ops");
}

TEST(AttachSection, ProgramsThatTraceNowhereSayWhatIsMissing) {
  for (const char* section : {"uprobe", "uprobe/app:work", "uprobe//app", "uprobe//app:work+x", "usdt//app:name", "kprobe", "kprobe/+1", "fentry",
                              "lsm/", "perf_event", "uretprobe.multi.s", "iter", "sk_skb/stream_verdict", "sk_msg"}) {
    const auto attach = attach_from_section(section);
    ASSERT_FALSE(attach) << section;
    EXPECT_THAT(attach.error().message, HasSubstr("\"attach\": {\"type\": \"")) << section;
  }
}

TEST(AttachSection, KindsThatAreNotServedAreRefused) {
  for (const char* section : {"freplace/work", "fmod_ret/work", "raw_tp.w/x", "lsm_cgroup/socket_bind", "netfilter"}) {
    const auto attach = attach_from_section(section);
    ASSERT_FALSE(attach) << section;
    EXPECT_THAT(attach.error().message, HasSubstr("\"load\": false")) << section;
  }
}

TEST(AttachSection, OthersAreNotAttached) {
  for (const char* section : {"xdp/devmap", "xdp.frags/cpumap", "syscall", "iter/bpf_map_elem", "", "classifier/3", "/"}) {
    const auto attach = attach_from_section(section);
    ASSERT_TRUE(attach) << section;
    EXPECT_FALSE(*attach) << section;
  }
}

}  // namespace
}  // namespace mapshift::update
