// SPDX-License-Identifier: Apache-2.0
#include "kernel/change_log.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <set>
#include <vector>

#include "kernel/kernel.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

constexpr size_t kNameBytes = 256;
constexpr uint32_t kMaxIds = 4 * MS_CHANGE_SLOTS;
using Name = std::array<char, kNameBytes>;

struct Shape {
  const char* name;
  bpf_map_type type;
  uint32_t key_size, value_size, max_entries, flags;
};

// A pin that is there is taken up when it has this shape: another release's would be misread.
Result<Fd> open_or_make(const std::string& dir, const Shape& shape) {
  const std::string path = dir + "/" + shape.name;
  if (!pin_exists(path)) {
    LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = shape.flags);
    Fd fd(bpf_map_create(shape.type, shape.name, shape.key_size, shape.value_size, shape.max_entries, &options));
    if (!fd.valid()) return fail_errno(errno, std::string("make the map ") + shape.name);
    MS_CHECK(pin(fd.get(), path));
    return fd;
  }
  MS_TRY(Fd fd, open_pin(path));
  bpf_map_info info{};
  uint32_t length = sizeof info;
  if (bpf_map_get_info_by_fd(fd.get(), &info, &length) != 0) return fail_errno(errno, path + " is not a readable map");
  const bool sized = shape.type == BPF_MAP_TYPE_RINGBUF || info.max_entries == shape.max_entries;
  if (info.type == shape.type && info.key_size == shape.key_size && info.value_size == shape.value_size && sized) return fd;
  return fail(ErrorCode::kConflict, path + " was pinned by a release whose change records are laid out otherwise; unload all "
                                           "modules, remove " + dir + " and start the agent again");
}

// The ring has one reader on the host: a second one would take half of the records and see the other half as lost.
Result<Fd> lock_folder(const std::string& dir) {
  Fd fd(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(errno, "open " + dir);
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno != EWOULDBLOCK) return fail_errno(errno, "lock " + dir);
  return fail(ErrorCode::kConflict, "another agent follows changes through " + dir + "; stop that one, or give this one a bpffs of its own");
}

Status forget_ids(int ids) {
  uint32_t id = 0;
  for (uint32_t n = 0; n < kMaxIds && bpf_map_get_next_key(ids, nullptr, &id) == 0; ++n) {
    if (bpf_map_delete_elem(ids, &id) != 0 && errno != ENOENT) return fail_errno(errno, "forget a watched map");
  }
  return {};
}

Result<Name> name_key(const std::string& name) {
  if (name.size() >= kNameBytes) return fail(ErrorCode::kTooLarge, "the name " + name + " is too long to be watched");
  Name key{};
  std::memcpy(key.data(), name.data(), name.size());
  return key;
}

}  // namespace

Result<ChangeLog> ChangeLog::open(const std::string& pin_dir, uint64_t ring_bytes) {
  if (ring_bytes > (1u << 30) || ring_bytes < 4096 || (ring_bytes & (ring_bytes - 1)) != 0) {
    return fail(ErrorCode::kInvalid, "a ring of " + std::to_string(ring_bytes) + " bytes: use a power of two from 4096 to 1 GiB");
  }
  const auto ring_size = static_cast<uint32_t>(ring_bytes);
  MS_TRY(const Fd ring_fd, open_or_make(pin_dir, {MS_CHANGES_RING, BPF_MAP_TYPE_RINGBUF, 0, 0, ring_size, 0}));
  MS_TRY(Fd slots, open_or_make(pin_dir, {MS_CHANGES_SLOTS, BPF_MAP_TYPE_ARRAY, 4, sizeof(ms_change_slot), MS_CHANGE_SLOTS, BPF_F_MMAPABLE}));
  MS_TRY(Fd lost, open_or_make(pin_dir, {MS_CHANGES_LOST, BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(ms_change_lost), MS_CHANGE_SLOTS, 0}));
  MS_TRY(Fd ids, open_or_make(pin_dir, {"ms_change_ids", BPF_MAP_TYPE_HASH, 4, 4, kMaxIds, 0}));
  MS_TRY(Fd names, open_or_make(pin_dir, {"ms_change_names", BPF_MAP_TYPE_HASH, kNameBytes, 4, MS_CHANGE_SLOTS, BPF_F_NO_PREALLOC}));
  MS_TRY(Fd lock, lock_folder(pin_dir));
  MS_CHECK(forget_ids(ids.get()));
  MS_TRY(RingBuffer ring, RingBuffer::open(ring_fd.get(), MS_CHANGES_RING));
  void* memory = ::mmap(nullptr, sizeof(ms_change_slot) * MS_CHANGE_SLOTS, PROT_READ | PROT_WRITE, MAP_SHARED, slots.get(), 0);
  if (memory == MAP_FAILED) return fail_errno(errno, "map the slots of change records");
  return ChangeLog(pin_dir, std::move(ring), std::move(slots), std::move(lost), std::move(ids), std::move(names), std::move(lock),
                   static_cast<ms_change_slot*>(memory));
}

ChangeLog::ChangeLog(std::string dir, RingBuffer ring, Fd slots, Fd lost, Fd ids, Fd names, Fd lock, ms_change_slot* memory)
    : dir_(std::move(dir)), ring_(std::move(ring)), slots_fd_(std::move(slots)), lost_fd_(std::move(lost)), ids_fd_(std::move(ids)),
      names_fd_(std::move(names)), lock_(std::move(lock)), memory_(memory) {}

ChangeLog::ChangeLog(ChangeLog&& other) noexcept
    : dir_(std::move(other.dir_)), ring_(std::move(other.ring_)), slots_fd_(std::move(other.slots_fd_)),
      lost_fd_(std::move(other.lost_fd_)), ids_fd_(std::move(other.ids_fd_)), names_fd_(std::move(other.names_fd_)),
      lock_(std::move(other.lock_)), memory_(std::exchange(other.memory_, nullptr)) {}

ChangeLog::~ChangeLog() {
  if (memory_ != nullptr) ::munmap(memory_, sizeof(ms_change_slot) * MS_CHANGE_SLOTS);
}

Result<std::map<std::string, uint32_t>> ChangeLog::slots() const {
  std::map<std::string, uint32_t> out;
  Name key{}, next{};
  const Name* cursor = nullptr;
  for (uint32_t n = 0; n < MS_CHANGE_SLOTS; ++n, cursor = &key) {
    if (bpf_map_get_next_key(names_fd_.get(), cursor, next.data()) != 0) {
      if (errno == ENOENT) return out;
      return fail_errno(errno, "list the watched maps");
    }
    key = next;
    uint32_t slot = 0;
    if (bpf_map_lookup_elem(names_fd_.get(), key.data(), &slot) != 0 || slot == 0 || slot >= MS_CHANGE_SLOTS) continue;
    out[std::string(key.data(), strnlen(key.data(), kNameBytes))] = slot;
  }
  return out;
}

Result<uint32_t> ChangeLog::slot(const std::string& name, uint64_t first) {
  MS_TRY(const Name key, name_key(name));
  uint32_t slot = 0;
  if (bpf_map_lookup_elem(names_fd_.get(), key.data(), &slot) == 0 && slot != 0 && slot < MS_CHANGE_SLOTS) return slot;
  MS_TRY(const auto taken, slots());
  std::set<uint32_t> used;
  for (const auto& [other, number] : taken) used.insert(number);
  slot = 1;
  while (used.contains(slot)) ++slot;
  if (slot >= MS_CHANGE_SLOTS) {
    return fail(ErrorCode::kTooLarge, "more than " + std::to_string(MS_CHANGE_SLOTS - 1) + " maps cannot be watched; stop watching some");
  }
  set_flags(slot, 0);
  __atomic_store_n(&memory_[slot].seq, first, __ATOMIC_SEQ_CST);
  if (bpf_map_update_elem(names_fd_.get(), key.data(), &slot, BPF_ANY) != 0) return fail_errno(errno, "name the slot of " + name);
  return slot;
}

Status ChangeLog::free_slot(const std::string& name) {
  MS_TRY(const Name key, name_key(name));
  uint32_t slot = 0;
  if (bpf_map_lookup_elem(names_fd_.get(), key.data(), &slot) != 0) return {};
  if (slot != 0 && slot < MS_CHANGE_SLOTS) set_flags(slot, 0);
  if (bpf_map_delete_elem(names_fd_.get(), key.data()) != 0 && errno != ENOENT) return fail_errno(errno, "free the slot of " + name);
  return {};
}

Result<ms_change_lost> ChangeLog::lost(uint32_t slot) const {
  const int cpus = libbpf_num_possible_cpus();
  if (cpus <= 0) return fail_errno(cpus, "count the possible CPUs");
  std::vector<ms_change_lost> each(static_cast<size_t>(cpus));
  if (bpf_map_lookup_elem(lost_fd_.get(), &slot, each.data()) != 0) return fail_errno(errno, "read what change records were lost");
  ms_change_lost sum{};
  for (const auto& one : each) {
    sum.full += one.full;
    sum.unreadable += one.unreadable;
  }
  return sum;
}

Status ChangeLog::bind(uint32_t id, uint32_t slot) {
  if (bpf_map_update_elem(ids_fd_.get(), &id, &slot, BPF_ANY) == 0) return {};
  return fail_errno(errno, "watch map " + std::to_string(id));
}

Status ChangeLog::unbind(uint32_t id) {
  if (bpf_map_delete_elem(ids_fd_.get(), &id) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, "stop watching map " + std::to_string(id));
}

void ChangeLog::add_to(LoadRequest& request) const {
  for (const char* name : {MS_CHANGES_RING, MS_CHANGES_SLOTS, MS_CHANGES_LOST}) request.reuse[name] = dir_ + "/" + name;
  request.max_entries[MS_CHANGES_RING] = static_cast<uint32_t>(ring_.size());
  request.max_entries[MS_CHANGES_SLOTS] = request.max_entries[MS_CHANGES_LOST] = MS_CHANGE_SLOTS;
}

}  // namespace mapshift
