// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/hook.h"
#include "kernel/pin.h"

namespace mapshift {

Status NativeHook::attach(const Hook& hook, const Program& program) const {
  MS_TRY(const Fd link, type.open_link(hook, program.fd()));
  PinGuard pins;
  MS_CHECK(pins.pin(link.get(), dir + "/link"));
  pins.keep();
  return {};
}

Result<SwapReport> NativeHook::swap(const Program& from, const Program& to) const {
  MS_TRY(const Link link, Link::open(dir + "/link"));
  return link.replace(from, to);
}

Result<uint32_t> NativeHook::running() const {
  MS_TRY(const Link link, Link::open(dir + "/link"));
  return link.program_id();
}

}  // namespace mapshift
