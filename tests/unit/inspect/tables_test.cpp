// SPDX-License-Identifier: Apache-2.0
// Tables of functions (struct_ops) in object files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernel/object_file.h"
#include "update/inference.h"
#include "update/load_request.h"
#include "update/names.h"

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

ObjectSpec congestion() { return read_object_file(std::string(FIXTURES) + "/links_congestion_v1.bpf.o").value(); }

TEST(Tables, AreProgramsOfTheirOwn) {
  const ObjectSpec object = congestion();
  const ProgramSpec* table = find_program(object, "steady");
  ASSERT_NE(table, nullptr);
  ASSERT_TRUE(table->table);
  EXPECT_EQ(table->section, ".struct_ops.link");
  EXPECT_EQ(table->table->type, "tcp_congestion_ops");
  EXPECT_EQ(table->table->registered, "ms_steady");
  EXPECT_THAT(table->table->programs, UnorderedElementsAre("ssthresh", "cong_avoid", "undo_cwnd", "init", "release"));
  EXPECT_FALSE(find_program(object, "init")->table);
}

TEST(Tables, AttachAndTheirFunctionsDoNot) {
  const auto attached = attachments({}, congestion());
  ASSERT_TRUE(attached) << attached.error().message;
  ASSERT_EQ(attached->size(), 1u);
  EXPECT_EQ(attached->at("steady").type, "struct_ops");
  EXPECT_EQ(attached->at("steady").name, "tcp_congestion_ops");
  EXPECT_EQ(attached->at("steady").hook, "ms_steady");
  EXPECT_EQ(describe_attach(attached->at("steady")), "tcp_congestion_ops ms_steady");
}

TEST(Tables, DoToMapsWhatTheirFunctionsDo) {
  const CodeFacts facts = analyse(congestion());
  bool writes = false;
  for (const MapAccess& access : facts.maps) writes = writes || (access.program == "steady" && access.map == "counts" && access.writes_value);
  EXPECT_TRUE(writes);
}

TEST(Tables, WithoutALinkOrTakenForAProgramAreRefused) {
  ObjectSpec object = congestion();
  Manifest manifest;
  manifest.programs["steady"].attach = AttachSpec{.type = "xdp", .interface = "eth0"};
  manifest.programs["init"].attach = AttachSpec{.type = "struct_ops"};
  const auto confused = attachments(manifest, object);
  ASSERT_FALSE(confused);
  EXPECT_EQ(confused.error().problems.size(), 2u);
  for (ProgramSpec& program : object.programs) {
    if (program.table) program.section = ".struct_ops";
  }
  const auto unlinked = attachments({}, object);
  ASSERT_FALSE(unlinked);
  EXPECT_THAT(unlinked.error().problems.front().message, HasSubstr(".struct_ops.link"));
}

}  // namespace
}  // namespace mapshift::update
