// SPDX-License-Identifier: Apache-2.0
#include "config/adopt_json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "config/utf8.h"

namespace mapshift::config {
namespace {

using Json = nlohmann::ordered_json;

// Read again, a manifest's dollars fill names in.
std::string literal(const std::string& text) {
  std::string out;
  for (const char c : valid_utf8(text)) out.append(c == '$' ? 2 : 1, c);
  return out;
}

Json attach_json(const update::AttachSpec& attach) {
  Json out{{"type", attach.type}};
  const auto add = [&out](const char* member, const std::string& value) {
    if (!value.empty()) out[member] = literal(value);
  };
  add("interface", attach.interface);
  if (attach.type == "xdp") add("mode", attach.mode);
  add("direction", attach.direction);
  add("path", attach.path);
  add("hook", attach.hook);
  return out;
}

}  // namespace

std::string adopted_manifest_text(const std::string& name, const std::string& version,
                                  const std::map<std::string, update::AttachSpec>& attach) {
  Json programs = Json::object();
  for (const auto& [program, where] : attach) programs[program] = {{"attach", attach_json(where)}};
  return Json{{"name", name}, {"version", version}, {"object", kNoObject}, {"programs", std::move(programs)}}.dump();
}

}  // namespace mapshift::config
