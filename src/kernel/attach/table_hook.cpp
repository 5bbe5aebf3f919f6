// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/table_hook.h"

#include "kernel/link.h"
#include "kernel/map.h"
#include "kernel/pin.h"

namespace mapshift {

Status TableHook::attach(const Hook& hook, const std::string& table) const {
  MS_TRY(const Map map, Map::open(table));
  if (map.shape().type != MapType::kStructOps) return fail(ErrorCode::kRefused,
      table + " is no table of functions and cannot attach to " + hook.type);
  if (pin_exists(dir + "/link")) return fail(ErrorCode::kConflict, dir + " is attached already; detach it first");
  MS_TRY(const Fd link, type.open_link(hook, map.fd()));
  return pin(link.get(), dir + "/link");
}

Result<SwapReport> TableHook::swap(const std::string& from, const std::string& to) const {
  MS_TRY(const Map old_table, Map::open(from));
  MS_TRY(const Map new_table, Map::open(to));
  MS_TRY(const Link link, Link::open(dir + "/link"));
  return link.replace(old_table, new_table);
}

Result<int> TableHook::running(const std::string& from, const std::string& to) const {
  MS_TRY(const Link link, Link::open(dir + "/link"));
  MS_TRY(const uint32_t id, link.table_id());
  // Either pin may be gone when an update is taken up again: one that matches is enough.
  if (const auto old_table = Map::open(from); old_table && old_table->shape().id == id) return 0;
  if (const auto new_table = Map::open(to); new_table && new_table->shape().id == id) return 1;
  return fail(ErrorCode::kConflict, dir + " runs the table " + std::to_string(id) + ", which is neither " + from + " nor " + to);
}

}  // namespace mapshift
