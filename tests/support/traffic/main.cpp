// SPDX-License-Identifier: Apache-2.0
// mapshift-traffic: sends packets whose number it knows exactly, or receives and discards them.
#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <future>
#include <optional>

#include "traffic.h"

namespace {

using namespace mapshift::traffic;

constexpr const char* kUsage =
    "usage: mapshift-traffic send|sink --address IPV4 --port PORT [--seconds S]\n"
    "  send: [--flows N] [--packets N (each flow)] [--rate PACKETS/S] [--threads N] [--payload BYTES]\n"
    "        [--tcp-bytes N] [--tcp-rate BYTES/S]\n"
    "Stops on SIGTERM and SIGINT too; then prints what it sent as JSON.\n";

[[nodiscard]] std::optional<Options> parse(int argc, char** argv) {
  Options options;
  const option names[] = {{"address", 1, nullptr, 'a'}, {"port", 1, nullptr, 'p'},      {"flows", 1, nullptr, 'f'},
                          {"packets", 1, nullptr, 'n'}, {"rate", 1, nullptr, 'r'},      {"threads", 1, nullptr, 't'},
                          {"payload", 1, nullptr, 'l'}, {"tcp-bytes", 1, nullptr, 'b'}, {"tcp-rate", 1, nullptr, 'R'},
                          {"seconds", 1, nullptr, 's'}, {nullptr, 0, nullptr, 0}};
  for (int c = 0; (c = getopt_long(argc, argv, "", names, nullptr)) != -1;) {
    if (c == '?') return std::nullopt;
    const unsigned long long number = strtoull(optarg, nullptr, 10);
    if (c == 'a') options.address = optarg;
    if (c == 'p') options.port = static_cast<uint16_t>(number);
    if (c == 'f') options.flows = static_cast<unsigned>(number);
    if (c == 'n') options.packets = number;
    if (c == 'r') options.rate = number;
    if (c == 't') options.threads = static_cast<unsigned>(number);
    if (c == 'l') options.payload = static_cast<unsigned>(number);
    if (c == 'b') options.tcp_bytes = number;
    if (c == 'R') options.tcp_rate = number;
    if (c == 's') options.seconds = strtod(optarg, nullptr);
  }
  in_addr address;
  const bool sane = inet_pton(AF_INET, options.address.c_str(), &address) == 1 && options.port != 0 && options.threads >= 1 && options.threads <= 64 &&
                    options.flows <= 100000 && options.payload <= 1400 && options.seconds > 0 && options.seconds <= 3600;
  return sane ? std::optional(options) : std::nullopt;
}

void print(const Report& report) {
  uint64_t sent = 0, refused = 0;
  std::printf("{\"flows\":[");
  for (const auto& flow : report.flows) {
    std::printf("%s\n{\"src\":\"%s\",\"dst\":\"%s\",\"sport\":%u,\"dport\":%u,\"proto\":%d,\"packets\":%llu,\"bytes\":%llu}",
                &flow == report.flows.data() ? "" : ",", flow.src.c_str(), flow.dst.c_str(), flow.sport, flow.dport, flow.proto,
                static_cast<unsigned long long>(flow.packets), static_cast<unsigned long long>(flow.bytes));
    sent += flow.packets;
    refused += flow.refused;
  }
  std::printf("],\n\"sent\":%llu,\"refused\":%llu,\"seconds\":%.6f,\"error\":\"%s\"}\n", static_cast<unsigned long long>(sent),
              static_cast<unsigned long long>(refused), report.seconds, report.error.c_str());
}

void add(Report& sum, const Report& part) {
  sum.flows.insert(sum.flows.end(), part.flows.begin(), part.flows.end());
  sum.seconds = std::max(sum.seconds, part.seconds);
  if (sum.error.empty()) sum.error = part.error;
}

// Waits for a signal, the deadline, or the end of all jobs, whichever is first.
void wait(std::vector<std::future<Report>>& jobs, const sigset_t& signals, double seconds, StopFlag& stop) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  const timespec tick = {0, 20'000'000};
  const auto running = [&jobs] {
    for (const auto& job : jobs) {
      if (job.wait_for(std::chrono::seconds(0)) != std::future_status::ready) return true;
    }
    return false;
  };
  while (running() && std::chrono::steady_clock::now() < deadline && sigtimedwait(&signals, nullptr, &tick) < 0) {
  }
  stop = true;
}

}  // namespace

int main(int argc, char** argv) {
  const bool sends = argc > 1 && std::strcmp(argv[1], "send") == 0;
  const bool sinks = argc > 1 && std::strcmp(argv[1], "sink") == 0;
  const auto options = parse(argc - 1, argv + 1);
  if (!options || (!sends && !sinks)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigprocmask(SIG_BLOCK, &signals, nullptr);  // before any thread is made: all inherit it

  StopFlag stop = false;
  std::vector<std::future<Report>> jobs;
  if (sinks) {
    jobs.push_back(std::async(std::launch::async, [&] { return run_sink(*options, stop); }));
  } else {
    for (unsigned i = 0; i < options->threads; ++i) {
      jobs.push_back(std::async(std::launch::async, [&, i] { return send_udp(*options, i, stop); }));
    }
    if (options->tcp_bytes != 0) jobs.push_back(std::async(std::launch::async, [&] { return send_tcp(*options, stop); }));
  }
  wait(jobs, signals, options->seconds, stop);
  Report total;
  for (auto& job : jobs) add(total, job.get());
  print(total);
  return total.error.empty() ? 0 : 1;
}
