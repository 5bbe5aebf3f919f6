// SPDX-License-Identifier: Apache-2.0
// From what programs do to a field to how its generations are merged.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "update/inference.h"

namespace mapshift::update {
namespace {

enum class Touch : uint8_t { kNone, kPart, kWhole };

// Does the access touch bytes of the field, and does it act on exactly the field (or on elements of it)?
Touch touch_of(const FieldAccess& access, uint32_t offset, uint32_t size) {
  uint64_t at = access.offset;
  if (access.stride != 0 && at + access.size <= offset) {
    at += (offset - at - access.size) / access.stride * access.stride + access.stride;
  }
  if (access.stride != 0 && at + access.size > access.end) return Touch::kNone;
  if (at + access.size <= offset || at >= uint64_t{offset} + size) return Touch::kNone;
  const bool same = at == offset && access.size == size;
  const bool element = at >= offset && at + access.size <= uint64_t{offset} + size && (access.stride != 0 || size > 8);
  return same || element ? Touch::kWhole : Touch::kPart;
}

bool is_atomic(AccessKind kind) { return kind == AccessKind::kAtomicAdd || kind == AccessKind::kAtomicOr; }

struct Uses {  // the first access of each kind, over both generations
  std::array<const FieldAccess*, static_cast<size_t>(AccessKind::kFeedsAddress) + 1> first = {};
  bool locked = false, unlocked = false;  // some change is, or is not, made under the value's lock
  bool clamped = false;
  bool set_plainly = false;  // some change of the kind kStore is no atomic instruction
  const FieldAccess* adds_too = nullptr;  // the first that adds on some paths and sets on others
  [[nodiscard]] const FieldAccess* of(AccessKind kind) const { return first[static_cast<size_t>(kind)]; }
};

void collect(const CodeFacts& facts, const std::string& map, uint32_t offset, uint32_t size, Uses& uses) {
  if (size == 0) return;
  for (const auto& access : facts.fields) {
    if (access.map != map) continue;
    const Touch touch = touch_of(access, offset, size);
    if (touch == Touch::kNone) continue;
    const bool passive =
        access.kind == AccessKind::kRead || access.kind == AccessKind::kFeedsAddress || access.kind == AccessKind::kInsertOnly;
    const AccessKind kind = touch == Touch::kPart && !passive ? AccessKind::kStore : access.kind;
    auto& slot = uses.first[static_cast<size_t>(kind)];
    if (slot == nullptr) slot = &access;
    if (passive) continue;
    uses.clamped = uses.clamped || access.clamped;
    uses.set_plainly = uses.set_plainly || (kind == AccessKind::kStore && !access.atomic && !is_atomic(access.kind));
    if (access.adds_too && uses.adds_too == nullptr) uses.adds_too = &access;
    (access.locked ? uses.locked : uses.unlocked) = true;
  }
}

std::string place_of(const FieldAccess& access) {
  const std::string in = access.function.empty() || access.function == access.program
                             ? access.program
                             : fmt::format("{} (called by {})", access.function, access.program);
  return fmt::format("at insn {} of {}", access.insn, in);
}

// Only atomic changes, and those under the lock, meet a sync unharmed, whatever the field is then declared to be.
InferredMerge ambiguous(std::string why, const Uses& uses, bool atomic) {
  const bool locked = uses.locked && !uses.unlocked;
  InferredMerge out{Merge::kLatest, std::move(why), atomic || locked, true};
  out.locked = locked;
  return out;
}

std::string words_for(AccessKind kind) {
  switch (kind) {
    case AccessKind::kRead: return "read";
    case AccessKind::kAtomicAdd: return "atomic add";
    case AccessKind::kAddStore: return "load, add, store";
    case AccessKind::kAtomicOr: return "atomic or";
    case AccessKind::kOrStore: return "load, or, store";
    case AccessKind::kMaxStore: return "set when greater";
    case AccessKind::kMinStore: return "set when less";
    case AccessKind::kStore: return "set";
    case AccessKind::kInsertOnly: return "set on insert";
    case AccessKind::kFeedsAddress: return "used as an address, a size or a key";
  }
  return "";
}

struct Change {
  Merge merge;
  AccessKind kind;    // the one that is shown
  const FieldAccess* first;
  bool atomic;
};

std::vector<Change> changes_of(const Uses& uses) {
  std::vector<Change> out;
  const auto add = [&](Merge merge, AccessKind plain, AccessKind atomic) {
    if (const auto* access = uses.of(plain)) out.push_back({merge, plain, access, false});
    else if (const auto* other = uses.of(atomic)) out.push_back({merge, atomic, other, true});
  };
  add(Merge::kSum, AccessKind::kAddStore, AccessKind::kAtomicAdd);
  add(Merge::kOr, AccessKind::kOrStore, AccessKind::kAtomicOr);
  // Compared, then stored: what another writer put there in between is lost.
  if (const auto* access = uses.of(AccessKind::kMaxStore)) out.push_back({Merge::kMax, AccessKind::kMaxStore, access, false});
  if (const auto* access = uses.of(AccessKind::kMinStore)) out.push_back({Merge::kMin, AccessKind::kMinStore, access, false});
  if (const auto* access = uses.of(AccessKind::kStore)) out.push_back({Merge::kLatest, AccessKind::kStore, access, !uses.set_plainly});
  return out;
}

std::optional<InferredMerge> decide(const Uses& uses) {
  const auto changes = changes_of(uses);
  if (changes.empty()) {
    const auto* insert = uses.of(AccessKind::kInsertOnly);
    if (insert == nullptr) return std::nullopt;
    return InferredMerge{Merge::kFirst, fmt::format("{} only, {}", words_for(AccessKind::kInsertOnly), place_of(*insert)), true,
                         false};
  }
  const Change& first = changes.front();
  const auto text = [](const Change& change) { return fmt::format("{} {}", words_for(change.kind), place_of(*change.first)); };
  const bool atomic = std::all_of(changes.begin(), changes.end(), [](const Change& change) { return change.atomic; });
  if (changes.size() > 1) return ambiguous(fmt::format("{}, but {}", text(first), text(changes[1])), uses, atomic);
  if (uses.adds_too != nullptr) {
    return ambiguous(fmt::format("added to on some paths and set on others {}", place_of(*uses.adds_too)), uses, false);
  }
  const auto* address = uses.of(AccessKind::kFeedsAddress);
  if (first.merge == Merge::kSum && address != nullptr) {
    return ambiguous(fmt::format("{}, but {} {}", text(first), words_for(AccessKind::kFeedsAddress), place_of(*address)), uses, atomic);
  }
  InferredMerge out{first.merge, text(first), first.atomic, false};
  out.locked = uses.locked && !uses.unlocked;
  out.clamped = first.merge == Merge::kSum && uses.clamped;
  if (out.locked) out.atomic = true;
  if (out.locked) out.reason += ", under the lock";
  else if (uses.locked) out.reason += ", under the lock there and not everywhere";
  if (out.clamped) out.reason += "; it stops at a limit, which the sum of both generations may pass";
  return out;
}

}  // namespace

std::optional<InferredMerge> infer_merge(const CodeFacts& old_facts, const std::string& old_map, const CodeFacts& new_facts,
                                         const std::string& new_map, uint32_t old_offset, uint32_t old_size, uint32_t new_offset,
                                         uint32_t new_size) {
  Uses uses;
  collect(new_facts, new_map, new_offset, new_size, uses);  // first: its instructions are the ones an author can look at
  collect(old_facts, old_map, old_offset, old_size, uses);
  auto out = decide(uses);
  const auto& cut = !new_facts.gave_up.empty() ? new_facts.gave_up : old_facts.gave_up;
  if (out && !out->warn && out->merge != Merge::kLatest && !cut.empty()) {
    out->reason += fmt::format("; not everything was seen ({})", cut.front());
    out->warn = true;
  }
  return out;
}

}  // namespace mapshift::update
