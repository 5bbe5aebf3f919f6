// SPDX-License-Identifier: Apache-2.0
#include "kernel/sync_load.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "kernel/libbpf_log.h"
#include "kernel/sync.h"
#include "kernel/sync_link.h"
#include "kernel/sync_tables.h"
#include "mapshift/sync.h"
#include "sync.skel.h"

namespace mapshift {

void SyncSkeletonDeleter::operator()(sync_bpf* skeleton) const { sync_bpf::destroy(skeleton); }

// bpf_for_each_map_elem does not let other tasks run where the kernel does not preempt itself: a third of a second for a
// million keys. An iterator does, at 1.4 to 1.7 times the CPU time of an unchanged pass (6.18), so it must be asked for.
// Per-CPU values come to it concatenated; an array needs no hash for its base.
bool in_slices(const SyncSpec& spec) { return spec.in_slices && !is_array(spec.type0) && !is_percpu(spec.type0); }

namespace {

constexpr uint32_t kMinHot = 1024;
constexpr uint32_t kMaxHot = 65536;
constexpr size_t kLogBytes = 1u << 20;  // of each program that an author's function is part of; touched only where one is refused

// The copies that staged values are worked on in; as small as they come where none are.
int size_copies(sync_bpf& skeleton, const SyncSpec& spec) {
  if (!is_staged(spec)) return 0;
  int err = 0;
  for (bpf_map* map : {skeleton.maps.was0, skeleton.maps.now0, skeleton.maps.after0}) err = err != 0 ? err : bpf_map__set_value_size(map, image_size0(spec));
  for (bpf_map* map : {skeleton.maps.raw0, skeleton.maps.given0, skeleton.maps.wanted0, skeleton.maps.arrived0, skeleton.maps.blank0}) {
    err = err != 0 ? err : bpf_map__set_value_size(map, spec.value_size0);
  }
  for (bpf_map* map : {skeleton.maps.was1, skeleton.maps.now1, skeleton.maps.after1, skeleton.maps.blank1}) err = err != 0 ? err : bpf_map__set_value_size(map, spec.value_size1);
  return err != 0 ? err : bpf_map__set_value_size(skeleton.maps.base_copy, slot_size(spec));
}

// Of the second map that a conversion looks at.
int size_second(sync_bpf& skeleton, const SyncSpec& spec) {
  if (!spec.transform || !spec.transform->second) return 0;
  const SyncSecond& second = *spec.transform->second;
  int err = bpf_map__set_value_size(skeleton.maps.with_of, spec.key_size);
  for (bpf_map* map : {skeleton.maps.with_raw, skeleton.maps.with_given, skeleton.maps.with_wanted, skeleton.maps.with_blank}) err = err != 0 ? err : bpf_map__set_value_size(map, second.value_size);
  for (bpf_map* map : {skeleton.maps.with_key, skeleton.maps.with_key_was}) err = err != 0 ? err : bpf_map__set_value_size(map, second.key_size);
  return err;
}

Status size_maps(sync_bpf& skeleton, const SyncSpec& spec, uint32_t cpus, uint32_t hot_half) {
  int err = bpf_map__set_value_size(skeleton.maps.fresh0, image_size0(spec));
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.fresh1, spec.value_size1);
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.empty_base, base_value_size(spec, cpus));
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.hot_keys, spec.key_size);
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.walk_key, spec.key_size);
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.walk0, image_size0(spec));
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.walk1, spec.value_size1);
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.written_key, spec.key_size);
  err = err != 0 ? err : bpf_map__set_value_size(skeleton.maps.written, 8 + round8(spec.key_size));
  err = err != 0 ? err : bpf_map__set_max_entries(skeleton.maps.hot_keys, 3 * hot_half);
  for (bpf_map* map : {skeleton.maps.key0, skeleton.maps.back0}) err = err != 0 ? err : bpf_map__set_value_size(map, spec.key_size);
  for (bpf_map* map : {skeleton.maps.key1, skeleton.maps.back1, skeleton.maps.walked1}) err = err != 0 ? err : bpf_map__set_value_size(map, key_size1(spec));
  err = err != 0 ? err : size_copies(skeleton, spec);
  err = err != 0 ? err : size_second(skeleton, spec);
  if (err != 0) return fail_errno(err, "size the sync engine's maps");
  return {};
}

// Opens a file that was linked in place of the one in the skeleton, whose names lead to the renamed ones.
Result<SyncSkeleton> open_linked(const std::vector<std::byte>& file, std::vector<std::string>& names) {
  SyncSkeleton skeleton(static_cast<sync_bpf*>(std::calloc(1, sizeof(sync_bpf))));
  if (skeleton == nullptr || sync_bpf__create_skeleton(skeleton.get()) != 0) return fail_errno(ENOMEM, "open the sync program");
  bpf_object_skeleton& parts = *skeleton->skeleton;
  parts.data = file.data();
  parts.data_sz = file.size();
  names.reserve(static_cast<size_t>(parts.map_cnt + parts.prog_cnt));  // so that none moves
  for (int i = 0; i < parts.map_cnt; ++i) {
    if (std::string(parts.maps[i].name).find('.') == std::string::npos) parts.maps[i].name = names.emplace_back(std::string(kEnginePrefix) + parts.maps[i].name).c_str();
  }
  for (int i = 0; i < parts.prog_cnt; ++i) parts.progs[i].name = names.emplace_back(std::string(kEnginePrefix) + parts.progs[i].name).c_str();
  const LibbpfLog log;
  if (const int err = bpf_object__open_skeleton(&parts, nullptr); err != 0) {
    auto failed = fail_errno(err, "open the sync program with the functions that convert values");
    failed.value().context = log.text();
    return failed;
  }
  load_engine_only(*skeleton->obj);
  return skeleton;
}

// Which of the engine's functions each of the author's takes the place of. One that is its own inverse is linked once.
std::map<std::string, std::string> bound_functions(const SyncTransform& transform) {
  const std::string with = transform.second ? "_with" : "";
  std::map<std::string, std::string> bound = {{"ms_up" + with, transform.up}};
  if (!transform.down.empty() && transform.down != transform.up) bound["ms_down" + with] = transform.down;
  if (transform.second && !transform.second->key.empty()) bound["ms_with_key"] = transform.second->key;
  if (transform.second && !transform.second->down.empty()) bound["ms_with_down"] = transform.second->down;
  return bound;
}

// The engine's object alone, or with the functions that convert values linked to it.
Result<SyncSkeleton> open_engine(const SyncSpec& spec, std::vector<std::string>& names) {
  if (!spec.transform) {
    SyncSkeleton skeleton(sync_bpf::open());
    if (skeleton == nullptr) return fail_errno(errno, "open the sync program");
    return skeleton;
  }
  size_t size = 0;
  const auto* engine = static_cast<const std::byte*>(sync_bpf::elf_bytes(&size));
  MS_TRY(const std::vector<std::byte> linked, link_with_engine({engine, size}, spec.transform->object_path, bound_functions(*spec.transform)));
  return open_linked(linked, names);
}

// Programs that may sleep, as those of SEC("syscall") are, take no lock before Linux 6.6: there they are run as traffic
// classifiers, with soft interrupts off.
void let_none_sleep(sync_bpf& skeleton) {
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(skeleton.obj, program)) != nullptr) {
    if (bpf_program__type(program) != BPF_PROG_TYPE_SYSCALL) continue;
    bpf_program__set_type(program, BPF_PROG_TYPE_SCHED_CLS);
    bpf_program__set_flags(program, bpf_program__flags(program) & ~uint32_t{BPF_F_SLEEPABLE});
  }
}

// 0, or an errno with what the verifier says last.
int load_and_listen(sync_bpf& skeleton, std::string& words) {
  std::vector<std::unique_ptr<char[]>> logs;
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(skeleton.obj, program)) != nullptr) {
    logs.emplace_back(new char[kLogBytes])[0] = '\0';  // not make_unique, which would touch every page
    bpf_program__set_log_buf(program, logs.back().get(), kLogBytes);
  }
  const LibbpfLog log;
  const int err = sync_bpf::load(&skeleton);
  program = nullptr;
  while ((program = bpf_object__next_program(skeleton.obj, program)) != nullptr) bpf_program__set_log_buf(program, nullptr, 0);
  words = log.text();
  for (const auto& text : logs)
    if (text[0] != '\0') words = last_lines(text.get());
  return -err;
}

Status load_engine(sync_bpf& skeleton, const std::optional<SyncTransform>& transform) {
  std::string words;
  const int err = load_and_listen(skeleton, words);
  if (err == 0) return {};
  std::string message = "load the sync program: " + std::string(std::strerror(err));
  if (transform) {  // what is not ours may be refused
    std::string functions;
    for (const auto& [hook, name] : bound_functions(*transform)) functions += (functions.empty() ? "" : ", ") + name;
    message = "the kernel refuses the functions of " + transform->object_path + " that convert values (" + functions + "): see what the verifier says of them";
  }
  return fail(Error{transform ? ErrorCode::kInvalid : ErrorCode::kKernel, err, std::move(message), std::move(words), {}});
}

Status hand_over(sync_bpf& skeleton, const SyncMaps& maps) {
  int err = bpf_map__reuse_fd(skeleton.maps.side0, maps.side0);
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.side1, maps.side1);
  err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.base, maps.base);
  if (maps.second >= 0) err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.with, maps.second);
  if (maps.queue >= 0) err = err != 0 ? err : bpf_map__reuse_fd(skeleton.maps.written, maps.queue);
  skeleton.rodata->following = maps.queue >= 0;
  skeleton.rodata->written_shift = maps.queue_shift;
  if (err != 0) return fail_errno(err, "hand the maps to the sync program");
  return {};
}

}  // namespace

Result<SyncSkeleton> load_sync_program(const SyncSpec& spec, uint32_t cpus, const SyncMaps& maps, bool may_sleep) {
  std::vector<std::string> names;
  MS_TRY(SyncSkeleton skeleton, open_engine(spec, names));
  const uint32_t hot_half = std::clamp(std::max(spec.max_entries0, spec.max_entries1) / 8, kMinHot, kMaxHot);
  fill_sync_tables(*skeleton, spec, cpus, hot_half);
  MS_CHECK(size_maps(*skeleton, spec, cpus, hot_half));
  MS_CHECK(hand_over(*skeleton, maps));
  for (bpf_program* program : {skeleton->progs.slice_side0, skeleton->progs.slice_side1, skeleton->progs.slice_base})
    bpf_program__set_autoload(program, in_slices(spec));
  skeleton->rodata->sliced = in_slices(spec);
  if (!may_sleep) let_none_sleep(*skeleton);
  MS_CHECK(load_engine(*skeleton, spec.transform));
  MS_CHECK(fill_sync_defaults(*skeleton, spec, cpus));
  return skeleton;
}

}  // namespace mapshift
