// SPDX-License-Identifier: Apache-2.0
// analysis_bench [--json FILE]: how long the instructions of an object are followed before an update is planned.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "assembler.h"
#include "base/clock.h"
#include "update/inference.h"

namespace mapshift::update {
namespace {

constexpr size_t kInsns = 10'000;
constexpr int kRounds = 15;

size_t size_of(const ObjectSpec& object) {
  size_t out = 0;
  for (const auto& program : object.programs) out += program.code.insns.size();
  for (const auto& [name, function] : object.subprograms) out += function.insns.size();
  return out;
}

void count(Assembler& to, int at) {
  to.lookup().load(1, 0, at).alu(BPF_ADD, 1, 1).store(0, at, 1);
  to.mov(2, 1).atomic(BPF_ADD, 0, 8, 2);
}

// Each block is reached from two sides, and what it knows differs by the side: a branch, stores on the stack, a join.
void diamond(Assembler& to, int n) {
  const int slot = -16 - 8 * (n % 48);
  to.jump(BPF_JSET, 6, 1 << (n % 16), 4);
  to.load(7, 0, 8).alu(BPF_ADD, 7, n % 100).store(10, slot, 7).emit(BPF_JMP | BPF_JA, 0, 0, 2, 0);
  to.mov(7, n).store(10, slot, 7);
  to.load(8, 10, slot).store(0, 16, 8);
}

ObjectSpec straight() {
  Assembler program;
  program.copy(6, 1);
  for (size_t n = 0; program.size() + 20 < kInsns; ++n) count(program, static_cast<int>(n % 4) * 8);
  return program.mov(0, 0).exit().object();
}

ObjectSpec branches() {
  Assembler program;
  program.copy(6, 1).lookup();
  for (int n = 0; program.size() + 20 < kInsns; ++n) diamond(program, n);
  return program.mov(0, 0).exit().object();
}

// Every block may leave to the common end, and to the block after the next: as a parser with its errors does.
ObjectSpec exits() {
  Assembler program;
  program.copy(6, 1).lookup();
  for (int n = 0; program.size() + 40 < kInsns; ++n) {
    const auto left = static_cast<int>(kInsns - program.size());
    program.jump(BPF_JEQ, 6, n, left - 3);
    diamond(program, n);
    program.jump(BPF_JGT, 6, n, 10);
    diamond(program, n + 1);
  }
  while (program.size() + 2 < kInsns) program.mov(3, 0);
  return program.mov(0, 0).exit().object();
}

// Loops, one inside of the other, that learn something in each round.
ObjectSpec loops() {
  Assembler program;
  program.copy(6, 1).lookup();
  for (int n = 0; program.size() + 200 < kInsns; ++n) {
    program.mov(9, 8);
    const auto begin = static_cast<int>(program.size());
    for (int i = 0; i < 12; ++i) diamond(program, n + i);
    program.alu(BPF_SUB, 9, 1);
    program.jump(BPF_JNE, 9, 0, begin - static_cast<int>(program.size()) - 1);
  }
  return program.mov(0, 0).exit().object();
}

void call_function(Assembler& to, const std::string& name) { to.function(name).mov(2, 1); }

// 60 functions in four layers, each called from three places: followed anew for each caller.
ObjectSpec calls() {
  ObjectSpec object;
  std::vector<std::string> below;
  for (int layer = 0; layer < 4; ++layer) {
    std::vector<std::string> names;
    for (int n = 0; n < 15; ++n) {
      Assembler body;
      body.copy(6, 1).lookup();
      while (body.size() < 150) diamond(body, static_cast<int>(body.size()));
      for (size_t i = 0; i < 2 && !below.empty(); ++i) call_function(body, below[(static_cast<size_t>(n) + i) % below.size()]);
      char name[16];
      std::snprintf(name, sizeof(name), "f%d_%d", layer, n);
      names.emplace_back(name);
      auto made = body.mov(0, 0).exit().object();
      object.subprograms[names.back()] = made.programs[0].code;
      object.subprograms[names.back()].name = names.back();
    }
    below = names;
  }
  Assembler main;
  main.copy(6, 1).lookup();
  for (int n = 0; n < 15; ++n) call_function(main, below[static_cast<size_t>(n)]);
  auto out = main.mov(0, 0).exit().object();
  out.subprograms = std::move(object.subprograms);
  return out;
}

struct Row {
  const char* name;
  size_t insns;
  double median_ms, worst_ms;
  bool whole;
};

Row measure(const char* name, const std::function<ObjectSpec()>& make) {
  const auto object = make();
  std::vector<double> all;
  bool whole = true;
  for (int n = 0; n < kRounds; ++n) {
    const Nanos began = monotonic_now();
    const auto facts = analyse(object);
    all.push_back(Seconds(monotonic_now() - began).count() * 1e3);
    whole = facts.gave_up.empty();
    if (n == 0 && !whole) std::printf("%s: %s\n", name, facts.gave_up.front().c_str());
  }
  std::sort(all.begin(), all.end());
  return {name, size_of(object), all[all.size() / 2], all.back(), whole};
}

bool write_json(const std::string& path, const std::vector<Row>& rows) {
  std::FILE* file = std::fopen(path.c_str(), "w");
  if (file == nullptr) return false;
  std::fprintf(file, "{");
  for (const auto& row : rows) {
    std::fprintf(file, "%s\"%s\": {\"instructions\": %zu, \"median_ms\": %.2f, \"worst_ms\": %.2f, \"followed_to_the_end\": %s}",
                 &row == rows.data() ? "" : ", ", row.name, row.insns, row.median_ms, row.worst_ms, row.whole ? "true" : "false");
  }
  std::fprintf(file, "}\n");
  return std::fclose(file) == 0;
}

int run(const std::string& json) {
  const std::vector<Row> rows = {measure("straight", straight), measure("branches", branches), measure("exits", exits),
                                 measure("loops", loops), measure("calls", calls)};
  std::printf("%-10s %12s %10s %10s  %s\n", "shape", "instructions", "median", "worst", "followed");
  for (const auto& row : rows) {
    std::printf("%-10s %12zu %7.1f ms %7.1f ms  %s\n", row.name, row.insns, row.median_ms, row.worst_ms,
                row.whole ? "to the end" : "not to the end");
  }
  return json.empty() || write_json(json, rows) ? 0 : 1;
}

}  // namespace
}  // namespace mapshift::update

int main(int argc, char** argv) {
  if (argc == 1) return mapshift::update::run({});
  if (argc == 3 && std::strcmp(argv[1], "--json") == 0) return mapshift::update::run(argv[2]);
  std::fprintf(stderr, "usage: analysis_bench [--json FILE]\n");
  return 2;
}
