// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "kernel/pin.h"
#include "kernel/program.h"
#include "ledger.h"

namespace mapshift::test {
namespace {

class ReadTest : public RuntimeTest {
 protected:
  std::string make_map(bpf_map_type type, uint32_t key_size, uint32_t entries, uint32_t flags = 0) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = flags);
    const Fd fd(bpf_map_create(type, "read_test", key_size, 8, entries, &options));
    const std::string path = generation(1) + "/maps/m" + std::to_string(type);
    EXPECT_TRUE(ok(pin(fd.get(), path)));
    return path;
  }
};

TEST_F(ReadTest, CountsEveryKindOfMap) {
  constexpr uint64_t kKeys = 777;
  const std::vector<std::byte> values(8 * static_cast<size_t>(libbpf_num_possible_cpus()));
  for (const auto type : {BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH,
      BPF_MAP_TYPE_LPM_TRIE}) {
    const bool trie = type == BPF_MAP_TYPE_LPM_TRIE;
    const auto path = make_map(type, 8, 4096, trie ? uint32_t{BPF_F_NO_PREALLOC} : 0u);
    EXPECT_EQ(kernel_->count_entries(path).value(), 0u);
    const auto fd = open_pin(path);
    for (uint32_t i = 0; i < kKeys; ++i) {
      const uint32_t key[2] = {trie ? 32u : 0u, i};
      ASSERT_EQ(bpf_map_update_elem(fd->get(), key, values.data(), BPF_ANY), 0);
    }
    EXPECT_EQ(kernel_->count_entries(path).value(), kKeys) << type;
  }
  EXPECT_EQ(kernel_->count_entries(make_map(BPF_MAP_TYPE_ARRAY, 4, 55)).value(), 55u);
  const auto queue = kernel_->count_entries(make_map(BPF_MAP_TYPE_QUEUE, 0, 8));
  ASSERT_FALSE(queue);
  EXPECT_EQ(queue.error().code, ErrorCode::kUnsupported);
}

TEST_F(ReadTest, ReadsElements) {
  const auto path = make_map(BPF_MAP_TYPE_PERCPU_ARRAY, 4, 4);
  const size_t cpus = static_cast<size_t>(libbpf_num_possible_cpus());
  std::vector<uint64_t> values(cpus);
  for (size_t i = 0; i < cpus; ++i) values[i] = i + 1;
  const uint32_t zero = 0;
  ASSERT_EQ(bpf_map_update_elem(open_pin(path)->get(), &zero, values.data(), BPF_ANY), 0);
  const auto read = kernel_->read_element(path, {});
  ASSERT_TRUE(ok(read));
  ASSERT_EQ(read->size(), cpus * 8);
  EXPECT_EQ(std::memcmp(read->data(), values.data(), read->size()), 0);
  EXPECT_EQ(kernel_->read_element(path, std::vector<std::byte>(3)).error().code, ErrorCode::kInvalid);
  const auto hash = make_map(BPF_MAP_TYPE_HASH, 4, 4);
  EXPECT_EQ(kernel_->read_element(hash, std::vector<std::byte>(4)).error().code, ErrorCode::kNotFound);
}

TEST_F(ReadTest, TellsShapeAndMemory) {
  const auto stats = kernel_->map_stats(make_map(BPF_MAP_TYPE_HASH, 4, 1000));
  ASSERT_TRUE(ok(stats));
  EXPECT_EQ(stats->type, MapType::kHash);
  EXPECT_EQ(stats->key_size, 4u);
  EXPECT_EQ(stats->value_size, 8u);
  EXPECT_EQ(stats->max_entries, 1000u);
  EXPECT_GT(stats->memory_bytes, 8000u);
}

TEST_F(ReadTest, CountsRunsWhileStatisticsAreOn) {
  ASSERT_TRUE(ok(kernel_->load(request(1))));
  ASSERT_TRUE(ok(attach({.type = "tracepoint", .category = "syscalls", .name = "sys_enter_getpgid"}, "on_tracepoint")));
  const auto statistics = enable_run_stats();
  ASSERT_TRUE(ok(statistics));
  for (int i = 0; i < 1000; ++i) (void)::syscall(SYS_getpgid, 1);
  const auto stats = kernel_->hook_stats(hook_dir("on_tracepoint"));
  ASSERT_TRUE(ok(stats));
  EXPECT_GE(stats->runs, 1000u);
  EXPECT_GT(stats->run_ns, 0u);
  EXPECT_EQ(stats->missed, 0u);
  const auto tail_called = kernel_->program_stats(program(1, "on_tracepoint"));
  ASSERT_TRUE(ok(tail_called));
  EXPECT_EQ(tail_called->runs, 0u);  // the kernel counts them for the stub
}

TEST_F(ReadTest, KnowsAvailableMemory) {
  EXPECT_GT(kernel_->available_memory(), 1u << 20);
  EXPECT_LT(kernel_->available_memory(), uint64_t{1} << 50);
}

}  // namespace
}  // namespace mapshift::test
