// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bpf/bpf.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "kernel/sync.h"

namespace mapshift::test {

// A private bpffs, gone with the object.
class PrivateBpffs {
 public:
  PrivateBpffs();
  ~PrivateBpffs();
  PrivateBpffs(const PrivateBpffs&) = delete;
  PrivateBpffs& operator=(const PrivateBpffs&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  // Empty, or why nothing works here.
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  std::string path_, problem_;
};

// The layouts of the attacked example: old and new differ in order, width and members.
struct OldValue {
  uint64_t packets, last;
  uint32_t state, n32;
};
struct NewValue {
  uint32_t state, flags;
  uint64_t last, packets, n64;
};
[[nodiscard]] size_t cpu_count();  // possible ones
[[nodiscard]] SyncField field(SyncOp op, size_t size0, size_t offset0, size_t size1, size_t offset1);
[[nodiscard]] SyncSpec example_spec(MapType type, uint32_t entries0, uint32_t entries1);

// Runs a perf_event program in an interrupt of the CPU's clock, until closed. Invalid where the kernel has none.
[[nodiscard]] Fd run_in_interrupts(int program, size_t cpu, uint64_t period_ns);
void pin_to_cpu(size_t cpu);  // the calling thread

// Two maps and the engine between them, driven one pass at a time.
class Lab {
 public:
  Lab(const PrivateBpffs& bpffs, SyncSpec spec, uint32_t flags = 0);
  // Between maps that are there already: with types that only an object's BTF can give them.
  Lab(const PrivateBpffs& bpffs, SyncSpec spec, Fd side0, Fd side1);
  ~Lab();

  // A full round: what one complete pass finds.
  PassReport pass(SyncPhase phase, bool complete = true);
  // Passes until two in a row moved nothing from the passive side; at most 20.
  int settle(SyncPhase phase);
  // What all passes of the last settle() counted together.
  [[nodiscard]] const PassReport& settled() const { return total_; }
  void reopen();

  [[nodiscard]] int fd0() const { return side0_.get(); }
  [[nodiscard]] int fd1() const { return side1_.get(); }
  [[nodiscard]] Sync& sync() { return *sync_; }
  [[nodiscard]] const std::string& dir() const { return dir_; }

  template <class T>
  void put0(uint32_t key, const T& value) { bpf_map_update_elem(fd0(), &key, &value, BPF_ANY); }
  template <class T>
  void put1(uint32_t key, const T& value) { bpf_map_update_elem(fd1(), &key, &value, BPF_ANY); }
  template <class T>
  std::optional<T> get0(uint32_t key) const { return get<T>(fd0(), key); }
  template <class T>
  std::optional<T> get1(uint32_t key) const { return get<T>(fd1(), key); }
  // Per-CPU maps: one value a CPU, each a multiple of 8 bytes long.
  template <class T>
  void put_cpus0(uint32_t key, const std::vector<T>& values) { bpf_map_update_elem(fd0(), &key, values.data(), BPF_ANY); }
  template <class T>
  void put_cpus1(uint32_t key, const std::vector<T>& values) { bpf_map_update_elem(fd1(), &key, values.data(), BPF_ANY); }
  template <class T>
  std::vector<T> get_cpus0(uint32_t key) const { return get_cpus<T>(fd0(), key); }
  template <class T>
  std::vector<T> get_cpus1(uint32_t key) const { return get_cpus<T>(fd1(), key); }
  void erase0(uint32_t key) { bpf_map_delete_elem(fd0(), &key); }
  void erase1(uint32_t key) { bpf_map_delete_elem(fd1(), &key); }

 private:
  template <class T>
  static std::optional<T> get(int fd, uint32_t key) {
    T value{};
    if (bpf_map_lookup_elem(fd, &key, &value) != 0) return std::nullopt;
    return value;
  }
  template <class T>
  static std::vector<T> get_cpus(int fd, uint32_t key) {
    static_assert(sizeof(T) % 8 == 0);
    std::vector<T> values(cpu_count());
    if (bpf_map_lookup_elem(fd, &key, values.data()) != 0) values.clear();
    return values;
  }
  void pin(const PrivateBpffs& bpffs);
  SyncSpec spec_;
  std::string dir_;
  Fd side0_, side1_;
  std::unique_ptr<Sync> sync_;
  PassReport total_;
};

// A test with its own bpffs. Without the privilege it is skipped, or fails where MAPSHIFT_REQUIRE_KERNEL=1.
class SyncTest : public testing::Test {
 protected:
  void SetUp() override {
    if (bpffs_.problem().empty()) return;
    const char* required = std::getenv("MAPSHIFT_REQUIRE_KERNEL");
    if (required != nullptr && std::string(required) == "1") FAIL() << bpffs_.problem();
    GTEST_SKIP() << bpffs_.problem();
  }
  PrivateBpffs bpffs_;
};

}  // namespace mapshift::test
