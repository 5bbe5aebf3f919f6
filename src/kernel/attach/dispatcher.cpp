// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cerrno>
#include <memory>

#include "dispatcher.skel.h"
#include "kernel/attach/hook.h"
#include "kernel/libbpf_log.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

using Stub = std::unique_ptr<dispatcher_bpf, void (*)(dispatcher_bpf*)>;

Result<Stub> load_stub(const AttachType& type, const Hook& hook) {
  const LibbpfLog log;
  Stub stub(dispatcher_bpf__open(), dispatcher_bpf__destroy);
  if (!stub) return fail_errno(errno, "open the dispatcher");
  MS_TRY(const uint32_t expected, type.expected_attach_type(hook));
  bpf_program__set_type(stub->progs.dispatch, static_cast<bpf_prog_type>(type.program_type));
  bpf_program__set_expected_attach_type(stub->progs.dispatch, static_cast<bpf_attach_type>(expected));
  if (type.aim != nullptr) MS_CHECK(type.aim(hook, stub->progs.dispatch));
  if (const int err = dispatcher_bpf__load(stub.get()); err != 0) {
    auto error = fail_errno(err, "load the dispatcher");
    error.value().context = log.text();
    return error;
  }
  return stub;
}

Status fill_slot(int slots, uint32_t slot, const Program& program) {
  const int fd = program.fd();
  if (bpf_map_update_elem(slots, &slot, &fd, BPF_ANY) == 0) return {};
  if (errno == EINVAL) {
    return fail(Error{ErrorCode::kRefused, EINVAL, program.name() +
        " cannot run behind this hook's dispatcher: its program type differs", {}, {}});
  }
  return fail_errno(errno, "put " + program.name() + " into a dispatcher slot");
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

Result<std::vector<Fd>> open_links(const AttachType& type, const Hook& hook, int program_fd, const Program& behind) {
  if (type.open_links != nullptr) return type.open_links(hook, program_fd, behind);
  MS_TRY(Fd link, type.open_link(hook, program_fd));
  std::vector<Fd> links;
  links.push_back(std::move(link));
  return links;
}

struct Parts {
  Fd slots, word;
  uint32_t value = 0;  // of the word
  uint32_t running = 0;
};

Result<Parts> open_parts(const std::string& dir) {
  Parts parts;
  MS_TRY(parts.slots, open_pin(dir + "/slots"));
  MS_TRY(parts.word, open_pin(dir + "/word"));
  MS_TRY(parts.value, read_word(parts.word.get()));
  MS_TRY(parts.running, program_in(parts.slots.get(), parts.value & 1));
  return parts;
}

}  // namespace

Status DispatcherHook::attach(const Hook& hook, const Program& program) const {
  MS_TRY(const Stub stub, load_stub(type, hook));
  const int slots = bpf_map__fd(stub->maps.slots);
  MS_CHECK(fill_slot(slots, 0, program));
  PinGuard pins;
  MS_CHECK(pins.pin(slots, dir + "/slots"));
  MS_CHECK(pins.pin(bpf_map__fd(stub->maps.word), dir + "/word"));
  MS_CHECK(pins.pin(bpf_map__fd(stub->maps.misses), dir + "/misses"));
  MS_TRY(const std::vector<Fd> links, open_links(type, hook, bpf_program__fd(stub->progs.dispatch), program));
  for (size_t i = links.size(); i-- > 0;) MS_CHECK(pins.pin(links[i].get(), dir + "/link" + (i == 0 ? "" : "_" + std::to_string(i))));
  pins.keep();
  return {};
}

Result<SwapReport> DispatcherHook::swap(const Program& from, const Program& to) const {
  MS_CHECK(open_pin(dir + "/link"));
  MS_TRY(const Parts parts, open_parts(dir));
  if (parts.running != from.id()) {
    return fail(ErrorCode::kConflict, dir + " runs " + describe_program(parts.running) + ", not " +
        describe_program(from.id()) + " of " + from.name() + ": somebody else changed it");
  }
  const uint32_t zero = 0, idle = ~parts.value & 1, flipped = parts.value ^ 1;
  if (type.before_swap != nullptr) MS_CHECK(type.before_swap(from, to));
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

Result<uint64_t> DispatcherHook::misses() const {
  MS_TRY(const Fd fd, open_pin(dir + "/misses"));
  const uint32_t zero = 0;
  uint64_t misses = 0;
  if (bpf_map_lookup_elem(fd.get(), &zero, &misses) != 0) return fail_errno(errno, "read the misses of " + dir);
  return misses;
}

Status clear_idle_slots(const std::string& hooks_dir, const std::vector<uint32_t>& program_ids) {
  MS_TRY(const auto hooks, list_pins(hooks_dir));
  for (const auto& hook : hooks) {
    const std::string dir = hooks_dir + "/" + hook;
    if (!pin_exists(dir + "/slots") || !pin_exists(dir + "/word")) continue;
    MS_TRY(const Parts parts, open_parts(dir));
    const uint32_t idle = ~parts.value & 1;
    MS_TRY(const uint32_t id, program_in(parts.slots.get(), idle));
    if (id == 0 || std::find(program_ids.begin(), program_ids.end(), id) == program_ids.end()) continue;
    if (bpf_map_delete_elem(parts.slots.get(), &idle) != 0 && errno != ENOENT) {
      return fail_errno(errno, "empty the idle slot of " + dir);
    }
  }
  return {};
}

}  // namespace mapshift
