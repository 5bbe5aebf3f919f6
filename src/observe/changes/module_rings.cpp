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
constexpr auto kBreath = std::chrono::microseconds(20);  // for others to get at the rings when a module never stops writing
constexpr auto kSoon = std::chrono::microseconds(200);  // a record is being written: the ring would end every wait at once

tl::unexpected<Error> unknown(const MapName& name) {
  return fail(ErrorCode::kNotFound, name.module + "/" + name.map + " is not a declared ring buffer");
}

class QueueSubscription final : public RingSubscription {
 public:
  QueueSubscription(std::shared_ptr<RecordQueue> queue, std::optional<uint64_t> since) : queue_(std::move(queue)), after_(queue_->last()) {
    if (!since) return;
    if (*since > after_) {
      first_ = "since-unknown";
    } else if (*since < queue_->first()) {  // of an earlier life: nobody knows how many are missing
      first_ = "since-too-old";
      after_ = queue_->dropped();
    } else {
      after_ = *since;
    }
  }

  Result<std::vector<RingEvent>> next(Nanos wait, size_t limit) override {
    std::vector<RingEvent> out;
    if (const char* reason = std::exchange(first_, nullptr)) {
      out.emplace_back(Resync{after_, 0, reason});
      return out;
    }
    auto taken = queue_->take(after_, wait, std::max<size_t>(limit, 1));
    if (taken.end == after_ && taken.closed) return fail(ErrorCode::kNotFound, "the ring buffer is not read any more");
    for (auto& one : taken.records) {
      miss(out, one.seq - 1, taken.dropped);
      after_ = one.seq;
      out.emplace_back(RingRecord{one.seq, one.read_at, shown(one)});
    }
    miss(out, taken.end, taken.dropped);
    return out;
  }

 private:
  // Numbers up to `last` are gone.
  void miss(std::vector<RingEvent>& out, uint64_t last, uint64_t dropped) {
    if (last <= after_) return;
    out.emplace_back(Resync{last, last - after_, after_ < dropped ? "slow" : "lost"});
    after_ = last;
  }

  static std::optional<Value> shown(const RecordQueue::Kept& one) {
    if (!one.type) return {};
    Result<Value> value = decode(*one.type, one.bytes);  // its length was checked when it was read
    return value ? std::move(*value) : Value{value.error().message};
  }

  std::shared_ptr<RecordQueue> queue_;
  uint64_t after_;
  const char* first_ = nullptr;  // why the first event is a resync
};

// As those of a watched map's slot: 2^20 a second since 1970.
uint64_t first_number() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count()) << 20;
}

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
    auto found = std::ranges::find(declared.sources, map.shape().id, &Source::id);
    if (found == declared.sources.end()) {
      auto opened = RingBuffer::open(map.fd(), ring.pin);
      Status added = opened ? waiter_.add(*opened) : Status(fail(opened.error()));
      if (!added) {
        if (declared.sources.empty()) rings_.erase(ring.name);
        return added;
      }
      declared.sources.push_back({map.shape().id, std::move(*opened), {}, false});
      found = std::prev(declared.sources.end());
    }
    found->type = ring.record;
    found->values = ring.values && ring.record != nullptr;
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
      // Not beyond what is there now: whoever writes on is nobody that an update left behind.
      const uint64_t end = source.ring.reader().produced();
      while (source.ring.reader().consumed() < end && read(declared, source) != 0) {
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
      RingReport report{name, declared.records, declared.bytes, declared.malformed, 0, 0, declared.queue->last()};
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
    bool values;
  };
  struct Declared {
    std::vector<Source> sources;
    uint32_t current = 0;
    std::shared_ptr<RecordQueue> queue = std::make_shared<RecordQueue>(first_number());
    uint64_t records = 0, bytes = 0, malformed = 0;
  };

  size_t read(Declared& declared, Source& source) {
    const Nanos now = monotonic_now();
    const size_t count = source.ring.reader().read(kBatch, [&](std::span<const std::byte> bytes) {
      ++declared.records;
      declared.bytes += bytes.size();
      if (source.type && (bytes.size() > kMaxRecordBytes || bytes.size() != source.type->size)) {
        ++declared.malformed;
        declared.queue->skip();
        return;
      }
      // What may not leave is not even kept.
      if (source.values) declared.queue->push(now, source.type, bytes);
      else declared.queue->push(now, {}, {});
    });
    if (count != 0) declared.queue->publish();
    return count;
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
      if (count != 0) std::this_thread::sleep_for(kBreath);
      else if (unfinished) std::this_thread::sleep_for(kSoon);
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
