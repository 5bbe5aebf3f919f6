// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/sources.h"

#include <algorithm>

#include "kernel/change_scan.h"

namespace mapshift::observe::changes {
namespace {

// Whose functions the fexit probe knows.
bool fexit_knows(MapType type) {
  return type == MapType::kHash || type == MapType::kLruHash || type == MapType::kArray || type == MapType::kLpmTrie ||
         type == MapType::kPercpuHash || type == MapType::kLruPercpuHash || type == MapType::kPercpuArray ||
         type == MapType::kHashOfMaps;
}

}  // namespace

Offer Sources::open(Slot& slot, Open how) {
  if (slot.probe) return {true, {}};
  if (slot.refused.empty()) {
    auto opened = how(log_);
    if (opened) {
      slot.probe = std::move(*opened);
      return {true, {}};
    }
    slot.refused = opened.error().message;
  }
  return {false, slot.refused};
}

std::array<Offer, kSources> Sources::offers(const MapStats& shape, bool instrumented, const std::vector<Source>& wanted) {
  const bool keys = shape.key_size != 0 && shape.key_size <= MS_CHANGE_MAX_KEY;
  const std::string no_keys = shape.key_size == 0 ? "a map of type " + to_string(shape.type) + " has no keys"
                                                  : "keys of " + std::to_string(shape.key_size) + " bytes are too long";
  std::array<Offer, kSources> out;
  const auto at = [&](Source source) -> Offer& { return out[static_cast<size_t>(source) - 1]; };
  if (!keys) {
    out.fill({false, no_keys});
    return out;
  }
  const auto asked = [&](Source source) { return wanted.empty() || std::ranges::find(wanted, source) != wanted.end(); };
  if (!fexit_knows(shape.type)) {
    at(Source::kFexit) = {false, "no known functions write a map of type " + to_string(shape.type)};
  } else if (asked(Source::kFexit)) {
    at(Source::kFexit) = open(fexit_, open_fexit_probe);
  }
  at(Source::kInstrumented) = instrumented ? Offer{true, {}} : Offer{false, "the module does not log this map (MS_LOGGED)"};
  if (asked(Source::kSyscall)) at(Source::kSyscall) = open(syscall_, open_syscall_probe);
  const std::string no_scan = ChangeScan::why_not(shape);
  at(Source::kScan) = {no_scan.empty(), no_scan};
  return out;
}

void Sources::close(Slot& slot) {
  if (!slot.probe) return;
  slot.missed_before += slot.probe->missed().value_or(0);
  slot.probe.reset();
}

void Sources::drop_unused(size_t fexit_users, size_t syscall_users) {
  if (fexit_users == 0) close(fexit_);
  if (syscall_users == 0) close(syscall_);
}

uint64_t Sources::missed() {
  uint64_t sum = 0;
  for (const Slot* slot : {&fexit_, &syscall_}) {
    sum += slot->missed_before;
    if (slot->probe) sum += slot->probe->missed().value_or(0);
  }
  return sum;
}

}  // namespace mapshift::observe::changes
