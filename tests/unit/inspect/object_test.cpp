// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "base/fd.h"
#include "facts.h"
#include "kernel/elf_file.h"

namespace mapshift::update {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::vector<std::byte> bytes_of(const std::string& fixture) {
  std::ifstream in(std::string(FIXTURES) + "/inspect_" + fixture + ".bpf.o", std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(in)), {});
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

Error error_of(const Result<ObjectSpec>& result) {
  EXPECT_FALSE(result);
  return result ? Error{} : result.error();
}

TEST(Object, ReadsMapsAsTheirAuthorWroteThem) {
  const auto object = read_fixture("patterns");
  EXPECT_TRUE(object.has_btf);
  EXPECT_EQ(object.digest.size(), 64U);
  const MapSpec* flows = map_named(object, "flows");
  ASSERT_NE(flows, nullptr);
  EXPECT_EQ(flows->type, MapType::kHash);
  EXPECT_EQ(flows->key_size, 8U);
  EXPECT_EQ(flows->value_size, 208U);
  EXPECT_EQ(flows->max_entries, 1024U);
  ASSERT_TRUE(flows->key && flows->value);
  EXPECT_EQ(flows->key->name, "key");
  EXPECT_EQ(flows->value->name, "flow");
  EXPECT_THAT(flows->value->tags, ElementsAre("mapshift:epoch=2"));
  EXPECT_THAT(flows->value->members[0].tags, ElementsAre("mapshift:merge=sum"));
  EXPECT_EQ(flows->value->members[0].type->name, "__u64");
  EXPECT_EQ(flows->value->members[0].type->kind, TypeKind::kInt);
  EXPECT_FALSE(flows->value->members[0].type->is_signed);
  EXPECT_EQ(field_at(*flows->value, "slot[1].at"), (std::pair<uint32_t, uint32_t>{168, 8}));
  const MapSpec* rewritten = map_named(object, "rewritten");
  ASSERT_NE(rewritten, nullptr);
  EXPECT_EQ(rewritten->type, MapType::kLruHash);
  EXPECT_EQ(rewritten->flags, uint32_t{BPF_F_NO_COMMON_LRU});
  const MapSpec* stats = map_named(object, "stats");
  ASSERT_NE(stats, nullptr);
  EXPECT_EQ(stats->key_size, 4U);
  EXPECT_FALSE(stats->key);  // a size without a type
}

TEST(Object, ReadsDataSectionsWithTheirVariables) {
  const auto object = read_fixture("patterns");
  const MapSpec* bss = map_named(object, "bss");
  ASSERT_NE(bss, nullptr);
  EXPECT_EQ(bss->section, DataSection::kBss);
  EXPECT_EQ(bss->value_size, 16U);
  EXPECT_EQ(bss->flags, uint32_t{BPF_F_MMAPABLE});
  ASSERT_EQ(bss->variables.size(), 2U);
  EXPECT_EQ(bss->variables[0].name, "total");
  EXPECT_EQ(bss->variables[1].name, "highest");
  EXPECT_EQ(bss->variables[1].offset, 8U);
  EXPECT_EQ(bss->variables[1].size, 8U);
  EXPECT_THAT(bss->variables[1].tags, ElementsAre("mapshift:merge=max"));
  ASSERT_TRUE(bss->value);
  EXPECT_EQ(bss->value->members[1].bit_offset, 64U);
  const MapSpec* data = map_named(object, "data");
  ASSERT_NE(data, nullptr);
  EXPECT_EQ(data->flags, 0U);  // all of its variables are static
  const MapSpec* tables = map_named(object, "data_tables");
  ASSERT_NE(tables, nullptr);
  EXPECT_EQ(tables->section, DataSection::kData);
  EXPECT_EQ(tables->variables[0].type->kind, TypeKind::kArray);
  EXPECT_EQ(tables->variables[0].type->count, 16U);
  const MapSpec* rodata = map_named(object, "rodata");
  ASSERT_NE(rodata, nullptr);
  EXPECT_EQ(rodata->flags, uint32_t{BPF_F_MMAPABLE | BPF_F_RDONLY_PROG});
}

TEST(Object, ReadsProgramsAndWhatTheyReferTo) {
  const auto object = read_fixture("patterns");
  ASSERT_EQ(object.programs.size(), 3U);
  const auto& program = object.programs[0];
  EXPECT_EQ(program.name, "count_packets");
  EXPECT_EQ(program.section, "xdp");
  EXPECT_EQ(program.type, uint32_t{BPF_PROG_TYPE_XDP});
  EXPECT_EQ(program.expected_attach_type, uint32_t{BPF_XDP});
  EXPECT_FALSE(program.sleepable);
  std::set<std::string> symbols;
  for (const auto& reloc : program.code.relocs) {
    symbols.insert(reloc.symbol);
    if (reloc.symbol == "bss" && reloc.offset == 8) symbols.insert("highest");
    if (reloc.symbol == "count_error") {
      EXPECT_EQ(reloc.kind, Reloc::Kind::kCall);
    }
  }
  EXPECT_THAT(symbols, ::testing::IsSupersetOf({"flows", "stats", "bss", "highest", "count_error"}));
  EXPECT_TRUE(object.subprograms.contains("count_error"));
  EXPECT_EQ(object.programs[1].type, uint32_t{BPF_PROG_TYPE_TRACEPOINT});
  const auto order = read_fixture("order");
  EXPECT_TRUE(order.programs.back().sleepable);  // syscall programs are
}

TEST(Object, FindsCallbacks) {
  const auto object = read_fixture("loops");
  int callbacks = 0;
  for (const auto& program : object.programs) {
    for (const auto& reloc : program.code.relocs) callbacks += reloc.kind == Reloc::Kind::kCallback ? 1 : 0;
  }
  EXPECT_EQ(callbacks, 2);
}

TEST(Object, SaysWhatIsWrongWithAFile) {
  EXPECT_EQ(error_of(read_object_file("/nonexistent/x.o")).code, ErrorCode::kNotFound);
  EXPECT_THAT(error_of(read_object_file("/nonexistent/x.o")).message, HasSubstr("/nonexistent/x.o"));
  EXPECT_THAT(error_of(read_object_file("/")).message, HasSubstr("not a file"));
  EXPECT_THAT(error_of(read_object_file("/bin/sh")).message, HasSubstr("not for BPF"));
  const Fd large(::memfd_create("large.o", MFD_CLOEXEC));  // sparse
  ASSERT_EQ(::ftruncate(large.get(), static_cast<off_t>(kMaxObjectBytes) + 1), 0);
  const auto too_large = error_of(read_object_file("/proc/self/fd/" + std::to_string(large.get())));
  EXPECT_EQ(too_large.code, ErrorCode::kTooLarge);
  EXPECT_THAT(too_large.message, HasSubstr("at most 67108864 are read"));
  const auto legacy = error_of(read_object_file(std::string(FIXTURES) + "/inspect_legacy.bpf.o"));
  EXPECT_EQ(legacy.code, ErrorCode::kInvalid);
  EXPECT_THAT(legacy.message, HasSubstr("rebuild it with BTF-defined maps"));
  EXPECT_THAT(error_of(read_object_bytes("x.o", {})).message, HasSubstr("not an ELF object file"));
  auto bytes = bytes_of("patterns");
  bytes[18] = std::byte{62};  // e_machine: x86-64
  bytes[19] = std::byte{0};
  EXPECT_THAT(error_of(read_object_bytes("x.o", bytes)).message, HasSubstr("not for BPF"));
}

// As `extern` maps that a header declares: without optimisation the compiler names them all.
TEST(Object, AMapThatIsOnlyDeclaredSaysHowToLeaveItOut) {
  auto bytes = bytes_of("order");
  const auto elf = ElfFile::parse(bytes);
  ASSERT_TRUE(elf);
  const auto maps = static_cast<uint16_t>(elf->section(".maps") - elf->sections().data());
  const auto table = elf->section(".symtab")->data;
  const auto begin = static_cast<size_t>(std::search(bytes.begin(), bytes.end(), table.begin(), table.end()) - bytes.begin());
  for (size_t at = begin; at + sizeof(Elf64_Sym) <= begin + table.size(); at += sizeof(Elf64_Sym)) {
    Elf64_Sym symbol;
    std::memcpy(&symbol, &bytes[at], sizeof symbol);
    if (symbol.st_shndx != maps || ELF64_ST_TYPE(symbol.st_info) != STT_OBJECT) continue;
    symbol.st_shndx = 0;
    std::memcpy(&bytes[at], &symbol, sizeof symbol);
  }
  EXPECT_THAT(error_of(read_object_bytes("x.o", bytes)).message, HasSubstr("declared extern and not defined: compile it with -O2"));
}

// An assembler takes them; the agent names instances by '@', and folders by '/'.
TEST(Object, RefusesNamesThatCannotBePinned) {
  for (const char* name : {"on@exec", "on/exec", "on.exec", "on\nexec"}) {
    auto bytes = bytes_of("patterns");
    const std::string_view good("on_exec");
    const auto* begin = reinterpret_cast<const std::byte*>(good.data());
    const auto at = std::search(bytes.begin(), bytes.end(), begin, begin + good.size());
    ASSERT_NE(at, bytes.end());
    for (auto next = at; next != bytes.end(); next = std::search(next, bytes.end(), begin, begin + good.size())) std::memcpy(&*next, name, good.size());
    EXPECT_THAT(error_of(read_object_bytes("x.o", bytes)).message, HasSubstr("cannot be pinned by its name")) << name;
  }
}

TEST(Object, RefusesAFifoAndAnOversizedFileAtOnce) {
  const auto folder = std::filesystem::temp_directory_path() / ("inspect_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  const auto fifo = (folder / "fifo").string(), large = (folder / "large").string();
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_THAT(error_of(read_object_file(fifo)).message, HasSubstr("not a file"));
  std::ofstream(large).close();
  std::filesystem::resize_file(large, kMaxObjectBytes + 1);
  EXPECT_EQ(error_of(read_object_file(large)).code, ErrorCode::kTooLarge);
  const auto circle = (folder / "circle").string();
  std::filesystem::create_symlink(circle, circle);
  EXPECT_EQ(error_of(read_object_file(circle)).code, ErrorCode::kInvalid) << "the file is at fault, not the kernel";
  std::filesystem::remove_all(folder);
}

// Cut anywhere, an object is an error or, behind its last section, whole; never a crash.
TEST(Object, SurvivesBeingCut) {
  const auto bytes = bytes_of("order");
  size_t refused = 0;
  for (size_t size = 0; size < bytes.size(); size += 7) refused += read_object_bytes("x.o", std::span(bytes).first(size)) ? 0 : 1;
  EXPECT_GT(refused, bytes.size() / 7 / 2);
}

TEST(Object, DigestIsOfTheFile) {
  const auto bytes = bytes_of("order");
  auto other = bytes;
  other.push_back(std::byte{0});  // behind everything: read all the same, but another file
  const auto a = read_object_bytes("a", bytes), b = read_object_bytes("b", other);
  ASSERT_TRUE(a && b);
  EXPECT_NE(a->digest, b->digest);
}

}  // namespace
}  // namespace mapshift::update
