// SPDX-License-Identifier: Apache-2.0
// A module with two instances moves as a set: wherever an update ends or the agent dies, both run the same generation, and what
// each counted for itself and for all is whole.
#include <array>

#include "run_fixture.h"
#include "type_builder.h"

namespace mapshift::update {
namespace {

using Swap = ProgramPlan::Swap;

// `count` at two places, with maps `own` of each; `total`, in which `log` counts, is there once.
class Pair {
 public:
  explicit Pair(bool together) {
    for (const char* object : {"/objects/1", "/objects/2"}) kernel.objects[object] = {{"own", "total"}, {{"count", "own"}, {"log", "total"}}, {}};
    LoadRequest first;
    first.object_path = "/objects/1";
    first.generation_dir = std::string(kRoot) + "/gen/1";
    first.instances = {"a", "b"};
    first.instance_maps = {"own"};
    first.instance_programs = {"count"};
    EXPECT_TRUE(kernel.load(first));
    for (const char* map : kMaps) EXPECT_TRUE(kernel.publish(pin(1, std::string("maps/") + map), published(map)));
    for (const char* program : kPrograms) EXPECT_TRUE(kernel.attach(Hook{"xdp"}, hook_dir(program), pin(1, std::string("progs/") + program)));
    before = kernel.state();
    describe(together);
    journal = std::make_unique<FakeJournal>(steps, input.record);
    steps.revive();
  }

  Run& begin() {
    RunInput taken = input;
    taken.record = journal->record;
    taken.intent = journal->intent;
    observer = {};
    run = std::make_unique<Run>(kernel, *journal, observer, std::move(taken));
    return *run;
  }

  void expect_whole(const std::string& history) const {
    const uint64_t active = journal->promoted != 0 ? journal->promoted : 1;
    if (active == 1) {
      EXPECT_EQ(kernel.state(), before) << history;
    }
    for (const char* program : kPrograms) {
      EXPECT_EQ(kernel.runs(hook_dir(program)), pin(active, std::string("progs/") + program)) << history;
      EXPECT_EQ(kernel.unseen(hook_dir(program)), 0u) << history << program;
    }
    EXPECT_EQ(kernel.count(published("own@a")), kernel.events(hook_dir("count@a"))) << history;
    EXPECT_EQ(kernel.count(published("own@b")), kernel.events(hook_dir("count@b"))) << history;
    EXPECT_EQ(kernel.count(published("total")), kernel.events(hook_dir("log"))) << history;
    EXPECT_FALSE(kernel.exists(std::string(kRoot) + "/sync")) << history;
    EXPECT_FALSE(kernel.exists(std::string(kRoot) + "/gen/" + std::to_string(3 - active))) << history;
  }

  static constexpr std::array kMaps{"own@a", "own@b", "total"};
  static constexpr std::array kPrograms{"count@a", "count@b", "log"};
  Steps steps;
  FakeKernel kernel{steps};
  RunInput input;
  std::unique_ptr<FakeJournal> journal;
  FakeObserver observer;
  std::unique_ptr<Run> run;
  std::string before;

 private:
  static std::string published(const std::string& map) { return std::string(kRoot) + "/maps/" + map; }

  void describe(bool together) {
    Plan& plan = input.plan;
    plan.module = "meter";
    plan.from = {1, "1.0.0"};
    plan.to = {2, "2.0.0"};
    plan.together = together;
    for (const char* name : kMaps) {
      MapPlan map;
      map.name = map.from = map.record.name = map.record.from = name;
      map.policy = Policy::kSync;
      map.sync = SyncSpec{};
      plan.maps.push_back(std::move(map));
    }
    for (const char* name : kPrograms) {
      ProgramPlan program;
      program.name = program.record.name = name;
      program.attach.type = "xdp";
      program.attach.interface = name;
      program.swap = Swap::kNative;
      plan.programs.push_back(std::move(program));
    }
    for (Manifest* manifest : {&input.old_manifest, &input.new_manifest}) {
      manifest->instances = {{{"name", "a"}}, {{"name", "b"}}};
      manifest->maps["own"].per_instance = true;
      for (const char* name : kPrograms) manifest->programs[name].attach = AttachSpec{.type = "xdp", .interface = name};
    }
    for (const char* name : {"count", "log"}) input.new_object.programs.emplace_back().name = name;
    for (const char* name : {"own", "total"}) input.new_object.maps.emplace_back().name = name;
    input.record.id = "u-000001";
    input.record.module = "meter";
    input.record.from = plan.from;
    input.record.to = plan.to;
    for (const MapPlan& map : plan.maps) input.record.maps.push_back(map.record);
    input.new_object_path = "/objects/2";
    input.bpffs = "/fs";
    input.analysis.bake = Nanos(0);
  }
};

size_t calls_of_one(bool together) {
  Pair pair(together);
  pair.begin().execute();
  return pair.steps.calls().size();
}

class RunInstances : public ::testing::TestWithParam<bool /* together */> {};

TEST_P(RunInstances, MoveToTheNewGeneration) {
  Pair pair(GetParam());
  pair.begin().execute();
  EXPECT_EQ(pair.journal->promoted, 2u);
  pair.expect_whole("");
}

TEST_P(RunInstances, AreBroughtBackAsASetWhateverFails) {
  const size_t length = calls_of_one(GetParam());
  for (size_t n = 0; n < length; ++n) {
    Pair pair(GetParam());
    pair.begin();
    pair.steps.fault_at(n, Fault::kError);
    pair.run->execute();
    if (pair.journal->record.state == State::kStuck) continue;  // the way back failed: that one call more is for others to test
    if (pair.journal->promoted == 0) pair.expect_whole("call " + std::to_string(n) + " failed: " + pair.steps.calls()[n]);
    ASSERT_FALSE(HasFailure());
  }
}

TEST_P(RunInstances, RunOneGenerationWhereverTheAgentDied) {
  const size_t length = calls_of_one(GetParam());
  for (const Fault death : {Fault::kDieBefore, Fault::kDieMidway, Fault::kDieAfter}) {
    for (size_t n = 0; n < length; ++n) {
      Pair pair(GetParam());
      pair.begin();
      pair.steps.fault_at(n, death);
      pair.run->execute();
      const std::string history = "death at call " + std::to_string(n) + " " + pair.steps.calls().back() + "\n";
      pair.steps.revive();
      for (int i = 0; i < 3; ++i) pair.kernel.traffic();
      if (!is_final(pair.journal->record.state)) pair.begin().resume();
      const uint64_t active = pair.journal->promoted != 0 ? pair.journal->promoted : 1;
      EXPECT_TRUE(pair.kernel.remove_tree(std::string(kRoot) + "/gen/" + std::to_string(3 - active)));
      EXPECT_TRUE(pair.kernel.remove_tree(std::string(kRoot) + "/sync"));
      pair.expect_whole(history);
      ASSERT_FALSE(HasFailure());
    }
  }
}

// Whenever the interface of one goes, and whichever way the update ends: the others are whole, and nothing is stuck.
TEST_P(RunInstances, AreNoWorseForOneWhoseInterfaceGoes) {
  const size_t length = calls_of_one(GetParam());
  for (const bool ordered : {false, true}) {
    for (size_t n = 0; n < length; ++n) {
      Pair pair(GetParam());
      auto& run = pair.begin();
      pair.steps.on_call([&](size_t at, const std::string& call) {
        if (at == n) pair.kernel.vanish("count@a", hook_dir("count@a"));
        if (ordered && call.starts_with("publish") && run.record().state == State::kSwapping) (void)run.order(Order::kRollback, "ordered", "operator");
      });
      run.execute();
      const std::string history = "gone at call " + std::to_string(n) + ": " + pair.steps.calls()[n] + ", " + pair.journal->record.reason;
      EXPECT_NE(pair.journal->record.state, State::kStuck) << history;
      const uint64_t active = pair.journal->promoted != 0 ? 2 : 1;
      for (const char* program : {"count@b", "log"}) {
        EXPECT_EQ(pair.kernel.runs(hook_dir(program)), pin(active, std::string("progs/") + program)) << history;
        EXPECT_EQ(pair.kernel.unseen(hook_dir(program)), 0u) << history;
      }
      EXPECT_EQ(pair.kernel.count(std::string(kRoot) + "/maps/own@b"), pair.kernel.events(hook_dir("count@b"))) << history;
      EXPECT_EQ(pair.kernel.count(std::string(kRoot) + "/maps/total"), pair.kernel.events(hook_dir("log"))) << history;
      EXPECT_FALSE(pair.kernel.exists(std::string(kRoot) + "/gen/" + std::to_string(3 - active))) << history;
      ASSERT_FALSE(HasFailure());
    }
  }
}

// Whoever it is whose program runs at one of them when the swap comes there: that one stays, and the others go back.
TEST_P(RunInstances, AreBroughtBackButForOneThatIsSomebodyElses) {
  for (const char* taken : {"count@a", "count@b", "log"}) {
    Pair pair(GetParam());
    ASSERT_TRUE(pair.kernel.swap(Hook{"xdp"}, hook_dir(taken), pin(1, std::string("progs/") + taken), pin(1, taken[0] == 'l' ? "progs/count@a" : "progs/log")));
    pair.begin().execute();
    EXPECT_EQ(pair.journal->record.state, State::kFailed) << taken << pair.journal->record.reason;
    EXPECT_EQ(pair.journal->record.warnings.back().code, "hook-taken") << taken;
    for (const char* program : {"count@a", "count@b", "log"}) {
      if (std::string(program) != taken) {
        EXPECT_EQ(pair.kernel.runs(hook_dir(program)), pin(1, std::string("progs/") + program)) << taken;
      }
      EXPECT_EQ(pair.kernel.unseen(hook_dir(program)), 0u) << taken;
    }
    EXPECT_FALSE(pair.kernel.exists(std::string(kRoot) + "/gen/2")) << taken;
  }
}

TEST(SamplerInstances, AreJudgedByTheirSumOrOneByOne) {
  Pair pair(false);
  pair.kernel.element = std::vector<std::byte>(8, std::byte{0});
  pair.kernel.element->front() = std::byte{5};
  ObjectSpec object;
  object.maps.emplace_back().name = "own";
  object.maps.back().type = MapType::kArray;
  object.maps.back().value = types::structure("own", {{"n", types::u64()}});
  object.maps.back().value_size = 8;
  const Paths paths("/fs", "meter");
  const auto read = [&](const slo::Objective& objective, bool several) {
    return Sampler(pair.kernel, paths, "meter", {}, {}, several).read(objective, object, 1);
  };
  slo::Objective counter;
  counter.indicator = slo::Indicator::kMap;
  counter.counter = "own.n";
  EXPECT_EQ(read(counter, true).value, 10);
  counter.counter = "own@b.n";
  EXPECT_EQ(read(counter, true).value, 5);
  counter.counter = "own@c.n";
  EXPECT_NE(read(counter, true).error, "");
  counter.counter = "own.n";
  EXPECT_NE(read(counter, false).error, "");
  slo::Objective runs;
  runs.indicator = slo::Indicator::kProgram;
  runs.value = "runs_rate";
  runs.program = "count";
  for (int i = 0; i < 3; ++i) pair.kernel.traffic();
  const auto counted = [&](const std::string& map) { return static_cast<double>(pair.kernel.count(std::string(kRoot) + "/maps/" + map)); };
  const double before = counted("own@a") + counted("own@b");  // each call is one event more
  EXPECT_GE(read(runs, true).value, before);
  runs.program = "count@b";
  const auto one = read(runs, true).value;
  ASSERT_TRUE(one);
  EXPECT_GT(*one, 0);
  EXPECT_LE(*one, counted("own@b"));
  EXPECT_TRUE(check_subject(runs, object, {"count@a", "count@b"}));
  runs.program = "count";
  EXPECT_TRUE(check_subject(runs, object, {"count@a", "count@b"}));
  runs.program = "count@c";
  EXPECT_FALSE(check_subject(runs, object, {"count@a", "count@b"}));
}

INSTANTIATE_TEST_SUITE_P(Moves, RunInstances, ::testing::Bool(),
                         [](const auto& test) { return std::string(test.param ? "together" : "in_order"); });

}  // namespace
}  // namespace mapshift::update
