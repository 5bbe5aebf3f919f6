// SPDX-License-Identifier: Apache-2.0
#include "cli/run.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstring>
#include <iostream>

#include "cli/commands.h"

namespace mapshift::cli {
namespace {

int terminal_width() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

// Usage errors come before the options are known, but a script that asked for JSON gets it.
bool asks_for_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--output=json") == 0) return true;
    if (std::strcmp(argv[i], "--output") == 0 && i + 1 < argc && std::strcmp(argv[i + 1], "json") == 0) return true;
  }
  return false;
}

int finish_without_command(const Parsed& parsed, bool json) {
  if (json && parsed.status != kDone) {
    const Json document{{"type", "about:blank"}, {"title", "Usage"}, {"detail", parsed.err}, {"errors", Json::array()}};
    std::cout << document.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
  }
  std::cout << parsed.out;
  std::cerr << parsed.err;
  return parsed.status;
}

}  // namespace

int run(int argc, const char* const* argv) {
  try {
    const Parsed parsed = parse_options(argc, argv);
    if (!parsed.options) return finish_without_command(parsed, asks_for_json(argc, argv));
    const Options& options = *parsed.options;
    const auto transport = make_http_transport({options.run_dir, options.agent, options.token_file});
    Console console{std::cout, std::cerr, options.json, isatty(STDERR_FILENO) != 0, terminal_width()};
    return run_command(options, *transport, console);
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << '\n';
    return kFailed;
  }
}

}  // namespace mapshift::cli
