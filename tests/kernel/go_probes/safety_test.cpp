// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "kernel/go_probes.h"
#include "lab.h"
#include "observe/go/points.h"

namespace mapshift::test {
namespace {

using namespace observe::go;

constexpr int kRounds = 20;

// Of what a program printed, what must always be the same.
std::string checksums(const std::string& printed) { return printed.substr(0, printed.rfind("done")); }

class Safety : public GoProbesTest {
 protected:
  // Attaches and detaches the probes of both tiers, again and again, while storm after storm prints what is `expected`.
  static void churn(const std::string& path, int times, const std::string& expected);
};

void Safety::churn(const std::string& path, int times, const std::string& expected) {
  auto rare = GoRareProbes::load(best_uprobe_link());
  auto hot = GoWindowProbes::load(best_uprobe_link());
  ASSERT_TRUE(rare && hot);
  Program program(path, "storm", kRounds, "0s");
  const Traced traced = trace_of(program.pid());
  const Points points = points_of(*traced.binary, {});
  ASSERT_TRUE(rare->add(program.pid(), traced.binary->version.minor));
  ASSERT_TRUE(hot->add(program.pid(), traced.binary->layout.g_waitreason.value_or(0), 0));
  std::atomic<bool> stop = false;
  int storms = 0;
  std::thread reader([&] {
    for (; !stop; storms++) {
      program.go();
      EXPECT_EQ(checksums(program.finish()), expected);
    }
  });
  for (int i = 0; i < times; i++) {
    hot->open(static_cast<uint32_t>(i + 1), monotonic_now());
    const auto one = rare->attach(traced.executable, i % 8 == 0 ? points.rare : Places{});
    const auto other = hot->attach(traced.executable, i % 2 == 0 ? points.goroutines : points.io);
    EXPECT_TRUE(one && other);
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  stop = true;
  reader.join();
  const auto counters = hot->read(program.pid());
  ASSERT_TRUE(counters);
  std::cout << path << ": " << times << " times attached, " << storms << " storms, " << counters->hits[MS_GO_HIT_STATUS] << " hits\n";
  EXPECT_GT(counters->hits[MS_GO_HIT_STATUS], 100U);
  rare->consume([](const ms_go_event&) {});
}

// MAPSHIFT_GO_ATTACHMENTS: how often for each program.
TEST_F(Safety, ProgramsDoTheSameWithAndWithoutProbes) {
  const char* asked = std::getenv("MAPSHIFT_GO_ATTACHMENTS");
  const int times = asked != nullptr ? std::atoi(asked) : 40;
  std::vector<std::string> programs;
  for (const std::string& version : go_versions()) programs.push_back(known_answers(version));
  if (const std::string cgo = known_answers("cgo"); std::filesystem::exists(cgo)) programs.push_back(cgo);
  std::string expected;
  for (const std::string& path : programs) {
    SCOPED_TRACE(path);
    if (expected.empty()) {
      Program alone(path, "storm", kRounds, "0s");
      alone.go();
      expected = checksums(alone.finish());
    }
    churn(path, times, expected);
  }
}

TEST_F(Safety, ProcessesMayEndAtAnyMoment) {
  open(1);
  for (int i = 0; i < 12; i++) {
    Program program(newest(), "storm", 1000, "0s");
    const Traced traced = trace_of(program.pid());
    program.go();
    std::this_thread::sleep_for(std::chrono::milliseconds(3 * i));
    if (i % 3 == 0) program.kill();
    const auto added = probes_->add(traced);
    if (i % 3 == 1) program.kill();
    (void)report(traced.pid);
    probes_->remove(traced.pid);
  }
}

// After an exec the same pid opens another file, where the offsets of the first mean nothing.
TEST_F(Safety, NothingIsPutOnAnotherExecutable) {
  open(1);
  Program program(newest(), "idle", 1, "0s");
  Traced traced = trace_of(program.pid());
  traced.executable = "/proc/self/exe";
  const auto added = probes_->add(traced);
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ErrorCode::kStale);
}

// Written over in place, the file is the same inode with other code.
TEST_F(Safety, AFileThatWasWrittenOverIsProbedAnew) {
  if (go_versions().size() < 2) GTEST_SKIP() << "needs two toolchains";
  const std::string path = std::filesystem::temp_directory_path() / ("go-probes-" + std::to_string(::getpid()));
  open(1);
  for (const std::string& version : {go_versions().front(), go_versions().back()}) {
    std::filesystem::copy_file(known_answers(version), path, std::filesystem::copy_options::overwrite_existing);
    Program program(path, "receive", 30, "10ms");
    add(program);
    program.work();
    EXPECT_EQ(total(report(program.pid()), "chan receive"), 30U) << version;
    // Nobody says that it has ended.
  }
  std::filesystem::remove(path);
}

// The lease does not tell of everything, and not every file system has leases: a file of another time is looked at anew. Here it is
// the same program, so that the places of the old probes do no harm, but of the first look no place for windows was known.
TEST_F(Safety, AFileThatChangedWithoutAWordIsProbedAnew) {
  const std::string path = std::filesystem::temp_directory_path() / ("go-probes-" + std::to_string(::getpid()));
  std::filesystem::copy_file(newest(), path, std::filesystem::copy_options::overwrite_existing);
  open(1);
  {
    Program program(path, "idle", 1, "0s");
    Traced traced = trace_of(program.pid());
    Binary binary = *traced.binary;
    binary.targets[static_cast<size_t>(Target::kCasgstatus)].reset();
    traced.binary = std::make_shared<const Binary>(std::move(binary));
    const auto added = probes_->add(traced);
    ASSERT_TRUE(added) << added.error().message;
    EXPECT_NE(report(program.pid()).probing.why_not, "");
  }
  std::filesystem::last_write_time(path, std::filesystem::last_write_time(path) + std::chrono::seconds(1));
  Program program(path, "receive", 30, "10ms");
  add(program);
  program.work();
  EXPECT_EQ(report(program.pid()).probing.why_not, "");
  EXPECT_EQ(total(report(program.pid()), "chan receive"), 30U);
  std::filesystem::remove(path);
}

TEST_F(Safety, OlderKernelsLinkEachProbeByItself) {
  auto hot = GoWindowProbes::load(UprobeLink::kPerf);
  ASSERT_TRUE(hot) << hot.error().message << hot.error().context;
  Program program(newest(), "receive", 40, "20ms");
  const Traced traced = trace_of(program.pid());
  ASSERT_TRUE(hot->add(program.pid(), *traced.binary->layout.g_waitreason, 0));
  auto attached = hot->attach(traced.executable, points_of(*traced.binary, {}).goroutines);
  ASSERT_TRUE(attached) << attached.error().message;
  hot->open(1, monotonic_now());
  program.work();
  EXPECT_EQ(hot->read(program.pid())->created, 40U);
}

}  // namespace
}  // namespace mapshift::test
