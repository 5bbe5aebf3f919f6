// SPDX-License-Identifier: Apache-2.0
#include "metrics/label.h"

#include <gtest/gtest.h>

namespace mapshift::metrics {
namespace {

const std::string kBad = "\xEF\xBF\xBD";

TEST(LabelValue, KeepsWhatIsValid) {
  EXPECT_EQ(label_value(""), "");
  EXPECT_EQ(label_value("flows"), "flows");
  EXPECT_EQ(label_value("quote\" back\\slash"), "quote\" back\\slash");
  EXPECT_EQ(label_value("\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"), "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80");
}

TEST(LabelValue, ReplacesWhatIsNotUtf8) {
  EXPECT_EQ(label_value("a\xFF" "b"), "a" + kBad + "b");
  EXPECT_EQ(label_value("\xC3"), kBad);                           // cut short
  EXPECT_EQ(label_value("\xC0\xAF"), kBad + kBad);                // overlong
  EXPECT_EQ(label_value("\xE0\x80\xAF"), kBad + kBad + kBad);     // overlong
  EXPECT_EQ(label_value("\xED\xA0\x80"), kBad + kBad + kBad);     // a surrogate
  EXPECT_EQ(label_value("\xF4\x90\x80\x80").substr(0, 3), kBad);  // above U+10FFFF
  EXPECT_EQ(label_value("\xF5"), kBad);
}

TEST(LabelValue, ReplacesControlCharacters) {
  EXPECT_EQ(label_value(std::string_view("a\0b", 3)), "a" + kBad + "b");
  EXPECT_EQ(label_value("a\nb\x7F"), "a" + kBad + "b" + kBad);
}

TEST(LabelValue, IsBoundedAndNeverCutsACharacter) {
  EXPECT_EQ(label_value(std::string(1000, 'x')).size(), 256u);
  std::string euros;
  for (int i = 0; i < 200; ++i) euros += "\xE2\x82\xAC";
  EXPECT_EQ(label_value(euros).size(), 255u);
}

}  // namespace
}  // namespace mapshift::metrics
