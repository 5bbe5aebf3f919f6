// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/ring_buffer.h"
#include "kernel/sync_spec.h"

struct bpf_link;
struct sync_follow_bpf;

namespace mapshift {

// Hears at once which keys of two maps an update call wrote, where the kernel lets programs run at the end of its functions
// (fexit): they go into a queue, and a thread of its own asks for the visits. What it misses, the passes find.
class WriteFollower {
 public:
  // Null where the kernel refuses such programs, or has none for maps of these types: per-CPU values can only be visited on
  // their CPU, and a key that is written differently on both sides does not say which side wrote it. Asks a kernel that refused once no more.
  [[nodiscard]] static std::unique_ptr<WriteFollower> open(const SyncSpec& spec, int side0, int side1, int base);
  ~WriteFollower();
  WriteFollower(const WriteFollower&) = delete;
  WriteFollower& operator=(const WriteFollower&) = delete;

  // Attaches, once. `visit` is called on the follower's thread and visits the keys in the queue; true: some may be left.
  // False when the kernel refuses: nothing is followed.
  bool start(std::function<bool()> visit);
  void stop();
  [[nodiscard]] bool started() const { return !links_.empty(); }
  [[nodiscard]] int queue() const { return queue_.get(); }
  [[nodiscard]] uint32_t queue_shift() const { return shift_; }
  [[nodiscard]] uint64_t missed() const;  // writes that were not queued

 private:
  struct LinkDeleter {
    void operator()(bpf_link* link) const;
  };
  struct SkeletonDeleter {
    void operator()(sync_follow_bpf* skeleton) const;
  };
  WriteFollower(std::unique_ptr<sync_follow_bpf, SkeletonDeleter> skeleton, Fd queue, uint32_t shift, RingBuffer doorbell, RingWaiter waiter);
  bool attach();
  void listen();

  std::unique_ptr<sync_follow_bpf, SkeletonDeleter> skeleton_;
  Fd queue_;
  uint32_t shift_;  // its size, in powers of two
  RingBuffer doorbell_;
  RingWaiter waiter_;
  std::vector<std::unique_ptr<bpf_link, LinkDeleter>> links_;
  std::function<bool()> visit_;
  bool started_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> stop_{false};  // set with mutex_ held
  std::thread thread_;
};

}  // namespace mapshift
