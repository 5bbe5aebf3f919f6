// SPDX-License-Identifier: Apache-2.0
#include "config/attach_json.h"

#include <algorithm>
#include <array>
#include <limits>

#include "config/attach_net_json.h"

namespace mapshift::config {
namespace {

using update::AttachSpec;
using Choices = std::array<std::pair<std::string_view, std::string>, 2>;

bool is_symbol(std::string_view text) {
  return !text.empty() && text.size() <= 512 && std::ranges::all_of(text, [](unsigned char c) { return c >= ' ' && c != 0x7f; });
}

void read_xdp(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  static const std::array<std::pair<std::string_view, std::string>, 3> modes{
      {{"auto", "auto"}, {"native", "native"}, {"generic", "generic"}}};
  read_interface(reader, out);
  reader.choice<std::string>("mode", out.mode, modes);
}

void read_tcx(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  static const Choices directions{{{"ingress", "ingress"}, {"egress", "egress"}}};
  read_interface(reader, out);
  reader.require("direction");
  reader.choice<std::string>("direction", out.direction, directions);
}

void read_cgroup(ObjectReader& reader, const MakeAbsolute& absolute, AttachSpec& out) {
  reader.require("path");
  reader.require("hook");
  reader.text("path", out.path);
  reader.text("hook", out.hook, is_name, "the name of a cgroup hook, such as \"skb_egress\"");
  out.path = absolute(out.path);
}

void read_tracepoint(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  reader.require("category");
  reader.require("name");
  reader.text("category", out.category, is_name, kNameRule);
  reader.text("name", out.name, is_name, kNameRule);
}

void read_raw_tracepoint(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  reader.require("name");
  reader.text("name", out.name, is_name, kNameRule);
}

void read_uprobe(ObjectReader& reader, const MakeAbsolute& absolute, AttachSpec& out) {
  reader.require("path");
  reader.require("symbol");
  reader.text("path", out.path);
  reader.text("symbol", out.symbol, is_symbol, "the name of a function");
  reader.integer("pid", out.pid, 0, std::numeric_limits<int32_t>::max());
  out.path = absolute(out.path);
}

struct Type {
  std::string_view name;
  void (*read)(ObjectReader&, const MakeAbsolute&, AttachSpec&);  // null: known by name only
};
constexpr std::array<Type, 24> kTypes{{{"xdp", read_xdp},
                                       {"tcx", read_tcx},
                                       {"cgroup", read_cgroup},
                                       {"tracepoint", read_tracepoint},
                                       {"raw_tracepoint", read_raw_tracepoint},
                                       {"uprobe", read_uprobe},
                                       {"uretprobe", read_uprobe},
                                       {"usdt", nullptr},
                                       {"kprobe", nullptr},
                                       {"kretprobe", nullptr},
                                       {"kprobe_multi", nullptr},
                                       {"uprobe_multi", nullptr},
                                       {"fentry", nullptr},
                                       {"fexit", nullptr},
                                       {"lsm", nullptr},
                                       {"perf_event", nullptr},
                                       {"netkit", read_netkit},
                                       {"netfilter", nullptr},
                                       {"sk_lookup", read_netns},
                                       {"flow_dissector", read_netns},
                                       {"sockmap", nullptr},
                                       {"struct_ops", nullptr},
                                       {"iter", nullptr},
                                       {"tc", read_tc}}};

}  // namespace

update::AttachSpec read_attach(ObjectReader& reader, const MakeAbsolute& absolute) {
  AttachSpec out;
  reader.require("type");
  reader.text("type", out.type);
  if (out.type.empty()) return out;
  const auto* type = std::ranges::find(kTypes, std::string_view(out.type), &Type::name);
  if (type == kTypes.end()) {
    std::vector<std::string> names;
    for (const Type& known : kTypes) {
      if (known.read != nullptr) names.emplace_back(known.name);
    }
    reader.complain("type", "unknown-attach-type", "\"" + out.type + "\" is not an attach type" + suggestion(out.type, names));
  } else if (type->read != nullptr) {
    type->read(reader, absolute, out);
    reader.finish();
  }
  return out;
}

}  // namespace mapshift::config
