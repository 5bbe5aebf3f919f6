// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bpf/libbpf.h>

#include <atomic>
#include <bit>
#include <stdexcept>
#include <thread>

#include "lab.h"
#include "sync_writers.skel.h"

namespace mapshift::test {

inline constexpr const char* kCannotFollow = "this kernel runs no programs at the end of its functions (fexit)";
inline Fd newest_map(const std::string& name) {
  Fd found;
  for (uint32_t id = 0; bpf_map_get_next_id(id, &id) == 0;) {
    Fd fd(bpf_map_get_fd_by_id(id));
    bpf_map_info info{};
    uint32_t length = sizeof info;
    if (fd.valid() && bpf_map_get_info_by_fd(fd.get(), &info, &length) == 0 && name == info.name) found = std::move(fd);
  }
  return found;
}
// After a pass, from which on a handler is there.
inline bool can_follow(Lab& lab) {
  lab.pass(SyncPhase::kPrecopy);
  return lab.sync().follows();
}

struct Order {  // of sync_writers.bpf.c
  uint32_t count = 500, mask = 0, plain = 0, churn = 0, only = 0, put = 0;
  uint64_t done = 0;
};

class Writers {
 public:
  // With a handler's queue there is an order that brings keys.
  Writers(const Lab& lab, uint32_t mask, const Fd& queue = Fd()) {
    skeleton_ = sync_writers_bpf::open();
    bpf_map__reuse_fd(skeleton_->maps.side0, lab.fd0());
    bpf_map__reuse_fd(skeleton_->maps.side1, lab.fd1());
    bpf_program__set_autoload(skeleton_->progs.bring_many, queue.valid());
    if (queue.valid()) {
      bpf_map_info info{};
      uint32_t length = sizeof info;
      bpf_map_get_info_by_fd(queue.get(), &info, &length);
      bpf_map__reuse_fd(skeleton_->maps.written, queue.get());
      skeleton_->rodata->written_shift = static_cast<uint32_t>(std::countr_zero(info.max_entries - 1));
    }
    if (sync_writers_bpf::load(skeleton_) != 0) throw std::runtime_error("load the writers");
    skeleton_->bss->interrupt_mask = mask;
  }
  Writers(const Writers&) = delete;
  Writers& operator=(const Writers&) = delete;
  ~Writers() {
    stop();
    sync_writers_bpf::destroy(skeleton_);
  }
  void start(size_t cpu, Order order, uint64_t runs = UINT64_MAX, bool bring = false) {
    auto& slot = *slots_.emplace_back(std::make_unique<Slot>());
    slot.thread = std::thread([this, cpu, order, runs, bring, &slot] {
      pin_to_cpu(cpu);
      while (!stop_ && slot.runs < runs) {
        Order o = order;
        LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = &o, .ctx_size_in = sizeof o);
        if (bpf_prog_test_run_opts(bpf_program__fd(bring ? skeleton_->progs.bring_many : skeleton_->progs.write_many), &options) != 0) break;
        if (!bring && (order.put == 0 || runs != UINT64_MAX)) total_ += o.done;  // what is put for ever is no count
        ++slot.runs;
      }
      slot.ended = true;
    });
  }
  // False where the kernel has no CPU clock events.
  bool start_interrupts(size_t cpu, bool plain = false, bool both = false) {
    skeleton_->bss->interrupt_both = both;
    skeleton_->bss->interrupt_plain = plain;
    skeleton_->bss->interrupt_burst = plain ? 256 : 8;
    Fd fd = run_in_interrupts(bpf_program__fd(skeleton_->progs.write_in_interrupt), cpu, 200'000);
    if (!fd.valid()) return false;
    events_.push_back(std::move(fd));
    return true;
  }
  void swap_to(uint32_t generation) { skeleton_->bss->generation = generation; }
  // Returns when no event that saw the generation before the swap can still be under way.
  void quiesce() {
    for (const auto& slot : slots_) {
      for (const uint64_t from = slot->runs; slot->runs < from + 2 && !slot->ended;) std::this_thread::yield();
    }
  }
  void stop() {
    stop_ = true;
    join();
    events_.clear();
  }
  void join() {
    for (const auto& slot : slots_)
      if (slot->thread.joinable()) slot->thread.join();
  }
  [[nodiscard]] uint64_t total() const { return total_ + skeleton_->bss->from_interrupts; }
  [[nodiscard]] uint64_t from_interrupts() const { return skeleton_->bss->from_interrupts; }

 private:
  struct Slot {
    std::thread thread;
    std::atomic<uint64_t> runs = 0;
    std::atomic<bool> ended = false;
  };
  sync_writers_bpf* skeleton_ = nullptr;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Fd> events_;
  std::atomic<uint64_t> total_ = 0;
  std::atomic<bool> stop_ = false;
};

}  // namespace mapshift::test
