// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/history.h"

#include <algorithm>
#include <cstring>

namespace mapshift::observe::changes {
namespace {

constexpr size_t kHeadWords = 5;
constexpr auto kRelaxed = std::memory_order_relaxed;

uint64_t round8(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

History::History(size_t capacity, size_t payload)
    : capacity_(capacity), width_(kHeadWords + round8(payload) / 8), words_(new std::atomic<uint64_t>[capacity * width_]) {}

uint64_t History::tail() const {
  const uint64_t reserved = reserved_.load(std::memory_order_acquire);
  return reserved > capacity_ ? reserved - capacity_ : 0;
}

// Readers that meet an entry in the making see that it is reserved: a seqlock whose data are atomics.
std::atomic<uint64_t>* History::begin_append() {
  auto* words = slot(end_);
  if (end_ >= capacity_) {
    const uint64_t number = words[0].load(kRelaxed);
    if (number > forgotten_.load(kRelaxed)) forgotten_.store(number, kRelaxed);
  }
  reserved_.store(++end_, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  return words;
}

void History::append(const ms_change& change, std::span<const std::byte> payload) {
  auto* words = begin_append();
  const size_t room = (width_ - kHeadWords) * 8;
  // What does not fit is left out whole: half a key would be another key.
  const bool key = change.key_size != 0 && round8(change.key_size) <= std::min(room, payload.size());
  const bool value = key && change.value_size != 0 &&
                     round8(change.key_size) + round8(change.value_size) <= std::min(room, payload.size());
  words[0].store(change.seq, kRelaxed);
  words[1].store(change.timestamp_ns, kRelaxed);
  words[2].store(change.pid | uint64_t{change.map_id} << 32, kRelaxed);
  words[3].store(change.key_hash | uint64_t{change.op} << 32 | uint64_t{change.source} << 40, kRelaxed);
  words[4].store((key ? change.key_size : 0u) | (value ? uint64_t{change.value_size} << 16 : 0u), kRelaxed);
  if (!key) return;
  const size_t used = (round8(change.key_size) + (value ? round8(change.value_size) : 0)) / 8;
  for (size_t i = 0; i < used; ++i) {
    uint64_t word = 0;
    std::memcpy(&word, payload.data() + i * 8, 8);
    words[kHeadWords + i].store(word, kRelaxed);
  }
}

void History::append_resync(uint64_t version, uint64_t lost, uint32_t reason) {
  auto* words = begin_append();
  words[0].store(version, kRelaxed);
  words[1].store(lost, kRelaxed);
  words[2].store(0, kRelaxed);
  words[3].store(0, kRelaxed);
  words[4].store(uint64_t{reason} << 32, kRelaxed);
}

bool History::still_there(uint64_t position) const {
  std::atomic_thread_fence(std::memory_order_acquire);
  return reserved_.load(kRelaxed) <= position + capacity_;
}

bool History::number_at(uint64_t position, uint64_t& number) const {
  number = slot(position)[0].load(kRelaxed);
  return still_there(position);
}

bool History::read(uint64_t position, Entry& entry) const {
  const auto* words = slot(position);
  const uint64_t word1 = words[1].load(kRelaxed), word2 = words[2].load(kRelaxed), word3 = words[3].load(kRelaxed),
                 word4 = words[4].load(kRelaxed);
  Change& change = entry.change;
  change = {};
  change.seq = words[0].load(kRelaxed);
  entry.resync = static_cast<uint32_t>(word4 >> 32);
  entry.lost = entry.resync != 0 ? word1 : 0;
  change.timestamp_ns = word1;
  change.pid = static_cast<uint32_t>(word2);
  change.map_id = static_cast<uint32_t>(word2 >> 32);
  change.key_hash = static_cast<uint32_t>(word3);
  change.op = static_cast<Op>(word3 >> 32 & 0xff);
  change.source = static_cast<Source>(word3 >> 40 & 0xff);
  const size_t key = word4 & 0xffff, value = word4 >> 16 & 0xffff;
  if (key != 0 && kHeadWords + (round8(key) + round8(value)) / 8 <= width_) {  // sizes of a torn entry may be anything
    std::vector<std::byte> bytes(round8(key) + round8(value));
    for (size_t i = 0; i < bytes.size() / 8; ++i) {
      const uint64_t word = words[kHeadWords + i].load(kRelaxed);
      std::memcpy(bytes.data() + i * 8, &word, 8);
    }
    change.key.assign(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(key));
    change.value.assign(bytes.begin() + static_cast<ptrdiff_t>(round8(key)), bytes.begin() + static_cast<ptrdiff_t>(round8(key) + value));
  }
  return still_there(position);
}

}  // namespace mapshift::observe::changes
