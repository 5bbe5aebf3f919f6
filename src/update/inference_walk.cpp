// SPDX-License-Identifier: Apache-2.0
#include "update/inference_walk.h"

#include <fmt/format.h>
#include <linux/bpf.h>

#include <algorithm>
#include <utility>

#include "update/inference.h"

namespace mapshift::update::inference {
namespace {

constexpr uint8_t kLoadImm64 = BPF_LD | BPF_IMM | BPF_DW;
constexpr int kMaxCallbackRounds = 4;

bool is_jump(const Insn& insn) {
  const auto operation = operation_of(insn);
  return (class_of(insn) == BPF_JMP || class_of(insn) == BPF_JMP32) && operation != BPF_CALL && operation != BPF_EXIT;
}

// May lie outside of the function: files are not the kernel's verifier.
int64_t target_of(const Insn& insn, uint32_t pc) {
  const bool far = insn.code == (BPF_JMP32 | BPF_JA);
  return int64_t{pc} + 1 + (far ? insn.imm : insn.off);
}

FunctionIndex index_function(const FunctionSpec& spec) {
  FunctionIndex out;
  out.spec = &spec;
  out.is_target.resize(spec.insns.size(), false);
  for (uint32_t pc = 0; pc < spec.insns.size(); ++pc) {
    if (!is_jump(spec.insns[pc])) continue;
    const int64_t target = target_of(spec.insns[pc], pc);
    if (target >= 0 && target < static_cast<int64_t>(spec.insns.size())) out.is_target[static_cast<size_t>(target)] = true;
  }
  for (const auto& reloc : spec.relocs) out.relocs[reloc.insn] = &reloc;
  return out;
}

}  // namespace

ObjectIndex::ObjectIndex(const ObjectSpec& spec) : object(spec) {
  const auto add = [&](const FunctionSpec& function, const std::string& name) {
    if (!function_numbers.try_emplace(name, static_cast<uint32_t>(functions.size())).second) return;
    functions.push_back(index_function(function));
  };
  for (const auto& [name, function] : object.subprograms) add(function, name);
  for (const auto& program : object.programs) add(program.code, program.name);
  for (uint32_t i = 0; i < object.maps.size(); ++i) {
    map_numbers.try_emplace(object.maps[i].name, i);
    maps.push_back({&object.maps[i], object.maps[i].name});
  }
  for (uint32_t i = 0; i < object.maps.size(); ++i) {
    const MapSpec& outer = object.maps[i];
    if (outer.inner == nullptr) continue;
    maps[i].inner = static_cast<uint32_t>(maps.size());
    maps.push_back({outer.inner.get(), inner_name(outer.name)});
  }
}

const FunctionIndex* ObjectIndex::function(const std::string& name) const {
  const auto found = function_numbers.find(name);
  return found == function_numbers.end() ? nullptr : &functions[found->second];
}

struct Walk::Function {
  const FunctionIndex& index;
  uint32_t context;
  int depth;
  std::map<uint32_t, State> arrived = {};  // by instruction: joined over all ways that lead there
  std::set<uint32_t> open = {};
  std::optional<State> result = {};
};

Walk::Walk(const ObjectIndex& index, MapSets& sets, const ProgramSpec& program, uint64_t& budget)
    : index_(index), sets_(sets), program_(program), budget_(budget) {}

void Walk::run() {
  const FunctionIndex function = index_function(program_.code);
  State entry;
  entry.frames.emplace_back();
  entry.reg(1).id = 1;  // the context
  entry.reg(10).kind = Kind::kStack;
  (void)follow(function, std::move(entry), 1, 0);
}

void Walk::collect(CodeFacts& facts) const {
  for (const auto& [key, list] : fields_) facts.fields.insert(facts.fields.end(), list.begin(), list.end());
  for (const auto& [map, access] : maps_) facts.maps.push_back(access);
  for (const auto& reason : gave_up_) facts.gave_up.push_back(fmt::format("{}: {}", program_.name, reason));
}

bool Walk::spend(uint64_t steps) {
  if (stopped_) return false;
  steps_ += steps;
  budget_ -= std::min(steps, budget_);
  if (steps_ <= kMaxStepsPerProgram && budget_ > 0) return true;
  give_up(fmt::format("its instructions were followed for {} steps and no further", steps_));
  stopped_ = true;
  return false;
}

void Walk::give_up(const std::string& reason) {
  if (gave_up_.size() < 64) gave_up_.insert(reason);
}

MapAccess& Walk::access(uint32_t map) {
  const auto [found, fresh] = maps_.try_emplace(map);
  if (fresh) found->second = {.map = index_.maps[map].name, .program = program_.name};
  return found->second;
}

std::optional<State> Walk::follow(const FunctionIndex& index, State entry, uint32_t context, int depth) {
  Function function{index, context, depth};
  arrive(function, 0, entry);
  while (!function.open.empty() && !stopped_) {
    const uint32_t start = *function.open.begin();
    function.open.erase(function.open.begin());
    follow_from(function, start);
  }
  return std::move(function.result);
}

void Walk::arrive(Function& function, uint32_t target, const State& state) {
  if (target >= function.index.spec->insns.size()) {
    give_up(fmt::format("a jump leads out of {}", function.index.spec->name));
    return;
  }
  if (!spend(state.cost())) return;
  const auto [found, fresh] = function.arrived.try_emplace(target, state);
  if (fresh || merge(found->second, state, mix(function.context, target + 0x10000000), sets_)) function.open.insert(target);
}

// One straight run, to the next place where ways meet.
void Walk::follow_from(Function& function, uint32_t start) {
  State state = function.arrived.at(start);
  const auto& insns = function.index.spec->insns;
  for (uint32_t pc = start;;) {
    if (pc >= insns.size()) return give_up(fmt::format("{} has no end", function.index.spec->name));
    if (pc != start && function.index.is_target[pc]) return arrive(function, pc, state);
    if (!spend(1)) return;
    const Here here{&function.index, function.context, pc, function.depth};
    const Insn& insn = insns[pc];
    if (insn.dst > 10 || insn.src > 10) {
      return give_up(fmt::format("instruction {} of {} names a register that does not exist", pc, function.index.spec->name));
    }
    const uint64_t key = uint64_t{function.context} << 32 | pc;
    if (const auto seen = fields_.find(key); seen != fields_.end()) {
      field_count_ -= seen->second.size();
      fields_.erase(seen);
    }
    switch (class_of(insn)) {
      case BPF_LD:
        load_imm64(here, state);
        pc += insn.code == kLoadImm64 ? 2 : 1;
        break;
      case BPF_LDX: load(here, state); ++pc; break;
      case BPF_ST:
      case BPF_STX: store(here, state); ++pc; break;
      case BPF_ALU:
      case BPF_ALU64: alu(here, state); ++pc; break;
      default:
        if (!branch(function, state, pc)) return;
    }
  }
}

// Follows a jump, call or exit; false when this run ends here.
bool Walk::branch(Function& function, State& state, uint32_t& pc) {
  const Here here{&function.index, function.context, pc, function.depth};
  const Insn& insn = here.insn();
  if (operation_of(insn) == BPF_EXIT) {
    if (!function.result) function.result = std::move(state);
    else merge(*function.result, state, mix(function.context, 0x20000000), sets_);
    return false;
  }
  if (operation_of(insn) == BPF_CALL) {
    call(here, state);
    ++pc;
    return true;
  }
  const int64_t target = target_of(insn, pc);
  const uint32_t place = target < 0 ? UINT32_MAX : static_cast<uint32_t>(target);
  if (operation_of(insn) == BPF_JA) {
    arrive(function, place, state);
    return false;
  }
  if (!spend(state.cost())) return false;
  State taken = state;
  refine(here, taken, state);
  arrive(function, place, taken);
  ++pc;
  return true;
}

std::optional<State> Walk::enter(const Here& here, const FunctionIndex& callee, State state,
                                 const std::array<Value, 5>& arguments) {
  if (here.depth + 1 > kMaxCallDepth) {
    give_up(fmt::format("calls are nested deeper than {} in {}", kMaxCallDepth, here.function->spec->name));
    return std::nullopt;
  }
  const auto frame = static_cast<uint8_t>(state.frames.size());
  state.frames.emplace_back();
  for (uint32_t i = 0; i < arguments.size(); ++i) state.reg(i + 1) = arguments[i];
  state.reg(10) = Value{.kind = Kind::kStack, .frame = frame};
  auto out = follow(callee, std::move(state), here.id(7), here.depth + 1);
  if (!out) return std::nullopt;
  Value result = out->reg(0);
  if (result.kind == Kind::kStack && result.frame >= frame) result = unknown(here.id());
  out->frames.pop_back();
  for (uint32_t i = 0; i <= 5; ++i) out->reg(i) = unknown(0);
  out->reg(0) = result;
  return out;
}

void Walk::call_function(const Here& here, State& state, const std::string& name) {
  const FunctionIndex* callee = index_.function(name);
  std::array<Value, 5> arguments;
  for (uint32_t i = 0; i < 5; ++i) arguments[i] = state.reg(i + 1);
  std::optional<State> after;
  if (callee != nullptr) after = enter(here, *callee, state, arguments);
  else give_up(fmt::format("{} calls {}, which is not in the object", here.function->spec->name, name));
  if (after) {
    state = std::move(*after);
    return;
  }
  for (uint32_t i = 0; i <= 5; ++i) state.reg(i) = unknown(0);
}

// A callback runs any number of times: until another round teaches nothing new.
void Walk::call_repeatedly(const Here& here, State& state, const Value& function, const std::array<Value, 5>& arguments) {
  if (function.kind != Kind::kFunction) {
    return give_up(fmt::format("the callback at instruction {} of {} is not known", here.pc, here.function->spec->name));
  }
  const FunctionIndex& callee = index_.functions[static_cast<size_t>(function.number)];
  for (int round = 0; round < kMaxCallbackRounds && spend(state.cost()); ++round) {
    const auto after = enter(here, callee, state, arguments);
    if (!after) return;
    State joined = *after;
    for (uint32_t i = 0; i <= 10; ++i) joined.reg(i) = state.reg(i);  // the caller's own registers
    if (!merge(state, joined, here.id(8), sets_)) return;
  }
}

}  // namespace mapshift::update::inference
