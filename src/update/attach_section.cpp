// SPDX-License-Identifier: Apache-2.0
#include "update/attach_section.h"

#include <array>

#include "update/attach_net_section.h"
#include "update/attach_trace_section.h"

namespace mapshift::update {
namespace {

using Found = Result<std::optional<AttachSpec>>;

tl::unexpected<Error> missing(std::string_view section, const std::string& attach) {
  return fail(ErrorCode::kInvalid, "section \"" + std::string(section) +
                                       "\" does not say where its program attaches; add \"attach\": " + attach +
                                       " to the manifest");
}

Found tracepoint(std::string_view section, std::string_view target) {
  const size_t slash = target.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == target.size()) {
    return missing(section, R"({"type": "tracepoint", "category": "…", "name": "…"})");
  }
  AttachSpec attach{.type = "tracepoint"};
  attach.category = target.substr(0, slash);
  attach.name = target.substr(slash + 1);
  return attach;
}

Found raw_tracepoint(std::string_view section, std::string_view target) {
  if (target.empty()) return missing(section, R"({"type": "raw_tracepoint", "name": "…"})");
  AttachSpec attach{.type = "raw_tracepoint"};
  attach.name = target;
  return attach;
}

// Of entries of a devmap or cpumap: whoever fills the map puts them there.
bool is_in_map(std::string_view target) { return target == "devmap" || target == "cpumap"; }

Found xdp(std::string_view section, std::string_view target) {
  if (is_in_map(target)) return std::optional<AttachSpec>();
  return missing(section, R"({"type": "xdp", "interface": "…"})");
}

Found tcx(std::string_view section, std::string_view target) {
  const std::string direction = target.empty() ? "…" : std::string(target);
  return missing(section, R"({"type": "tcx", "interface": "…", "direction": ")" + direction + "\"}");
}

Found cgroup_skb(std::string_view section, std::string_view target) {
  const std::string hook = target.empty() ? "…" : "skb_" + std::string(target);
  return missing(section, R"({"type": "cgroup", "path": "…", "hook": ")" + hook + "\"}");
}

Found unserved(std::string_view section, std::string_view) {
  return fail(ErrorCode::kInvalid, "programs of section \"" + std::string(section) +
                                       "\" cannot be attached here: their kind is not served; leave it out with \"load\": false");
}

// Tables of functions, both kinds of which are told apart later.
Found struct_ops(std::string_view, std::string_view) { return AttachSpec{.type = "struct_ops"}; }

struct Prefix {
  std::string_view name;
  Found (*read)(std::string_view section, std::string_view target);  // `target`: what follows the slash
};
// libbpf's names of sections.
constexpr std::array<Prefix, 18> kPrefixes{{{"tp", tracepoint},
                                            {"tracepoint", tracepoint},
                                            {"raw_tp", raw_tracepoint},
                                            {"raw_tracepoint", raw_tracepoint},
                                            {"xdp", xdp},
                                            {"xdp.frags", xdp},
                                            {"tcx", tcx},
                                            {"tc", tcx},
                                            {"cgroup_skb", cgroup_skb},
                                            {".struct_ops", struct_ops},
                                            {".struct_ops.link", struct_ops},
                                            {"raw_tp.w", unserved},
                                            {"raw_tracepoint.w", unserved},
                                            {"fmod_ret", unserved},
                                            {"fmod_ret.s", unserved},
                                            {"freplace", unserved},
                                            {"lsm_cgroup", unserved},
                                            {"netfilter", unserved}}};

}  // namespace

Result<std::optional<AttachSpec>> attach_from_section(std::string_view section) {
  // A leading '?' only tells libbpf not to load the program by itself.
  const std::string_view name = section.starts_with('?') ? section.substr(1) : section;
  const size_t slash = name.find('/');
  const std::string_view prefix = name.substr(0, slash);
  const std::string_view target = slash == std::string_view::npos ? std::string_view() : name.substr(slash + 1);
  MS_TRY(auto net, attach_from_net_section(prefix, section, target));
  if (net) return net;
  for (const Prefix& known : kPrefixes) {
    if (known.name == prefix) return known.read(section, target);
  }
  return attach_from_trace_section(prefix, section, target);
}

}  // namespace mapshift::update
