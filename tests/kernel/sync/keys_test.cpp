// SPDX-License-Identifier: Apache-2.0
// Keys whose layout changes between two generations.
#include "lab.h"

namespace mapshift::test {
namespace {

constexpr SyncPhase kPre = SyncPhase::kPrecopy, kNew = SyncPhase::kLiveNew, kOld = SyncPhase::kLiveOld;

struct OldKey {
  uint32_t address = 0, zone = 0;
  uint16_t port = 0;
  uint8_t protocol = 0, padding = 0;
};
struct NewKey {  // reordered; the address is wider, the zone narrower, and the tenant is new
  uint8_t protocol = 0, tenant = 0;
  uint16_t port = 0, zone = 0, padding = 0;
  uint64_t address = 0;
};
static_assert(sizeof(OldKey) == 12 && sizeof(NewKey) == 16);

OldKey old_key(uint32_t n) { return {0xc0a80000 + n, n % 7, static_cast<uint16_t>(n), 6, 0}; }
NewKey new_key(uint32_t n) { return {6, 0, static_cast<uint16_t>(n), static_cast<uint16_t>(n % 7), 0, 0xc0a80000 + n}; }

SyncSpec keyed_spec(MapType type = MapType::kHash) {
  SyncSpec spec = example_spec(type, 1024, 1024);
  spec.key_size = sizeof(OldKey);
  spec.key_size1 = sizeof(NewKey);
  const auto part = [](size_t size0, size_t at0, size_t size1, size_t at1) { return field(SyncOp::kLatest, size0, at0, size1, at1); };
  spec.key_fields = {part(4, offsetof(OldKey, address), 8, offsetof(NewKey, address)), part(4, offsetof(OldKey, zone), 2, offsetof(NewKey, zone)),
                     part(2, offsetof(OldKey, port), 2, offsetof(NewKey, port)), part(1, offsetof(OldKey, protocol), 1, offsetof(NewKey, protocol))};
  return spec;
}

class Keys : public SyncTest {
 protected:
  template <class K, class V>
  static void put(int fd, const K& key, const V& value) { ASSERT_EQ(bpf_map_update_elem(fd, &key, &value, BPF_ANY), 0); }
  template <class V, class K>
  static std::optional<V> get(int fd, const K& key) {
    V value{};
    if (bpf_map_lookup_elem(fd, &key, &value) != 0) return std::nullopt;
    return value;
  }
  static size_t count(int fd, size_t key_size) {
    std::vector<char> key(key_size);
    size_t n = 0;
    for (const void* from = nullptr; n < 5000 && bpf_map_get_next_key(fd, from, key.data()) == 0; from = key.data()) ++n;
    return n;
  }
};

TEST_F(Keys, TravelBothWaysInTheirOwnLayout) {
  for (const bool in_slices : {false, true}) {
    SyncSpec spec = keyed_spec();
    spec.in_slices = in_slices;
    Lab lab(bpffs_, spec);
    for (uint32_t n = 0; n < 300; ++n) put(lab.fd0(), old_key(n), OldValue{n, 2, 3, n});
    EXPECT_GT(lab.settle(kPre), 0);
    EXPECT_EQ(count(lab.fd1(), sizeof(NewKey)), 300u);
    for (uint32_t n = 0; n < 300; ++n) {
      ASSERT_TRUE(get<NewValue>(lab.fd1(), new_key(n))) << n;
      EXPECT_EQ(get<NewValue>(lab.fd1(), new_key(n))->packets, n);
    }
    put(lab.fd0(), old_key(5), OldValue{8, 2, 3, 5});                // late: 3 more
    put(lab.fd1(), new_key(5), NewValue{3, 0, 2, 5 + 10, 5});        // 10 more
    put(lab.fd1(), new_key(900), NewValue{1, 2, 3, 4, 5});           // only the new side has it
    const NewKey gone = new_key(7);
    bpf_map_delete_elem(lab.fd1(), &gone);
    EXPECT_GT(lab.settle(kNew), 0);
    EXPECT_EQ(get<OldValue>(lab.fd0(), old_key(5))->packets, 18u);
    EXPECT_EQ(get<NewValue>(lab.fd1(), new_key(5))->packets, 18u);
    ASSERT_TRUE(get<OldValue>(lab.fd0(), old_key(900)));
    EXPECT_EQ(get<OldValue>(lab.fd0(), old_key(900))->packets, 4u);
    EXPECT_FALSE(get<OldValue>(lab.fd0(), old_key(7)));
    EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
    const OldKey late = old_key(9);
    bpf_map_delete_elem(lab.fd0(), &late);  // by user space, on the passive side
    EXPECT_GT(lab.settle(kNew), 0);
    EXPECT_FALSE(get<NewValue>(lab.fd1(), new_key(9)));
    lab.reopen();
    put(lab.fd0(), old_key(900), OldValue{6, 3, 1, 5});
    EXPECT_GT(lab.settle(kOld), 0);
    EXPECT_EQ(get<NewValue>(lab.fd1(), new_key(900))->packets, 6u);
  }
}

TEST_F(Keys, AKeyThatOnlyTheNewLayoutCanHoldIsCountedAndLeftAlone) {
  Lab lab(bpffs_, keyed_spec());
  put(lab.fd0(), old_key(1), OldValue{1, 2, 3, 4});
  EXPECT_GT(lab.settle(kPre), 0);
  NewKey tenant = new_key(1), wide = new_key(2), padded = new_key(3);
  tenant.tenant = 1;
  wide.address = uint64_t{1} << 32 | 0xc0a80002;
  padded.padding = 1;
  for (const NewKey& key : {tenant, wide, padded}) put(lab.fd1(), key, NewValue{9, 9, 9, 9, 9});
  EXPECT_EQ(lab.pass(kNew).no_key0, 3u);
  EXPECT_GT(lab.settle(kNew), 0);
  EXPECT_EQ(count(lab.fd0(), sizeof(OldKey)), 1u);
  EXPECT_EQ(count(lab.fd1(), sizeof(NewKey)), 4u);
  EXPECT_EQ(get<OldValue>(lab.fd0(), old_key(1))->packets, 1u);
  EXPECT_GT(lab.settle(kOld), 0);
  EXPECT_EQ(count(lab.fd0(), sizeof(OldKey)), 1u);
  EXPECT_EQ(lab.sync().verify()->mismatched, 0u);
}

TEST_F(Keys, AKeyThatTheNewLayoutCannotHoldIsCounted) {
  Lab lab(bpffs_, keyed_spec());
  OldKey zone = old_key(1);
  zone.zone = 65537;  // narrowed it would be zone 1, another key
  put(lab.fd0(), old_key(1), OldValue{1, 2, 3, 4});
  put(lab.fd0(), zone, OldValue{5, 6, 7, 8});
  const PassReport report = lab.pass(kPre);
  EXPECT_EQ(report.no_key1, 1u);
  EXPECT_EQ(report.added, 1u);
  EXPECT_EQ(count(lab.fd1(), sizeof(NewKey)), 1u);
  EXPECT_EQ(get<NewValue>(lab.fd1(), new_key(1))->packets, 1u);
}

// What the old key loses is no reason to let two keys meet in one.
TEST_F(Keys, TwoKeysNeverMeetInOne) {
  SyncSpec spec = keyed_spec();
  spec.key_fields.erase(spec.key_fields.begin() + 2);  // the port has no place in the new key
  Lab lab(bpffs_, spec);
  for (uint16_t port = 0; port < 10; ++port) put(lab.fd0(), OldKey{1, 2, port, 6, 0}, OldValue{1, 2, 3, 4});
  EXPECT_EQ(lab.pass(kPre).no_key1, 9u);
  EXPECT_EQ(count(lab.fd1(), sizeof(NewKey)), 1u);
}

TEST_F(Keys, PerCpuValuesBesideThem) {
  Lab lab(bpffs_, keyed_spec(MapType::kPercpuHash));
  std::vector<OldValue> old(cpu_count(), OldValue{5, 6, 7, 8});
  const OldKey key = old_key(3);
  ASSERT_EQ(bpf_map_update_elem(lab.fd0(), &key, old.data(), BPF_ANY), 0);
  EXPECT_GT(lab.settle(kPre), 0);
  EXPECT_GT(lab.settle(kNew), 0);
  std::vector<NewValue> values(cpu_count());
  const NewKey there = new_key(3);
  ASSERT_EQ(bpf_map_lookup_elem(lab.fd1(), &there, values.data()), 0);
  for (const NewValue& value : values) EXPECT_EQ(value.packets, 5u);
}

TEST_F(Keys, WrongTablesAreRefused) {
  SyncSpec spec = keyed_spec();
  spec.key_fields[0].offset1 = 12;
  EXPECT_EQ(open_linux_sync(spec, "/nowhere", "/nowhere", "/nowhere").error().code, ErrorCode::kInternal);
  spec = keyed_spec(MapType::kArray);
  EXPECT_EQ(open_linux_sync(spec, "/nowhere", "/nowhere", "/nowhere").error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace mapshift::test
