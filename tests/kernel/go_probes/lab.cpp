// SPDX-License-Identifier: Apache-2.0
#include "lab.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <numeric>

namespace mapshift::test {
namespace {

using namespace observe::go;

struct Words {
  uint64_t data, length;
};

template <class T>
void read_memory(pid_t pid, uint64_t address, T* to, size_t size) {
  iovec local{to, size}, remote{reinterpret_cast<void*>(address), size};
  EXPECT_EQ(::process_vm_readv(pid, &local, 1, &remote, 1, 0), static_cast<ssize_t>(size));
}

std::vector<std::string> read_strings(pid_t pid, uint64_t address, uint32_t count) {
  std::vector<std::string> all;
  if (address == 0) return all;
  std::vector<Words> headers(count);
  read_memory(pid, address, headers.data(), count * sizeof(Words));
  for (const Words& header : headers) {
    std::string text(header.length, '\0');
    if (header.length > 0) read_memory(pid, header.data, text.data(), header.length);
    all.push_back(std::move(text));
  }
  return all;
}

}  // namespace

Traced trace_of(pid_t pid) {
  Traced traced;
  traced.pid = pid;
  traced.executable = "/proc/" + std::to_string(pid) + "/exe";
  const Fd file(::open(traced.executable.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat status {};
  EXPECT_EQ(::fstat(file.get(), &status), 0);
  traced.device = status.st_dev;
  traced.inode = status.st_ino;
  auto binary = analyse(file.get());
  if (!binary) throw std::runtime_error(binary.error().message);
  // The programs of these tests are not position-independent.
  traced.wait_reasons = read_strings(pid, binary->globals.wait_reasons, binary->globals.wait_reason_count);
  traced.stw_reasons = read_strings(pid, binary->globals.stw_reasons, binary->globals.stw_reason_count);
  traced.binary = std::make_shared<const Binary>(std::move(*binary));
  return traced;
}

std::vector<uint64_t> runtime_histogram(const Traced& traced, uint64_t address) {
  if (address == 0) return {};
  // It is counters and nothing else.
  std::vector<uint64_t> counters(traced.binary->layout.histogram_size / sizeof(uint64_t));
  iovec local{counters.data(), counters.size() * sizeof(uint64_t)}, remote{reinterpret_cast<void*>(address), local.iov_len};
  if (::process_vm_readv(traced.pid, &local, 1, &remote, 1, 0) != static_cast<ssize_t>(local.iov_len)) return {};
  return counters;
}

std::optional<uint64_t> recorded_transitions(const Traced& traced) {
  const auto counters = runtime_histogram(traced, traced.binary->globals.time_to_run);
  if (counters.empty()) return std::nullopt;
  return std::accumulate(counters.begin(), counters.end(), uint64_t{0});
}

uint64_t total(const ProcessReport& report, const std::string& reason) {
  const auto found = report.block.find(reason);
  return found == report.block.end() ? 0 : found->second.total();
}

double median(const ProcessReport& report, const std::string& reason) {
  const auto found = report.block.find(reason);
  return found == report.block.end() ? -1 : observe::quantile(found->second, 0.5).value_or(-1);
}

void GoProbesTest::SetUp() {
  MS_SKIP_FOR(missing_privilege());
  if (go_versions().empty()) GTEST_SKIP() << "there is no Go toolchain on this machine";
}

void GoProbesTest::open(double budget) {
  auto opened = open_probes(budget);
  ASSERT_TRUE(opened) << opened.error().message << "\n" << opened.error().context;
  probes_ = std::move(*opened);
}

void GoProbesTest::add(const Program& program) {
  const auto added = probes_->add(trace_of(program.pid()));
  ASSERT_TRUE(added) << added.error().message;
}

ProcessReport GoProbesTest::report(pid_t pid) {
  ProcessReport result;
  probes_->fill(pid, result);
  return result;
}

}  // namespace mapshift::test
