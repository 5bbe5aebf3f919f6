// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/map_hook.h"

#include <linux/bpf.h>

#include <filesystem>

#include "kernel/instance_name.h"
#include "kernel/map.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

Result<SwapReport> renew_link(const AttachType& type, const Hook& hook, const std::string& hook_dir, const Program& from,
    const Program& to) {
  MS_TRY(const Link before, Link::open(hook_dir + "/link"));
  MS_TRY(const uint32_t now, before.program_id());
  if (now != from.id()) {
    return fail(ErrorCode::kConflict, hook_dir + "/link runs " + describe_program(now) + ", not " + describe_program(from.id()) + " of " + from.name() +
                                          ": somebody else changed it");
  }
  MS_TRY(const Fd link, type.open_link(hook, to.fd()));
  SwapReport report{monotonic_now(), {}};
  MS_CHECK(replace_pin(link.get(), hook_dir + "/link"));
  report.ended = monotonic_now();
  return report;
}

}  // namespace

Hook with_map_pin(const Hook& hook, const std::string& program) {
  if (hook.map.empty()) return hook;
  Hook out = hook;
  const std::filesystem::path pin(program);
  const std::string maps = (pin.parent_path().parent_path() / "maps").string() + "/";
  const std::string name = pin.filename().string();
  const std::string instance = name.substr(base_name(name).size());  // with its '@'
  out.map = maps + hook.map + (pin_exists(maps + hook.map + instance) ? instance : "");
  return out;
}

Result<SwapReport> swap_at_map(const AttachType& type, const Hook& hook, const std::string& hook_dir, const Program& from,
    const Program& to) {
  const Hook at = with_map_pin(hook, to.name());
  MS_TRY(const Map map, Map::open(at.map));
  MS_TRY(const Link link, Link::open(hook_dir + "/link"));
  MS_TRY(const uint32_t id, link.map_id());
  if (id == map.shape().id) return link.replace(from, to);
  if (type.program_type == BPF_PROG_TYPE_TRACING) return renew_link(type, at, hook_dir, from, to);
  return fail(ErrorCode::kRefused, hook_dir + "/link hangs at another map than " + at.map + ", and the kernel moves no sockets: the new generation has to reuse it");
}

}  // namespace mapshift
