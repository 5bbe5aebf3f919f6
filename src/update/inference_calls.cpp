// SPDX-License-Identifier: Apache-2.0
// Calls: helpers that touch maps or write memory, subprograms, callbacks.
#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <iterator>

#include "update/inference_walk.h"

namespace mapshift::update::inference {
namespace {

// Helpers that write to memory given by an argument; `size` 0: as much as they like. Numbers of uapi's enum bpf_func_id.
struct Writer {
  int32_t helper;
  uint8_t target, size;
};
constexpr Writer kWriters[] = {
    {BPF_FUNC_probe_read, 1, 2}, {BPF_FUNC_probe_read_str, 1, 2}, {BPF_FUNC_probe_read_user, 1, 2},
    {BPF_FUNC_probe_read_kernel, 1, 2}, {BPF_FUNC_probe_read_user_str, 1, 2}, {BPF_FUNC_probe_read_kernel_str, 1, 2},
    {BPF_FUNC_get_current_comm, 1, 2}, {BPF_FUNC_skb_load_bytes, 3, 4}, {BPF_FUNC_skb_load_bytes_relative, 3, 4},
    {BPF_FUNC_xdp_load_bytes, 3, 4}, {BPF_FUNC_fib_lookup, 2, 3}, {BPF_FUNC_get_stack, 2, 3},
    {BPF_FUNC_get_task_stack, 2, 3}, {BPF_FUNC_perf_event_read_value, 3, 4}, {BPF_FUNC_perf_prog_read_value, 2, 3},
    {BPF_FUNC_sysctl_get_name, 2, 3}, {BPF_FUNC_sysctl_get_current_value, 2, 3}, {BPF_FUNC_sysctl_get_new_value, 2, 3},
    {BPF_FUNC_strtol, 4, 0}, {BPF_FUNC_strtoul, 4, 0}, {BPF_FUNC_getsockopt, 4, 5}, {BPF_FUNC_skb_get_tunnel_key, 2, 3},
    {BPF_FUNC_skb_get_tunnel_opt, 2, 3}, {BPF_FUNC_skb_get_xfrm_state, 3, 4}, {BPF_FUNC_map_pop_elem, 2, 0},
    {BPF_FUNC_map_peek_elem, 2, 0}, {BPF_FUNC_get_ns_current_pid_tgid, 3, 4}, {BPF_FUNC_d_path, 2, 3},
    {BPF_FUNC_copy_from_user, 1, 2}, {BPF_FUNC_copy_from_user_task, 1, 2}, {BPF_FUNC_snprintf, 1, 2},
    {BPF_FUNC_snprintf_btf, 1, 2}, {BPF_FUNC_read_branch_records, 2, 3}, {BPF_FUNC_dynptr_read, 1, 2},
    {BPF_FUNC_dynptr_from_mem, 1, 2}, {BPF_FUNC_dynptr_from_mem, 4, 0}, {BPF_FUNC_ima_inode_hash, 2, 3},
    {BPF_FUNC_ima_file_hash, 2, 3}, {BPF_FUNC_check_mtu, 3, 0}, {BPF_FUNC_load_hdr_opt, 2, 3},
    {BPF_FUNC_kallsyms_lookup_name, 4, 0}, {BPF_FUNC_get_func_arg, 3, 0}, {BPF_FUNC_get_func_ret, 2, 0},
    {BPF_FUNC_ringbuf_reserve_dynptr, 4, 0},
};
constexpr int32_t kLastKnownHelper = BPF_FUNC_user_ringbuf_drain + 2;  // user_ringbuf_drain, cgrp_storage_get, _delete

// Helpers that put something into a map, other than map_update_elem.
bool is_producer(int32_t helper) {
  constexpr int32_t kProducers[] = {BPF_FUNC_map_push_elem, BPF_FUNC_perf_event_output, BPF_FUNC_skb_output, BPF_FUNC_xdp_output,
                                    BPF_FUNC_ringbuf_output, BPF_FUNC_ringbuf_reserve, BPF_FUNC_ringbuf_reserve_dynptr,
                                    BPF_FUNC_sock_map_update, BPF_FUNC_sock_hash_update, BPF_FUNC_get_stackid};
  return std::find(std::begin(kProducers), std::end(kProducers), helper) != std::end(kProducers);
}

// Fills its target to the last byte, with zeros where it fails; a string leaves what follows its end.
bool fills(int32_t helper) {
  constexpr int32_t kFillers[] = {BPF_FUNC_probe_read, BPF_FUNC_probe_read_user, BPF_FUNC_probe_read_kernel, BPF_FUNC_get_current_comm,
                                  BPF_FUNC_skb_load_bytes, BPF_FUNC_skb_load_bytes_relative};
  return std::find(std::begin(kFillers), std::end(kFillers), helper) != std::end(kFillers);
}

bool takes_elements(int32_t helper) {  // a map, then its key or value
  return helper == BPF_FUNC_map_update_elem || helper == BPF_FUNC_map_delete_elem || helper == BPF_FUNC_map_push_elem;
}

constexpr int32_t kCgrpStorageGet = 210, kCgrpStorageDelete = 211;  // newer than some uapi headers

bool is_storage_get(int32_t helper) {
  return helper == BPF_FUNC_sk_storage_get || helper == BPF_FUNC_inode_storage_get || helper == BPF_FUNC_task_storage_get ||
         helper == kCgrpStorageGet;
}

bool is_delete(int32_t helper) {
  return helper == BPF_FUNC_map_delete_elem || helper == BPF_FUNC_map_pop_elem || helper == BPF_FUNC_sk_storage_delete ||
         helper == BPF_FUNC_inode_storage_delete || helper == BPF_FUNC_task_storage_delete || helper == kCgrpStorageDelete;
}

Value element_of(const Value& map, uint32_t id) {
  Value out = unknown(id);
  out.kind = Kind::kMapValue;
  out.maps = map.maps;
  out.place.base = out.element = out.holder = id;
  return out;
}

// The number of a lookup is used again when a loop comes back to it: what was loaded from the last element stays behind.
void forget_element(State& state, uint32_t base) {
  state.each_value([&](Value& value) {
    if (value.place.base == base) value.place.base = 0;
    if (value.element == base) value.element = 0;
    if (value.holder == base) value.holder = 0;
    if (value.second.base == base) value.second = {};
    if (value.bound_place.base == base) value.bound = Bound::kNone;
  });
  std::erase_if(state.limits, [&](const Limit& limit) { return limit.place.base == base; });
  std::erase_if(state.written, [&](const Written& range) { return range.element == base; });
  if (state.locked == base) state.locked = 0;
}

bool same_key(const Value& a, const Value& b) {
  const bool exact = !a.variable && !b.variable && !a.also_other && !b.also_other;
  if (!exact || a.kind != b.kind || a.place.offset != b.place.offset) return false;
  return (a.kind == Kind::kStack && a.frame == b.frame) || (a.kind == Kind::kMapValue && a.place.base == b.place.base);
}

}  // namespace

void Walk::call(const Here& here, State& state) {
  if (!spend(state.cost())) return;
  const Insn& insn = here.insn();
  const auto found = here.function->relocs.find(here.pc);
  const Reloc* reloc = found == here.function->relocs.end() ? nullptr : found->second;
  if (insn.src == BPF_PSEUDO_CALL && reloc != nullptr && reloc->kind == Reloc::Kind::kCall) {
    return call_function(here, state, reloc->symbol);
  }
  const bool by_register = (insn.code & kSourceRegister) != 0;
  if (insn.src == 0 && !by_register && reloc == nullptr) {
    call_helper(here, state, insn.imm);
  } else {  // a kernel function, or one of an object that this one is linked with later: it may write whatever it is given
    for (uint32_t i = 1; i <= 5; ++i) {
      read_memory(state, state.reg(i), unknown(0));
      write_memory(here, state, Value(state.reg(i)), unknown(0));
      if (state.reg(i).kind != Kind::kMap) continue;
      each_access(state.reg(i), [](MapAccess& access) {
        access.looks_up = access.updates = access.replaces = access.deletes = access.reads_earlier = true;
      });
    }
    state.reg(0) = unknown(here.id());
  }
  for (uint32_t i = 1; i <= 5; ++i) state.reg(i) = unknown(0);
}

void Walk::call_helper(const Here& here, State& state, int32_t helper) {
  std::array<Value, 5> arguments;
  for (uint32_t i = 0; i < 5; ++i) arguments[i] = state.reg(i + 1);
  const Value result = unknown(here.id());
  if (helper == BPF_FUNC_spin_lock || helper == BPF_FUNC_spin_unlock) {
    const Value& lock = arguments[0];
    const bool known = helper == BPF_FUNC_spin_lock && lock.kind == Kind::kMapValue && !lock.also_other;
    state.locked = known ? lock.holder : 0;
    state.reg(0) = result;
    return;
  }
  if (helper == BPF_FUNC_map_lookup_elem || helper == BPF_FUNC_map_lookup_percpu_elem || is_storage_get(helper)) {
    return look_up(here, state, helper == BPF_FUNC_map_lookup_elem);
  }
  read_arguments(state, helper, arguments);
  if (helper == BPF_FUNC_map_update_elem) return update(here, state);
  for (const auto& writer : kWriters) {
    if (writer.helper != helper) continue;
    write_memory(here, state, arguments[writer.target - 1U], writer.size == 0 ? unknown(0) : arguments[writer.size - 1U],
                 fills(helper));
  }
  if (helper > kLastKnownHelper || helper < 0) {
    for (const auto& argument : arguments) write_memory(here, state, argument, unknown(0));
  }
  for (const auto& argument : arguments) {
    if (argument.kind != Kind::kMap) continue;
    each_access(argument, [&](MapAccess& access) {
      if (is_delete(helper)) access.deletes = true;
      else if (is_producer(helper)) access.updates = access.replaces = true;
      else access.looks_up = true;
    });
  }
  if (helper == BPF_FUNC_map_delete_elem) note_key(here, state, arguments[0].maps, arguments[1]);
  if (helper == BPF_FUNC_get_local_storage && arguments[0].kind == Kind::kMap) {
    state.reg(0) = element_of(arguments[0], here.id());
    return;
  }
  call_back(here, state, helper, arguments);
  state.reg(0) = result;
}

// What a helper may read through its arguments. By the kernel's convention a size follows the pointer that it belongs to.
void Walk::read_arguments(const State& state, int32_t helper, const std::array<Value, 5>& arguments) {
  for (size_t i = 0; i < arguments.size(); ++i) {
    const bool target = std::any_of(std::begin(kWriters), std::end(kWriters), [&](const Writer& writer) {
      return writer.helper == helper && writer.target == i + 1;
    });
    if (arguments[i].kind != Kind::kMapValue || target) continue;
    Value size = i + 1 < arguments.size() ? arguments[i + 1] : unknown(0);
    const bool of_map = i > 0 && takes_elements(helper) && arguments[0].kind == Kind::kMap && !sets_.members(arguments[0].maps).empty();
    if (of_map) {  // a key, then a value
      const MapSpec& first = spec(sets_.members(arguments[0].maps).front());
      size = constant(i == 1 && first.key_size != 0 ? first.key_size : first.value_size, 0);
    }
    read_memory(state, arguments[i], size);
  }
}

void Walk::call_back(const Here& here, State& state, int32_t helper, const std::array<Value, 5>& arguments) {
  if (helper == BPF_FUNC_for_each_map_elem) {
    Value element = arguments[0].kind == Kind::kMap ? element_of(arguments[0], here.id(2)) : unknown(0);
    forget_element(state, here.id(2));
    call_repeatedly(here, state, arguments[1], {arguments[0], unknown(0), element, arguments[2], unknown(0)});
  } else if (helper == BPF_FUNC_loop) {
    note_address(here, arguments[0]);
    call_repeatedly(here, state, arguments[1], {unknown(here.id(3)), arguments[2], unknown(0), unknown(0), unknown(0)});
  } else if (helper == BPF_FUNC_timer_set_callback && arguments[0].kind == Kind::kMapValue) {
    Value map = arguments[0];
    map.kind = Kind::kMap;
    State later = state;  // another run, long after this one
    later.written.clear();
    call_repeatedly(here, later, arguments[1], {map, unknown(0), element_of(map, here.id(2)), unknown(0), unknown(0)});
  } else if (helper == BPF_FUNC_find_vma) {
    call_repeatedly(here, state, arguments[2], {unknown(0), unknown(0), arguments[3], unknown(0), unknown(0)});
  } else if (helper == BPF_FUNC_user_ringbuf_drain) {
    call_repeatedly(here, state, arguments[1], {unknown(0), arguments[2], unknown(0), unknown(0), unknown(0)});
  }
}

void Walk::look_up(const Here& here, State& state, bool own_cpu) {
  const Value map = state.reg(1), key = state.reg(2);
  const uint32_t id = here.id();
  state.reg(0) = unknown(id);
  if (map.kind != Kind::kMap) {
    return give_up(fmt::format("the map that instruction {} of {} looks into is not known", here.pc, here.function->spec->name));
  }
  each_access(map, [](MapAccess& access) { access.looks_up = true; });
  note_key(here, state, map.maps, key);
  const auto& maps = sets_.members(map.maps);
  std::optional<uint32_t> inner;
  for (const uint32_t number : maps) {
    const MapType type = spec(number).type;
    if (type != MapType::kArrayOfMaps && type != MapType::kHashOfMaps) continue;
    const auto inside = index_.maps[number].inner;
    if (!inside) return give_up(fmt::format("what is done to the maps inside of {} is not followed", index_.maps[number].name));
    inner = inner ? sets_.join(*inner, sets_.of(*inside)) : sets_.of(*inside);
  }
  if (inner) {
    state.reg(0).kind = Kind::kMap;
    state.reg(0).maps = *inner;
    state.reg(0).maybe_null = true;
    return;
  }
  Value element = element_of(map, id);
  const bool single = own_cpu && maps.size() == 1 && is_array(spec(maps.front()).type) && spec(maps.front()).max_entries == 1 &&
                      maps.front() < index_.object.maps.size();
  if (single) element.place.base = element.element = element.holder = only_element(maps.front());
  else forget_element(state, id);
  keys_[element.element] = key;
  state.reg(0) = element;
  state.reg(0).maybe_null = true;
}

// Bytes of the key that came from a map's value: an identifier or a cursor, not a count.
void Walk::note_key(const Here& here, State& state, uint32_t maps, const Value& key) {
  for (const uint32_t map : sets_.members(maps)) {
    const uint32_t size = spec(map).key_size;
    if (key.kind == Kind::kMapValue && size != 0 && size <= UINT16_MAX) {
      note(here, key.maps, key.place.offset, size, key.variable, {AccessKind::kFeedsAddress});
    }
    if (key.kind != Kind::kStack || key.variable || key.frame >= state.frames.size()) continue;
    for (const auto& cell : state.frames[key.frame].cells) {
      if (cell.offset >= key.place.offset && cell.offset < key.place.offset + size) note_address(here, cell.value);
    }
  }
}

bool Walk::is_insert(const State& state, uint32_t maps, const Value& flags) const {
  if (flags.kind != Kind::kConst) return false;
  if (flags.number == BPF_NOEXIST) return true;
  const auto& members = sets_.members(maps);
  return flags.number == BPF_ANY && std::includes(state.absent.begin(), state.absent.end(), members.begin(), members.end());
}

void Walk::update(const Here& here, State& state) {
  const Value map = state.reg(1), key = state.reg(2), value = state.reg(3), flags = state.reg(4);
  state.reg(0) = unknown(here.id());
  if (map.kind != Kind::kMap) {
    return give_up(fmt::format("the map that instruction {} of {} updates is not known", here.pc, here.function->spec->name));
  }
  note_key(here, state, map.maps, key);
  const bool insert = is_insert(state, map.maps, flags);
  each_access(map, [&](MapAccess& access) {
    access.updates = true;
    if (insert) access.inserts = true;
    else access.replaces = true;
  });
  const bool on_stack = value.kind == Kind::kStack && !value.variable && !value.also_other && value.frame < state.frames.size();
  if (on_stack) {
    update_from_stack(here, state, map, value, insert);
  } else {
    for (const uint32_t number : sets_.members(map.maps)) {
      note(here, sets_.of(number), 0, spec(number).value_size, false,
           {insert ? AccessKind::kInsertOnly : AccessKind::kStore});
    }
  }
  const auto& members = sets_.members(map.maps);
  std::erase_if(state.absent, [&](uint32_t absent) { return std::binary_search(members.begin(), members.end(), absent); });
}

// A whole value from the stack, judged piece by piece: what was loaded from the same entry, changed and put back is a
// change of that field and not a store of all.
void Walk::update_from_stack(const Here& here, State& state, const Value& map, const Value& value, bool insert) {
  const Value& key = state.reg(2);
  const auto& cells = state.frames[value.frame].cells;
  for (const uint32_t number : sets_.members(map.maps)) {
    const uint32_t whole = spec(number).value_size;
    const Change otherwise{insert ? AccessKind::kInsertOnly : AccessKind::kStore};
    const uint32_t self = sets_.of(number);
    int64_t done = 0;
    for (const auto& cell : cells) {
      const int64_t at = cell.offset - value.place.offset;
      if (at < 0 || at + cell.size > whole) continue;
      if (at > done) note(here, self, done, static_cast<uint32_t>(at - done), false, otherwise);
      done = at + cell.size;
      std::optional<Change> change = otherwise;
      if (!insert) {
        const auto found = keys_.find(cell.value.place.base);
        const auto bound = keys_.find(cell.value.bound_place.base);
        const bool loaded =
            cell.value.kind == Kind::kLoaded && cell.value.maps == self && found != keys_.end() && same_key(found->second, key);
        const bool bounded = bound != keys_.end() && same_key(bound->second, key);
        if (loaded || bounded) {
          change = change_of(state, {loaded ? cell.value.place.base : cell.value.bound_place.base, at, cell.size}, cell.value);
        }
      }
      if (change) note(here, self, at, cell.size, false, *change);
    }
    if (done < whole) note(here, self, done, whole - static_cast<uint32_t>(done), false, otherwise);
  }
}

}  // namespace mapshift::update::inference
