// SPDX-License-Identifier: Apache-2.0
#include "update/attach_trace_section.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace mapshift::update {
namespace {

using Found = Result<std::optional<AttachSpec>>;

struct Section {
  std::string_view prefix, type;
  std::string_view example;  // of the manifest's "attach", where the section says nothing
  // Fills the attachment from what follows the slash; false when that does not say enough.
  bool (*read)(std::string_view target, AttachSpec& out);
};

bool never(std::string_view, AttachSpec&) { return false; }

bool name_only(std::string_view target, AttachSpec& out) {
  out.name = target;
  return !target.empty();
}

// "function" or "function+0x10"
bool split_offset(std::string_view target, std::string& name, uint64_t& offset) {
  const size_t plus = target.rfind('+');
  name = target.substr(0, plus);
  if (plus == std::string_view::npos) return !name.empty();
  std::string_view digits = target.substr(plus + 1);
  const bool hex = digits.starts_with("0x");
  if (hex) digits.remove_prefix(2);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), offset, hex ? 16 : 10);
  return !name.empty() && error == std::errc() && end == digits.data() + digits.size();
}

// Of those over a map the section does not say which: unless the manifest does, somebody else makes their links.
bool is_over_map(std::string_view target) { return target == "bpf_map_elem" || target == "bpf_sk_storage_map" || target == "sockmap"; }

bool kprobe(std::string_view target, AttachSpec& out) { return split_offset(target, out.name, out.trace.offset); }

// libbpf's form: the file's path up to the last colon, a function after it. The path must be absolute: nobody says relative to what.
bool uprobe(std::string_view target, AttachSpec& out) {
  const size_t colon = target.rfind(':');
  if (colon == std::string_view::npos || !target.starts_with('/')) return false;
  out.path = target.substr(0, colon);
  return split_offset(target.substr(colon + 1), out.trace.symbol, out.trace.offset);
}

bool usdt(std::string_view target, AttachSpec& out) {
  const size_t last = target.rfind(':');
  const size_t first = last == std::string_view::npos || last == 0 ? last : target.rfind(':', last - 1);
  if (first == std::string_view::npos || !target.starts_with('/')) return false;
  out.path = target.substr(0, first);
  out.trace.provider = target.substr(first + 1, last - first - 1);
  out.name = target.substr(last + 1);
  return !out.trace.provider.empty() && !out.name.empty();
}

constexpr std::string_view kFile = R"({"type": "TYPE", "path": "…", "symbol": "…"})";
constexpr std::string_view kUsdt = R"({"type": "TYPE", "path": "…", "provider": "…", "name": "…"})";
constexpr std::string_view kName = R"({"type": "TYPE", "name": "…"})";
constexpr std::string_view kPerf = R"({"type": "TYPE", "event": "cpu-clock", "frequency": 99})";

// libbpf's names of sections; ".s" is for programs that may sleep.
constexpr std::array<Section, 28> kSections{{{"uprobe", "uprobe", kFile, uprobe},
                                             {"uprobe.s", "uprobe", kFile, uprobe},
                                             {"uretprobe", "uretprobe", kFile, uprobe},
                                             {"uretprobe.s", "uretprobe", kFile, uprobe},
                                             {"uprobe.multi", "uprobe_multi", kFile, uprobe},
                                             {"uprobe.multi.s", "uprobe_multi", kFile, uprobe},
                                             {"uretprobe.multi", "uretprobe_multi", kFile, uprobe},
                                             {"uretprobe.multi.s", "uretprobe_multi", kFile, uprobe},
                                             {"usdt", "usdt", kUsdt, usdt},
                                             {"usdt.s", "usdt", kUsdt, usdt},
                                             {"kprobe", "kprobe", kName, kprobe},
                                             {"kretprobe", "kretprobe", kName, name_only},
                                             {"kprobe.multi", "kprobe_multi", kName, name_only},
                                             {"kretprobe.multi", "kretprobe_multi", kName, name_only},
                                             {"fentry", "fentry", kName, name_only},
                                             {"fentry.s", "fentry", kName, name_only},
                                             {"fexit", "fexit", kName, name_only},
                                             {"fexit.s", "fexit", kName, name_only},
                                             {"tp_btf", "tp_btf", kName, name_only},
                                             {"lsm", "lsm", kName, name_only},
                                             {"lsm.s", "lsm", kName, name_only},
                                             {"perf_event", "perf_event", kPerf, never},
                                             {"ksyscall", "kprobe", kName, never},
                                             {"kretsyscall", "kretprobe", kName, never},
                                             {"kprobe.session", "kprobe_multi", kName, never},
                                             {"uprobe.session", "uprobe_multi", kFile, never},
                                             {"iter", "iter", kName, name_only},
                                             {"iter.s", "iter", kName, name_only}}};

}  // namespace

Result<std::optional<AttachSpec>> attach_from_trace_section(std::string_view prefix, std::string_view section, std::string_view target) {
  const auto* known = std::ranges::find(kSections, prefix, &Section::prefix);
  if (known == kSections.end() || (known->type == "iter" && is_over_map(target))) return std::optional<AttachSpec>();
  AttachSpec out{.type = std::string(known->type)};
  if (known->read(target, out)) return out;
  std::string example(known->example);
  example.replace(example.find("TYPE"), 4, known->type);
  return fail(ErrorCode::kInvalid, "section \"" + std::string(section) + "\" does not say where its program attaches; add \"attach\": " +
                                       example + " to the manifest");
}

}  // namespace mapshift::update
