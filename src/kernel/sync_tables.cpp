// SPDX-License-Identifier: Apache-2.0
#include "kernel/sync_tables.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "mapshift/sync.h"
#include "sync.skel.h"

namespace mapshift {
namespace {

bool is_width(uint8_t size) { return size == 1 || size == 2 || size == 4 || size == 8; }

// BPF's narrowest atomic instruction has 4 bytes, and wants its address aligned and all of its bytes in the value.
bool reached_by_atomics(uint16_t offset, uint8_t size, uint32_t value_size) {
  return offset % size == 0 && (size >= 4 || offset / 4 * 4 + 4u <= value_size);
}

bool atomic(const SyncField& field, const SyncSpec& spec) {
  return reached_by_atomics(field.offset0, field.size0, image_size0(spec)) &&
         reached_by_atomics(field.offset1, field.size1, spec.value_size1);
}

Status check_types(const SyncSpec& spec) {
  const auto hash = [](MapType type) {
    return type == MapType::kHash || type == MapType::kPercpuHash || is_lru(type);
  };
  const bool hashes = hash(spec.type0) && hash(spec.type1);
  const bool arrays = is_array(spec.type0) && is_array(spec.type1);
  const bool as_many_values = is_percpu(spec.type0) == is_percpu(spec.type1);
  if ((hashes || arrays) && (as_many_values || is_percpu(spec.type0))) {
    const bool sums = std::ranges::all_of(spec.fields, [](const SyncField& field) { return field.op == SyncOp::kSum; });
    if (as_many_values || sums) return {};
    return fail(ErrorCode::kUnsupported, "the values of a " + to_string(spec.type0) + " can become one value of a " + to_string(spec.type1) +
                                             " only where all fields are sums, which add up");
  }
  return fail(ErrorCode::kUnsupported, "a " + to_string(spec.type0) + " cannot be synced with a " + to_string(spec.type1));
}

Status check_second(const SyncSpec& spec, const SyncSecond& second) {
  if (is_percpu(spec.type0)) return fail(ErrorCode::kUnsupported, "per-CPU values cannot be made of two maps: each CPU would get all of " + second.map);
  if (second.type != MapType::kHash && second.type != MapType::kLruHash && second.type != MapType::kArray) {
    return fail(ErrorCode::kUnsupported, "a " + to_string(second.type) + " cannot be the second map of a conversion: a hash, an LRU hash or an array can");
  }
  if (second.key_size == 0 || second.key_size > kMaxSyncKeySize || second.value_size == 0 || second.value_size > kMaxSyncValueSize) {
    return fail(ErrorCode::kUnsupported, "the second map " + second.map + " of a conversion is beyond what the sync engine serves: keys of 64 bytes, values of 4096");
  }
  if (second.key.empty() && second.key_size != spec.key_size) {
    return fail(ErrorCode::kUnsupported, "the keys of " + second.map + " have " + std::to_string(second.key_size) + " bytes, those of the map that is converted " +
                                             std::to_string(spec.key_size) + ": a function must say which belongs to which");
  }
  if (!second.key.empty() && !second.down.empty()) {
    return fail(ErrorCode::kUnsupported, "nothing goes back to " + second.map + ", whose values belong to several keys: there is a function that computes its keys");
  }
  if (second.lock >= 0 && (second.lock % 4 != 0 || second.value_size < 4 || static_cast<uint32_t>(second.lock) > second.value_size - 4)) {
    return fail(ErrorCode::kInternal, "the lock lies outside its value");
  }
  return {};
}

Status check_transform(const SyncSpec& spec) {
  if (!spec.transform) return {};
  if (is_percpu(spec.type0) != is_percpu(spec.type1)) {
    return fail(ErrorCode::kUnsupported, "values that add up over the CPUs cannot be converted by a function as well");
  }
  return spec.transform->second ? check_second(spec, *spec.transform->second) : Status{};
}

Status check_key(const SyncSpec& spec) {
  if (spec.key_size1 == 0) return {};
  if (is_array(spec.type0)) return fail(ErrorCode::kUnsupported, "the keys of an array have no layout that could change");
  if (spec.key_size1 > kMaxSyncKeySize || spec.key_fields.empty() || spec.key_fields.size() > MS_MAX_KEY_FIELDS) {
    return fail(ErrorCode::kUnsupported, "a key that changes is beyond what the sync engine serves: 64 bytes, 64 fields");
  }
  for (const SyncField& field : spec.key_fields) {
    if (!is_width(field.size0) || !is_width(field.size1) || field.offset0 + uint32_t{field.size0} > spec.key_size ||
        field.offset1 + uint32_t{field.size1} > spec.key_size1 || field.remap < -1 || field.remap >= static_cast<int32_t>(spec.remaps.size())) {
      return fail(ErrorCode::kInternal, "a field of the key lies outside of it");
    }
  }
  return {};
}

// Fields of arms come before their discriminator, and in its group.
Status check_arm(const SyncField& field, const SyncSpec& spec) {
  if (field.in_union == 0) return {};
  if (field.in_union > spec.unions.size()) return fail(ErrorCode::kInternal, "a field of the sync table names a union that does not exist");
  const SyncUnion& of = spec.unions[field.in_union - 1u];
  if (field.arm == kDiscriminator) {
    const bool is_it = field.op == SyncOp::kLatest && field.offset0 == of.offset0 && field.offset1 == of.offset1 && field.size0 == of.size0 && field.size1 == of.size1;
    return is_it ? Status{} : fail(ErrorCode::kInternal, "the discriminator of a union is another field");
  }
  const auto tag = std::find_if(spec.fields.begin(), spec.fields.end(), [&](const SyncField& other) {
    return other.arm == kDiscriminator && other.in_union != 0 && other.offset0 == of.offset0 && other.offset1 == of.offset1;
  });
  if (tag != spec.fields.end() && tag->group == field.group && &*tag > &field) return {};
  return fail(ErrorCode::kInternal, "a field of a union does not stand before its discriminator and in its group");
}

Status check_unions(const SyncSpec& spec) {
  size_t values = 0;
  for (const SyncUnion& one : spec.unions) {
    values += one.values.size();
    const bool inside = is_width(one.size0) && is_width(one.size1) && one.offset0 + uint32_t{one.size0} <= image_size0(spec) &&
                        one.offset1 + uint32_t{one.size1} <= spec.value_size1;
    const bool numbered = std::ranges::none_of(one.values, [](const SyncArm& arm) { return arm.arm == 0 || arm.arm == kDiscriminator; });
    if (!inside || !numbered) return fail(ErrorCode::kInternal, "the discriminator of a union lies outside its value");
  }
  if (spec.unions.size() <= kMaxSyncUnions && values <= kMaxSyncArms) return {};
  return fail(ErrorCode::kUnsupported, "a value is synchronised with at most 16 unions that have a discriminator, and 64 values of those");
}

Status check_field(const SyncField& field, const SyncSpec& spec) {
  MS_CHECK(check_arm(field, spec));
  if (field.op < SyncOp::kSum || field.op > SyncOp::kFirst || !is_width(field.size0) || !is_width(field.size1) ||
      field.offset0 + uint32_t{field.size0} > image_size0(spec) || field.offset1 + uint32_t{field.size1} > spec.value_size1) {
    return fail(ErrorCode::kInternal, "a field of the sync table lies outside its value");
  }
  if (field.remap < -1 || field.remap >= static_cast<int32_t>(spec.remaps.size()) || field.group >= 64) {
    return fail(ErrorCode::kInternal, "a field of the sync table names a group or a remap that does not exist");
  }
  const bool locked = spec.lock0 >= 0 && spec.lock1 >= 0;
  if (field.op == SyncOp::kSum && std::max(field.size0, field.size1) >= 4 && !atomic(field, spec) && !locked) {
    return fail(ErrorCode::kUnsupported, "the sum at offset " + std::to_string(field.offset0) + " of the old value and " +
                                             std::to_string(field.offset1) + " of the new one is misaligned, so nothing can be added to it " +
                                             "atomically: align it, or declare it \"latest\"");
  }
  return {};
}

// The kernel allows locks in these two types only, of those that are synced.
Status check_lock(int32_t lock, MapType type, uint32_t value_size, bool old_side, const SyncSpec& spec) {
  if (lock < 0) return {};
  if (is_percpu(spec.type0)) return fail(ErrorCode::kUnsupported, "per-CPU values cannot be synced with values that hold a bpf_spin_lock");
  if (type != MapType::kHash && type != MapType::kArray) {
    return fail(ErrorCode::kUnsupported, "a " + to_string(type) + " cannot hold values with a bpf_spin_lock");
  }
  const auto at = static_cast<uint32_t>(lock);
  if (at % 4 != 0 || value_size < 4 || at > value_size - 4) return fail(ErrorCode::kInternal, "the lock lies outside its value");
  for (const SyncField& field : spec.fields) {
    if (old_side && spec.transform) break;  // fields lie in the image
    const uint32_t begin = old_side ? field.offset0 : field.offset1, end = begin + (old_side ? field.size0 : field.size1);
    if (begin < at + 4 && at < end) return fail(ErrorCode::kInternal, "a field of the sync table lies in its value's lock");
  }
  return {};
}

}  // namespace

Status check_sync_spec(const SyncSpec& spec) {
  MS_CHECK(check_types(spec));
  MS_CHECK(check_key(spec));
  MS_CHECK(check_transform(spec));
  size_t remaps = 0;
  for (const SyncRemap& remap : spec.remaps) remaps += remap.values.size();
  if (spec.fields.size() > kMaxSyncFields || spec.defaults1.size() > kMaxSyncDefaults || remaps > kMaxSyncRemapValues ||
      spec.key_size > kMaxSyncKeySize || spec.key_size == 0 || std::max(spec.value_size0, spec.value_size1) > kMaxSyncValueSize ||
      std::min(spec.value_size0, spec.value_size1) == 0) {
    return fail(ErrorCode::kUnsupported, "the map is beyond what the sync engine serves: keys of 64 bytes, values of 4096, 1024 fields, " +
                                             std::string("64 defaults, 256 remapped enumerators"));
  }
  MS_CHECK(check_unions(spec));
  for (const SyncField& field : spec.fields) MS_CHECK(check_field(field, spec));
  MS_CHECK(check_lock(spec.lock0, spec.type0, spec.value_size0, true, spec));
  MS_CHECK(check_lock(spec.lock1, spec.type1, spec.value_size1, false, spec));
  for (const SyncDefault& field : spec.defaults1) {
    if (!is_width(field.size) || field.offset + uint32_t{field.size} > spec.value_size1) {
      return fail(ErrorCode::kInternal, "a default lies outside its value");
    }
  }
  return {};
}

namespace {

// The tables are const to the program only, and not yet loaded.
template <class T, class U>
void write(const volatile T& to, const U& from) {
  static_assert(sizeof to == sizeof from);
  std::memcpy(const_cast<void*>(reinterpret_cast<const volatile void*>(&to)), &from, sizeof from);
}

ms_field table_entry(const SyncField& field, const SyncSpec& spec) {
  ms_field out{};
  out.op = static_cast<__u8>(field.op);
  out.size0 = field.size0;
  out.size1 = field.size1;
  out.off0 = field.offset0;
  out.off1 = field.offset1;
  out.group = field.group;
  uint32_t flags = (field.signed0 ? MS_F_SIGNED0 : 0) | (field.signed1 ? MS_F_SIGNED1 : 0);
  if (field.wide || !atomic(field, spec)) flags |= field.op == SyncOp::kSum ? MS_F_PLAIN : MS_F_WIDE;
  if (field.zero) flags |= MS_F_ZERO;
  out.flags = static_cast<__u8>(flags);
  out.in_union = field.in_union;
  out.arm = field.arm;
  if (field.remap >= 0) {
    const auto at = static_cast<size_t>(field.remap);
    size_t begin = 0;
    for (size_t i = 0; i < at; ++i) begin += spec.remaps[i].values.size();
    out.remap = static_cast<__u16>(begin);
    out.remap_count = static_cast<__u16>(spec.remaps[at].values.size());
  }
  return out;
}

void fill_transform(sync_bpf& skeleton, const SyncTransform& transform) {
  auto* ro = skeleton.rodata;
  ro->transformed = true;
  ro->has_down = !transform.down.empty();
  ro->down_is_up = transform.down == transform.up;
  if (!transform.second) return;
  ro->has_with = true;
  ro->has_with_down = !transform.second->down.empty();
  ro->has_with_key = !transform.second->key.empty();
  ro->with_size = transform.second->value_size;
  ro->with_key_size = transform.second->key_size;
  if (transform.second->lock >= 0) ro->lock2 = static_cast<uint32_t>(transform.second->lock);
}

}  // namespace

namespace {

void fill_unions(sync_bpf::sync_bpf__rodata& ro, const SyncSpec& spec) {
  size_t arms = 0;
  for (size_t i = 0; i < spec.unions.size(); ++i) {
    const SyncUnion& one = spec.unions[i];
    const auto same = std::ranges::find_if(spec.unions, [&](const SyncUnion& other) { return other.offset0 == one.offset0 && other.offset1 == one.offset1; });
    write(ro.unions[i], ms_union{one.offset0, one.offset1, one.size0, one.size1, static_cast<__u8>(same - spec.unions.begin()), 0});
    for (const SyncArm& arm : one.values) write(ro.arms[arms++], ms_arm{arm.value0, arm.value1, static_cast<__u8>(i), arm.arm, {}});
  }
  ro.nr_unions = static_cast<uint32_t>(spec.unions.size());
  ro.nr_arms = static_cast<uint32_t>(arms);
}

}  // namespace

void fill_sync_tables(sync_bpf& skeleton, const SyncSpec& spec, uint32_t cpus, uint32_t hot_half) {
  auto* ro = skeleton.rodata;
  size_t remaps = 0;
  for (const SyncRemap& remap : spec.remaps) {
    for (const auto& [from, to] : remap.values) {
      write(ro->remap0[remaps], from);
      write(ro->remap1[remaps], to);
      ++remaps;
    }
  }
  for (size_t i = 0; i < spec.fields.size(); ++i) write(ro->fields[i], table_entry(spec.fields[i], spec));
  for (size_t i = 0; i < spec.defaults1.size(); ++i) {
    ms_default out{};
    out.off = spec.defaults1[i].offset;
    out.size = spec.defaults1[i].size;
    out.value = spec.defaults1[i].value;
    write(ro->defaults1[i], out);
  }
  for (size_t i = 0; i < spec.key_fields.size() && spec.key_size1 != 0; ++i) write(ro->key_fields[i], table_entry(spec.key_fields[i], spec));
  fill_unions(*ro, spec);
  ro->nr_key_fields = spec.key_size1 == 0 ? 0 : static_cast<uint32_t>(spec.key_fields.size());
  ro->key_size1 = spec.key_size1;
  ro->nr_fields = static_cast<uint32_t>(spec.fields.size());
  ro->nr_defaults = static_cast<uint32_t>(spec.defaults1.size());
  ro->key_size = spec.key_size;
  ro->size0 = image_size0(spec);
  ro->raw_size0 = spec.value_size0;
  if (spec.transform) fill_transform(skeleton, *spec.transform);
  ro->size1 = spec.value_size1;
  ro->percpu = is_percpu(spec.type0);
  ro->percpu1 = is_percpu(spec.type1);
  ro->arrays = is_array(spec.type0);
  ro->nr_cpus = ro->percpu ? cpus : 1;
  ro->lru0 = is_lru(spec.type0);
  ro->lru1 = is_lru(spec.type1);
  ro->keep_delta = spec.keep_delta;
  ro->has_remap = remaps != 0;
  ro->hot_half = hot_half;
  if (spec.lock0 >= 0) ro->lock0 = static_cast<uint32_t>(spec.lock0);
  if (spec.lock1 >= 0) ro->lock1 = static_cast<uint32_t>(spec.lock1);
  ro->staged = is_staged(spec);
}

Status fill_sync_defaults(const sync_bpf& skeleton, const SyncSpec& spec, uint32_t cpus) {
  if (spec.defaults1.empty()) return {};
  const size_t stride = round8(spec.value_size1);
  std::vector<std::byte> all(stride * cpus);
  for (uint32_t cpu = 0; cpu < cpus; ++cpu) {
    for (const SyncDefault& field : spec.defaults1) {
      std::memcpy(all.data() + cpu * stride + field.offset, &field.value, field.size);  // little endian
    }
  }
  const uint32_t zero = 0;
  if (bpf_map_update_elem(bpf_map__fd(skeleton.maps.fresh1), &zero, all.data(), BPF_ANY) != 0 ||
      (spec.transform && bpf_map_update_elem(bpf_map__fd(skeleton.maps.blank1), &zero, all.data(), BPF_ANY) != 0)) {
    return fail_errno(errno, "store the defaults");
  }
  return {};
}

}  // namespace mapshift
