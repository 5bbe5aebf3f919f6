// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/ring_buffer.h"
#include "mapshift/changes.h"

namespace mapshift {

struct LoadRequest;

// The maps that all producers of change records share, pinned: the ring, the slots (mapped into this process), the counters of what
// found no room, and two directories: names to slots, and map ids to slots for producers that only know the kernel object.
// Thread-safe but for ring(), which is the reader thread's.
class ChangeLog {
 public:
  // kConflict: another process has it open, or the pins are of another layout.
  // Makes what is missing below `pin_dir` and takes up what is there. A ring that is there keeps its size.
  [[nodiscard]] static Result<ChangeLog> open(const std::string& pin_dir, uint64_t ring_bytes);
  ChangeLog(ChangeLog&&) noexcept;
  ChangeLog& operator=(ChangeLog&&) = delete;
  ChangeLog(const ChangeLog&) = delete;
  ~ChangeLog();

  [[nodiscard]] RingBuffer& ring() { return ring_; }
  [[nodiscard]] int ring_fd() const { return ring_.fd(); }
  [[nodiscard]] int slots_fd() const { return slots_fd_.get(); }
  [[nodiscard]] int lost_fd() const { return lost_fd_.get(); }
  [[nodiscard]] int ids_fd() const { return ids_fd_.get(); }

  // The slot of "module/map", made when there is none; its numbers go on after `first`. kTooLarge: all slots are taken, or the
  // name is too long.
  [[nodiscard]] Result<uint32_t> slot(const std::string& name, uint64_t first);
  [[nodiscard]] Result<std::map<std::string, uint32_t>> slots() const;
  // Only when nothing that writes to it is loaded any more: the next name may get it.
  [[nodiscard]] Status free_slot(const std::string& name);

  [[nodiscard]] uint64_t sequence(uint32_t slot) const { return __atomic_load_n(&memory_[slot].seq, __ATOMIC_ACQUIRE); }
  // Takes a number that never comes: what nobody saw becomes a gap, which whoever goes on from before it is told.
  void skip_number(uint32_t slot) { __atomic_add_fetch(&memory_[slot].seq, 1, __ATOMIC_SEQ_CST); }
  [[nodiscard]] uint32_t flags(uint32_t slot) const { return __atomic_load_n(&memory_[slot].flags, __ATOMIC_ACQUIRE); }
  void set_flags(uint32_t slot, uint32_t flags) { __atomic_store_n(&memory_[slot].flags, flags, __ATOMIC_SEQ_CST); }
  // The fill of the ring at which a producer wakes the reader; UINT64_MAX: never. A full barrier.
  void set_wake_at(uint64_t bytes) { __atomic_exchange_n(&memory_[0].wake_at, bytes, __ATOMIC_SEQ_CST); }
  // Over all CPUs.
  [[nodiscard]] Result<ms_change_lost> lost(uint32_t slot) const;

  // From here on changes of the kernel's map `id` belong to the slot, for the sources that know maps by their id.
  [[nodiscard]] Status bind(uint32_t id, uint32_t slot);
  [[nodiscard]] Status unbind(uint32_t id);

  // What makes an object's logging write here. The slots' variables are set by the caller.
  void add_to(LoadRequest& request) const;

 private:
  ChangeLog(std::string dir, RingBuffer ring, Fd slots, Fd lost, Fd ids, Fd names, Fd lock, ms_change_slot* memory);

  std::string dir_;
  RingBuffer ring_;
  Fd slots_fd_, lost_fd_, ids_fd_, names_fd_, lock_;
  ms_change_slot* memory_;
};

}  // namespace mapshift
