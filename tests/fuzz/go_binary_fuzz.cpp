// SPDX-License-Identifier: Apache-2.0
// Damaged Go programs: each is an error, or a Binary whose every address lies where it must; never a crash, and never for long.
#include <elf.h>
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <random>

#include "memory_file.h"
#include "observe/go/binary.h"
#include "observe/go/dwarf.h"
#include "observe/go/layout.h"

namespace mapshift::observe::go {
namespace {

using Clock = std::chrono::steady_clock;
using Content = std::vector<uint8_t>;

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// Programs of one version with every way of building, of all versions that are there.
std::vector<Content> inputs() {
  std::vector<Content> out;
  std::error_code error;
  for (const auto& one : std::filesystem::directory_iterator(GO_TINY, error)) {
    if (one.path().filename().string().starts_with("go-tiny-")) out.push_back(test::file_bytes(one.path()));
  }
  return out;
}

std::vector<Elf64_Shdr> sections_of(const Content& bytes) {
  Elf64_Ehdr header;
  std::memcpy(&header, bytes.data(), sizeof(header));
  std::vector<Elf64_Shdr> out(header.e_shnum);
  std::memcpy(out.data(), &bytes[header.e_shoff], out.size() * sizeof(Elf64_Shdr));
  return out;
}

class Mutator {
 public:
  explicit Mutator(uint64_t seed) : random_(seed) {}
  uint64_t below(uint64_t limit) { return limit == 0 ? 0 : random_() % limit; }

  void damage(Content& bytes, uint64_t begin, uint64_t end) {
    if (end > bytes.size() || begin + 8 >= end) return;
    for (uint64_t times = 1 + below(6); times > 0; --times) {
      const uint64_t at = begin + below(end - begin - 8);
      switch (below(4)) {
        case 0: bytes[at] = static_cast<uint8_t>(random_()); break;
        case 1: bytes[at] ^= static_cast<uint8_t>(1U << below(8)); break;
        case 2: std::memmove(&bytes[at], &bytes[begin + below(end - begin - 8)], 8); break;
        default: {
          const uint64_t large = random_() >> below(64);
          std::memcpy(&bytes[at], &large, 8);
        }
      }
    }
  }

 private:
  std::mt19937_64 random_;
};

void check(const Binary& binary, const Content& bytes) {
  for (const auto& target : binary.targets) {
    if (!target) continue;
    ASSERT_LT(target->entry.offset, bytes.size());
    ASSERT_LE(target->returns.size(), 256U);
    for (const auto& one : target->returns) ASSERT_LT(one.offset, bytes.size());
  }
  ASSERT_LE(binary.version.text.size(), 64U);
  ASSERT_LE(binary.globals.wait_reason_count, 200U);
  ASSERT_LE(binary.layout.histogram_size, 1U << 16);
  ASSERT_LE(binary.layout.g_goid.value_or(0), 1U << 20);
}

void read(const Content& bytes) {
  const auto start = Clock::now();
  const auto file = test::memory_file(bytes);
  ASSERT_TRUE(file.valid());
  const auto binary = analyse(file.get());
  if (binary) check(*binary, bytes);
  else ASSERT_FALSE(binary.error().message.empty());
  const auto names = FunctionNames::read(file.get());
  if (names) {
    const auto name = names->at(0x401000);
    ASSERT_TRUE(!name || name->size() <= 256);
  }
  ASSERT_LT(Clock::now() - start, std::chrono::seconds(10));
}

template <class F>
void loop(const char* what, F&& once) {
  const uint64_t seed = number_from("MAPSHIFT_FUZZ_SEED", std::random_device{}());
  Mutator mutator(seed);
  const auto end = Clock::now() + std::chrono::seconds(number_from("MAPSHIFT_FUZZ_SECONDS", 3));
  uint64_t rounds = 0;
  for (; Clock::now() < end && !::testing::Test::HasFatalFailure(); ++rounds) {
    SCOPED_TRACE("seed " + std::to_string(seed) + ", round " + std::to_string(rounds));
    once(mutator);
  }
  std::printf("%s: seed %llu, %llu rounds\n", what, static_cast<unsigned long long>(seed), static_cast<unsigned long long>(rounds));
}

TEST(GoFuzz, CutAtEverySection) {
  for (const auto& input : inputs()) {
    for (const auto& section : sections_of(input)) {
      if (section.sh_type == SHT_NOBITS || section.sh_offset >= input.size()) continue;
      // Cut short, and with the end replaced by zeros, so that the tables at the end are there or not.
      read(Content(input.begin(), input.begin() + static_cast<ptrdiff_t>(section.sh_offset)));
      Content zeros = input;
      std::fill_n(zeros.begin() + static_cast<ptrdiff_t>(section.sh_offset),
                  std::min<uint64_t>(section.sh_size, input.size() - section.sh_offset), uint8_t{0});
      read(zeros);
    }
    if (::testing::Test::HasFatalFailure()) return;
    if (number_from("MAPSHIFT_FUZZ_ALL", 0) == 0) break;
  }
}

TEST(GoFuzz, DamagedPrograms) {
  const auto all = inputs();
  if (all.empty()) GTEST_SKIP() << "no Go on this machine";
  loop("damaged programs", [&](Mutator& mutator) {
    Content bytes = all[mutator.below(all.size())];
    const auto sections = sections_of(bytes);
    const auto& section = sections[mutator.below(sections.size())];
    switch (mutator.below(4)) {
      case 0: mutator.damage(bytes, 0, sizeof(Elf64_Ehdr) + 8 * sizeof(Elf64_Phdr)); break;
      case 1: {
        Elf64_Ehdr header;
        std::memcpy(&header, bytes.data(), sizeof(header));
        mutator.damage(bytes, header.e_shoff, header.e_shoff + header.e_shnum * sizeof(Elf64_Shdr));
        break;
      }
      case 2:
        if (section.sh_type != SHT_NOBITS) mutator.damage(bytes, section.sh_offset, section.sh_offset + section.sh_size);
        break;
      default:  // where most sections have their own header
        if (section.sh_type == SHT_NOBITS) return;
        mutator.damage(bytes, section.sh_offset, section.sh_offset + std::min<uint64_t>(section.sh_size, 256));
    }
    read(bytes);
  });
}

TEST(GoFuzz, DamagedDebuggingInformation) {
  Content info, abbrev;
  for (const auto& input : inputs()) {
    const auto file = test::memory_file(input);
    const auto image = ElfImage::open(file.get());
    if (!image || image->section(".debug_info") == nullptr || image->section(".debug_abbrev") == nullptr) continue;
    info = *image->contents(*image->section(".debug_info"), 64U << 20);
    abbrev = *image->contents(*image->section(".debug_abbrev"), 64U << 20);
    break;
  }
  if (info.empty()) GTEST_SKIP() << "no Go on this machine";
  ASSERT_TRUE(read_structs(DwarfSections{info, abbrev, {}, {}}, wanted_structs()));
  loop("damaged debugging information", [&](Mutator& mutator) {
    Content damaged_info = info, damaged_abbrev = abbrev;
    if (mutator.below(2) == 0) mutator.damage(damaged_info, 0, damaged_info.size());
    else mutator.damage(damaged_abbrev, 0, damaged_abbrev.size());
    const auto structs = read_structs(DwarfSections{damaged_info, damaged_abbrev, {}, {}}, wanted_structs());
    if (structs) (void)layout_from(*structs);
  });
}

}  // namespace
}  // namespace mapshift::observe::go
