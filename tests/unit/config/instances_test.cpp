// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/manifest.h"

namespace mapshift::config {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using update::Manifest;

Result<Manifest> parse(const std::string& members, const SetValues& set = {}) {
  return parse_manifest(R"({"name": "m", "version": "1", "object": "m.o", )" + members + "}", "/srv/modules", set, "m.json");
}

Manifest read(const std::string& members, const SetValues& set = {}) {
  Result<Manifest> manifest = parse(members, set);
  EXPECT_TRUE(manifest) << manifest.error().message;
  return manifest.value_or(Manifest{});
}

std::string message(const std::string& members, const SetValues& set = {}) {
  const Result<Manifest> manifest = parse(members, set);
  return manifest ? "" : manifest.error().message;
}

constexpr const char* kTwo = R"("programs": {"count": {"attach": {"type": "xdp", "interface": "$IFACE", "mode": "$MODE"}},
    "on_exec": {"attach": {"type": "tracepoint", "category": "sched", "name": "sched_process_exec"}}},
  "params": {"MODE": "generic"},
  "instances": [{"name": "a", "IFACE": "eth0"}, {"name": "b", "IFACE": "$UPLINK", "MODE": "native"}])";

TEST(Instances, AttachWhatNamesTheirParametersAndTheRestOnce) {
  const Manifest manifest = read(kTwo, {{"UPLINK", "eth1"}});
  EXPECT_EQ(manifest.programs.at("count@a").attach->interface, "eth0");
  EXPECT_EQ(manifest.programs.at("count@a").attach->mode, "generic");
  EXPECT_EQ(manifest.programs.at("count@b").attach->interface, "eth1");
  EXPECT_EQ(manifest.programs.at("count@b").attach->mode, "native");
  EXPECT_FALSE(manifest.programs.at("count").attach);
  EXPECT_EQ(manifest.programs.at("on_exec").attach->name, "sched_process_exec");
  EXPECT_EQ(manifest.programs.size(), 4U);
  EXPECT_THAT(manifest.instances, ElementsAre(std::map<std::string, std::string>{{"name", "a"}, {"IFACE", "eth0"}},
                                              std::map<std::string, std::string>{{"name", "b"}, {"IFACE", "eth1"}, {"MODE", "native"}}));
}

TEST(Instances, ReadBackAsTheyWere) {
  const Manifest manifest = read(R"("programs": {"guard": {"attach": {"type": "cgroup", "path": "${GROUP}", "hook": "skb_egress"}}},
    "instances": [{"GROUP": "web$$1"}, {"GROUP": "/sys/fs/cgroup/db"}])");
  EXPECT_EQ(manifest.programs.at("guard@0").attach->path, "/srv/modules/web$1");
  const Result<Manifest> again = parse_manifest(manifest.text, "/", {}, "stored");
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(again->text, manifest.text);
  EXPECT_EQ(again->instances, manifest.instances);
  ASSERT_EQ(again->programs.size(), 3U);
  for (const char* name : {"guard@0", "guard@1"}) EXPECT_EQ(*again->programs.at(name).attach, *manifest.programs.at(name).attach) << name;
}

TEST(Instances, OneMayHaveNoNameAndAParameterMayBeSharedByAll) {
  const Manifest manifest = read(R"("programs": {"count": {"attach": {"type": "tcx", "interface": "$IFACE", "direction": "egress"}}},
    "maps": {"flows": {"max_entries": "$SIZE"}},
    "instances": [{"name": "", "IFACE": "eth0", "SIZE": 5}, {"name": "b", "IFACE": "eth1", "SIZE": 5}])");
  EXPECT_EQ(manifest.programs.at("count").attach->interface, "eth0");
  EXPECT_EQ(manifest.programs.at("count@b").attach->interface, "eth1");
  EXPECT_EQ(manifest.maps.at("flows").max_entries, 5U);
}

TEST(Instances, SomeProgramsMayBeOfSomeInstancesOnly) {
  const Manifest manifest = read(R"("instances": [{"name": "a", "attach": {"count": {"type": "xdp", "interface": "eth0"}}},
    {"name": "b", "attach": {"count": {"type": "xdp", "interface": "eth1"}, "shape": {"type": "tcx", "interface": "eth1", "direction": "egress"}}}])");
  EXPECT_TRUE(manifest.programs.contains("count@a"));
  EXPECT_FALSE(manifest.programs.contains("shape@a"));
  EXPECT_EQ(manifest.programs.at("shape@b").attach->interface, "eth1");
}

TEST(Instances, SayWhatIsWrongWithThem) {
  const std::string xdp = R"("programs": {"count": {"attach": {"type": "xdp", "interface": "$IFACE"}}}, )";
  EXPECT_THAT(message(R"("instances": {})"), HasSubstr("instances"));
  EXPECT_THAT(message(R"("instances": [])"), HasSubstr("there is none in it"));
  EXPECT_THAT(message(R"("instances": [{"name": "a"}])"), HasSubstr("each needs a place of its own"));
  EXPECT_THAT(message(xdp + R"("instances": [{"name": "a", "IFACE": "eth0"}, {"name": "a", "IFACE": "eth1"}])"), HasSubstr("two instances \"a\""));
  EXPECT_THAT(message(xdp + R"("instances": [{"name": "a@", "IFACE": "eth0"}])"), HasSubstr("not an instance's name"));
  EXPECT_THAT(message(xdp + R"("instances": [{"IFACE": "eth0"}, {"IFACE": "eth0"}])"), HasSubstr("\"0\" and \"1\" attach count to the same place"));
  EXPECT_THAT(message(xdp + R"("instances": [{"IFACE": "eth0"}, {}])"), HasSubstr("nothing gives $IFACE a value"));
  EXPECT_THAT(message(xdp + R"("instances": [{"IFACE": ["eth0"]}])"), HasSubstr("string"));
  EXPECT_THAT(message(xdp + R"("instances": [{"IFACE": "eth0", "attach": {"count": {"type": "xdp", "interface": "eth1"}}}])"),
              HasSubstr("says where it attaches, too"));
  EXPECT_THAT(message(xdp + R"(
    "rodata": {"name": "$IFACE"},
    "instances": [{"IFACE": "eth0"}, {"IFACE": "eth1"}])"), HasSubstr("line 2: \"rodata.name\": $IFACE differs between the instances"));
  EXPECT_THAT(message(kTwo, {{"UPLINK", "eth1"}, {"UPLNK", "x"}}), HasSubstr("the manifest has no $UPLNK; did you mean \"UPLINK\"?"));
  std::string many = xdp + R"("instances": [{})";
  for (int i = 0; i < 64; ++i) many += ", {}";
  EXPECT_THAT(message(many + "]"), HasSubstr("more than 64 instances"));
}

TEST(Instances, WhatIsWrongWithOnePlaceIsSaidOnce) {
  const auto manifest = parse(R"("programs": {"count": {"attach": {"type": "xdp", "interface": "$IFACE", "mode": "slow"}}},
    "instances": [{"IFACE": "eth0"}, {"IFACE": "eth1"}])");
  ASSERT_FALSE(manifest);
  EXPECT_EQ(manifest.error().problems.size(), 1U) << manifest.error().message;
}

}  // namespace
}  // namespace mapshift::config
