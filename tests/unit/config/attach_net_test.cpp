// SPDX-License-Identifier: Apache-2.0
// Attachments to the network: their members in a manifest, and what a section's name tells.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/manifest.h"
#include "update/attach_section.h"

namespace mapshift::config {
namespace {

using ::testing::Contains;
using ::testing::Field;
using ::testing::HasSubstr;

Result<update::Manifest> read(const std::string& attach) {
  return parse_manifest(R"({"name": "m", "version": "1", "object": "o", "programs": {"p": {"attach": )" + attach + "}}}", "/srv", {}, "m.json");
}

update::AttachSpec attach_of(const std::string& attach) {
  const auto manifest = read(attach);
  return manifest ? *manifest->programs.at("p").attach : update::AttachSpec{};
}

TEST(AttachNet, MembersAreRead) {
  const auto tc = attach_of(R"({"type": "tc", "interface": "eth0", "direction": "egress", "priority": 5, "handle": 2})");
  EXPECT_EQ(tc.interface, "eth0");
  EXPECT_EQ(tc.direction, "egress");
  EXPECT_EQ(tc.priority, 5u);
  EXPECT_EQ(tc.handle, 2u);
  EXPECT_EQ(attach_of(R"({"type": "tc", "interface": "eth0", "direction": "ingress"})").priority, 0u);
  EXPECT_EQ(attach_of(R"({"type": "netkit", "interface": "nk0", "direction": "peer"})").direction, "peer");
  EXPECT_EQ(attach_of(R"({"type": "sk_lookup"})").type, "sk_lookup");
  EXPECT_EQ(attach_of(R"({"type": "flow_dissector", "path": "ns/blue"})").path, "/srv/ns/blue");
  EXPECT_EQ(attach_of(R"({"type": "cgroup", "path": "/c", "hook": "setsockopt"})").hook, "setsockopt");
}

TEST(AttachNet, WrongMembersAreNamed) {
  const std::pair<std::string, std::string> cases[] = {
      {R"({"type": "tc", "direction": "egress"})", "programs.p.attach.interface"},
      {R"({"type": "tc", "interface": "eth0", "direction": "up"})", "programs.p.attach.direction"},
      {R"({"type": "tc", "interface": "eth0", "direction": "egress", "priority": 65536})", "programs.p.attach.priority"},
      {R"({"type": "tc", "interface": "eth0", "direction": "egress", "handle": 0})", "programs.p.attach.handle"},
      {R"({"type": "netkit", "interface": "nk0", "direction": "ingress"})", "programs.p.attach.direction"},
      {R"({"type": "sk_lookup", "interface": "eth0"})", "programs.p.attach.interface"},
  };
  for (const auto& [attach, where] : cases) {
    const auto manifest = read(attach);
    ASSERT_FALSE(manifest) << attach;
    EXPECT_THAT(manifest.error().problems, Contains(Field(&Problem::where, where))) << attach;
  }
}

TEST(AttachNet, SectionsTell) {
  const auto message = [](const char* section) {
    const auto attach = update::attach_from_section(section);
    return attach ? std::string("no error") : attach.error().message;
  };
  EXPECT_THAT(message("sockops"), HasSubstr("\"hook\": \"sock_ops\""));
  EXPECT_THAT(message("cgroup/connect4"), HasSubstr("\"hook\": \"connect4\""));
  EXPECT_THAT(message("cgroup/dev"), HasSubstr("\"hook\": \"device\""));
  EXPECT_THAT(message("netkit/peer"), HasSubstr("\"direction\": \"peer\""));
  EXPECT_THAT(message("classifier"), HasSubstr("\"type\": \"tc\""));
  for (const char* section : {"sk_lookup", "sk_lookup/echo", "flow_dissector"}) {
    const auto attach = update::attach_from_section(section);
    ASSERT_TRUE(attach && *attach) << section;
    EXPECT_EQ((*attach)->type, std::string(section).substr(0, std::string(section).find('/')));
  }
}

}  // namespace
}  // namespace mapshift::config
