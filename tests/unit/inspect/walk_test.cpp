// SPDX-License-Identifier: Apache-2.0
// Programs by hand: shapes that a compiler makes rarely, and those that only an attacker makes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>

#include "assembler.h"
#include "facts.h"

namespace mapshift::update {
namespace {

using ::testing::HasSubstr;

std::string merge_at(const Assembler& program, uint32_t offset, uint32_t size = 8) {
  const auto facts = analyse(program.object());
  return words(infer_merge({}, "m", facts, "m", 0, 0, offset, size));
}

TEST(Walk, AddsOrsAndSets) {
  EXPECT_EQ(merge_at(Assembler().lookup().load(1, 0, 8).alu(BPF_ADD, 1, 5).store(0, 8, 1).exit(), 8), "sum plain");
  EXPECT_EQ(merge_at(Assembler().lookup().load(1, 0, 8).alu(BPF_SUB, 1, 5).store(0, 8, 1).exit(), 8), "sum plain");
  EXPECT_EQ(merge_at(Assembler().lookup().load(1, 0, 8).alu(BPF_OR, 1, 5).store(0, 8, 1).exit(), 8), "or plain");
  EXPECT_EQ(merge_at(Assembler().lookup().load(1, 0, 8).alu(BPF_MUL, 1, 5).store(0, 8, 1).exit(), 8), "latest");
  EXPECT_EQ(merge_at(Assembler().lookup().load(1, 0, 8).store(0, 8, 1).exit(), 8), "-");  // the same again
  EXPECT_EQ(merge_at(Assembler().lookup().load(1, 0, 8).alu(BPF_ADD, 1, 1).store(0, 16, 1).exit(), 16),
            "latest");  // another field
  EXPECT_EQ(merge_at(Assembler().lookup().load(1, 0, 8).alu_reg(BPF_ADD, 1, 1).store(0, 8, 1).exit(), 8), "latest");  // doubled
}

TEST(Walk, AddsOfTwoFieldsAreSumsOfEither) {
  const auto program = Assembler().lookup().load(1, 0, 8).load(2, 0, 16).alu_reg(BPF_ADD, 2, 1).store(0, 8, 2).exit();
  EXPECT_EQ(merge_at(program, 8), "sum plain");
  EXPECT_EQ(merge_at(program, 16), "-");
}

TEST(Walk, Atomics) {
  EXPECT_EQ(merge_at(Assembler().lookup().mov(1, 1).atomic(BPF_ADD, 0, 0, 1).exit(), 0), "sum atomic");
  EXPECT_EQ(merge_at(Assembler().lookup().mov(1, 1).atomic(BPF_OR | BPF_FETCH, 0, 0, 1).exit(), 0), "or atomic");
  EXPECT_EQ(merge_at(Assembler().lookup().mov(1, 1).atomic(BPF_AND, 0, 0, 1).exit(), 0), "latest");
  EXPECT_EQ(merge_at(Assembler().lookup().mov(1, 1).atomic(BPF_XCHG, 0, 0, 1).exit(), 0), "latest");
  EXPECT_EQ(merge_at(Assembler().lookup().mov(1, 1).mov(0, 0).atomic(BPF_ADD, 0, 0, 1).exit(), 0), "-");  // no pointer
}

TEST(Walk, AValueOfAnEarlierElementIsNotThisOne) {
  // Loads a count from one entry, looks the next up at the same instruction, and stores there what it made of it.
  Assembler program;
  program.mov(6, -1).mov(7, 2).lookup();
  program.store(0, 8, 6).load(6, 0, 8).alu(BPF_ADD, 6, 1);
  constexpr int kToLookup = -12;
  program.jump(BPF_JNE, 7, 0, kToLookup).exit();
  EXPECT_EQ(merge_at(program, 8), "latest");
}

TEST(Walk, PointersSurviveTheStack) {
  const auto program =
      Assembler().lookup().store(10, -16, 0).mov(0, 0).load(3, 10, -16).load(1, 3, 0).alu(BPF_ADD, 1, 1).store(3, 0, 1).exit();
  EXPECT_EQ(merge_at(program, 0), "sum plain");
}

TEST(Walk, AnUnknownOffsetReachesEverything) {
  const auto program = Assembler().copy(6, 1).lookup().alu_reg(BPF_ADD, 0, 6).mov(1, 1).atomic(BPF_ADD, 0, 0, 1).exit();
  EXPECT_EQ(merge_at(program, 0), "latest");
  EXPECT_EQ(merge_at(program, 24), "latest");
}

TEST(Walk, InsertAfterAFailedLookup) {
  Assembler program;
  program.emit(BPF_ST | BPF_MEM | BPF_W, 10, 0, -4, 0).map(1).copy(2, 10).alu(BPF_ADD, 2, -4).call(BPF_FUNC_map_lookup_elem);
  program.jump(BPF_JEQ, 0, 0, 3).mov(1, 1).atomic(BPF_ADD, 0, 0, 1).exit();
  program.map(1)
      .copy(2, 10)
      .alu(BPF_ADD, 2, -4)
      .copy(3, 10)
      .alu(BPF_ADD, 3, -40)
      .mov(4, BPF_ANY)
      .call(BPF_FUNC_map_update_elem)
      .exit();
  EXPECT_EQ(merge_at(program, 0), "sum atomic");
  EXPECT_EQ(merge_at(program, 8), "first");
}

TEST(Walk, GivesUpInWords) {
  EXPECT_THAT(analyse(Assembler().jump(BPF_JEQ, 1, 0, 100).exit().object()).gave_up,
              ::testing::ElementsAre("p: a jump leads out of p"));
  EXPECT_THAT(analyse(Assembler().mov(1, 1).object()).gave_up, ::testing::ElementsAre("p: p has no end"));
  EXPECT_THAT(analyse(Assembler().mov(13, 1).exit().object()).gave_up.at(0), HasSubstr("register"));
  EXPECT_THAT(analyse(Assembler().call(BPF_FUNC_map_lookup_elem).exit().object()).gave_up.at(0), HasSubstr("not known"));
  EXPECT_TRUE(analyse(ObjectSpec{}).gave_up.empty());
}

TEST(Walk, RecursionIsBounded) {
  auto object = Assembler().call(1).exit().object();
  object.programs[0].code.insns[0].src = BPF_PSEUDO_CALL;
  object.programs[0].code.relocs = {{0, Reloc::Kind::kCall, "p", 0}};
  EXPECT_THAT(analyse(object).gave_up.at(0), HasSubstr("nested deeper"));
  // Each calls the next twice: without a bound on the work, 2^n visits.
  object.programs[0].code.relocs[0].symbol = "s0";
  for (int i = 0; i < 64; ++i) {
    FunctionSpec function = object.programs[0].code;
    function.name = "s" + std::to_string(i);
    function.insns.insert(function.insns.begin(), 5, function.insns[0]);
    function.relocs.clear();
    for (uint32_t n = 0; n < 6; ++n) function.relocs.push_back({n, Reloc::Kind::kCall, "s" + std::to_string(i + 1), 0});
    object.subprograms[function.name] = function;
  }
  EXPECT_FALSE(analyse(object).gave_up.empty());
}

// Instructions that are likely to mean something, in any order.
Assembler random_program(std::mt19937_64& random) {
  const auto pick = [&](int below) { return static_cast<int>(random() % static_cast<uint64_t>(below)); };
  constexpr int kOperations[] = {BPF_ADD, BPF_SUB, BPF_OR, BPF_AND, BPF_LSH, BPF_RSH, BPF_MUL, BPF_XOR};
  constexpr int kHelpers[] = {1, 2, 3, 4, 12, 16, 81, 107, 164, 181, 195, 300};
  Assembler out;
  const int length = 1 + pick(200);
  for (int i = 0; i < length; ++i) {
    switch (pick(12)) {
      case 0: out.map(pick(11)); break;
      case 1: out.mov(pick(11), pick(64) - 32); break;
      case 2: out.copy(pick(11), pick(11)); break;
      case 3: out.alu(kOperations[pick(8)], pick(11), pick(64) - 32); break;
      case 4: out.alu_reg(kOperations[pick(8)], pick(11), pick(11)); break;
      case 5: out.load(pick(11), pick(11), pick(80) - 40); break;
      case 6: out.store(pick(11), pick(80) - 40, pick(11)); break;
      case 7: out.atomic(pick(256), pick(11), pick(40), pick(11)); break;
      case 8: out.jump(pick(14) * 16, pick(11), pick(4), pick(60) - 30); break;
      case 9: out.call(kHelpers[pick(12)]); break;
      case 10: out.lookup(); break;
      case 11: {
        Insn insn;
        const uint64_t bits = random();
        std::memcpy(static_cast<void*>(&insn), &bits, sizeof(insn));
        out.emit(insn.code, insn.dst, insn.src, insn.off % 100, insn.imm);
        break;
      }
    }
  }
  return out;
}

TEST(Walk, AnyInstructionsEndInTime) {
  const uint64_t seed = std::random_device{}();
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto begin = std::chrono::steady_clock::now();
  int rounds = 0;
  for (; rounds < 3000 && std::chrono::steady_clock::now() - begin < std::chrono::seconds(10); ++rounds) {
    const auto object = random_program(random).object();
    const auto start = std::chrono::steady_clock::now();
    const auto facts = analyse(object);
    ASSERT_LE(facts.fields.size(), kMaxAccesses);
    for (const auto& access : facts.fields) ASSERT_LE(uint64_t{access.offset} + access.size, 32U) << "seed " << seed;
    ASSERT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(5)) << "seed " << seed;
    (void)infer_merge(facts, "m", facts, "m", 0, 8, 0, 8);
  }
  std::printf("seed %llu, %d programs\n", static_cast<unsigned long long>(seed), rounds);
}

}  // namespace
}  // namespace mapshift::update
