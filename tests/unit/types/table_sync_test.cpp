// SPDX-License-Identifier: Apache-2.0
// The synchronisation by system calls, on tables in memory: against the engine's model, and dying at each call.
#include "kernel/table_sync.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <random>

#include "model.h"

namespace mapshift {
namespace {

// What outlives an agent: the maps. `calls` counts what may fail; the call `fail_at` does nothing, or all, and fails.
struct Host {
  std::map<Bytes, Bytes, BytesLess> rows[3];
  size_t room[3] = {1000, 1000, 1000};
  int calls = 0, fail_at = -1;
  bool after = false;
};

class MemoryTable final : public Table {
 public:
  MemoryTable(std::shared_ptr<Host> host, int which) : host_(std::move(host)), which_(which) {}

  Result<std::vector<Bytes>> keys() override {
    MS_CHECK(step());
    std::vector<Bytes> out;
    for (const auto& [key, value] : rows()) out.push_back(key);
    return out;
  }
  Result<std::optional<Bytes>> read(const Bytes& key) override {
    MS_CHECK(step());
    const auto found = rows().find(key);
    return found == rows().end() ? std::optional<Bytes>() : std::optional<Bytes>(found->second);
  }
  Result<Put> insert(const Bytes& key, const Bytes& value) override {
    const bool dies = dying();
    if (dies && !host_->after) return died();
    if (rows().contains(key)) return Put::kThere;
    if (rows().size() >= host_->room[which_]) return Put::kFull;
    rows()[key] = value;
    if (dies) return died();
    return Put::kDone;
  }
  Result<Put> replace(const Bytes& key, const Bytes& value) override {
    const bool dies = dying();
    if (dies && !host_->after) return died();
    if (!rows().contains(key)) return Put::kGone;
    rows()[key] = value;
    if (dies) return died();
    return Put::kDone;
  }
  Status erase(const Bytes& key) override {
    const bool dies = dying();
    if (dies && !host_->after) return died();
    rows().erase(key);
    if (dies) return died();
    return {};
  }

 private:
  std::map<Bytes, Bytes, BytesLess>& rows() { return host_->rows[which_]; }
  bool dying() { return host_->calls++ == host_->fail_at; }
  static tl::unexpected<Error> died() { return fail(ErrorCode::kUnavailable, "died"); }
  Status step() { return dying() ? Status(died()) : Status(); }

  std::shared_ptr<Host> host_;
  const int which_;
};

TableSync::Tables tables_of(const std::shared_ptr<Host>& host) {
  return {std::make_unique<MemoryTable>(host, 0), std::make_unique<MemoryTable>(host, 1), std::make_unique<MemoryTable>(host, 2)};
}

Bytes key_of(uint32_t number) {
  Bytes key(4);
  std::memcpy(key.data(), &number, 4);
  return key;
}

void store(const SyncField& f, bool side, Bytes& value, uint64_t raw) {
  std::memcpy(value.data() + (side ? f.offset1 : f.offset0), &raw, side ? f.size1 : f.size0);
}
uint64_t load(const SyncField& f, bool side, const Bytes& value) {
  uint64_t raw = 0;
  std::memcpy(&raw, value.data() + (side ? f.offset1 : f.offset0), side ? f.size1 : f.size0);
  return raw;
}

class Randomly {
 public:
  explicit Randomly(uint32_t seed) : random_(seed) {}
  uint32_t below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }

  SyncSpec spec() {
    SyncSpec spec;
    spec.type0 = spec.type1 = MapType::kLpmTrie;
    spec.key_size = 4;
    spec.max_entries0 = spec.max_entries1 = 1000;
    spec.keep_delta = below(3) == 0;
    const uint8_t sizes[] = {1, 2, 4, 8};
    const size_t fields = 1 + below(6);
    for (size_t i = 0; i < fields; ++i) {
      SyncField f;
      f.op = static_cast<SyncOp>(1 + below(6));
      f.size0 = sizes[below(4)];
      f.size1 = below(2) == 0 ? f.size0 : sizes[below(4)];
      f.offset0 = static_cast<uint16_t>(8 * i);
      f.offset1 = static_cast<uint16_t>(8 * (fields - i));
      f.signed0 = below(2) == 0;
      f.signed1 = f.op == SyncOp::kOr || below(4) != 0 ? f.signed0 : !f.signed0;
      f.group = static_cast<uint16_t>(below(3));
      spec.fields.push_back(f);
    }
    spec.value_size0 = static_cast<uint32_t>(8 * fields);
    spec.value_size1 = static_cast<uint32_t>(8 * fields + 8);
    return spec;
  }

  uint64_t value(uint8_t size) {
    const uint64_t edges[] = {0, 1, 127, 128, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, ~uint64_t{0} >> 1, ~uint64_t{0}};
    const uint64_t v = below(3) == 0 ? edges[below(10)] : below(40);
    return size == 8 ? v : v & ((uint64_t{1} << (8 * size)) - 1);
  }

  void write(const SyncSpec& spec, Host& host, test::Model& model, uint32_t key, bool side) {
    auto& now = side ? model.key(key).side1 : model.key(key).side0;
    auto& rows = host.rows[side ? 1 : 0];
    if (below(5) == 0) {
      rows.erase(key_of(key));
      now.reset();
      return;
    }
    if (!now) now.emplace(spec.fields.size());
    Bytes bytes(side ? spec.value_size1 : spec.value_size0);
    for (size_t i = 0; i < spec.fields.size(); ++i) {
      const SyncField& f = spec.fields[i];
      const uint8_t size = side ? f.size1 : f.size0;
      if (below(2) == 0) (*now)[i] = value(size);
      store(f, side, bytes, (*now)[i]);
    }
    rows[key_of(key)] = bytes;
  }

 private:
  std::mt19937 random_;
};

void expect_same(const SyncSpec& spec, const Host& host, test::Model& model, uint32_t key, const std::string& when) {
  for (const bool side : {false, true}) {
    const auto& rows = host.rows[side ? 1 : 0];
    const auto found = rows.find(key_of(key));
    const auto& want = side ? model.key(key).side1 : model.key(key).side0;
    ASSERT_EQ(found != rows.end(), want.has_value()) << when << ", key " << key << " of side " << side;
    if (!want) continue;
    for (size_t i = 0; i < spec.fields.size(); ++i)
      ASSERT_EQ(load(spec.fields[i], side, found->second), (*want)[i])
          << when << ", key " << key << " of side " << side << ", field " << i << ", op " << static_cast<int>(spec.fields[i].op);
  }
}

void settle(TableSync& sync, SyncPhase phase) {
  for (int n = 0; n < 6; ++n) ASSERT_TRUE(sync.pass(phase, true));
}

TEST(TableSync, AgreesWithTheEnginesModel) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    Randomly random(seed);
    const SyncSpec spec = random.spec();
    const auto host = std::make_shared<Host>();
    test::Model model(spec);
    auto sync = TableSync::open(spec, tables_of(host));
    ASSERT_TRUE(sync);
    const SyncPhase phases[] = {SyncPhase::kPrecopy, SyncPhase::kPrecopy, SyncPhase::kLiveNew, SyncPhase::kLiveNew, SyncPhase::kLiveOld};
    for (const SyncPhase phase : phases) {
      for (int writes = 0; writes < 20; ++writes) {
        const bool side = phase != SyncPhase::kPrecopy && random.below(2) == 0;
        random.write(spec, *host, model, random.below(8), side);
      }
      settle(**sync, phase);
      model.resolve(phase);
      for (uint32_t key = 0; key < 8; ++key) expect_same(spec, *host, model, key, "seed " + std::to_string(seed));
      if (testing::Test::HasFatalFailure()) return;
      const auto verified = (*sync)->verify();
      ASSERT_TRUE(verified);
      // What was clamped on one side differs for good.
      const bool exact = std::all_of(spec.fields.begin(), spec.fields.end(), [](const SyncField& f) { return f.size0 == f.size1 && f.signed0 == f.signed1; });
      if (exact) {
        EXPECT_EQ(verified->mismatched, 0u) << "seed " << seed;
      }
    }
  }
}

// The agent dies before or after any call, and another one goes on with the base: nothing is lost, nothing is counted twice.
TEST(TableSync, GoesOnExactlyWhereAnotherDied) {
  SyncSpec spec;
  spec.type0 = spec.type1 = MapType::kLpmTrie;
  spec.key_size = 4;
  spec.value_size0 = spec.value_size1 = 16;
  spec.max_entries0 = spec.max_entries1 = 100;
  SyncField sum, latest;
  sum.op = SyncOp::kSum;
  latest.offset0 = latest.offset1 = 8;
  spec.fields = {sum, latest};
  for (const bool after : {false, true}) {
    for (int at = 0;; ++at) {
      const auto host = std::make_shared<Host>();
      const auto put = [&](bool side, uint32_t key, uint64_t packets, uint64_t state) {
        Bytes value(16);
        store(sum, false, value, packets);
        store(latest, false, value, state);
        host->rows[side ? 1 : 0][key_of(key)] = value;
      };
      put(false, 1, 100, 5);
      put(false, 2, 7, 0);
      put(false, 4, 1, 1);
      {
        auto sync = TableSync::open(spec, tables_of(host));
        ASSERT_TRUE(sync && (*sync)->pass(SyncPhase::kPrecopy, true));
      }
      put(false, 1, 110, 6);   // ten more on the old side
      put(true, 1, 103, 5);    // three more on the new one
      put(true, 2, 9, 4);
      put(true, 3, 50, 1);     // made on the new side
      host->rows[1].erase(key_of(4));
      host->calls = 0;
      host->fail_at = at;
      host->after = after;
      bool died = false;
      if (auto sync = TableSync::open(spec, tables_of(host)); !sync || !(*sync)->pass(SyncPhase::kLiveNew, true) || !(*sync)->pass(SyncPhase::kLiveNew, true)) died = true;
      host->fail_at = -1;
      auto sync = TableSync::open(spec, tables_of(host));
      ASSERT_TRUE(sync);
      settle(**sync, SyncPhase::kLiveNew);
      const std::string where = "call " + std::to_string(at) + (after ? ", after it" : ", before it");
      for (const bool side : {false, true}) {
        const auto& rows = host->rows[side ? 1 : 0];
        ASSERT_EQ(rows.size(), 3u) << where;
        EXPECT_EQ(load(sum, false, rows.at(key_of(1))), 113u) << where << " of side " << side;
        EXPECT_EQ(load(latest, false, rows.at(key_of(1))), 6u) << where;
        EXPECT_EQ(load(sum, false, rows.at(key_of(2))), 9u) << where;
        EXPECT_EQ(load(sum, false, rows.at(key_of(3))), 50u) << where;
      }
      if (!died) break;
    }
  }
}

TEST(TableSync, AFullSideIsCounted) {
  Randomly random(1);
  const SyncSpec spec = random.spec();
  const auto host = std::make_shared<Host>();
  for (uint32_t key = 0; key < 10; ++key) host->rows[0][key_of(key)] = Bytes(spec.value_size0);
  host->room[1] = 6;
  auto sync = TableSync::open(spec, tables_of(host));
  ASSERT_TRUE(sync);
  EXPECT_EQ((*sync)->pass(SyncPhase::kPrecopy, true)->full1, 4u);
  host->room[2] = 6;
  host->room[1] = 100;
  EXPECT_EQ((*sync)->pass(SyncPhase::kPrecopy, true)->base_full, 4u);
  host->room[2] = 100;
  EXPECT_EQ((*sync)->pass(SyncPhase::kPrecopy, true)->added, 4u);
}

TEST(Tries, BitsBehindThePrefixSayNothing) {
  const auto key = [](uint32_t bits, std::initializer_list<int> bytes) {
    Bytes out = key_of(bits);
    for (const int byte : bytes) out.push_back(static_cast<std::byte>(byte));
    return out;
  };
  const auto cleared = [](Bytes bytes) {
    clear_behind_prefix(bytes);
    return bytes;
  };
  EXPECT_EQ(cleared(key(12, {10, 0xff, 3, 4})), key(12, {10, 0xf0, 0, 0}));
  EXPECT_EQ(cleared(key(0, {10, 1, 3, 4})), key(0, {0, 0, 0, 0}));
  EXPECT_EQ(cleared(key(32, {10, 1, 3, 4})), key(32, {10, 1, 3, 4}));
  EXPECT_EQ(cleared(key(99, {10, 1, 3, 4})), key(99, {10, 1, 3, 4}));
}

}  // namespace
}  // namespace mapshift
