// SPDX-License-Identifier: Apache-2.0
// What an event costs on its way to an XDP program: directly, through the dispatcher, and through one that sends a share elsewhere.
// All ways take turns in each round, so that what else the machine does meets all of them alike.
#include <bpf/bpf.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "kernel/digest.h"
#include "kernel/linux_kernel.h"
#include "kernel/program.h"
#include "private_bpffs.h"
#include "private_net.h"

using namespace mapshift;

namespace {

constexpr int kRounds = 25, kRepeat = 200000;
constexpr uint32_t kHalf = 1u << 31, kTwentieth = 214748365;

template <class T>
T must(Result<T> result) {
  if (result) return std::move(*result);
  std::fprintf(stderr, "canary_bench: %s\n%s\n", result.error().message.c_str(), result.error().context.c_str());
  std::exit(1);
}
void must(const Status& status) {
  if (status) return;
  std::fprintf(stderr, "canary_bench: %s\n%s\n", status.error().message.c_str(), status.error().context.c_str());
  std::exit(1);
}

// A UDP datagram of 64 bytes over IPv4.
std::array<unsigned char, 64> packet() {
  std::array<unsigned char, 64> bytes{};
  const unsigned char head[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 50, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 4, 0, 0, 53};
  std::memcpy(bytes.data(), head, sizeof(head));
  return bytes;
}

double run(int program) {
  auto bytes = packet();
  LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = bytes.data(), .data_size_in = bytes.size(), .repeat = kRepeat);
  if (bpf_prog_test_run_opts(program, &options) != 0) must(fail_errno(errno, "run a program"));
  return options.duration;  // ns a run, whole ones
}

struct Way {
  const char* name;
  bool direct;
  Course course;
};

constexpr Way kWays[] = {{"direct", true, {}},
                         {"dispatcher", false, {}},
                         {"canary, random, not counted", false, {.share = kTwentieth}},
                         {"canary, random", false, {.share = kTwentieth, .watched = true}},
                         {"canary, random, half", false, {.share = kHalf, .watched = true}},
                         {"canary, flow", false, {.share = kHalf, .by_flow = true, .watched = true}},
                         {"all to one, counted", false, {.watched = true}}};

}  // namespace

int main(int argc, char** argv) {
  const test::PrivateBpffs fs;
  const test::PrivateNet net;
  if (!fs.problem().empty() || !net.problem().empty()) {
    std::fprintf(stderr, "canary_bench: %s%s\n", fs.problem().c_str(), net.problem().c_str());
    return 1;
  }
  const auto kernel = make_linux_kernel();
  const std::string module = fs.path() + "/mapshift/m", dir = module + "/hooks/on_xdp";
  for (const char* generation : {"1", "2"}) {
    LoadRequest request;
    request.object_path = LEDGER_OBJECT;
    request.object_digest = sha256_hex(must(read_file_bytes(LEDGER_OBJECT)));
    request.generation_dir = module + "/gen/" + generation;
    (void)must(kernel->load(request));
  }
  const std::string from = module + "/gen/1/progs/on_xdp", to = module + "/gen/2/progs/on_xdp";
  const Hook hook{.type = "xdp", .interface = test::PrivateNet::kNear, .mode = "generic", .together = module + "/together", .stub = true};
  must(kernel->attach(hook, dir, from));
  must(kernel->stage(hook, dir, from, to));
  const Program direct = must(Program::open(from)), stub = must(Program::open(dir + "/stub"));
  std::map<std::string, std::vector<double>> samples;
  for (int round = 0; round < kRounds; ++round) {
    for (const Way& way : kWays) {
      (void)must(kernel->set_course(hook.together, must(kernel->course(hook.together)), way.course));
      samples[way.name].push_back(run(way.direct ? direct.fd() : stub.fd()));
    }
  }
  must(kernel->detach(dir));
  must(kernel->remove_tree(fs.path() + "/mapshift"));
  const auto median = [](std::vector<double> all) {
    std::nth_element(all.begin(), all.begin() + static_cast<long>(all.size() / 2), all.end());
    return all[all.size() / 2];
  };
  nlohmann::json out;
  const double plain = median(samples["dispatcher"]);
  std::printf("  %-30s %12s %22s\n", "", "ns an event", "over the dispatcher");
  for (const Way& way : kWays) {
    const double ns = median(samples[way.name]);
    out[way.name] = {{"ns", ns}, {"over_dispatcher_ns", ns - plain}};
    std::printf("  %-30s %12.0f %+22.0f\n", way.name, ns, ns - plain);
  }
  if (argc == 3 && std::string(argv[1]) == "--json") std::ofstream(argv[2]) << out.dump() << "\n";
  return 0;
}
