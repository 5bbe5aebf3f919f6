// SPDX-License-Identifier: Apache-2.0
#include "update/rodata.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "../../fixtures/inspect_settings.h"
#include "config/manifest.h"
#include "kernel/object_file.h"
#include "update/load_request.h"

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;

const ObjectSpec& object() {
  static const ObjectSpec read = *read_object_file(std::string(FIXTURES) + "/inspect_settings.bpf.o");
  return read;
}

Result<std::map<std::string, std::vector<std::byte>>> encoded(const std::string& rodata) {
  const std::string text = R"({"name": "m", "version": "1", "object": "m.o", "rodata": )" + rodata + "}";
  const auto manifest = config::parse_manifest(text, "/", {}, "test");
  if (!manifest) return fail(manifest.error());
  return rodata_bytes(*manifest, object());
}

template <class T>
T value_of(const std::string& variable, const std::string& json) {
  T out{};
  const auto all = encoded("{\"" + variable + "\": " + json + "}");
  EXPECT_TRUE(all) << (all ? "" : all.error().problems.at(0).message);
  if (!all) return out;
  EXPECT_EQ(all->at(variable).size(), sizeof(T));
  std::memcpy(static_cast<void*>(&out), all->at(variable).data(), std::min(sizeof(T), all->at(variable).size()));
  return out;
}

std::string refusal(const std::string& variable, const std::string& json) {
  const auto all = encoded("{\"" + variable + "\": " + json + "}");
  if (all) return "taken";
  const Problem& problem = all.error().problems.at(0);
  return problem.where + ": " + problem.message;
}

TEST(Rodata, AStructureByItsMembers) {
  const auto settings = value_of<struct settings>("settings", R"({"verbose": true, "level": 9, "shift": -3, "mode": "MODE_STRICT", "name": "app",
    "ports": [{"from": 1, "to": 65535}, {"to": 7}], "low": -128, "mask": 18446744073709551615, "bytes": [1, 2, 3, 4], "inner": {"deep": -5}})");
  EXPECT_EQ(settings.verbose, 1u);
  EXPECT_EQ(settings.level, 9u);
  EXPECT_EQ(settings.shift, -3);
  EXPECT_EQ(settings.mode, MODE_STRICT);
  EXPECT_STREQ(settings.name, "app");
  EXPECT_EQ(settings.ports[0].from, 1);
  EXPECT_EQ(settings.ports[0].to, 65535);
  EXPECT_EQ(settings.ports[1].from, 0);
  EXPECT_EQ(settings.ports[1].to, 7);
  EXPECT_EQ(settings.ports[2].to, 0);
  EXPECT_EQ(settings.low, -128);
  EXPECT_EQ(settings.mask, ~__u64{0});
  EXPECT_EQ(settings.address, 0x04030201u);
  EXPECT_EQ(settings.inner.deep, -5);
}

TEST(Rodata, NumbersAndNames) {
  EXPECT_EQ(value_of<enum mode>("mode", "5"), MODE_LENIENT);
  EXPECT_EQ(value_of<enum mode>("mode", "\"MODE_LENIENT\""), MODE_LENIENT);
  EXPECT_TRUE(value_of<bool>("on", "true"));
  EXPECT_THAT((value_of<std::array<uint32_t, 4>>("limits", "[1, 4294967295]")), ::testing::ElementsAre(1u, 4294967295u, 0u, 0u));
}

TEST(Rodata, SaysWhereAValueDoesNotFit) {
  EXPECT_THAT(refusal("settings", R"({"level": 16})"), HasSubstr("rodata.settings.level: the value does not fit the variable"));
  EXPECT_THAT(refusal("settings", R"({"shift": 16})"), HasSubstr("rodata.settings.shift"));
  EXPECT_THAT(refusal("settings", R"({"shift": -17})"), HasSubstr("rodata.settings.shift"));
  EXPECT_THAT(refusal("settings", R"({"low": 128})"), HasSubstr("rodata.settings.low"));
  EXPECT_THAT(refusal("settings", R"({"mask": -1})"), HasSubstr("rodata.settings.mask"));
  EXPECT_THAT(refusal("settings", R"({"name": "12345678"})"), HasSubstr("final NUL"));
  EXPECT_THAT(refusal("settings", R"({"ports": [{}, {}, {}, {}]})"), HasSubstr("4 elements are too many"));
  EXPECT_THAT(refusal("settings", R"({"ports": [{"from": 1}, {"from": 65536}]})"), HasSubstr("rodata.settings.ports[1].from"));
  EXPECT_THAT(refusal("settings", R"({"nam": "x"})"), HasSubstr("did you mean \"name\"?"));
  EXPECT_THAT(refusal("settings", R"({"mode": "MODE_STRICK"})"), HasSubstr("did you mean \"MODE_STRICT\"?"));
  EXPECT_THAT(refusal("settings", "3"), HasSubstr("does not fit"));
  EXPECT_THAT(refusal("settings", R"("text")"), HasSubstr("does not fit"));
  EXPECT_THAT(refusal("mode", R"({"a": 1})"), HasSubstr("no members"));
  EXPECT_THAT(refusal("limits", "[4294967296]"), HasSubstr("rodata.limits[0]"));
  EXPECT_THAT(refusal("limits", "[0.5]"), HasSubstr("rodata.limits[0]"));
  EXPECT_THAT(refusal("limits", R"("abc")"), HasSubstr("does not fit"));
}

}  // namespace
}  // namespace mapshift::update
