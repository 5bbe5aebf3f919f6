// SPDX-License-Identifier: Apache-2.0
// mapshift-load: numbered events at full speed, from as many threads as wanted. Prints its pid, then obeys a line at a time on
// stdin and answers each with one line of JSON: go, pause (its counts are final), count. Ends with stdin, or after --seconds.
#include <getopt.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <optional>

#include "workers.h"

namespace {

using namespace mapshift::load;

constexpr const char* kUsage =
    "usage: mapshift-load calls [--threads N] [--seconds S]\n"
    "       mapshift-load frames --interface NAME --file FRAMES [--threads N] [--seconds S] [--fresh-every N --fresh-at OFFSET]\n";

struct Options {
  FrameSender::Options frames;
  unsigned threads = 1, seconds = 600;
};

[[nodiscard]] std::optional<Options> parse(int argc, char** argv) {
  Options options;
  const option names[] = {{"interface", 1, nullptr, 'i'}, {"file", 1, nullptr, 'f'},        {"threads", 1, nullptr, 't'},
                          {"seconds", 1, nullptr, 's'},   {"fresh-every", 1, nullptr, 'e'}, {"fresh-at", 1, nullptr, 'a'},
                          {nullptr, 0, nullptr, 0}};
  for (int c = 0; (c = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
    if (c == '?') return std::nullopt;
    if (c == 'i') options.frames.interface = optarg;
    if (c == 'f') options.frames.file = optarg;
    if (c == 't') options.threads = static_cast<unsigned>(strtoul(optarg, nullptr, 10));
    if (c == 's') options.seconds = static_cast<unsigned>(strtoul(optarg, nullptr, 10));
    if (c == 'e') options.frames.fresh_every = strtoull(optarg, nullptr, 10);
    if (c == 'a') options.frames.fresh_at = static_cast<unsigned>(strtoul(optarg, nullptr, 10));
  }
  const bool sane = options.threads >= 1 && options.threads <= 64 && options.seconds >= 1 && options.seconds <= 3600;
  return sane ? std::optional(options) : std::nullopt;
}

int obey(unsigned threads, const Workers::Batch& batch) {
  Workers workers(threads, batch);
  std::printf("%d\n", getpid());
  std::fflush(stdout);
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "go") workers.start();
    if (line == "pause") workers.pause();
    std::printf("%s\n", workers.report().c_str());
    std::fflush(stdout);
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const auto options = parse(argc - 1, argv + 1);
  const bool calls = argc > 1 && std::strcmp(argv[1], "calls") == 0;
  const bool frames = argc > 1 && std::strcmp(argv[1], "frames") == 0;
  if (!options || (!calls && !frames)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  alarm(options->seconds);  // nobody may leave this running for ever
  if (calls) return obey(options->threads, [](unsigned, Done& done) { return make_calls(done); });
  std::vector<FrameSender> senders(options->threads);
  for (auto& sender : senders) {
    if (const auto error = sender.open(options->frames); !error.empty()) {
      std::fprintf(stderr, "mapshift-load: %s\n", error.c_str());
      return 1;
    }
  }
  return obey(options->threads, [&senders](unsigned thread, Done& done) { return senders[thread].send_batch(done); });
}
