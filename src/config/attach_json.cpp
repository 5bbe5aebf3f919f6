// SPDX-License-Identifier: Apache-2.0
#include "config/attach_json.h"

#include <algorithm>
#include <array>

#include "config/attach_net_json.h"
#include "config/attach_trace_json.h"

namespace mapshift::config {
namespace {

using update::AttachSpec;
using Choices = std::array<std::pair<std::string_view, std::string>, 2>;

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

void read_nothing(ObjectReader&, const MakeAbsolute&, AttachSpec&) {}

struct Type {
  std::string_view name;
  void (*read)(ObjectReader&, const MakeAbsolute&, AttachSpec&);  // null: known by name only
};
constexpr std::array<Type, 27> kTypes{{{"xdp", read_xdp},
                                       {"tcx", read_tcx},
                                       {"cgroup", read_cgroup},
                                       {"tracepoint", read_tracepoint},
                                       {"raw_tracepoint", read_raw_tracepoint},
                                       {"uprobe", read_uprobe},
                                       {"uretprobe", read_uprobe},
                                       {"usdt", read_usdt},
                                       {"kprobe", read_kprobe},
                                       {"kretprobe", read_kretprobe},
                                       {"kprobe_multi", read_kprobe_multi},
                                       {"uprobe_multi", read_uprobe_multi},
                                       {"fentry", read_kernel_function},
                                       {"fexit", read_kernel_function},
                                       {"lsm", read_lsm},
                                       {"perf_event", read_perf_event},
                                       {"netkit", read_netkit},
                                       {"netfilter", nullptr},
                                       {"sk_lookup", read_netns},
                                       {"flow_dissector", read_netns},
                                       {"sockmap", read_sockmap},
                                       {"struct_ops", read_nothing},
                                       {"iter", read_iter},
                                       {"tc", read_tc},
                                       {"tp_btf", read_raw_tracepoint},
                                       {"kretprobe_multi", read_kprobe_multi},
                                       {"uretprobe_multi", read_uprobe_multi}}};

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
