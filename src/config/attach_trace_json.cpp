// SPDX-License-Identifier: Apache-2.0
#include "config/attach_trace_json.h"

#include <algorithm>
#include <limits>

namespace mapshift::config {
namespace {

using update::AttachSpec;

constexpr int64_t kMaxOffset = int64_t{1} << 46;
constexpr int64_t kMaxFrequency = 100'000;  // the kernel's own limit is below that (perf_event_max_sample_rate)

bool is_printable(std::string_view text) {
  return !text.empty() && text.size() <= 512 && std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
}

bool is_function(std::string_view text) {
  return !text.empty() && text.size() <= 256 && std::ranges::all_of(text, [](unsigned char c) { return c > ' ' && c < 0x7f; });
}

void read_file(ObjectReader& reader, const MakeAbsolute& absolute, AttachSpec& out) {
  reader.require("path");
  reader.text("path", out.path);
  reader.integer("pid", out.trace.pid, 0, std::numeric_limits<int32_t>::max());
  out.path = absolute(out.path);
}

void read_offset(ObjectReader& reader, AttachSpec& out) { reader.integer_as("offset", out.trace.offset, 0, kMaxOffset); }

void read_function(ObjectReader& reader, AttachSpec& out) {
  reader.require("name");
  reader.text("name", out.name, is_function, "the name of a function of the kernel");
}

}  // namespace

void read_uprobe(ObjectReader& reader, const MakeAbsolute& absolute, AttachSpec& out) {
  read_file(reader, absolute, out);
  if (!reader.has("offset")) reader.require("symbol");
  reader.text("symbol", out.trace.symbol, is_printable, "the name of a function");
  read_offset(reader, out);
}

void read_uprobe_multi(ObjectReader& reader, const MakeAbsolute& absolute, AttachSpec& out) {
  read_file(reader, absolute, out);
  reader.require("symbol");
  reader.text("symbol", out.trace.symbol, is_printable, "the name of a function, in which * and ? stand for others");
}

void read_usdt(ObjectReader& reader, const MakeAbsolute& absolute, AttachSpec& out) {
  read_file(reader, absolute, out);
  reader.require("provider");
  reader.require("name");
  reader.text("provider", out.trace.provider, is_function, "the name of a provider of probes");
  reader.text("name", out.name, is_function, "the name of a probe");
}

void read_kprobe(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  read_function(reader, out);
  read_offset(reader, out);
}

void read_kretprobe(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) { read_function(reader, out); }

void read_kprobe_multi(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) { read_function(reader, out); }

void read_kernel_function(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) { read_function(reader, out); }

void read_lsm(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  reader.require("name");
  reader.text("name", out.name, is_name, "the name of a security hook, such as \"file_open\"");
}

void read_iter(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  reader.require("name");
  reader.text("name", out.name, is_name, "what is listed, such as \"task\" or \"bpf_map_elem\"");
  if (reader.has("map")) reader.text("map", out.map, is_name, kNameRule);
}

void read_perf_event(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  reader.require("event");
  reader.text("event", out.trace.event, is_function, "the name of an event, such as \"cpu-clock\"");
  reader.integer_as("frequency", out.trace.frequency, 1, kMaxFrequency);
  reader.integer_as("period", out.trace.period, 1, std::numeric_limits<int64_t>::max());
  if (reader.has("frequency") == reader.has("period")) {
    reader.complain("event", "bad-value", "needs either \"frequency\" (samples a second) or \"period\" (events between two samples)");
  }
}

}  // namespace mapshift::config
