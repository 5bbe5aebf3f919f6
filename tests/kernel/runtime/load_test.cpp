// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "kernel/digest.h"
#include "kernel/pin.h"
#include "ledger.h"

namespace mapshift::test {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

const std::vector<std::byte> kOne = {std::byte{1}, std::byte{0}, std::byte{0}, std::byte{0}};

class LoadTest : public RuntimeTest {
 protected:
  // A load that must fail, and leave bpffs and the kernel as they were.
  Error refused(const LoadRequest& request) {
    const auto listing = fs_->listing();
    const KernelIds ids = KernelIds::now();
    auto report = kernel_->load(request);
    EXPECT_FALSE(report);
    EXPECT_EQ(fs_->listing(), listing);
    EXPECT_EQ(left_over_since(ids), "");
    return report ? Error{} : report.error();
  }
};

TEST_F(LoadTest, PinsAllMapsAndPrograms) {
  const auto report = kernel_->load(request(1));
  ASSERT_TRUE(ok(report));
  EXPECT_THAT(report->programs, Contains("on_xdp"));
  EXPECT_EQ(*kernel_->list(generation(1) + "/progs"),
            (std::vector<std::string>{"fragile", "on_egress", "on_ingress", "on_raw", "on_tcx", "on_tracepoint", "on_xdp",
                "tail"}));
  EXPECT_EQ(*kernel_->list(generation(1) + "/maps"),
            (std::vector<std::string>{"bss", "data", "data_x", "jumps", "percpu", "ring", "rodata", "seen", "stacks", "table", "typed_events", "typed_ring"}));
  const std::map<std::string, std::pair<uint32_t, uint32_t>> settled{{"stacks", {4, 1016}}, {"typed_events", {4, 4}}, {"typed_ring", {0, 0}}};
  for (const auto& [name, sizes] : settled) {
    const auto stats = kernel_->map_stats(map(1, name));
    ASSERT_TRUE(ok(stats));
    EXPECT_EQ(std::make_pair(stats->key_size, stats->value_size), sizes) << name;
  }
  EXPECT_FALSE(std::filesystem::exists("/sys/fs/bpf/table"));  // the object asks for it; pins are ours
}

TEST_F(LoadTest, LeavesOutWhatItIsTold) {
  auto asked = request(1);
  asked.load = {{"on_raw", false}, {"spare", true}};
  const auto report = kernel_->load(asked);
  ASSERT_TRUE(ok(report));
  EXPECT_THAT(report->programs, Contains("spare"));
  EXPECT_THAT(report->programs, Not(Contains("on_raw")));
}

TEST_F(LoadTest, TakenGenerationIsAConflict) {
  ASSERT_TRUE(ok(kernel_->load(request(1))));
  EXPECT_EQ(refused(request(1)).code, ErrorCode::kConflict);
}

TEST_F(LoadTest, ChangedFileIsRefused) {
  auto asked = request(1);
  asked.object_digest[0] = asked.object_digest[0] == '0' ? '1' : '0';
  const Error error = refused(asked);
  EXPECT_EQ(error.code, ErrorCode::kRefused);
  EXPECT_THAT(error.message, HasSubstr("changed since"));
}

TEST_F(LoadTest, MissingAndBrokenFilesAreNamed) {
  auto asked = request(1);
  asked.object_path = "/nosuch.bpf.o";
  EXPECT_EQ(refused(asked).code, ErrorCode::kNotFound);
  for (const std::string content : {"", "\x7f" "ELF broken", "not an object at all"}) {
    asked.object_path = fs_->path() + ".o";
    std::ofstream(asked.object_path, std::ios::trunc) << content;
    asked.object_digest = sha256_hex(read_file_bytes(asked.object_path).value());
    const Error error = refused(asked);
    EXPECT_EQ(error.code, ErrorCode::kInvalid);
    EXPECT_THAT(error.message, HasSubstr(asked.object_path));
    std::filesystem::remove(asked.object_path);
  }
}

TEST_F(LoadTest, VerifierRefusalShowsItsLog) {
  auto asked = request(7);
  asked.rodata["broken"] = kOne;
  const Error error = refused(asked);
  EXPECT_EQ(error.code, ErrorCode::kKernel);
  EXPECT_NE(error.sys_errno, 0);
  EXPECT_THAT(error.message, HasSubstr("fragile"));
  const std::string file = log_dir_ + "/m-7-fragile.log";
  EXPECT_THAT(error.message, HasSubstr(file));
  EXPECT_THAT(error.context, HasSubstr("invalid access to packet"));
  EXPECT_LE(std::count(error.context.begin(), error.context.end(), '\n'), 14);
  std::stringstream whole;
  whole << std::ifstream(file).rdbuf();
  EXPECT_THAT(whole.str(), HasSubstr(error.context));
}

TEST_F(LoadTest, OptionalProgramMayFail) {
  auto asked = request(1);
  asked.rodata["broken"] = kOne;
  asked.optional_programs = {"fragile"};
  asked.prog_arrays = {{"jumps", {{2, "fragile"}, {3, "on_xdp"}}}};
  const auto report = kernel_->load(asked);
  ASSERT_TRUE(ok(report));
  EXPECT_THAT(report->skipped_programs, ElementsAre("fragile"));
  EXPECT_THAT(report->programs, Not(Contains("fragile")));
  const auto jumps = open_pin(map(1, "jumps"));
  ASSERT_TRUE(ok(jumps));
  uint32_t slot = 3, id = 0;
  ASSERT_EQ(bpf_map_lookup_elem(jumps->get(), &slot, &id), 0);
  EXPECT_EQ(id, kernel_->program_stats(program(1, "on_xdp"))->id);
  slot = 2;
  EXPECT_NE(bpf_map_lookup_elem(jumps->get(), &slot, &id), 0);
}

TEST_F(LoadTest, SetsMaxEntriesAndRodata) {
  auto asked = request(1);
  asked.max_entries = {{"table", 1000}};
  ASSERT_TRUE(ok(kernel_->load(asked)));
  EXPECT_EQ(kernel_->map_stats(map(1, "table"))->max_entries, 1000u);
  const auto rodata = kernel_->read_element(map(1, "rodata"), {});
  ASSERT_TRUE(ok(rodata));
  const auto pid = asked.rodata["traced_pid"];
  EXPECT_NE(std::search(rodata->begin(), rodata->end(), pid.begin(), pid.end()), rodata->end());
}

TEST_F(LoadTest, ReusesEqualMapsOnly) {
  ASSERT_TRUE(ok(kernel_->load(request(1))));
  auto asked = request(2);
  asked.reuse = {{"table", map(1, "table")}, {"bss", map(1, "bss")}, {"ring", map(1, "ring")}};
  ASSERT_TRUE(ok(kernel_->load(asked)));
  for (const char* name : {"table", "bss", "ring"}) {
    EXPECT_EQ(kernel_->map_stats(map(2, name))->id, kernel_->map_stats(map(1, name))->id);
  }
  EXPECT_NE(kernel_->map_stats(map(2, "seen"))->id, kernel_->map_stats(map(1, "seen"))->id);

  asked = request(3);
  asked.reuse = {{"table", map(1, "seen")}, {"percpu", map(1, "nosuch")}};
  const Error error = refused(asked);
  EXPECT_EQ(error.code, ErrorCode::kRefused);
  ASSERT_EQ(error.problems.size(), 2u);
  EXPECT_EQ(error.problems[0].where, "maps.percpu");
  EXPECT_EQ(error.problems[1].code, "map-differs");
  for (const char* said : {"type array running, hash in the object", "max_entries 1048576 running, 64", "flags"}) {
    EXPECT_THAT(error.problems[1].message, HasSubstr(said));
  }
}

TEST_F(LoadTest, AllProblemsAtOnce) {
  auto asked = request(1);
  asked.max_entries = {{"nosuch", 1}, {"bss", 2}, {"table", 0}};
  asked.rodata["nosuch"] = kOne;
  asked.rodata["broken"] = {std::byte{1}};
  asked.prog_arrays = {{"table", {}}, {"jumps", {{9, "nosuch"}}}};
  asked.optional_programs = {"nosuch"};
  asked.hooks = {{"on_xdp", {.type = "tracepoint"}}, {"on_raw", {.type = "netfilter"}}, {"on_tcx", {.type = "tcx",
      .direction = "up"}}, {"nosuch", {}}};
  const Error error = refused(asked);
  EXPECT_EQ(error.code, ErrorCode::kRefused);
  EXPECT_EQ(error.problems.size(), 13u);
}

TEST_F(LoadTest, HooksDecideAttachTypes) {
  MS_SKIP_FOR(needs_linux(6, 6, "tcx"));
  const PrivateNet net;
  MS_SKIP_FOR(net.problem());
  auto asked = request(1);
  const Hook hook{.type = "tcx", .interface = PrivateNet::kNear, .direction = "egress"};
  asked.hooks = {{"on_tcx", hook}, {"on_xdp", {.type = "xdp"}}};
  ASSERT_TRUE(ok(kernel_->load(asked)));
  EXPECT_TRUE(ok(attach(hook, "on_tcx")));
}

}  // namespace
}  // namespace mapshift::test
