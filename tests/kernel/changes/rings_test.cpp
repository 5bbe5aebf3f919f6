// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>

#include <numeric>

#include "change_events.skel.h"
#include "kernel/pin.h"
#include "kernel/record_type.h"
#include "lab.h"
#include "observe/changes/module_rings.h"

namespace mapshift::test {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

// One generation of a module with a ring.
class Events {
 public:
  explicit Events(const std::string& path) : skeleton_(change_events_bpf::open_and_load(), change_events_bpf::destroy) {
    if (!skeleton_ || !pin(bpf_map__fd(skeleton_->maps.events), path)) throw std::runtime_error("load the events");
  }
  void emit(uint64_t after, uint32_t count) const {
    skeleton_->bss->next = after;
    skeleton_->bss->count = count;
    run(skeleton_->progs.emit);
  }
  void emit_short() const { run(skeleton_->progs.emit_short); }
  [[nodiscard]] uint64_t refused() const { return skeleton_->bss->refused; }

 private:
  static void run(const bpf_program* program) {
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) throw std::runtime_error("run");
  }
  std::unique_ptr<change_events_bpf, void (*)(change_events_bpf*)> skeleton_;
};

class RingsTest : public KernelTest {
 protected:
  void SetUp() override {
    KernelTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    fs_ = std::make_unique<PrivateBpffs>();
    MS_SKIP_FOR(fs_->problem());
    auto started = start_module_rings();
    ASSERT_TRUE(ok(started));
    rings_ = std::move(*started);
    const auto type = read_record_type(CHANGE_EVENTS_OBJECT, "struct event");
    ASSERT_TRUE(ok(type));
    type_ = *type;
  }
  [[nodiscard]] std::string pin_of(const std::string& name) const { return fs_->path() + "/" + name; }
  // The numbers that the events carry, and what was said to be missed.
  static std::vector<uint64_t> read(RingSubscription& subscription, size_t count, uint64_t& missed) {
    std::vector<uint64_t> numbers;
    while (true) {
      const auto events = subscription.next(numbers.size() + missed < count ? Nanos(std::chrono::seconds(3)) : Nanos(std::chrono::milliseconds(20)), 1000);
      if (!events || events->empty()) return numbers;
      for (const auto& event : *events) {
        if (const auto* resync = std::get_if<Resync>(&event)) missed += resync->lost;
        else numbers.push_back(std::get<uint64_t>(std::get<Value::Object>(std::get<RingRecord>(event).value->is)[0].second.is));
      }
    }
  }

  std::unique_ptr<PrivateBpffs> fs_;
  std::unique_ptr<ModuleRings> rings_;
  TypeRef type_;
  const MapName name_{"m", "events"};
};

TEST_F(RingsTest, RecordsAreDecodedByTheirType) {
  const Events module(pin_of("events"));
  ASSERT_TRUE(ok(rings_->open({name_, pin_of("events"), type_, true})));
  const uint64_t before = rings_->reports()[0].version;
  auto subscription = rings_->subscribe(name_, {});
  ASSERT_TRUE(ok(subscription));
  module.emit(41, 1);
  const auto events = (*subscription)->next(std::chrono::seconds(3), 10);
  ASSERT_TRUE(ok(events));
  ASSERT_THAT(*events, SizeIs(1));
  const auto& record = std::get<RingRecord>(events->front());
  EXPECT_EQ(record.seq, before + 1);
  const auto& object = std::get<Value::Object>(record.value->is);
  ASSERT_THAT(object, SizeIs(3));
  EXPECT_EQ(std::get<uint64_t>(object[0].second.is), 42u);
  EXPECT_EQ(std::get<std::string>(object[1].second.is), "EVENT_SHUT");
  EXPECT_EQ(object[2].first, "who");
  EXPECT_EQ(std::get<std::string>(object[2].second.is), "somebody");
  EXPECT_EQ(read_record_type(CHANGE_EVENTS_OBJECT, "struct nothing").error().code, ErrorCode::kNotFound);
}

TEST_F(RingsTest, AnUpdateWithAnotherRingLosesAndRepeatsNothing) {
  const Events old_module(pin_of("old")), new_module(pin_of("new"));
  ASSERT_TRUE(ok(rings_->open({name_, pin_of("old"), type_, true})));
  auto subscription = rings_->subscribe(name_, {});
  ASSERT_TRUE(ok(subscription));
  old_module.emit(0, 1000);
  ASSERT_TRUE(ok(rings_->retarget({name_, pin_of("new"), type_, true})));
  new_module.emit(1500, 500);
  old_module.emit(1000, 500);  // an old program that was still running
  rings_->settle(name_);
  new_module.emit(2000, 1000);
  uint64_t missed = 0;
  auto numbers = read(**subscription, 3000, missed);
  std::ranges::sort(numbers);
  std::vector<uint64_t> expected(3000);
  std::iota(expected.begin(), expected.end(), 1);
  EXPECT_EQ(numbers, expected);
  EXPECT_EQ(missed, 0u);
  const auto reports = rings_->reports();
  ASSERT_THAT(reports, SizeIs(1));
  EXPECT_EQ(reports[0].records, 3000u);
  EXPECT_EQ(reports[0].backlog, 0u);
}

TEST_F(RingsTest, ShortRecordsAndSlowReadersAreCounted) {
  const Events module(pin_of("events"));
  ASSERT_TRUE(ok(rings_->open({name_, pin_of("events"), type_, true})));
  auto slow = rings_->subscribe(name_, {});
  ASSERT_TRUE(ok(slow));
  module.emit_short();
  for (int i = 0; i < 4; ++i) {
    module.emit(static_cast<uint64_t>(i) * 5000, 5000);
    ASSERT_TRUE(eventually([&] { return rings_->reports()[0].backlog == 0; }));
  }
  EXPECT_EQ(module.refused(), 0u);
  EXPECT_EQ(rings_->reports()[0].malformed, 1u);
  uint64_t missed = 0;
  const auto numbers = read(**slow, 20'000, missed);
  EXPECT_GT(missed, 0u);
  EXPECT_EQ(numbers.size() + missed, 20'001u) << "the short one has a number, too";
  EXPECT_EQ(numbers.back(), 20'000u);
  rings_->close(name_);
  EXPECT_EQ((*slow)->next(Nanos(0), 1).error().code, ErrorCode::kNotFound);
  EXPECT_THAT(rings_->reports(), IsEmpty());
}

TEST_F(RingsTest, AMalformedRecordIsToldAsLostAndAsNothingElse) {
  const Events module(pin_of("events"));
  ASSERT_TRUE(ok(rings_->open({name_, pin_of("events"), type_, true})));
  auto early = rings_->subscribe(name_, {});
  ASSERT_TRUE(ok(early));
  module.emit_short();
  ASSERT_TRUE(eventually([&] { return rings_->reports()[0].malformed == 1; }));
  const auto told = (*early)->next(std::chrono::seconds(3), 10);
  ASSERT_TRUE(ok(told));
  ASSERT_THAT(*told, SizeIs(1));
  EXPECT_EQ(std::get<Resync>(told->front()).lost, 1u);
  EXPECT_EQ(std::get<Resync>(told->front()).reason, "lost");
  auto late = rings_->subscribe(name_, rings_->reports()[0].version);
  ASSERT_TRUE(ok(late));
  EXPECT_THAT((*late)->next(Nanos(0), 10).value(), IsEmpty()) << "the version is the last number";
}

TEST_F(RingsTest, RecordsAreCountedOnlyUnlessTheyMayLeave) {
  const Events module(pin_of("events"));
  ASSERT_TRUE(ok(rings_->open({name_, pin_of("events"), type_})));
  auto subscription = rings_->subscribe(name_, 7);
  ASSERT_TRUE(ok(subscription));
  const auto first = (*subscription)->next(Nanos(0), 1);
  ASSERT_TRUE(ok(first));
  EXPECT_EQ(std::get<Resync>(first->front()).reason, "since-too-old") << "numbers of another life are not taken for ours";
  module.emit(41, 1);
  const auto events = (*subscription)->next(std::chrono::seconds(3), 10);
  ASSERT_TRUE(ok(events));
  ASSERT_THAT(*events, SizeIs(1));
  EXPECT_FALSE(std::get<RingRecord>(events->front()).value);
}

}  // namespace
}  // namespace mapshift::test
