// SPDX-License-Identifier: Apache-2.0
#include "update/attach_net_section.h"

#include <array>
#include <string>

namespace mapshift::update {
namespace {

// libbpf's names that differ from the hook's.
struct Alias {
  std::string_view target, hook;
};
constexpr std::array<Alias, 3> kAliases{{{"dev", "device"}, {"sock", "sock_create"}, {"skb", "skb_…"}}};

std::string cgroup_hook(std::string_view prefix, std::string_view target) {
  if (prefix == "sockops") return "sock_ops";
  for (const Alias& alias : kAliases) {
    if (alias.target == target) return std::string(alias.hook);
  }
  return target.empty() ? "…" : std::string(target);
}

tl::unexpected<Error> missing(std::string_view section, const std::string& attach) {
  return fail(ErrorCode::kInvalid, "section \"" + std::string(section) + "\" does not say where its program attaches; add \"attach\": " +
                                       attach + " to the manifest");
}

}  // namespace

Result<std::optional<AttachSpec>> attach_from_net_section(std::string_view prefix, std::string_view section, std::string_view target) {
  // What has a default, the agent's own network namespace, needs no more than its name.
  if (prefix == "sk_lookup" || prefix == "flow_dissector") return AttachSpec{.type = std::string(prefix)};
  if (prefix == "cgroup" || prefix == "sockops") {
    return missing(section, R"({"type": "cgroup", "path": "…", "hook": ")" + cgroup_hook(prefix, target) + "\"}");
  }
  if (prefix == "netkit") {
    const std::string direction = target.empty() ? "…" : std::string(target);
    return missing(section, R"({"type": "netkit", "interface": "…", "direction": ")" + direction + "\"}");
  }
  if (prefix == "sk_skb" || prefix == "sk_msg") {
    const std::string hook = prefix == "sk_msg" ? "msg_verdict" : target.empty() ? "…" : std::string(target);
    return missing(section, R"({"type": "sockmap", "map": "…", "hook": ")" + hook + "\"}");
  }
  // What stands after a slash there was a slot of a program array, in older loaders.
  if (prefix == "classifier" && target.empty()) return missing(section, R"({"type": "tc", "interface": "…", "direction": "…"})");
  return std::optional<AttachSpec>();
}

}  // namespace mapshift::update
