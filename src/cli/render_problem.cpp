// SPDX-License-Identifier: Apache-2.0
#include "cli/render_problem.h"

namespace mapshift::cli {
namespace {

std::string text_of(const Json& object, const char* member) {
  const auto found = object.find(member);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string indented(const std::string& text) {
  std::string out = "  ";
  for (const char c : text) out += c == '\n' ? std::string("\n  ") : std::string(1, c);
  return out + "\n";
}

}  // namespace

std::string render_problem(const Json& document) {
  if (!document.is_object()) return "error: the agent gave no reason\n";
  const std::string title = text_of(document, "title");
  const std::string detail = text_of(document, "detail");
  std::string out = "error: " + (detail.empty() ? title : detail) + "\n";
  if (const auto errors = document.find("errors"); errors != document.end() && errors->is_array()) {
    for (const Json& error : *errors) {
      if (!error.is_object()) continue;
      const std::string message = text_of(error, "message");
      if (detail.find(message) != std::string::npos) continue;
      const std::string where = text_of(error, "where");
      out += "  - " + where + (where.empty() ? "" : ": ") + message + "\n";
    }
  }
  if (const std::string context = text_of(document, "context"); !context.empty()) out += indented(context);
  return out;
}

}  // namespace mapshift::cli
