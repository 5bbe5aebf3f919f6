// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/history.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <thread>

namespace mapshift::observe::changes {
namespace {

ms_change change_of(uint64_t seq) {
  ms_change change{};
  change.seq = seq;
  change.timestamp_ns = seq * 3;
  change.pid = static_cast<uint32_t>(seq * 5);
  change.map_id = static_cast<uint32_t>(seq * 7);
  change.key_hash = static_cast<uint32_t>(seq * 11);
  change.op = MS_CHANGE_DELETE;
  change.source = MS_CHANGE_SCAN;
  return change;
}

TEST(History, GivesBackWhatWasPublished) {
  History history(8, 0);
  history.append(change_of(1), {});
  EXPECT_EQ(history.head(), 0u);
  history.publish();
  ASSERT_EQ(history.head(), 1u);
  History::Entry entry;
  ASSERT_TRUE(history.read(0, entry));
  EXPECT_EQ(entry.change.seq, 1u);
  EXPECT_EQ(entry.change.pid, 5u);
  EXPECT_EQ(entry.change.map_id, 7u);
  EXPECT_EQ(entry.change.key_hash, 11u);
  EXPECT_EQ(entry.change.op, Op::kDelete);
  EXPECT_EQ(entry.change.source, Source::kScan);
  EXPECT_EQ(entry.resync, 0u);
}

TEST(History, ForgetsTheOldestAndSaysSo) {
  History history(4, 0);
  for (uint64_t seq = 1; seq <= 6; ++seq) history.append(change_of(seq), {});
  history.publish();
  EXPECT_EQ(history.tail(), 2u);
  EXPECT_EQ(history.forgotten(), 2u);
  History::Entry entry;
  EXPECT_FALSE(history.read(1, entry));
  EXPECT_TRUE(history.read(2, entry));
  EXPECT_EQ(entry.change.seq, 3u);
}

TEST(History, KeepsBytesThatHaveRoomAndNothingElse) {
  const std::byte payload[24] = {std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}, std::byte{5}, std::byte{0}, std::byte{0}, std::byte{0}, std::byte{9}};
  ms_change change = change_of(1);
  change.key_size = 5;
  change.value_size = 9;
  for (const auto& [room, key, value] : {std::tuple<size_t, size_t, size_t>{0, 0, 0}, {5, 5, 0}, {8 + 9, 5, 9}}) {
    History history(4, room);
    history.append(change, payload);
    history.publish();
    History::Entry entry;
    ASSERT_TRUE(history.read(0, entry));
    EXPECT_EQ(entry.change.key.size(), key);
    EXPECT_EQ(entry.change.value.size(), value);
    EXPECT_TRUE(value == 0 || entry.change.value[0] == std::byte{9});
    EXPECT_TRUE(key == 0 || entry.change.key[4] == std::byte{5});
  }
}

// Readers race the writer around a tiny history: what read() says is whole is whole.
TEST(History, AReaderThatIsOvertakenNotices) {
  History history(4, 16);
  std::atomic<bool> stop{false};
  std::atomic<uint64_t> whole{0}, torn{0};
  std::thread reader([&] {
    History::Entry entry;
    for (uint64_t at = 0; !stop;) {
      if (at >= history.head()) continue;
      if (!history.read(at, entry)) {
        at = history.tail();
        continue;
      }
      ++at;
      ++whole;
      const uint64_t seq = entry.change.seq;
      uint64_t key = 0;
      if (entry.change.key.size() == 8) std::memcpy(&key, entry.change.key.data(), 8);
      if (entry.change.timestamp_ns != seq * 3 || entry.change.pid != static_cast<uint32_t>(seq * 5) || key != seq) ++torn;
    }
  });
  for (uint64_t seq = 1; seq <= 300'000; ++seq) {
    ms_change change = change_of(seq);
    change.key_size = 8;
    std::byte payload[8];
    std::memcpy(payload, &seq, 8);
    history.append(change, payload);
    history.publish();
  }
  stop = true;
  reader.join();
  EXPECT_EQ(torn, 0u) << "of " << whole;
}

}  // namespace
}  // namespace mapshift::observe::changes
