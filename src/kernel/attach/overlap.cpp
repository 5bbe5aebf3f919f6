// SPDX-License-Identifier: Apache-2.0
// Exchanging programs that no program array may hold, since they may sleep. For a while both are attached to the hook and every event
// runs both; their gate (mapshift/module.bpf.h) lets one of them do something: the newest decides by the gate's word, and leaves its
// decision to the other, which runs after it in the same task (the kernel puts a new program before those that are there).
#include <bpf/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "kernel/attach/hook.h"
#include "kernel/pin.h"
#include "kernel/sleepable_grace.h"

namespace mapshift {
namespace {

struct Word {  // of a gate; read and written as 8 bytes at once
  uint32_t active = 0;  // the generation whose program does something
  uint32_t newest = 0;  // while two are attached: the generation that was attached last; else 0
};
static_assert(sizeof(Word) == 8);

// ".../gen/2/progs/on_open" is of generation 2.
Result<uint32_t> generation_of(const std::string& pin) {
  const std::string text = std::filesystem::path(pin).parent_path().parent_path().filename().string();
  uint32_t generation = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), generation);
  if (error == std::errc() && end == text.data() + text.size()) return generation;
  return fail(ErrorCode::kInternal, pin + " is no pin of a generation's program");
}

struct Gate {
  uint32_t id = 0;
  Fd word, turns;

  [[nodiscard]] Result<Word> read() const {
    const uint32_t zero = 0;
    Word value;
    if (bpf_map_lookup_elem(word.get(), &zero, &value) != 0) return fail_errno(errno, "read a gate's word");
    return value;
  }
  // Through a mapping: an update call copies bytes, and a program could see some of the old and some of the new ones.
  [[nodiscard]] Status write(const Word& value) const {
    const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
    void* mapped = ::mmap(nullptr, page, PROT_READ | PROT_WRITE, MAP_SHARED, word.get(), 0);
    if (mapped == MAP_FAILED) return fail_errno(errno, "map a gate's word");
    __atomic_store_n(static_cast<uint64_t*>(mapped), std::bit_cast<uint64_t>(value), __ATOMIC_SEQ_CST);
    ::munmap(mapped, page);
    return {};
  }
  // What tasks left of the last exchange must not be taken for this one's. Nobody writes it while one program is attached.
  void forget_turns() const {
    uint64_t task = 0;
    constexpr int kMost = 1 << 16;
    for (int i = 0; i < kMost && bpf_map_get_next_key(turns.get(), nullptr, &task) == 0; ++i) (void)bpf_map_delete_elem(turns.get(), &task);
  }
};

// The maps that MS_GATED made for the program. The kernel keeps 15 characters of their names.
Result<Gate> gate_of(const Program& program) {
  Gate gate;
  MS_TRY(const auto maps, program.maps());
  for (const uint32_t id : maps) {
    Fd map(bpf_map_get_fd_by_id(id));
    bpf_map_info info{};
    uint32_t length = sizeof(info);
    if (!map.valid() || bpf_map_get_info_by_fd(map.get(), &info, &length) != 0) return fail_errno(errno, "read a map of " + program.name());
    const std::string_view name(info.name);
    if (name.starts_with("ms_gate_") && info.type == BPF_MAP_TYPE_ARRAY && info.value_size == sizeof(Word)) {
      gate.word = std::move(map);
      gate.id = id;
    } else if (name.starts_with("ms_turn_") && info.type == BPF_MAP_TYPE_HASH && info.key_size == sizeof(uint64_t)) {
      gate.turns = std::move(map);
    }
  }
  if (gate.word.valid() && gate.turns.valid()) return gate;
  return fail(ErrorCode::kRefused, program.name() + " has no gate, so it cannot be exchanged while it may sleep: write MS_GATED(program) and ms_my_turn(program) (mapshift/module.bpf.h)");
}

// Of what the hook was attached with; the word says which of the programs counts.
Result<Word> word_at(const std::string& dir) {
  MS_TRY(const Link link, Link::open(dir + "/link"));
  MS_TRY(const uint32_t id, link.program_id());
  MS_TRY(const Program program, Program::by_id(id));
  MS_TRY(const Gate gate, gate_of(program));
  return gate.read();
}

// An exchange that was cut short leaves two links. The one that counts stays.
Status keep_one_link(const std::string& dir, const Program& active) {
  if (!pin_exists(dir + "/next")) return {};
  MS_TRY(const Fd fd, open_pin(dir + "/next"));
  MS_TRY(const Link next, Link::open(dir + "/next"));
  MS_TRY(const uint32_t id, next.program_id());
  if (id == active.id()) MS_CHECK(replace_pin(fd.get(), dir + "/link"));
  return unpin(dir + "/next");
}

}  // namespace

Status OverlapHook::check() const {
  if (type_.open_link == nullptr || type_.swap != SwapMode::kDispatcher) {
    return fail(ErrorCode::kUnsupported, "programs of type " + std::string(type_.name) + " have no \"overlap\": " +
                                             (type_.swap == SwapMode::kNative ? "their link is updated in place" : "they take several links"));
  }
  return check_sleepable_grace();
}

Status OverlapHook::attach(const Hook& hook, const Program& program) const {
  MS_CHECK(check());
  MS_TRY(const Gate gate, gate_of(program));
  MS_TRY(const uint32_t generation, generation_of(program.name()));
  MS_CHECK(gate.write({generation, 0}));
  MS_TRY(const Fd link, type_.open_link(hook, program.fd()));
  PinGuard pins;
  MS_CHECK(pins.pin(link.get(), dir_ + "/link"));
  pins.keep();
  return {};
}

Result<SwapReport> OverlapHook::swap(const Hook& hook, const Program& from, const Program& to) const {
  MS_TRY(const Gate gate, gate_of(from));
  MS_TRY(const Gate same, gate_of(to));
  MS_TRY(const uint32_t old_generation, generation_of(from.name()));
  MS_TRY(const uint32_t new_generation, generation_of(to.name()));
  MS_TRY(const Word word, gate.read());
  if (gate.id != same.id) return fail(ErrorCode::kRefused, to.name() + " has a gate of its own instead of the running one: let the manifest reuse its maps");
  if (word.active != old_generation) {
    return fail(ErrorCode::kConflict, dir_ + " runs generation " + std::to_string(word.active) + ", not " + std::to_string(old_generation) + " (" + from.name() + "): somebody else changed it");
  }
  MS_CHECK(keep_one_link(dir_, from));
  MS_CHECK(gate.write({old_generation, 0}));
  gate.forget_turns();
  MS_CHECK(gate.write({old_generation, new_generation}));
  SwapReport report;
  const Nanos overlap = monotonic_now();
  if (const Status attached = attach_next(hook, to); !attached) {
    (void)gate.write({old_generation, 0});
    return fail(attached.error());
  }
  MS_CHECK(wait_for_sleepable_programs());  // from here on every event that is under way runs both
  report.began = monotonic_now();
  MS_CHECK(gate.write({new_generation, new_generation}));
  report.ended = monotonic_now();
  MS_CHECK(wait_for_sleepable_programs());  // and none of them is decided for the old one any more
  MS_CHECK(gate.write({new_generation, 0}));
  MS_CHECK(keep_one_link(dir_, to));
  report.overlap = monotonic_now() - overlap;
  return report;
}

Status OverlapHook::attach_next(const Hook& hook, const Program& program) const {
  MS_TRY(const Fd link, type_.open_link(hook, program.fd()));
  return pin(link.get(), dir_ + "/next");
}

Result<int> OverlapHook::running(const std::string& from, const std::string& to) const {
  MS_TRY(const Word word, word_at(dir_));
  MS_TRY(const uint32_t old_generation, generation_of(from));
  MS_TRY(const uint32_t new_generation, generation_of(to));
  if (word.active == old_generation) return 0;
  if (word.active == new_generation) return 1;
  return fail(ErrorCode::kConflict, dir_ + " runs generation " + std::to_string(word.active) + ", which is neither " + std::to_string(old_generation) + " nor " +
                                        std::to_string(new_generation));
}

Status drop_idle_links(const std::string& hooks_dir, const std::vector<uint32_t>& program_ids) {
  MS_TRY(const auto hooks, list_pins(hooks_dir));
  for (const auto& hook : hooks) {
    const std::string dir = hooks_dir + "/" + hook;
    if (!pin_exists(dir + "/next") || !pin_exists(dir + "/link")) continue;
    MS_TRY(const Link link, Link::open(dir + "/link"));
    MS_TRY(const Link next, Link::open(dir + "/next"));
    MS_TRY(const uint32_t first, link.program_id());
    MS_TRY(const uint32_t second, next.program_id());
    const bool first_goes = std::ranges::find(program_ids, first) != program_ids.end();
    if (!first_goes && std::ranges::find(program_ids, second) == program_ids.end()) continue;
    MS_TRY(const Program staying, Program::by_id(first_goes ? second : first));
    MS_CHECK(keep_one_link(dir, staying));
  }
  return {};
}

}  // namespace mapshift
