// SPDX-License-Identifier: Apache-2.0
#include "kernel/digest.h"

#include <gtest/gtest.h>

namespace mapshift {
namespace {

TEST(Digest, KnownAnswers) {  // FIPS 180-2
  EXPECT_EQ(sha256_hex({}), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex({std::byte{'a'}, std::byte{'b'}, std::byte{'c'}}),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, OnlyRegularFilesAreRead) {
  EXPECT_EQ(read_file_bytes("/nosuch").error().code, ErrorCode::kNotFound);
  EXPECT_EQ(read_file_bytes("/").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(read_file_bytes("/dev/zero").error().code, ErrorCode::kInvalid);
}

}  // namespace
}  // namespace mapshift
