// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <algorithm>
#include <cerrno>

#include "kernel/attach/course.h"
#include "kernel/attach/hook.h"
#include "kernel/attach/sides.h"
#include "kernel/attach/stub.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

Error cannot_run(const Program& program, const std::string& why) {
  return Error{ErrorCode::kRefused, EINVAL, program.name() + " cannot run behind this hook's dispatcher: " + why, {}, {}};
}

// Program arrays compare targets since Linux 6.11. Before it they would let a program read another function's arguments as its own.
Status check_target(const std::string& dir, const Program& program) {
  MS_TRY(const Program stub, Program::open(dir + "/stub"));
  if (stub.target() == program.target()) return {};
  return fail(cannot_run(program, "it is for another function or tracepoint"));
}

Status fill_slot(int slots, uint32_t slot, const Program& program) {
  const int fd = program.fd();
  if (bpf_map_update_elem(slots, &slot, &fd, BPF_ANY) == 0) return {};
  if (errno == EINVAL) return fail(cannot_run(program, "its program type differs, or what it was compiled for"));
  return fail_errno(errno, "put " + program.name() + " into a dispatcher slot");
}

Status empty_slot(int slots, uint32_t slot, const std::string& dir) {
  if (bpf_map_delete_elem(slots, &slot) == 0 || errno == ENOENT) return {};
  return fail_errno(errno, "empty the idle slot of " + dir);
}

// User space reads program ids from a program array; 0 stands for an empty slot.
Result<uint32_t> program_in(int slots, uint32_t slot) {
  uint32_t id = 0;
  if (bpf_map_lookup_elem(slots, &slot, &id) == 0) return id;
  if (errno == ENOENT) return 0u;
  return fail_errno(errno, "read a dispatcher slot");
}

Result<uint32_t> read_word(int word) {
  const uint32_t zero = 0;
  uint32_t value = 0;
  if (bpf_map_lookup_elem(word, &zero, &value) != 0) return fail_errno(errno, "read a dispatcher's word");
  return value;
}

Result<std::vector<Fd>> open_links(const AttachType& type, const Hook& hook, int program_fd, const Program* behind) {
  if (type.open_links != nullptr && behind != nullptr) return type.open_links(hook, program_fd, *behind);
  if (type.open_link == nullptr) {
    return fail(ErrorCode::kUnsupported, "a hook of type " + std::string(type.name) + " cannot wait behind a dispatcher without a program");
  }
  MS_TRY(Fd link, type.open_link(hook, program_fd));
  std::vector<Fd> links;
  links.push_back(std::move(link));
  return links;
}

struct Parts {
  Fd slots, word;
  uint32_t value = 0;  // of the word
  uint32_t active = 0; // slot
  uint32_t running = 0;
};

Result<Parts> open_parts(const std::string& dir) {
  Parts parts;
  MS_TRY(parts.slots, open_pin(dir + "/slots"));
  MS_TRY(parts.word, open_pin(dir + "/word"));
  MS_TRY(parts.value, read_word(parts.word.get()));
  parts.active = parts.value & 1;
  if (pin_exists(course_pin(dir))) {  // hooks of earlier releases have none
    MS_TRY(const CourseWord course, CourseWord::open(course_pin(dir)));
    parts.active ^= course.load().odd ? 1 : 0;
  }
  MS_TRY(parts.running, program_in(parts.slots.get(), parts.active));
  return parts;
}

// A stub with the program in the slot that events will go to, and one that waits in the other. The kind of XDP program that takes several buffers says so
// nowhere but by being refused by the other kind's slots.
Result<Stub> load_filled(const AttachType& type, const Hook& hook, const Program* program, const Program* waiting = nullptr) {
  Fd course;
  uint32_t active = 0;
  if (!hook.together.empty()) {
    MS_TRY(course, open_course(hook.together));
    MS_TRY(const CourseWord word, CourseWord::open(course_pin(hook.together)));
    active = word.load().odd ? 1 : 0;
  }
  for (const bool frags : {false, true}) {
    MS_TRY(Stub stub, Stub::load(type, hook, course.get(), frags));
    Status filled = program == nullptr ? Status() : fill_slot(stub.slots(), active, *program);
    if (filled && waiting != nullptr) filled = fill_slot(stub.slots(), active ^ 1, *waiting);
    if (filled) return stub;
    if (filled.error().sys_errno != EINVAL || hook.type != "xdp" || frags) return fail(filled.error());
  }
  return fail(ErrorCode::kInternal, "a dispatcher of neither kind");
}

}  // namespace

Result<bool> DispatcherHook::stands() const {
  if (!pin_exists(dir + "/link") || !pin_exists(dir + "/stub")) return false;
  MS_TRY(const Link link, Link::open(dir + "/link"));
  MS_TRY(const uint32_t id, link.program_id());
  MS_TRY(const Program stub, Program::open(dir + "/stub"));
  return stub.id() == id;
}

Status DispatcherHook::attach(const Hook& hook, const Program* program, const Program* waiting) const {
  MS_TRY(const Stub stub, load_filled(type, hook, program, waiting));
  PinGuard pins;
  MS_CHECK(stub.pin(pins, dir));
  MS_TRY(const std::vector<Fd> links, open_links(type, hook, stub.program(), program != nullptr ? program : waiting));
  for (size_t i = links.size(); i-- > 0;) MS_CHECK(pins.pin(links[i].get(), dir + "/link" + (i == 0 ? "" : "_" + std::to_string(i))));
  pins.keep();
  return {};
}

Status DispatcherHook::take_over(const Hook& hook, const Program& program) const {
  MS_CHECK(remove_stub_pins(dir));  // of a take-over that died, or whose hand-back did
  MS_TRY(const Stub stub, load_filled(type, hook, &program));
  PinGuard pins;
  MS_CHECK(stub.pin(pins, dir));
  MS_TRY(const Link link, Link::open(dir + "/link"));
  MS_TRY(const Program pinned, Program::open(dir + "/stub"));
  MS_CHECK(link.replace(program, pinned));
  pins.keep();
  return {};
}

Status DispatcherHook::hand_back(const Program& program) const {
  MS_TRY(const Link link, Link::open(dir + "/link"));
  MS_TRY(const Program stub, Program::open(dir + "/stub"));
  MS_CHECK(link.replace(stub, program));
  return remove_stub_pins(dir);
}

Status DispatcherHook::fill_idle(const Program* program) const {
  MS_TRY(const Parts parts, open_parts(dir));
  const uint32_t idle = parts.active ^ 1;
  MS_CHECK(reset_side(dir, idle));
  if (program == nullptr) return empty_slot(parts.slots.get(), idle, dir);
  MS_CHECK(check_target(dir, *program));
  return fill_slot(parts.slots.get(), idle, *program);
}

Result<SwapReport> DispatcherHook::swap(const Program& from, const Program& to) const {
  MS_CHECK(open_pin(dir + "/link"));
  MS_TRY(const Parts parts, open_parts(dir));
  if (parts.running != from.id()) {
    return fail(ErrorCode::kConflict, dir + " runs " + describe_program(parts.running) + ", not " +
        describe_program(from.id()) + " of " + from.name() + ": somebody else changed it");
  }
  MS_CHECK(check_target(dir, to));
  if (type.before_swap != nullptr) MS_CHECK(type.before_swap(from, to));
  const uint32_t zero = 0, idle = parts.active ^ 1, flipped = parts.value ^ 1;
  MS_CHECK(fill_slot(parts.slots.get(), idle, to));
  SwapReport report{monotonic_now(), {}};
  const int err = bpf_map_update_elem(parts.word.get(), &zero, &flipped, BPF_ANY) == 0 ? 0 : errno;
  report.ended = monotonic_now();
  if (err == 0) return report;
  (void)bpf_map_delete_elem(parts.slots.get(), &idle);
  return fail_errno(err, "flip the word of " + dir);
}

Result<uint32_t> DispatcherHook::running() const {
  MS_CHECK(open_pin(dir + "/link"));
  MS_TRY(const Parts parts, open_parts(dir));
  return parts.running;
}

Result<uint32_t> DispatcherHook::idle() const {
  MS_TRY(const Parts parts, open_parts(dir));
  return program_in(parts.slots.get(), parts.active ^ 1);
}

Result<uint64_t> DispatcherHook::misses() const {
  MS_TRY(const Fd fd, open_pin(dir + "/misses"));
  const uint32_t zero = 0;
  uint64_t misses = 0;
  if (bpf_map_lookup_elem(fd.get(), &zero, &misses) != 0) return fail_errno(errno, "read the misses of " + dir);
  return misses;
}

Result<SideStats> DispatcherHook::side(uint32_t program_id) const {
  MS_TRY(const Parts parts, open_parts(dir));
  for (const uint32_t slot : {0u, 1u}) {
    MS_TRY(const uint32_t id, program_in(parts.slots.get(), slot));
    if (id == program_id) return read_side(dir, slot);
  }
  return SideStats{};
}

Result<std::vector<std::string>> clear_idle_slots(const std::string& hooks_dir, const std::vector<uint32_t>& program_ids) {
  std::vector<std::string> empty;
  MS_TRY(const auto hooks, list_pins(hooks_dir));
  for (const auto& hook : hooks) {
    const std::string dir = hooks_dir + "/" + hook;
    if (!pin_exists(dir + "/slots") || !pin_exists(dir + "/word")) continue;
    MS_TRY(const Parts parts, open_parts(dir));
    const uint32_t idle = parts.active ^ 1;
    MS_TRY(const uint32_t id, program_in(parts.slots.get(), idle));
    if (id == 0 || std::find(program_ids.begin(), program_ids.end(), id) == program_ids.end()) continue;
    MS_CHECK(empty_slot(parts.slots.get(), idle, dir));
    if (parts.running == 0) empty.push_back(dir);
  }
  return empty;
}

}  // namespace mapshift
