// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/usdt_spec.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <rapidcheck.h>

namespace mapshift {
namespace {

using ::testing::HasSubstr;

TEST(UsdtSpec, ReadsConstantsRegistersAndMemory) {
  const auto spec = parse_usdt_arguments("-4@$-9 8@%rdi 2@%r9w -1@-1204(%rbp) 8@(%rsp)", EM_X86_64);
  ASSERT_TRUE(spec);
  ASSERT_EQ(spec->count, 5);
  const auto& a = spec->arguments;
  EXPECT_EQ(static_cast<int64_t>(a[0].value), -9);
  EXPECT_EQ(a[0].kind, 0u);
  EXPECT_EQ(a[0].is_signed, 1);
  EXPECT_EQ(a[0].shift, 32);
  EXPECT_EQ(a[1].kind, 1u);
  EXPECT_EQ(a[1].register_offset, 112);
  EXPECT_EQ(a[1].shift, 0);
  EXPECT_EQ(a[2].register_offset, 64);
  EXPECT_EQ(a[2].shift, 48);
  EXPECT_EQ(a[3].kind, 2u);
  EXPECT_EQ(static_cast<int64_t>(a[3].value), -1204);
  EXPECT_EQ(a[3].register_offset, 32);
  EXPECT_EQ(a[3].shift, 56);
  EXPECT_EQ(a[4].kind, 2u);
  EXPECT_EQ(a[4].register_offset, 152);
}

TEST(UsdtSpec, NoArgumentsAreFineEverywhere) {
  EXPECT_EQ(parse_usdt_arguments("", EM_X86_64)->count, 0);
  EXPECT_EQ(parse_usdt_arguments("", EM_AARCH64)->count, 0);
}

TEST(UsdtSpec, WhatCannotBeReadIsNamed) {
  for (const std::string text : {"8@%xmm0", "4@", "@%rdi", "4%rdi", "3@%rdi", "8@-16(%rax,%rdi,4)", "8@symbol(%rip)", "4@$", "4@$7x", "8f@%rdi", "4@(%rdi", "-9223372036854775808@%rdi"}) {
    const auto spec = parse_usdt_arguments("4@$1 " + text, EM_X86_64);
    ASSERT_FALSE(spec) << text;
    EXPECT_THAT(spec.error().message, HasSubstr(text));
  }
  EXPECT_FALSE(parse_usdt_arguments("8@x0", EM_AARCH64));
  std::string thirteen;
  for (int i = 0; i < 13; ++i) thirteen += "4@$1 ";
  EXPECT_FALSE(parse_usdt_arguments(thirteen, EM_X86_64));
}

TEST(UsdtSpec, AnyTextEnds) {
  EXPECT_TRUE(rc::check("any text is read or refused", [](const std::string& text) { (void)parse_usdt_arguments(text, EM_X86_64); }));
}

}  // namespace
}  // namespace mapshift
