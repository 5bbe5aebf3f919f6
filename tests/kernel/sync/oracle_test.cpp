// SPDX-License-Identifier: Apache-2.0
// Random layouts and histories, both maps compared key by key with a model that knows nothing of maps.
#include <algorithm>
#include <random>

#include "lab.h"
#include "model.h"

namespace mapshift::test {
namespace {

constexpr uint32_t kKeys = 24;

class Oracle : public SyncTest {
 protected:
  uint32_t below(uint32_t n) { return std::uniform_int_distribution<uint32_t>(0, n - 1)(random_); }

  SyncSpec random_spec() {
    SyncSpec spec;
    spec.key_size = 4;
    const MapType types[] = {MapType::kHash, MapType::kHash, MapType::kLruHash, MapType::kArray};
    spec.type0 = spec.type1 = types[below(4)];
    spec.max_entries0 = spec.max_entries1 = is_array(spec.type0) ? kKeys : 2048;
    spec.keep_delta = below(3) == 0;
    const uint8_t sizes[] = {1, 2, 4, 8};
    std::vector<uint16_t> places(2 + below(8));
    for (size_t i = 0; i < places.size(); ++i) places[i] = static_cast<uint16_t>(i);
    const size_t fields = places.size() - 1;
    std::shuffle(places.begin(), places.end(), random_);
    for (size_t i = 0; i < fields; ++i) {
      const uint8_t size0 = sizes[below(4)], size1 = below(2) == 0 ? size0 : sizes[below(4)];
      const auto spot = [&](size_t word, uint8_t size) { return 8 * word + size * below(8u / size); };
      SyncField f = field(static_cast<SyncOp>(1 + below(6)), size0, spot(i, size0), size1, spot(places[i], size1));
      f.signed0 = below(2) == 0;
      f.signed1 = f.op == SyncOp::kOr ? f.signed0 : below(4) == 0 ? !f.signed0 : f.signed0;
      f.group = static_cast<uint16_t>(below(3));
      spec.fields.push_back(f);
    }
    spec.value_size0 = static_cast<uint32_t>(8 * fields);
    spec.value_size1 = static_cast<uint32_t>(8 * places.size());
    return spec;
  }

  uint64_t random_value(uint8_t size) {
    const uint64_t edges[] = {0, 1, 127, 128, 255, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, ~uint64_t{0} >> 1, ~uint64_t{0}};
    const uint64_t v = below(3) == 0 ? edges[below(10)] : below(40);
    return size == 8 ? v : v & ((uint64_t{1} << (8 * size)) - 1);
  }

  using Bytes = std::vector<std::byte>;
  static void store(const SyncField& f, bool side, Bytes& value, uint64_t raw) {
    std::memcpy(value.data() + (side ? f.offset1 : f.offset0), &raw, side ? f.size1 : f.size0);
  }
  static uint64_t load(const SyncField& f, bool side, const Bytes& value) {
    uint64_t raw = 0;
    std::memcpy(&raw, value.data() + (side ? f.offset1 : f.offset0), side ? f.size1 : f.size0);
    return raw;
  }

  // One random write of user space to one key of one side, to the map and to the model.
  void write(const SyncSpec& spec, const Lab& lab, Model& model, uint32_t key, bool side) {
    const int fd = side ? lab.fd1() : lab.fd0();
    auto& now = side ? model.key(key).side1 : model.key(key).side0;
    if (!is_array(spec.type0) && below(5) == 0) {
      bpf_map_delete_elem(fd, &key);
      now.reset();
      return;
    }
    if (!now) now.emplace(spec.fields.size());
    Bytes value(side ? spec.value_size1 : spec.value_size0);
    for (size_t i = 0; i < spec.fields.size(); ++i) {
      const SyncField& f = spec.fields[i];
      const uint8_t size = side ? f.size1 : f.size0;
      if (below(2) == 0) (*now)[i] = below(2) == 0 ? random_value(size) : ((*now)[i] + 1 + below(9)) & (size == 8 ? ~uint64_t{0} : (uint64_t{1} << (8 * size)) - 1);
      store(f, side, value, (*now)[i]);
    }
    ASSERT_EQ(bpf_map_update_elem(fd, &key, value.data(), BPF_ANY), 0);
  }

  static bool same(const SyncSpec& spec, const Lab& lab, const std::optional<Model::Values>& want, uint32_t key, bool side) {
    Bytes value(side ? spec.value_size1 : spec.value_size0);
    const bool present = bpf_map_lookup_elem(side ? lab.fd1() : lab.fd0(), &key, value.data()) == 0;
    EXPECT_EQ(present, want.has_value()) << "key " << key << " side " << side;
    if (present != want.has_value()) return false;
    if (!present) return true;
    for (size_t i = 0; i < spec.fields.size(); ++i) {
      const SyncField& f = spec.fields[i];
      EXPECT_EQ(load(f, side, value), (*want)[i])
          << "key " << key << " side " << side << " field " << i << " op " << int(f.op) << " sizes " << int(f.size0) << "," << int(f.size1)
          << " signed " << f.signed0 << "," << f.signed1;
      if (load(f, side, value) != (*want)[i]) return false;
    }
    return true;
  }

  void round(uint32_t seed) {
    random_.seed(seed);
    const SyncSpec spec = random_spec();
    Lab lab(bpffs_, spec);
    Model model(spec);
    if (is_array(spec.type0))  // all elements are there from the start
      for (uint32_t key = 0; key < kKeys; ++key) model.key(key).side0 = model.key(key).side1 = Model::Values(spec.fields.size());
    SyncPhase phase = SyncPhase::kPrecopy;
    for (int step = 0; step < 12; ++step) {
      if (step >= 4) phase = below(2) == 0 ? SyncPhase::kLiveNew : SyncPhase::kLiveOld;
      for (uint32_t n = below(40); n > 0; --n) write(spec, lab, model, below(kKeys), phase != SyncPhase::kPrecopy && below(2) == 1);
      if (below(6) == 0) lab.reopen();
      ASSERT_GT(lab.settle(phase), 0) << "step " << step;
      lab.pass(phase);
      lab.pass(phase);  // what only the passive side still had to follow
      model.resolve(phase);
      for (uint32_t key = 0; key < kKeys; ++key) {
        const bool equal = same(spec, lab, model.key(key).side0, key, false) && same(spec, lab, model.key(key).side1, key, true);
        ASSERT_TRUE(equal) << "seed " << seed << " step " << step << " phase " << int(phase) << " " << to_string(spec.type0);
      }
    }
  }
  std::mt19937 random_;
};

// At most 50 rounds in 20 s. MAPSHIFT_SEED repeats one round; MAPSHIFT_ROUNDS makes that many, however long it takes.
TEST_F(Oracle, RandomHistoriesKeyByKey) {
  if (const char* one = std::getenv("MAPSHIFT_SEED")) return round(static_cast<uint32_t>(std::strtoul(one, nullptr, 0)));
  const char* many = std::getenv("MAPSHIFT_ROUNDS");
  const uint32_t rounds = many == nullptr ? 50 : static_cast<uint32_t>(std::strtoul(many, nullptr, 0));
  const uint32_t first = std::random_device{}();
  const Nanos until = monotonic_now() + std::chrono::seconds(20);
  uint32_t n = 0;
  for (; n < rounds && !HasFailure() && (many != nullptr || monotonic_now() < until); ++n) round(first + n);
  printf("seeds %u to %u\n", first, first + n - 1);
}

}  // namespace
}  // namespace mapshift::test
