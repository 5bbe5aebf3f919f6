// SPDX-License-Identifier: Apache-2.0
#include "cli/console.h"

#include "cli/render_problem.h"

namespace mapshift::cli {
namespace {

void print_document(Console& console, const Json& document) {
  console.out << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
}

}  // namespace

std::string printable(const std::string& text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    const bool second_set =
        c == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;  // C1 controls in UTF-8
    if (second_set) ++i;
    const bool control = second_set || (c < ' ' && c != '\n' && c != '\t') || c == 0x7f;
    out += control ? '?' : static_cast<char>(c);
  }
  return out;
}

void show(Console& console, const Json& document, const std::string& text) {
  if (console.json) return print_document(console, document);
  console.out << printable(text) << std::flush;
}

int show(Console& console, const Failure& failure) {
  if (console.json) print_document(console, failure.document);
  console.err << printable(render_problem(failure.document)) << std::flush;
  return failure.status;
}

void note(Console& console, const std::string& line) { console.err << printable(line) << '\n' << std::flush; }

}  // namespace mapshift::cli
