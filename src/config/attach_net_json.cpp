// SPDX-License-Identifier: Apache-2.0
#include "config/attach_net_json.h"

#include <algorithm>
#include <array>

namespace mapshift::config {
namespace {

using update::AttachSpec;
using Choices = std::array<std::pair<std::string_view, std::string>, 2>;

// The kernel's own rule (dev_valid_name), but for odd characters that no tool sets.
bool is_interface(std::string_view text) {
  const auto allowed = [](unsigned char c) { return c > ' ' && c < 0x7f && c != '/' && c != ':'; };
  return !text.empty() && text.size() <= 15 && text != "." && text != ".." && std::ranges::all_of(text, allowed);
}

}  // namespace

void read_interface(ObjectReader& reader, AttachSpec& out) {
  reader.require("interface");
  reader.text("interface", out.interface, is_interface, "the name of a network interface");
}

void read_tc(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  static const Choices directions{{{"ingress", "ingress"}, {"egress", "egress"}}};
  read_interface(reader, out);
  reader.require("direction");
  reader.choice<std::string>("direction", out.direction, directions);
  reader.integer_as("priority", out.priority, 1, 0xffff);
  reader.integer_as("handle", out.handle, 1, 0x7fffffff);
}

void read_netkit(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  static const Choices directions{{{"primary", "primary"}, {"peer", "peer"}}};
  read_interface(reader, out);
  reader.require("direction");
  reader.choice<std::string>("direction", out.direction, directions);
}

void read_netns(ObjectReader& reader, const MakeAbsolute& absolute, AttachSpec& out) {
  if (!reader.has("path")) return;
  reader.text("path", out.path);
  out.path = absolute(out.path);
}

void read_sockmap(ObjectReader& reader, const MakeAbsolute&, AttachSpec& out) {
  static const std::array<std::pair<std::string_view, std::string>, 4> hooks{
      {{"stream_parser", "stream_parser"}, {"stream_verdict", "stream_verdict"}, {"verdict", "verdict"}, {"msg_verdict", "msg_verdict"}}};
  reader.require("map");
  reader.require("hook");
  reader.text("map", out.map, is_name, kNameRule);
  reader.choice<std::string>("hook", out.hook, hooks);
}

}  // namespace mapshift::config
