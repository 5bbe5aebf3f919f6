// SPDX-License-Identifier: Apache-2.0
// Every merge in both directions and in every phase; widths, signedness, conversions.
#include <array>

#include "lab.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

// One field of each side at `offset` in 24 bytes, with guards all around it.
constexpr size_t kBytes = 24;
constexpr std::byte kGuard{0xA5};
using Bytes = std::array<std::byte, kBytes>;

struct Shape {
  SyncOp op;
  uint8_t size0 = 8, size1 = 8;
  bool signed0 = false, signed1 = false;
  uint16_t offset0 = 8, offset1 = 16;
};

class Merges : public SyncTest {
 protected:
  Lab& open(const Shape& shape, std::vector<SyncRemap> remaps = {}) {
    shape_ = shape;
    SyncSpec spec;
    spec.key_size = 4;
    spec.value_size0 = spec.value_size1 = kBytes;
    spec.max_entries0 = spec.max_entries1 = 16;
    spec.fields = {field(shape.op, shape.size0, shape.offset0, shape.size1, shape.offset1)};
    spec.fields[0].signed0 = shape.signed0;
    spec.fields[0].signed1 = shape.signed1;
    spec.fields[0].remap = remaps.empty() ? -1 : 0;
    spec.remaps = std::move(remaps);
    lab_ = std::make_unique<Lab>(bpffs_, spec);
    return *lab_;
  }
  static Bytes bytes(uint64_t x, uint8_t size, uint16_t offset) {
    Bytes out;
    out.fill(kGuard);
    std::memcpy(out.data() + offset, &x, size);
    return out;
  }
  void set0(uint64_t x) { lab_->put0(1, bytes(x, shape_.size0, shape_.offset0)); }
  void set1(uint64_t y) { lab_->put1(1, bytes(y, shape_.size1, shape_.offset1)); }
  uint64_t see(const std::optional<Bytes>& value, uint8_t size, uint16_t offset, std::byte guard) {
    if (!value) return ~uint64_t{0xDEAD};
    for (size_t i = 0; i < kBytes; ++i) {
      if (i < offset || i >= size_t{offset} + size) {
        EXPECT_EQ((*value)[i], guard) << "byte " << i;
      }
    }
    uint64_t x = 0;
    std::memcpy(&x, value->data() + offset, size);
    return x;
  }
  uint64_t see0() { return see(lab_->get0<Bytes>(1), shape_.size0, shape_.offset0, kGuard); }
  uint64_t see1(std::byte guard = kGuard) { return see(lab_->get1<Bytes>(1), shape_.size1, shape_.offset1, guard); }
  // Both sides hold `x`, reconciled; side 1 with its guards.
  void start(uint64_t x, uint64_t y) {
    lab_->erase0(1);
    lab_->erase1(1);
    lab_->settle(kPre);
    set0(x);
    lab_->settle(kPre);
    set1(y);
    lab_->settle(kNew);
  }
  void both(SyncPhase phase, uint64_t x, uint64_t y, uint64_t want) {
    set0(x);
    set1(y);
    EXPECT_GT(lab_->settle(phase), 0);
    EXPECT_EQ(see0(), want) << "side 0, phase " << int(phase) << " x " << x << " y " << y;
    EXPECT_EQ(see1(), want) << "side 1, phase " << int(phase) << " x " << x << " y " << y;
  }
  Shape shape_{};
  std::unique_ptr<Lab> lab_;
};

TEST_F(Merges, SumAddsBothSidesInEveryWidth) {
  for (const uint8_t size : std::initializer_list<uint8_t>{1, 2, 4, 8}) {
    // Offsets that put narrow fields into each byte of their word.
    open({SyncOp::kSum, size, size, false, false, static_cast<uint16_t>(8 + size % 4), static_cast<uint16_t>(size == 1 ? 3 : 16)});
    start(10, 10);
    both(kNew, 13, 14, 17);
    both(kOld, 20, 19, 22);
    both(kNew, 21, 22, 21);   // a decrement travels as well
    both(kNew, 21, 25, 25);
  }
}

TEST_F(Merges, LatestFollowsTheChangeAndTheActiveSideWinsAConflict) {
  for (const uint8_t size : std::initializer_list<uint8_t>{1, 2, 4, 8}) {
    Lab& lab = open({SyncOp::kLatest, size, size});
    start(10, 10);
    both(kNew, 11, 10, 11);
    both(kNew, 11, 12, 12);
    both(kNew, 13, 14, 14);
    EXPECT_EQ(lab.settled().conflicts, 1u);
    both(kOld, 15, 16, 15);
    EXPECT_EQ(lab.settled().conflicts, 1u);
    both(kOld, 15, 17, 17);
    both(kOld, 18, 18, 18);
    EXPECT_EQ(lab.settled().conflicts, 0u);
  }
}

TEST_F(Merges, MaxMinOrTakeTheJoinAndFollowAReset) {
  for (const SyncPhase phase : {kNew, kOld}) {
    open({SyncOp::kMax});
    start(10, 10);
    both(phase, 15, 12, 15);
    both(phase, 16, 20, 20);
    both(phase, 5, 20, 5);    // reset on side 0
    both(phase, 5, 3, 3);     // and on side 1
    both(phase, 2, 9, 9);     // reset on one, raised on the other
    open({SyncOp::kMin, 4, 8, true, true});
    start(10, 10);
    both(phase, 7, 8, 7);
    both(phase, 7, 6, 6);
    both(phase, 30, 6, 30);   // reset
    both(phase, 30, 40, 40);
    open({SyncOp::kOr, 1, 1});
    start(1, 1);
    both(phase, 3, 5, 7);
    both(phase, 6, 7, 6);     // side 0 lost a bit
    both(phase, 6, 2, 2);
    both(phase, 0, 10, 8);    // reset on one, a new bit on the other
  }
}

TEST_F(Merges, MaxMinOrBeforeTheSwapFollowSideZero) {
  for (const SyncOp op : {SyncOp::kMax, SyncOp::kMin, SyncOp::kOr, SyncOp::kLatest, SyncOp::kFirst}) {
    open({op});
    for (const uint64_t x : {5, 9, 2, 7}) {
      set0(x);
      EXPECT_GT(lab_->settle(kPre), 0);
      EXPECT_EQ(see1(std::byte{0}), x);
    }
  }
}

TEST_F(Merges, FirstBelongsToTheSideThatMadeTheKey) {
  open({SyncOp::kFirst});
  start(10, 10);
  set0(11);
  EXPECT_GT(lab_->settle(kNew), 0);
  EXPECT_EQ(see1(), 10u);
  both(kNew, 11, 12, 12);  // the active side made the key anew
  both(kOld, 13, 12, 13);
}

TEST_F(Merges, LatestFieldsOfAGroupBelongTogether) {
  SyncSpec spec = example_spec(MapType::kHash, 16, 16);
  spec.fields = {field(SyncOp::kLatest, 8, 0, 8, 16), field(SyncOp::kLatest, 8, 8, 8, 8), field(SyncOp::kLatest, 4, 16, 4, 0)};
  spec.fields[2].group = 1;
  Lab lab(bpffs_, spec);
  lab.put0(1, OldValue{1, 2, 3, 0});
  lab.settle(kPre);
  lab.put0(1, OldValue{10, 2, 30, 0});
  lab.put1(1, NewValue{3, 0, 20, 1, 0});
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(lab.get1<NewValue>(1)->packets, 1u);  // group 0: the active side whole
  EXPECT_EQ(lab.get1<NewValue>(1)->last, 20u);
  EXPECT_EQ(lab.get1<NewValue>(1)->state, 30u);   // group 1: only side 0 changed
  EXPECT_EQ(lab.get0<OldValue>(1)->packets, 1u);
  EXPECT_EQ(lab.get0<OldValue>(1)->last, 20u);
}

// Both generations made the key before they met it: there is no ancestor.
TEST_F(Merges, WithoutAnAncestorSumsAddAndTheActiveSideIsLatest) {
  Lab lab(bpffs_, example_spec(MapType::kHash, 16, 16));
  lab.put0(1, OldValue{5, 100, 7, 3'000'000'000u});
  lab.put1(1, NewValue{0, 0, 90, 6, 1});
  EXPECT_GT(lab.settle(kNew), 0);
  const auto v = lab.get1<NewValue>(1);
  EXPECT_EQ(v->packets, 11u);
  EXPECT_EQ(v->last, 100u);
  EXPECT_EQ(v->state, 0u);
  EXPECT_EQ(v->n64, 3'000'000'001u);
  EXPECT_EQ(lab.get0<OldValue>(1)->state, 0u);
}

struct Carry {
  uint8_t from;
  bool from_signed;
  uint8_t to;
  bool to_signed;
  uint64_t value, want;
  bool clamped;
};

TEST_F(Merges, ConversionsWidenNarrowAndClamp) {
  const Carry table[] = {
      {4, false, 8, false, 0xFFFFFFFF, 0xFFFFFFFF, false},
      {4, true, 8, true, 0xFFFFFFFB, 0xFFFFFFFFFFFFFFFB, false},      // -5
      {4, true, 8, false, 0xFFFFFFFB, 0, true},                       // -5 in an unsigned: the nearest is 0
      {8, false, 4, false, 0x1FFFFFFFF, 0xFFFFFFFF, true},
      {8, true, 2, true, uint64_t(-40000), 0x8000, true},
      {8, true, 2, true, uint64_t(-4), 0xFFFC, false},
      {2, false, 1, true, 200, 127, true},
      {1, true, 8, true, 0x80, uint64_t(-128), false},
      {8, false, 8, true, ~uint64_t{0}, ~uint64_t{0} >> 1, true},
  };
  for (const SyncOp op : {SyncOp::kLatest, SyncOp::kMax}) {
    SyncSpec spec;  // one field of 8 bytes for each line
    spec.key_size = 4;
    spec.value_size0 = spec.value_size1 = 8 * std::size(table);
    spec.max_entries0 = spec.max_entries1 = 64;
    for (size_t i = 0; i < std::size(table); ++i) {
      spec.fields.push_back(field(op, table[i].from, 8 * i, table[i].to, 8 * i));
      spec.fields.back().signed0 = table[i].from_signed;
      spec.fields.back().signed1 = table[i].to_signed;
    }
    Lab lab(bpffs_, spec);
    for (uint32_t i = 0; i < std::size(table); ++i) {  // each line in a key of its own, for clamps are counted by key
      std::array<uint64_t, std::size(table)> value{};
      value[i] = table[i].value;
      lab.put0(i, value);
      EXPECT_EQ(lab.pass(kPre).clamped, table[i].clamped ? 1u : 0u) << table[i].value;
      EXPECT_EQ((*lab.get1<decltype(value)>(i))[i], table[i].want) << table[i].value;
    }
  }
}

TEST_F(Merges, AHugeSumNarrowsWithoutOverflow) {
  open({SyncOp::kSum, 8, 2});
  set0(~uint64_t{0});
  set1(0);
  EXPECT_GT(lab_->settle(kNew), 0);
  EXPECT_EQ(see1(), 65535u);
}

TEST_F(Merges, ANarrowedSumStopsAtItsEnd) {
  open({SyncOp::kSum, 8, 1});
  set0(250);
  lab_->settle(kPre);
  set0(260);
  lab_->settle(kPre);
  EXPECT_EQ(lab_->settled().clamped, 1u);
  EXPECT_EQ(see1(std::byte{0}), 255u);
  set0(261);
  lab_->settle(kNew);
  EXPECT_EQ(see1(std::byte{0}), 255u);
  EXPECT_EQ(lab_->sync().verify()->mismatched, 0u);
}

TEST_F(Merges, AWidenedSumWrapsOnItsWayBack) {
  open({SyncOp::kSum, 4, 8});
  set1(0x100000005);
  EXPECT_GT(lab_->settle(kNew), 0);
  EXPECT_EQ(lab_->get0<Bytes>(1).has_value(), true);
  uint32_t x = 0;
  std::memcpy(&x, lab_->get0<Bytes>(1)->data() + 8, 4);
  EXPECT_EQ(x, 5u);
  EXPECT_EQ(lab_->sync().verify()->mismatched, 0u);
}

TEST_F(Merges, EnumsFollowTheirNames) {
  SyncRemap remap;
  remap.values = {{0, 10}, {1, 0}, {2, 1}, {-1, -7}};
  Lab& lab = open({SyncOp::kLatest, 4, 1, true, true}, {remap});
  for (const auto& [from, to] : remap.values) {
    set0(static_cast<uint64_t>(from));
    lab.settle(kPre);
    EXPECT_EQ(static_cast<int8_t>(see1(std::byte{0})), to);
  }
  set0(5);  // in neither column
  lab.settle(kPre);
  EXPECT_EQ(see1(std::byte{0}), 5u);
  set1(10);
  lab.settle(kNew);
  EXPECT_EQ(see0(), 0u);
}

}  // namespace
}  // namespace mapshift::test
