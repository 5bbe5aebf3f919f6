// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "http/map_service.h"

namespace mapshift::http {

// One watched map, flowmeter/flows, whose events a test says. It has what a Stream promises: events in order, from `since` on.
class FakeMaps : public MapService {
 public:
  using Event = observe::changes::Event;

  void tell(Event event) {
    const std::lock_guard lock(mutex);
    events.push_back(std::move(event));
    changed.notify_all();
  }
  void unwatch() {
    const std::lock_guard lock(mutex);
    gone = true;
    changed.notify_all();
  }

  Result<std::unique_ptr<observe::changes::Subscription>> subscribe(const MapName& name, std::optional<uint64_t> since) override {
    MS_CHECK(find(name));
    const std::lock_guard lock(mutex);
    last_since = since;
    return std::make_unique<Place>(*this);
  }
  Result<uint64_t> version(const MapName& name) override {
    MS_CHECK(find(name));
    const std::lock_guard lock(mutex);
    return contents.version;
  }
  std::optional<uint64_t> ring_version(const MapName& name) override { return name.map == "events" ? std::optional<uint64_t>(3) : std::nullopt; }
  Result<std::unique_ptr<observe::changes::RingSubscription>> subscribe_ring(const MapName&, std::optional<uint64_t> since) override {
    last_since = since;
    return std::make_unique<OneRecord>();
  }
  Result<MapContents> read_map(const MapName& name) override {
    MS_CHECK(find(name));
    const std::lock_guard lock(mutex);
    return contents;
  }
  Result<uint64_t> replace_map(const MapName& name, uint64_t if_version, const std::vector<MapEntry>& entries) override {
    MS_CHECK(find(name));
    const std::lock_guard lock(mutex);
    if (refusal) return fail(*refusal);
    if (if_version != contents.version) return fail(ErrorCode::kStale, "the version moved on");
    contents.entries = entries;
    return ++contents.version;
  }

  std::mutex mutex;
  std::condition_variable changed;
  std::vector<Event> events;
  std::optional<uint64_t> last_since;
  MapContents contents{{"flowmeter", "flows"}, 40, "syscall", "because", false, false, {}};
  std::optional<Error> refusal;
  std::atomic<int> open = 0;
  bool gone = false;

 private:
  // A record, and then the ring is gone.
  class OneRecord : public observe::changes::RingSubscription {
    Result<std::vector<observe::changes::RingEvent>> next(Nanos, size_t) override {
      using observe::changes::Value;
      if (told_) return fail(ErrorCode::kNotFound, "closed");
      told_ = true;
      const Value inner{Value::List{Value{int64_t{-1}}, Value{true}, Value{}}};
      const Value record{Value::Object{{"kind", Value{std::string("OPEN")}}, {"number", Value{~uint64_t{0}}}, {"more", inner}}};
      return std::vector<observe::changes::RingEvent>{observe::changes::RingRecord{4, Nanos(9), record}};
    }
    bool told_ = false;
  };
  class Place : public observe::changes::Subscription {
   public:
    explicit Place(FakeMaps& maps) : maps_(maps) { ++maps_.open; }
    ~Place() override { --maps_.open; }
    Result<std::vector<Event>> next(Nanos wait, size_t limit) override {
      std::unique_lock lock(maps_.mutex);
      // Not wait_for(): the thread sanitizer of this compiler does not know the clock that it waits on.
      maps_.changed.wait_until(lock, std::chrono::system_clock::now() + wait, [&] { return at_ < maps_.events.size() || maps_.gone; });
      if (at_ == maps_.events.size() && maps_.gone) return fail(ErrorCode::kNotFound, "unwatched");
      std::vector<Event> out;
      while (at_ < maps_.events.size() && out.size() < limit) out.push_back(maps_.events[at_++]);
      return out;
    }

   private:
    FakeMaps& maps_;
    size_t at_ = 0;
  };

  static Status find(const MapName& name) {
    if (name.module != "flowmeter") return fail(ErrorCode::kNotFound, "module \"" + name.module + "\" is not loaded");
    if (name.map != "flows") return fail(ErrorCode::kConflict, "map is not watched: name it in changes.maps");
    return {};
  }
};

}  // namespace mapshift::http
