// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "observe/go/code.h"

namespace mapshift::observe::go {
namespace {

using Flow = Instruction::Flow;
using Access = Instruction::Access;
constexpr uint64_t kBase = 0x401000;

std::vector<Instruction> decode(std::initializer_list<uint8_t> bytes) {
  return kAmd64.decode(Bytes(bytes.begin(), bytes.size()), kBase);
}

uint64_t entry(const std::vector<Instruction>& code, bool exact = true) {
  const auto* point = entry_point(code, exact);
  return point == nullptr ? ~uint64_t{0} : point->address - kBase;
}

TEST(EntryPoint, PushAfterTheStackCheck) {
  // CMP SP, 16(R14); JBE +9; PUSH BP; MOV SP, BP; RET
  const auto code = decode({0x49, 0x3b, 0x66, 0x10, 0x76, 0x09, 0x55, 0x48, 0x89, 0xe5, 0xc3});
  ASSERT_EQ(code.size(), 5U);
  EXPECT_TRUE(code[0].checks_stack);
  EXPECT_EQ(code[1].flow, Flow::kBranch);
  EXPECT_EQ(code[1].target, kBase + 15);
  EXPECT_EQ(code[4].flow, Flow::kReturn);
  EXPECT_EQ(entry(code), 6U);
  EXPECT_TRUE(entry_point(code, true)->emulated);
}

TEST(EntryPoint, FunctionsOfTheSystemStackHaveAnotherLimit) {
  // CMP SP, 24(R14); JBE; PUSH BP; RET
  EXPECT_EQ(entry(decode({0x49, 0x3b, 0x66, 0x18, 0x76, 0x09, 0x55, 0xc3})), 6U);
}

TEST(EntryPoint, LargeFramesCheckThroughAnotherRegister) {
  // LEA -0x80(SP), R12; CMP R12, 16(R14); JBE; PUSH BP
  EXPECT_EQ(entry(decode({0x4c, 0x8d, 0x64, 0x24, 0x80, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 0, 1, 0, 0, 0x55, 0xc3})), 15U);
}

TEST(EntryPoint, WithoutAPushExactnessCostsASingleStep) {
  // CMP SP, 16(R14); JBE; SUB $24, SP; XOR AX, AX; NOP; RET
  const auto code = decode({0x49, 0x3b, 0x66, 0x10, 0x76, 0x09, 0x48, 0x83, 0xec, 0x18, 0x31, 0xc0, 0x90, 0xc3});
  EXPECT_EQ(entry(code, true), 6U);
  EXPECT_FALSE(entry_point(code, true)->emulated);
  EXPECT_EQ(entry(code, false), 4U);
  EXPECT_TRUE(entry_point(code, false)->emulated);
}

TEST(EntryPoint, ConditionalJumpOfAFunctionWithoutFrame) {
  // TEST BX, BX; JL +2; INC CX; RET
  EXPECT_EQ(entry(decode({0x48, 0x85, 0xdb, 0x7c, 0x03, 0x48, 0xff, 0xc1, 0xc3})), 3U);
}

TEST(EntryPoint, PlacesInLoopsAreNotTaken) {
  // MOV CX, DX; 3: NOP; DEC DX; JNE 3; RET
  const auto code = decode({0x48, 0x89, 0xca, 0x90, 0x48, 0xff, 0xca, 0x75, 0xfa, 0xc3});
  EXPECT_EQ(entry(code), 0U);
}

TEST(EntryPoint, NoPlaceIsPassedOnce) {
  // 0: NOP; JMP 0
  EXPECT_EQ(entry_point(decode({0x90, 0xeb, 0xfd}), true), nullptr);
}

TEST(EntryPoint, NothingIsNothing) {
  EXPECT_EQ(entry_point({}, true), nullptr);
  EXPECT_EQ(entry(decode({0x48, 0x31, 0xc0, 0xc3})), 0U);  // XOR AX, AX; RET
}

TEST(Decode, FollowsAddressesThroughRegisters) {
  // LEA 0x100(IP), DI; LOCK XADD BX, 8(DI); INCL 0x10(IP); LEA 0x20(IP), AX; CALL; XCHG AX, (DI)
  const auto code = decode({0x48, 0x8d, 0x3d, 0x00, 0x01, 0x00, 0x00, 0xf0, 0x48, 0x0f, 0xc1, 0x5f, 0x08, 0xff, 0x05, 0x10, 0,    0,
                            0,    0x48, 0x8d, 0x05, 0x20, 0,    0,    0,    0xe8, 0,    0,    0,    0,    0x48, 0x87, 0x07});
  ASSERT_EQ(code.size(), 6U);
  EXPECT_EQ(code[0].access, Access::kAddress);
  EXPECT_EQ(code[0].location, kBase + 7 + 0x100);
  EXPECT_FALSE(code[0].loads_first_argument);
  EXPECT_EQ(code[1].access, Access::kAtomicAdd);
  EXPECT_EQ(code[1].location, kBase + 7 + 0x108);
  EXPECT_EQ(code[1].width, 8);
  EXPECT_EQ(code[2].access, Access::kIncrement);
  EXPECT_EQ(code[2].location, kBase + 19 + 0x10);
  EXPECT_EQ(code[2].width, 4);
  EXPECT_TRUE(code[3].loads_first_argument);
  EXPECT_EQ(code[4].flow, Flow::kCall);
  EXPECT_EQ(code[4].target, kBase + 31);
  EXPECT_EQ(code[5].location, 0U);  // the call may have changed DI
}

TEST(Decode, StopsAtWhatIsNoInstruction) {
  const auto code = decode({0x55, 0x06, 0x90});
  EXPECT_EQ(code.size(), 1U);
}

}  // namespace
}  // namespace mapshift::observe::go
