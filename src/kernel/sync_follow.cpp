// SPDX-License-Identifier: Apache-2.0
#include "kernel/sync_follow.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdlib>

#include "base/clock.h"
#include "kernel/libbpf_log.h"
#include "kernel/sync_tables.h"
#include "sync_follow.skel.h"

namespace mapshift {
namespace {

constexpr uint32_t kMinShift = 10;  // keys in the queue, in powers of two
constexpr uint32_t kMaxShift = 16;
// Between two visits: bounds the wake-ups, and the thread to a fifth of a core where keys are written without a pause.
constexpr Nanos kRest = std::chrono::microseconds(100);
constexpr int kRestTimes = 4;

std::atomic<bool>& refused_before() {
  static std::atomic<bool> refused{false};
  return refused;
}

// A function has room for some 40 programs, and memory may be short: that passes.
void refused(int err) {
  err = std::abs(err);
  if (err != E2BIG && err != ENOMEM && err != EAGAIN) refused_before() = true;
}

bool of_type(const SyncSpec& spec, MapType type) { return spec.type0 == type || spec.type1 == type; }

uint32_t map_id(int fd) {
  bpf_map_info info{};
  uint32_t length = sizeof info;
  return bpf_map_get_info_by_fd(fd, &info, &length) == 0 ? info.id : 0;
}

}  // namespace

void WriteFollower::LinkDeleter::operator()(bpf_link* link) const { bpf_link__destroy(link); }
void WriteFollower::SkeletonDeleter::operator()(sync_follow_bpf* skeleton) const { sync_follow_bpf::destroy(skeleton); }

std::unique_ptr<WriteFollower> WriteFollower::open(const SyncSpec& spec, int side0, int side1, int base) {
  if (is_percpu(spec.type0) || spec.key_size1 != 0 || refused_before()) return nullptr;
  const LibbpfLog text;  // a refusal is no error
  std::unique_ptr<sync_follow_bpf, SkeletonDeleter> skeleton(sync_follow_bpf::open());
  if (!skeleton) return nullptr;
  skeleton->rodata->id0 = map_id(side0);
  skeleton->rodata->id1 = map_id(side1);
  skeleton->rodata->key_size = spec.key_size;
  bpf_program__set_autoload(skeleton->progs.follow_htab_map_update_elem, of_type(spec, MapType::kHash));
  bpf_program__set_autoload(skeleton->progs.follow_htab_lru_map_update_elem, of_type(spec, MapType::kLruHash));
  bpf_program__set_autoload(skeleton->progs.follow_array_map_update_elem, of_type(spec, MapType::kArray));
  const uint32_t shift = std::clamp<uint32_t>(std::bit_width(std::max(spec.max_entries0, spec.max_entries1)), kMinShift, kMaxShift);
  skeleton->rodata->written_shift = shift;
  Fd queue(bpf_map_create(BPF_MAP_TYPE_ARRAY, "ms_written", sizeof(uint32_t), 8 + round8(spec.key_size), (1u << shift) + 1, nullptr));
  if (!queue.valid() || bpf_map__reuse_fd(skeleton->maps.written, queue.get()) != 0 ||
      bpf_map__reuse_fd(skeleton->maps.base, base) != 0) {
    return nullptr;
  }
  if (const int err = sync_follow_bpf::load(skeleton.get()); err != 0) {
    refused(err);
    return nullptr;
  }
  auto doorbell = RingBuffer::open(bpf_map__fd(skeleton->maps.doorbell), "doorbell");
  auto waiter = RingWaiter::make(RingWaiter::Trigger::kLevel);
  if (!doorbell || !waiter || !waiter->add(*doorbell)) return nullptr;
  return std::unique_ptr<WriteFollower>(
      new WriteFollower(std::move(skeleton), std::move(queue), shift, std::move(*doorbell), std::move(*waiter)));
}

WriteFollower::WriteFollower(std::unique_ptr<sync_follow_bpf, SkeletonDeleter> skeleton, Fd queue, uint32_t shift,
                             RingBuffer doorbell, RingWaiter waiter)
    : skeleton_(std::move(skeleton)), queue_(std::move(queue)), shift_(shift), doorbell_(std::move(doorbell)), waiter_(std::move(waiter)) {}

WriteFollower::~WriteFollower() { stop(); }

bool WriteFollower::attach() {
  const LibbpfLog text;
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(skeleton_->obj, program)) != nullptr) {
    if (bpf_program__fd(program) < 0) continue;
    links_.emplace_back(bpf_program__attach(program));
    if (links_.back()) continue;
    refused(errno);
    links_.clear();
    return false;
  }
  return true;
}

bool WriteFollower::start(std::function<bool()> visit) {
  if (started_) return !links_.empty();
  started_ = true;
  if (!attach()) return false;
  visit_ = std::move(visit);
  thread_ = std::thread([this] { listen(); });
  return true;
}

void WriteFollower::stop() {
  links_.clear();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  waiter_.wake();
  if (thread_.joinable()) thread_.join();
}

void WriteFollower::listen() {
  bool more = false;
  while (!stop_) {
    if (!more) waiter_.wait(Nanos(-1));
    if (stop_) return;
    doorbell_.reader().read(SIZE_MAX, [](auto) {});
    // Before the queue is emptied: a key that comes later rings again.
    __atomic_exchange_n(&skeleton_->bss->rung, 0, __ATOMIC_SEQ_CST);
    const Nanos began = monotonic_now();
    more = visit_();
    const Nanos rest = std::max(kRest, kRestTimes * (monotonic_now() - began));
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, rest, [&] { return stop_.load(); });
  }
}

uint64_t WriteFollower::missed() const {
  uint64_t sum = skeleton_->bss->lost;
  const bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(skeleton_->obj, const_cast<bpf_program*>(program))) != nullptr) {
    bpf_prog_info info{};
    uint32_t length = sizeof info;
    if (bpf_program__fd(program) >= 0 && bpf_prog_get_info_by_fd(bpf_program__fd(program), &info, &length) == 0) sum += info.recursion_misses;
  }
  return sum;
}

}  // namespace mapshift
