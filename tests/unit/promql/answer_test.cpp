// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>

#include <cmath>

#include "promql/client.h"

namespace mapshift::promql {
namespace {

using ::testing::HasSubstr;

std::string vector_of(const std::string& series) { return R"({"status":"success","data":{"resultType":"vector","result":[)" + series + "]}}"; }
std::string series(const std::string& value) { return R"({"metric":{},"value":[1700000000.1,")" + value + R"("]})"; }

Error error_of(int status, const std::string& body) {
  const auto value = parse_answer(status, body);
  EXPECT_FALSE(value) << body;
  return value ? Error{} : value.error();
}

TEST(PromqlAnswer, OneSeriesIsItsNumber) {
  EXPECT_EQ(**parse_answer(200, vector_of(series("0.25"))), 0.25);
  EXPECT_EQ(**parse_answer(200, vector_of(series("1e-7"))), 1e-7);
  EXPECT_EQ(**parse_answer(200, R"({"status":"success","data":{"resultType":"scalar","result":[1.0,"42"]}})"), 42);
}

TEST(PromqlAnswer, NumbersThatAreNone) {
  EXPECT_TRUE(std::isnan(**parse_answer(200, vector_of(series("NaN")))));
  EXPECT_EQ(**parse_answer(200, vector_of(series("+Inf"))), INFINITY);
  EXPECT_EQ(**parse_answer(200, vector_of(series("-Inf"))), -INFINITY);
  for (const char* text : {"", "1x", "one", " 1", "0x10"}) EXPECT_FALSE(parse_answer(200, vector_of(series(text)))) << text;
}

TEST(PromqlAnswer, NoSeriesIsNoDataAndNotAnError) {
  const auto value = parse_answer(200, vector_of(""));
  ASSERT_TRUE(value);
  EXPECT_FALSE(*value);
}

TEST(PromqlAnswer, AQueryThatIsWrongIsInvalid) {
  const Error two = error_of(200, vector_of(series("1") + "," + series("2")));
  EXPECT_EQ(two.code, ErrorCode::kInvalid);
  EXPECT_THAT(two.message, HasSubstr("2 series where one is expected"));
  const Error syntax = error_of(400, R"({"status":"error","errorType":"bad_data","error":"1:5: parse error"})");
  EXPECT_EQ(syntax.code, ErrorCode::kInvalid);
  EXPECT_THAT(syntax.message, HasSubstr("parse error"));
  EXPECT_EQ(error_of(422, R"({"status":"error","errorType":"execution","error":"many-to-many"})").code, ErrorCode::kInvalid);
  EXPECT_EQ(error_of(200, R"({"status":"success","data":{"resultType":"matrix","result":[]}})").code, ErrorCode::kInvalid);
  EXPECT_EQ(error_of(200, R"({"status":"success","data":{"resultType":"string","result":[1,"a"]}})").code, ErrorCode::kInvalid);
  EXPECT_EQ(error_of(200, vector_of(R"({"metric":{},"histogram":[1,{}]})")).code, ErrorCode::kInvalid);
}

TEST(PromqlAnswer, AServerInTroubleIsNotTheQuerysFault) {
  EXPECT_EQ(error_of(503, R"({"status":"error","errorType":"timeout","error":"query timed out"})").code, ErrorCode::kUnavailable);
  EXPECT_EQ(error_of(500, "internal error").code, ErrorCode::kUnavailable);
  EXPECT_THAT(error_of(502, "<html>bad\tgateway\x01</html>").message, HasSubstr("HTTP status 502: <html>bad.gateway.</html>"));
  EXPECT_EQ(error_of(200, "<html>hello</html>").code, ErrorCode::kUnavailable);
  EXPECT_EQ(error_of(200, "").code, ErrorCode::kUnavailable);
  EXPECT_EQ(error_of(200, "[]").code, ErrorCode::kUnavailable);
  EXPECT_EQ(error_of(200, "{}").code, ErrorCode::kUnavailable);
}

TEST(PromqlAnswer, AnswersOfTheWrongShapeAreErrorsAndNothingElse) {
  for (const char* body :
       {R"({"status":1})", R"({"status":"success"})", R"({"status":"success","data":[]})", R"({"status":"success","data":{}})",
        R"({"status":"success","data":{"resultType":"vector","result":{}}})", R"({"status":"success","data":{"resultType":"vector","result":[1]}})",
        R"({"status":"success","data":{"resultType":"vector","result":[{"value":[1]}]}})",
        R"({"status":"success","data":{"resultType":"vector","result":[{"value":[1,2]}]}})",
        R"({"status":"success","data":{"resultType":"scalar","result":"1"}})", R"({"status":"error","error":5,"errorType":[]})"})
    EXPECT_FALSE(parse_answer(200, body)) << body;
  EXPECT_FALSE(parse_answer(200, std::string(100'000, '[')));
}

}  // namespace
}  // namespace mapshift::promql
