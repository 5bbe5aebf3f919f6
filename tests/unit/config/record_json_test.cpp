// SPDX-License-Identifier: Apache-2.0
#include "config/record_json.h"

#include <gtest/gtest.h>

#include <limits>

#include "config/utf8.h"

namespace mapshift::config {
namespace {

using Json = nlohmann::ordered_json;

update::UpdateRecord full_record() {
  update::UpdateRecord record;
  record.id = "u-000012";
  record.module = "flowmeter";
  record.state = update::State::kRollingBack;
  record.trigger = "cli";
  record.from = {1, "1.0.0"};
  record.to = {2, "2.0.0"};
  record.created_at = record.updated_at = "2026-01-01T00:00:00.000Z";
  record.revision = 17;
  record.phases = {{"planning", 0.01}, {"loading", 0.2}};
  update::MapRecord map{.name = "flows", .from = "flows", .type = "hash", .policy = "sync", .reason = "value layout differs"};
  map.passes = 3;
  map.keys = std::numeric_limits<uint64_t>::max();
  map.progress = 1;
  map.fields = {{"packets", "packets", "sum", "inferred", false, "atomic add", "widened u32 to u64"}};
  map.klass = "state";
  map.klass_reason = "its programs add and change entries";
  map.notes = {"the key is converted"};
  record.maps = {map};
  record.programs = {{"count_packets", "xdp", "native", 1, "reads stats"}};
  record.measurements = {{"drop-ratio", "2026-01-01T00:00:01.000Z", 0.5, 0.01, slo::Outcome::kFail, "0.5 > 0.01"},
                         {"drop-ratio", "2026-01-01T00:00:02.000Z", {}, 0.01, slo::Outcome::kError, "no data"}};
  record.warnings = {{"lru", "maps.flows", "recency order is lost"}};
  record.refusals = {{"full", "maps.flows", "no room"}};
  record.digest = "ab12";
  record.rollback_seconds = 0.05;
  record.baselines = {{"drop-ratio", 0.001}, {"run-time", 2e-7}};
  return record;
}

TEST(RecordJson, AnUpdateReadsBackToTheSame) {
  const Json document = to_json(full_record());
  const auto again = update_from_json(document);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_json(*again), document);
  EXPECT_EQ(again->maps[0].keys, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(again->maps[0].fields[0].reason, "atomic add");
  EXPECT_EQ(again->maps[0].klass, "state");
  EXPECT_EQ(again->maps[0].notes, full_record().maps[0].notes);
  EXPECT_FALSE(again->measurements[1].value);
  const auto unordered = update_from_json(nlohmann::json::parse(document.dump()));
  ASSERT_TRUE(unordered);
  EXPECT_EQ(to_json(*unordered), document);
}

TEST(RecordJson, MembersComeInTheDocumentedOrder) {
  const std::string text = to_json(full_record()).dump();
  size_t at = 0;
  for (const char* key : {"\"id\"",
                          "\"module\"",
                          "\"state\":\"rolling_back\"",
                          "\"reason\"",
                          "\"trigger\"",
                          "\"from\":{\"generation\":1,\"version\":\"1.0.0\"}",
                          "\"to\"",
                          "\"created_at\"",
                          "\"updated_at\"",
                          "\"revision\":17",
                          "\"phases\":[{\"phase\":\"planning\",\"seconds\":0.01}",
                          "\"maps\"",
                          "\"passes\"",
                          "\"keys\"",
                          "\"added\"",
                          "\"changed\"",
                          "\"deleted\"",
                          "\"conflicts\"",
                          "\"progress\":1.0",
                          "\"mismatched\"",
                          "\"fields\"",
                          "\"programs\"",
                          "\"interruption_seconds\"",
                          "\"mixed_window_seconds\"",
                          "\"measurements\"",
                          "\"outcome\":\"fail\"",
                          "\"value\":null",
                          "\"outcome\":\"error\"",
                          "\"warnings\"",
                          "\"refusals\""}) {
    const size_t found = text.find(key, at);
    ASSERT_NE(found, std::string::npos) << key << " after " << at << " in " << text;
    at = found;
  }
}

TEST(RecordJson, AModuleReadsBackToTheSame) {
  update::ModuleRecord module;
  module.name = "flowmeter";
  module.generation = 2;
  module.programs = {{"count_packets", "xdp", "xdp on eth0 (native)", 7, 100, 1, 0.5}};
  module.maps = {{"flows", "hash", 9, 13, 24, 65536, 12, 4096, "/sys/fs/bpf/x"}};
  module.maps[0].kept = {7, "2026-01-01T00:10:00.000Z", {{4711, "reader"}}, 40, "why"};
  EXPECT_EQ(to_json(module).at("maps").at(0).at("kept").at("holders").at(0).at("pid"), 4711);
  EXPECT_TRUE(to_json(module).at("running_update").is_null());
  module.running_update = {full_record()};
  const Json document = to_json(module);
  const auto again = module_from_json(document);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(to_json(*again), document);
}

TEST(RecordJson, BytesThatAreNotUtf8AndNumbersThatAreNotFinite) {
  update::UpdateRecord record = full_record();
  record.reason = "bad \xff\xfe name";
  record.interruption_seconds = std::numeric_limits<double>::infinity();
  record.measurements[0].value = std::numeric_limits<double>::quiet_NaN();
  const std::string text = to_json(record).dump();  // throws on what is not UTF-8
  EXPECT_NE(text.find("bad \xEF\xBF\xBD name"), std::string::npos);
  const auto again = update_from_json(Json::parse(text));
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_FALSE(again->measurements[0].value);
}

TEST(RecordJson, WrongTypesAreNamed) {
  const auto error = [](const char* text) {
    const auto record = update_from_json(Json::parse(text));
    return record ? std::string("no error") : record.error().message;
  };
  EXPECT_NE(error("[]").find("must be an object"), std::string::npos);
  EXPECT_NE(error(R"({"state": "lost"})").find("\"state\" is no state"), std::string::npos);
  EXPECT_NE(error(R"({"state": "failed", "maps": [{"keys": -1}]})").find("\"maps[0].keys\""), std::string::npos);
  EXPECT_NE(error(R"({"state": "failed", "from": {"version": 1}})").find("\"from.version\""), std::string::npos);
  EXPECT_NE(error(R"({"state": "failed", "programs": [{"order": 99999999999}]})").find("\"programs[0].order\""),
            std::string::npos);
  EXPECT_EQ(error(R"({"state": "failed", "later": 1, "maps": null})"), "no error");
}

TEST(Utf8, RepairsWhatIsBroken) {
  EXPECT_EQ(valid_utf8("äöü €𝄞"), "äöü €𝄞");
  EXPECT_EQ(valid_utf8("a\xC0\xAF" "b"), "a\xEF\xBF\xBD" "b");       // too long a form
  EXPECT_EQ(valid_utf8("a\xED\xA0\x80" "b"), "a\xEF\xBF\xBD" "b");   // surrogate
  EXPECT_EQ(valid_utf8("a\xF4\x90\x80\x80"), "a\xEF\xBF\xBD");       // above the last code point
  EXPECT_EQ(valid_utf8("a\xE2\x82"), "a\xEF\xBF\xBD");               // cut off
}

}  // namespace
}  // namespace mapshift::config
