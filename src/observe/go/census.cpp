// SPDX-License-Identifier: Apache-2.0
#include "observe/go/census.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <unordered_map>

namespace mapshift::observe::go {
namespace {

constexpr uint32_t kScan = 0x1000;  // _Gscan: the collector looks at the stack; the state is below it
constexpr size_t kBatch = 8192;     // goroutines whose memory is held at one time
// Start functions, states and reasons that are told apart: what claims to have more is no program, and must not fill our memory.
constexpr size_t kMostKinds = 4096;

// runtime/runtime2.go, _Gidle...: the same numbers since 1.14; 10 and 11 came with 1.26. Empty: no goroutine is there.
constexpr std::array<const char*, 12> kStates = {"",  "runnable", "running", "syscall", "waiting", "",
                                                 "",  "",         "running", "waiting", "waiting", ""};
constexpr uint32_t kWaiting = 4, kPreempted = 9, kLeaked = 10;

struct Fields {
  uint32_t first = 0, span = 0;  // the part of a g that is read
  uint32_t status = 0, reason = 0;
  std::optional<uint32_t> start;  // relative to `first`
};

std::optional<Fields> fields_of(const Layout& layout) {
  if (!layout.g_status || !layout.g_waitreason) return {};
  Fields out;
  out.first = std::min({*layout.g_status, *layout.g_waitreason, layout.g_startpc.value_or(*layout.g_status)});
  const uint32_t last = std::max({*layout.g_status + 4, *layout.g_waitreason + 1, layout.g_startpc ? *layout.g_startpc + 8 : 0});
  out.span = last - out.first;
  static constexpr uint32_t kMostSpan = 2048;
  if (out.span > kMostSpan) return {};
  out.status = *layout.g_status - out.first;
  out.reason = *layout.g_waitreason - out.first;
  if (layout.g_startpc) out.start = *layout.g_startpc - out.first;
  return out;
}

struct Seen {
  uint32_t status = 0;
  uint8_t reason = 0;
  uint64_t start = 0;
  auto operator<=>(const Seen&) const = default;
};
using Tally = std::map<Seen, uint64_t>;

// Counts one batch; the number of states that no runtime has.
size_t count_batch(const Fields& fields, const std::vector<std::byte>& bytes, const std::vector<bool>& ok, Tally& tally) {
  size_t strange = 0;
  for (size_t i = 0; i < ok.size(); ++i) {
    if (!ok[i]) continue;
    const std::byte* g = bytes.data() + i * fields.span;
    Seen seen;
    std::memcpy(&seen.status, g + fields.status, sizeof(seen.status));
    seen.status &= ~kScan;
    if (seen.status >= kStates.size()) {
      ++strange;
      continue;
    }
    if (*kStates[seen.status] == '\0') continue;
    if (seen.status == kWaiting) seen.reason = std::to_integer<uint8_t>(g[fields.reason]);
    if (fields.start) std::memcpy(&seen.start, g + *fields.start, sizeof(seen.start));
    if (tally.size() >= kMostKinds && !tally.contains(seen)) seen.start = 0;
    ++tally[seen];
  }
  return strange;
}

Result<Tally> walk(const Walked& process, const Fields& fields, uint64_t array, size_t count) {
  Tally out;
  std::vector<uint64_t> pointers;
  std::vector<std::byte> bytes;
  std::vector<bool> ok;
  for (size_t next = 0; next < count; next += pointers.size()) {
    pointers.assign(std::min(kBatch, count - next), 0);
    const Piece piece{array + next * sizeof(uint64_t), pointers.data(), pointers.size() * sizeof(uint64_t)};
    MS_CHECK(process.memory.read({&piece, 1}));
    std::vector<uint64_t> addresses;
    for (const uint64_t g : pointers)
      if (g != 0) addresses.push_back(g + fields.first);
    bytes.resize(addresses.size() * fields.span);
    MS_CHECK(process.memory.read_each(addresses, fields.span, bytes.data(), ok));
    // At once: each address that is not mapped costs a system call, and whoever wrote the list may have written a million.
    if (const size_t strange = static_cast<size_t>(std::ranges::count(ok, false)) + count_batch(fields, bytes, ok, out); strange > 0)
      return fail(ErrorCode::kUnsupported, std::to_string(strange) + " of " + std::to_string(pointers.size()) +
                  " entries in the list of goroutines are none: the layout of this executable is not what was expected");
  }
  return out;
}

std::string reason_of(const Seen& seen, const std::vector<std::string>& reasons) {
  if (seen.status == kPreempted) return "preempted";
  if (seen.status == kLeaked) return "leaked";
  if (seen.status != kWaiting) return {};
  return seen.reason < reasons.size() ? reasons[seen.reason] : "reason " + std::to_string(seen.reason);
}

// By count, and by name where that is equal: the same goroutines always give the same list.
template <class Row>
void largest_first(std::vector<Row>& rows, std::string Row::*name) {
  std::ranges::sort(rows, [name](const Row& a, const Row& b) { return a.count != b.count ? a.count > b.count : a.*name < b.*name; });
}

void fold_groups(std::vector<GoroutineGroup>& groups) {
  largest_first(groups, &GoroutineGroup::reason);
  if (groups.size() <= Census::kMaxGroups) return;
  GoroutineGroup rest{"waiting", "other", 0};
  for (size_t i = Census::kMaxGroups - 1; i < groups.size(); ++i) rest.count += groups[i].count;
  groups.resize(Census::kMaxGroups - 1);
  groups.push_back(std::move(rest));
}

void summarise(const Tally& tally, const Walked& process, Census& out) {
  std::map<std::pair<std::string, std::string>, uint64_t> groups;
  std::map<std::string, uint64_t> starts;
  for (const auto& [seen, count] : tally) {
    const auto name = seen.start == 0 ? StartNames::Name{} : process.names.at(seen.start - process.bias);
    if (name.system) continue;
    out.goroutines += count;
    groups[{kStates[seen.status], reason_of(seen, process.wait_reasons)}] += count;
    if (seen.start != 0) starts[name.text] += count;
  }
  for (const auto& [key, count] : groups) out.groups.push_back({key.first, key.second, count});
  fold_groups(out.groups);
  for (const auto& [name, count] : starts) out.start_functions.push_back({name, count});
  largest_first(out.start_functions, &StartFunction::function);
  if (out.start_functions.size() > Census::kMaxStarts) out.start_functions.resize(Census::kMaxStarts);
}

}  // namespace

bool can_walk(const Layout& layout, const Figures& figures) { return figures.allglen && fields_of(layout).has_value(); }

Result<Census> take_census(const Walked& process, const Figures& figures) {
  const auto fields = fields_of(process.layout);
  if (!fields || !figures.allglen)
    return fail(ErrorCode::kUnsupported, "where this executable keeps its goroutines is not known");
  Census out;
  out.at = monotonic_now();
  out.allglen = *figures.allglen;
  out.truncated = *figures.allglen > Census::kMaxGoroutines;
  const size_t count = std::min<uint64_t>(*figures.allglen, Census::kMaxGoroutines);
  MS_TRY(const Tally tally, walk(process, *fields, figures.allgs, count));
  std::vector<uint64_t> starts;
  for (const auto& row : tally)
    if (row.first.start != 0) starts.push_back(row.first.start - process.bias);
  process.names.learn(starts, process.executable);
  summarise(tally, process, out);
  out.took = monotonic_now() - out.at;
  return out;
}

Result<std::vector<std::string>> read_strings(const Memory& memory, uint64_t address, uint32_t count) {
  static constexpr uint32_t kMostStrings = 256;
  static constexpr uint64_t kLongest = 128;
  struct Header {
    uint64_t data, size;
  };
  std::vector<Header> headers(std::min(count, kMostStrings));
  const Piece piece{address, headers.data(), headers.size() * sizeof(Header)};
  MS_CHECK(memory.read({&piece, 1}));
  std::vector<std::string> out(headers.size());
  std::vector<Piece> texts;
  for (size_t i = 0; i < headers.size(); ++i) {
    if (headers[i].size > kLongest)
      return fail(ErrorCode::kUnsupported, "the runtime's words for why goroutines wait are not where they were expected");
    out[i].resize(headers[i].size);
    if (!out[i].empty()) texts.push_back({headers[i].data, out[i].data(), out[i].size()});
  }
  MS_CHECK(memory.read(texts));
  for (const std::string& text : out)
    if (std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c >= 0x7f; }))
      return fail(ErrorCode::kUnsupported, "the runtime's words for why goroutines wait are not where they were expected");
  return out;
}

}  // namespace mapshift::observe::go
