// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/module_rings.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "kernel/map.h"
#include "kernel/ring_buffer.h"
#include "observe/changes/record_queue.h"

namespace mapshift::observe::changes {
namespace {

constexpr size_t kBatch = 1024;               // records of one ring before the next one has its turn
constexpr auto kLook = std::chrono::seconds(1);  // a wake-up may be missed where a program asked for none
constexpr auto kSoon = std::chrono::microseconds(200);  // a record is being written: the ring would end every wait at once

tl::unexpected<Error> unknown(const MapName& name) {
  return fail(ErrorCode::kNotFound, name.module + "/" + name.map + " is not a declared ring buffer");
}

class QueueSubscription final : public RingSubscription {
 public:
  QueueSubscription(std::shared_ptr<RecordQueue> queue, std::optional<uint64_t> since) : queue_(std::move(queue)), after_(queue_->last()) {
    if (!since) return;
    if (*since > after_) unknown_ = true;
    else after_ = *since;
  }

  Result<std::vector<RingEvent>> next(Nanos wait, size_t limit) override {
    std::vector<RingEvent> out;
    if (std::exchange(unknown_, false)) {
      out.emplace_back(Resync{after_, 0, "since-unknown"});
      return out;
    }
    const auto taken = queue_->take(after_, wait, std::max<size_t>(limit, 1));
    if (taken.records.empty() && taken.closed) return fail(ErrorCode::kNotFound, "the ring buffer is not read any more");
    if (taken.missed != 0) out.emplace_back(Resync{after_ + taken.missed, taken.missed, "slow"});
    for (const auto& one : taken.records) {
      after_ = one.seq;
      Result<Value> value = decode(*one.type, one.bytes);  // its length was checked when it was read
      out.emplace_back(RingRecord{one.seq, one.read_at, value ? std::move(*value) : Value{value.error().message}});
    }
    return out;
  }

 private:
  std::shared_ptr<RecordQueue> queue_;
  uint64_t after_;
  bool unknown_ = false;
};

class LinuxModuleRings final : public ModuleRings {
 public:
  explicit LinuxModuleRings(RingWaiter waiter) : waiter_(std::move(waiter)), thread_([this] { run(); }) {}
  ~LinuxModuleRings() override {
    stop_ = true;
    waiter_.wake();
    thread_.join();
    for (auto& [name, ring] : rings_) ring.queue->close();
  }

  Status open(const ModuleRing& ring) override { return retarget(ring); }

  Status retarget(const ModuleRing& ring) override {
    MS_TRY(const Map map, Map::open(ring.pin));
    const std::lock_guard lock(mutex_);
    Declared& declared = rings_[ring.name];
    const TypeRef type = ring.record ? ring.record : bytes_type();
    auto found = std::ranges::find(declared.sources, map.shape().id, &Source::id);
    if (found == declared.sources.end()) {
      auto opened = RingBuffer::open(map.fd(), ring.pin);
      Status added = opened ? waiter_.add(*opened) : Status(fail(opened.error()));
      if (!added) {
        if (declared.sources.empty()) rings_.erase(ring.name);
        return added;
      }
      declared.sources.push_back({map.shape().id, std::move(*opened), type});
      found = std::prev(declared.sources.end());
    }
    found->type = type;
    declared.current = found->id;
    waiter_.wake();
    return {};
  }

  void settle(const MapName& name) override {
    const std::lock_guard lock(mutex_);
    const auto found = rings_.find(name);
    if (found == rings_.end()) return;
    Declared& declared = found->second;
    std::erase_if(declared.sources, [&](Source& source) {
      if (source.id == declared.current) return false;
      while (read(declared, source) != 0) {
      }
      waiter_.remove(source.ring);
      return true;
    });
  }

  void close(const MapName& name) override {
    const std::lock_guard lock(mutex_);
    const auto found = rings_.find(name);
    if (found == rings_.end()) return;
    for (const Source& source : found->second.sources) waiter_.remove(source.ring);
    found->second.queue->close();
    rings_.erase(found);
  }

  Result<std::unique_ptr<RingSubscription>> subscribe(const MapName& name, std::optional<uint64_t> since) override {
    const std::lock_guard lock(mutex_);
    const auto found = rings_.find(name);
    if (found == rings_.end()) return unknown(name);
    return std::make_unique<QueueSubscription>(found->second.queue, since);
  }

  std::vector<RingReport> reports() override {
    const std::lock_guard lock(mutex_);
    std::vector<RingReport> out;
    for (auto& [name, declared] : rings_) {
      RingReport report{name, declared.records, declared.bytes, declared.malformed, 0, 0};
      for (Source& source : declared.sources) {
        report.backlog += source.ring.reader().produced() - source.ring.reader().consumed();
        if (source.id == declared.current) report.size = source.ring.size();
      }
      out.push_back(std::move(report));
    }
    return out;
  }

 private:
  struct Source {
    uint32_t id;
    RingBuffer ring;
    TypeRef type;
  };
  struct Declared {
    std::vector<Source> sources;
    uint32_t current = 0;
    std::shared_ptr<RecordQueue> queue = std::make_shared<RecordQueue>();
    uint64_t records = 0, bytes = 0, malformed = 0;
  };

  // Without a declared record: bytes of any length.
  static TypeRef bytes_type() {
    static const TypeRef type = std::make_shared<const Type>();
    return type;
  }

  size_t read(Declared& declared, Source& source) {
    const Nanos now = monotonic_now();
    return source.ring.reader().read(kBatch, [&](std::span<const std::byte> bytes) {
      ++declared.records;
      declared.bytes += bytes.size();
      const bool any_length = source.type->kind == TypeKind::kVoid;
      if (bytes.size() > kMaxRecordBytes || (!any_length && bytes.size() != source.type->size)) {
        ++declared.malformed;
        return;
      }
      TypeRef type = source.type;
      if (any_length) {
        auto sized = std::make_shared<Type>(*type);
        sized->size = static_cast<uint32_t>(bytes.size());
        type = sized;
      }
      declared.queue->push(now, type, bytes);
    });
  }

  void run() {
    while (!stop_) {
      size_t count = 0;
      bool unfinished = false;
      {
        const std::lock_guard lock(mutex_);
        for (auto& [name, declared] : rings_) {
          for (Source& source : declared.sources) {
            count += read(declared, source);
            unfinished |= source.ring.reader().produced() != source.ring.reader().consumed();
          }
        }
      }
      if (count != 0) continue;
      if (unfinished) std::this_thread::sleep_for(kSoon);
      else waiter_.wait(Nanos(kLook));
    }
  }

  RingWaiter waiter_;
  std::mutex mutex_;
  std::map<MapName, Declared> rings_;
  std::atomic<bool> stop_{false};
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

Result<std::unique_ptr<ModuleRings>> start_module_rings() {
  MS_TRY(RingWaiter waiter, RingWaiter::make(RingWaiter::Trigger::kLevel));
  return std::make_unique<LinuxModuleRings>(std::move(waiter));
}

}  // namespace mapshift::observe::changes
