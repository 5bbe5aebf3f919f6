// SPDX-License-Identifier: Apache-2.0
#include "observe/go/code.h"

#include <algorithm>

namespace mapshift::observe::go {
namespace {

constexpr uint64_t kMaxFunction = 64U << 10;
constexpr size_t kMaxReturns = 256;
constexpr size_t kPrologue = 6;  // instructions in which a stack check is to be found
constexpr size_t kMaxLook = 32;  // instructions after it in which an emulated one is looked for

using Flow = Instruction::Flow;

// The first instruction after the stack check; 0 where there is none.
size_t after_stack_check(const std::vector<Instruction>& code) {
  for (size_t i = 0; i + 1 < code.size() && i < kPrologue; ++i) {
    if (code[i].checks_stack && code[i + 1].flow == Flow::kBranch) return i + 2;
  }
  return 0;
}

bool is_jumped_to(const std::vector<Instruction>& code, uint64_t address) {
  return std::any_of(code.begin(), code.end(), [&](const Instruction& one) {
    return one.target == address && (one.flow == Flow::kJump || one.flow == Flow::kBranch);
  });
}

}  // namespace

const Instruction* entry_point(const std::vector<Instruction>& code, bool exact) {
  if (code.empty()) return nullptr;
  const size_t begin = after_stack_check(code);
  for (size_t i = begin; i < std::min(code.size(), begin + kMaxLook); ++i) {
    // What follows the target of a jump may be a loop.
    if (is_jumped_to(code, code[i].address)) break;
    if (code[i].emulated) return &code[i];
    if (code[i].flow != Flow::kNext || code[i].writes_arguments) break;
  }
  // Nothing emulated after the check. The check's own branch is, but it is passed again when the stack had to grow.
  if (begin > 0 && !exact) return &code[begin - 1];
  return begin < code.size() && !is_jumped_to(code, code[begin].address) ? &code[begin] : nullptr;
}

const std::vector<std::string_view>& Code::wanted() {
  static const std::vector<std::string_view> kWanted = {
      "runtime.startTheWorldWithSema", "runtime.stopTheWorldWithSema", "runtime.(*timeHistogram).record",
      "runtime.(*gcControllerState).startCycle", "runtime.gcMarkTermination", "runtime.casgstatus", "runtime.netpollready",
      "internal/poll.(*FD).Read", "internal/poll.(*FD).Write", "runtime.allgadd", "runtime.(*gcControllerState).update",
      "runtime.goroutineheader", "runtime.waitReason.String", "runtime.stwReason.String", "runtime.traceLocker.STWStart",
      "runtime.stopTheWorld"};
  return kWanted;
}

const Code::Place* Code::place(std::string_view function) const {
  const auto found = places_.find(function);
  return found == places_.end() ? nullptr : &found->second;
}

const std::vector<Instruction>& Code::instructions(std::string_view function) {
  const auto known = decoded_.find(function);
  if (known != decoded_.end()) return known->second;
  std::vector<Instruction> out;
  const Place* at = place(function);
  if (at != nullptr && at->size > 0 && at->size <= kMaxFunction) {
    const Segment* segment = image_.segment(at->address, at->size);
    const auto bytes = image_.read(at->address, at->size);
    if (bytes && segment != nullptr && segment->executable) out = arch_.decode(*bytes, at->address);
  }
  return decoded_.emplace(function, std::move(out)).first->second;
}

std::optional<ProbePoint> Code::point(const Instruction& at) const {
  const auto offset = image_.file_offset(at.address);
  return offset ? std::optional(ProbePoint{*offset, at.emulated}) : std::nullopt;
}

std::optional<Function> Code::function(std::string_view name, bool exact) {
  const auto& code = instructions(name);
  const Instruction* entry = entry_point(code, exact);
  if (entry == nullptr) return std::nullopt;
  const auto entry_offset = point(*entry);
  if (!entry_offset) return std::nullopt;
  Function out{std::string(name), place(name)->address, place(name)->size, *entry_offset, {}};
  for (const auto& one : code) {
    if (one.flow != Flow::kReturn) continue;
    const auto offset = point(one);
    if (!offset || out.returns.size() >= kMaxReturns) return std::nullopt;
    out.returns.push_back(*offset);
  }
  // Without a return, or cut short by bytes that are no instruction, it is not what the runtime's compiler makes.
  if (out.returns.empty() || code.back().address + code.back().size != out.address + out.size) return std::nullopt;
  return out;
}

}  // namespace mapshift::observe::go
