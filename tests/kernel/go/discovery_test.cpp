// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "go_target.h"
#include "kernel_test.h"

namespace mapshift::observe::go::test {
namespace {

using mapshift::test::eventually;

class GoDiscovery : public mapshift::test::KernelTest {};

std::vector<std::string> names(Capture& capture, State state = State::kCaptured) {
  std::vector<std::string> out;
  for (const auto& report : capture.reports(Nanos{0}))
    if (report.state == state) out.push_back(report.name);
  return out;
}

TEST_F(GoDiscovery, FindsWhatRunsAndWhatStarts) {
  const Copy program(newest(), "app");
  GoTarget before(program.path());
  const auto capture = capture_of(program.path());
  EXPECT_EQ(report_on(*capture, before.pid()).name, "app");
  const Nanos began = monotonic_now();
  GoTarget after(program.path());
  const auto report = report_on(*capture, after.pid());
  EXPECT_LT(monotonic_now() - began, std::chrono::seconds(2));
  EXPECT_EQ(report.name, "app-1");
  EXPECT_EQ(report.path, program.path());
  EXPECT_TRUE(report.cgroup.starts_with('/'));
  EXPECT_GT(report.start_ticks, 0U);
  EXPECT_EQ(report.layout_from, "dwarf");
  for (const std::string& note : report.notes) std::printf("%s\n", note.c_str());
}

TEST_F(GoDiscovery, ForgetsWhatEndedAndFreesItsName) {
  const Copy program(newest(), "app");
  const auto capture = capture_of(program.path());
  GoTarget first(program.path());
  EXPECT_EQ(report_on(*capture, first.pid()).name, "app");
  GoTarget second(program.path());
  EXPECT_EQ(report_on(*capture, second.pid()).name, "app-1");
  first.kill();
  EXPECT_TRUE(eventually([&] { return names(*capture) == std::vector<std::string>{"app-1"}; }));
  GoTarget third(program.path());
  EXPECT_EQ(report_on(*capture, third.pid()).name, "app");
  EXPECT_EQ(report_on(*capture, second.pid()).name, "app-1");
}

TEST_F(GoDiscovery, AnExecMakesItAnotherProcess) {
  const Copy first(newest(), "first"), second(programs().front(), "second");
  const auto capture = capture_of(std::filesystem::temp_directory_path().string() + "/mapshift-go-*");
  GoTarget target(first.path());
  target.ask("gc 9");
  EXPECT_EQ(report_on(*capture, target.pid()).gc_cycles, 9U);
  target.tell("exec " + second.path());
  ASSERT_TRUE(eventually([&] { return report_on(*capture, target.pid()).name == "second"; }));
  target.ask("gc 2");
  EXPECT_EQ(report_on(*capture, target.pid()).gc_cycles, 2U);
  // Itself once more: neither pid, start time nor file changes.
  target.tell("exec " + second.path());
  ASSERT_TRUE(eventually([&] { return report_on(*capture, target.pid()).gc_cycles == 0U; }));
  target.ask("gc 1");
  ASSERT_TRUE(eventually([&] { return report_on(*capture, target.pid()).gc_cycles == 1U; }));
  EXPECT_EQ(report_on(*capture, target.pid()).state, State::kCaptured);
  target.tell("exec /bin/cat");
  EXPECT_TRUE(eventually([&] { return capture->reports(Nanos{0}).empty(); }));
}

TEST_F(GoDiscovery, OtherPidNamespacesAreSeenFromHere) {
  const Copy program(newest(), "app");
  const auto capture = capture_of(program.path());
  ASSERT_TRUE(capture->reports(Nanos{0}).empty());
  GoTarget target(std::vector<std::string>{"/usr/bin/unshare", "--pid", "--fork", "--kill-child", program.path()});
  target.ask("gc 4");
  ASSERT_TRUE(eventually([&] { return names(*capture) == std::vector<std::string>{"app"}; }));
  const auto report = capture->reports(Nanos{0}).front();
  EXPECT_EQ(report.gc_cycles, 4U);
  EXPECT_NE(report.pid, 1);
  EXPECT_EQ(capture->census(report.pid)->goroutines, target.figures().values.at("goroutines"));
}

TEST_F(GoDiscovery, AFileThatIsReplacedStillRuns) {
  const Copy program(newest(), "app");
  GoTarget old(program.path());
  std::filesystem::remove(program.path());
  std::filesystem::copy_file(programs().front(), program.path());
  GoTarget fresh(program.path());
  const auto capture = capture_of(program.path());
  const auto first = report_on(*capture, old.pid()), second = report_on(*capture, fresh.pid());
  EXPECT_EQ(first.state, State::kCaptured) << first.reason;
  EXPECT_EQ(second.state, State::kCaptured) << second.reason;
  EXPECT_EQ(first.path, program.path());
  EXPECT_EQ(first.go_version, old.figures().version);
  EXPECT_EQ(second.go_version, fresh.figures().version);
}

TEST_F(GoDiscovery, SomethingThatOnlyClaimsToBeGo) {
  const Copy program("/bin/cat", "claims");
  const std::string section = program.path() + ".section";
  ASSERT_EQ(std::system(("head -c 200 /dev/urandom > " + section + " && objcopy --add-section .go.buildinfo=" + section + " " +
                         program.path()).c_str()), 0);
  GoTarget target(program.path());
  const auto capture = capture_of(program.path());
  const auto report = report_on(*capture, target.pid());
  EXPECT_EQ(report.state, State::kUnsupported);
  EXPECT_FALSE(report.reason.empty());
  EXPECT_FALSE(report.goroutines);
  std::printf("%s\n", report.reason.c_str());
}

TEST_F(GoDiscovery, LooksLikeGoButItsMemoryDoesNot) {
  // The linked addresses stay, what they mean does not: a shared object's .data is made of something else.
  const Copy program(newest(), "mangled");
  ASSERT_EQ(std::system(("python3 - " + program.path() + R"( <<'E'
import re, sys
data = bytearray(open(sys.argv[1], "rb").read())
at = data.find(b"\xff Go buildinf:")
data[at + 33:at + 40] = b"go1.99 "
open(sys.argv[1], "r+b").write(data)
E
)").c_str()), 0);
  GoTarget target(program.path());
  const auto capture = capture_of(program.path());
  const auto report = report_on(*capture, target.pid());
  // With its debugging information an unknown version may still be understood; then all must be right.
  if (report.state == State::kCaptured) {
    EXPECT_EQ(capture->census(target.pid())->goroutines, target.figures().values.at("goroutines"));
  } else {
    EXPECT_EQ(report.state, State::kUnsupported);
  }
  std::printf("%s %s\n", report.go_version.c_str(), report.reason.c_str());
}

TEST_F(GoDiscovery, MoreThanTheLimit) {
  const Copy program(newest(), "app");
  GoTarget first(program.path());
  const auto capture = capture_of(program.path(), 1);
  EXPECT_EQ(report_on(*capture, first.pid()).state, State::kCaptured);
  GoTarget second(program.path());
  EXPECT_EQ(report_on(*capture, second.pid()).state, State::kOverLimit);
  GoTarget third(program.path());
  const auto over = report_on(*capture, third.pid());
  EXPECT_EQ(over.state, State::kOverLimit);
  EXPECT_FALSE(over.reason.empty());
  EXPECT_FALSE(over.goroutines);
  EXPECT_EQ(capture->dropped_processes(), 2U);
  EXPECT_EQ(capture->reports(Nanos{0}).front().pid, first.pid());
  first.kill();
  EXPECT_TRUE(eventually([&] { return report_on(*capture, second.pid()).state == State::kCaptured; }));
  EXPECT_EQ(report_on(*capture, third.pid()).state, State::kOverLimit);
}

TEST_F(GoDiscovery, SettingsMayChange) {
  const Copy program(newest(), "app");
  GoTarget first(program.path()), second(program.path());
  const auto capture = capture_of(program.path());
  EXPECT_TRUE(eventually([&] { return names(*capture).size() == 2; }));
  Settings settings;
  settings.processes = {{program.path(), "*"}};
  settings.max_processes = 1;
  capture->configure(settings);
  EXPECT_TRUE(eventually([&] { return names(*capture, State::kOverLimit).size() == 1; }));
  settings.max_processes = 5;
  capture->configure(settings);
  EXPECT_TRUE(eventually([&] { return names(*capture).size() == 2; }));
  settings.processes = {{"/nowhere/*", "*"}};
  capture->configure(settings);
  EXPECT_TRUE(eventually([&] { return capture->reports(Nanos{0}).empty(); }));
  settings.processes = {{program.path(), "*"}};
  settings.census_interval = std::chrono::milliseconds(200);
  capture->configure(settings);
  EXPECT_TRUE(eventually([&] { return names(*capture).size() == 2; }));
}

TEST_F(GoDiscovery, AYoungReportIsGivenAgain) {
  const Copy program(newest(), "app");
  GoTarget target(program.path());
  const auto capture = capture_of(program.path());
  const auto first = report_on(*capture, target.pid());
  target.ask("gc 3");
  EXPECT_EQ(capture->reports(std::chrono::minutes(1)).front().gc_cycles, first.gc_cycles);
  EXPECT_EQ(capture->reports(Nanos{0}).front().gc_cycles, *first.gc_cycles + 3);
}

}  // namespace
}  // namespace mapshift::observe::go::test
