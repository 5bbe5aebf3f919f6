// SPDX-License-Identifier: Apache-2.0
#include "lab.h"

#include <cstring>

#include "kernel/kernel.h"

namespace mapshift::test {

uint64_t Got::lost() const {
  uint64_t sum = 0;
  for (const auto& one : resyncs) sum += one.lost;
  return sum;
}

std::vector<uint64_t> Got::numbers() const {
  std::vector<uint64_t> out;
  for (const auto& one : changes) out.push_back(one.seq);
  return out;
}

void ChangesTest::SetUp() {
  KernelTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  fs_ = std::make_unique<PrivateBpffs>();
  MS_SKIP_FOR(fs_->problem());
}

void ChangesTest::TearDown() {
  stream_.reset();
  writers_.reset();
}

void ChangesTest::start(uint64_t ring_bytes, size_t history) {
  auto opened = open_stream({pin_of("changes"), ring_bytes, history});
  ASSERT_TRUE(ok(opened));
  stream_ = std::move(*opened);
}

// What the loader does with an object that logs: Stream::prepare says which variables and maps.
void ChangesTest::load_writers() {
  ObjectSpec object;
  const auto variable = [](const char* name) { return Variable{name, 0, 4, nullptr, {}}; };
  MapSpec rodata;
  rodata.name = "rodata";
  rodata.section = DataSection::kRodata;
  rodata.variables = {variable("ms_log_logged"), variable("ms_log_numbers"), variable("ms_log_absent")};
  MapSpec logged, numbers;
  logged.name = "logged";
  numbers.name = "numbers";
  object.maps = {rodata, logged, numbers};
  LoadRequest request;
  const auto prepared = stream_->prepare("m", object, request);
  ASSERT_TRUE(ok(prepared));
  ASSERT_THAT(*prepared, ::testing::ElementsAre("logged", "numbers"));
  writers_ = std::make_unique<Writers>(request);
  ASSERT_TRUE(ok(pin(writers_->logged(), pin_of("logged"))));
  ASSERT_TRUE(ok(pin(writers_->numbers(), pin_of("numbers"))));
}

Watch ChangesTest::watch_of(const std::string& map, std::vector<Source> sources) const {
  Watch watch;
  watch.name = {"m", map};
  watch.pin = pin_of(map);
  watch.sources = std::move(sources);
  watch.instrumented = writers_ != nullptr;
  watch.pull_interval = std::chrono::hours(1);  // tests scan when they want to
  return watch;
}

std::unique_ptr<Subscription> ChangesTest::subscribe(const std::string& map, std::optional<uint64_t> since) {
  auto made = stream_->subscribe({"m", map}, since);
  EXPECT_TRUE(ok(made));
  return made ? std::move(*made) : nullptr;
}

Got ChangesTest::read(Subscription& subscription, uint64_t count) {
  Got got;
  while (true) {
    const bool enough = got.changes.size() + got.lost() >= count;
    auto events = subscription.next(enough ? std::chrono::milliseconds(20) : std::chrono::seconds(3), 1000);
    EXPECT_TRUE(ok(events));
    if (!events || events->empty()) return got;
    for (auto& event : *events) {
      if (auto* change = std::get_if<Change>(&event)) got.changes.push_back(std::move(*change));
      else got.resyncs.push_back(std::get<Resync>(event));
    }
  }
}

MapReport ChangesTest::report(const std::string& map) const {
  for (const auto& one : stream_->stats().maps) {
    if (one.name.map == map) return one;
  }
  return {};
}

}  // namespace mapshift::test
