// SPDX-License-Identifier: Apache-2.0
#include "run_fixture.h"

namespace mapshift::update {
namespace {

using Swap = ProgramPlan::Swap;

constexpr const char* kOldObject = "/objects/1";
constexpr const char* kNewObject = "/objects/2";

MapPlan map_plan(const std::string& name, const std::string& from, Policy policy) {
  MapPlan map;
  map.name = map.record.name = name;
  map.from = map.record.from = from;
  map.policy = policy;
  if (policy == Policy::kSync) map.sync = SyncSpec{}, map.record.policy = "sync";
  return map;
}

ProgramPlan program_plan(const std::string& name, const std::string& type, Swap swap) {
  ProgramPlan program;
  program.name = program.record.name = name;
  program.attach.type = type;
  program.swap = swap;
  return program;
}

Plan make_plan() {
  Plan plan;
  plan.module = "meter";
  plan.from = {1, "1.0.0"};
  plan.to = {2, "2.0.0"};
  plan.maps = {map_plan("fresh", "", Policy::kReset), map_plan("flows", "flows", Policy::kSync), map_plan("totals", "totals", Policy::kReuse),
               map_plan("windows", "windows", Policy::kSync)};
  plan.programs = {program_plan("watch", "tracepoint", Swap::kDispatcher), program_plan("meter", "xdp", Swap::kNative),
                   program_plan("extra", "tracepoint", Swap::kAttach), program_plan("helper", "", Swap::kNone),
                   program_plan("legacy", "tracepoint", Swap::kDetach)};
  return plan;
}

}  // namespace

std::string hook_dir(const std::string& program) { return std::string(kRoot) + "/hooks/" + program; }

std::string pin(uint64_t generation, const std::string& kind_and_name) {
  return std::string(kRoot) + "/gen/" + std::to_string(generation) + "/" + kind_and_name;
}

World::World(Moves moves) {
  kernel.objects[kOldObject] = {{"flows", "former", "totals", "windows"},
                                {{"watch", "totals"}, {"meter", "flows"}, {"helper", "flows"}, {"legacy", "former"}}, {}};
  kernel.objects[kNewObject] = {{"fresh", "flows", "totals", "windows"},
                                {{"watch", "totals"}, {"meter", "flows"}, {"helper", "flows"}, {"extra", "fresh"}}, {}};
  LoadRequest first;
  first.object_path = kOldObject;
  first.generation_dir = std::string(kRoot) + "/gen/1";
  EXPECT_TRUE(kernel.load(first));
  for (const char* map : {"flows", "former", "totals", "windows"}) {
    EXPECT_TRUE(kernel.publish(pin(1, std::string("maps/") + map), std::string(kRoot) + "/maps/" + map));
  }
  for (const auto& [program, type] : {std::pair{"meter", "xdp"}, {"watch", "tracepoint"}, {"legacy", "tracepoint"}}) {
    EXPECT_TRUE(kernel.attach(Hook{type}, hook_dir(program), pin(1, std::string("progs/") + program)));
  }
  before = kernel.state();

  input.plan = make_plan();
  input.plan.together = moves != Moves::kInOrder;
  if (moves == Moves::kCanary) input.plan.canary = Canary{Canary::By::kRandom, {0.25, 0.5}, 0};
  input.record.id = "u-000001";
  input.record.module = "meter";
  input.record.trigger = "cli";
  input.record.from = input.plan.from;
  input.record.to = input.plan.to;
  input.record.revision = 1;
  for (const MapPlan& map : input.plan.maps) input.record.maps.push_back(map.record);
  input.new_object_path = kNewObject;
  input.bpffs = "/fs";
  input.analysis.bake = Nanos(0);  // commits at once
  journal = std::make_unique<FakeJournal>(steps, input.record);
  steps.revive();
}

Run& World::begin() {
  RunInput taken = input;
  taken.record = journal->record;
  taken.intent = journal->intent;
  observer = {};
  run = std::make_unique<Run>(kernel, *journal, observer, std::move(taken));
  return *run;
}

void World::order_at(const std::string& part, Order order, size_t nth) {
  steps.on_call([this, part, order, nth, seen = size_t{0}](size_t, const std::string& call) mutable {
    if (call.find(part) == std::string::npos || seen++ != nth) return;
    EXPECT_TRUE(run->order(order, "ordered in a test", "operator")) << call;
  });
}

void World::restart() {
  steps.revive();
  for (int n = 0; n < 3; ++n) kernel.traffic();  // the world goes on while no agent runs
  if (!is_final(journal->record.state)) {
    begin().resume();
    return;
  }
  if (journal->record.state == State::kStuck) return;
  const uint64_t active = journal->promoted != 0 ? journal->promoted : 1;
  EXPECT_TRUE(kernel.remove_tree(std::string(kRoot) + "/gen/" + std::to_string(3 - active)));
  EXPECT_TRUE(kernel.remove_tree(std::string(kRoot) + "/sync"));
}

bool World::runs_new_alone() const {
  if (kernel.exists(std::string(kRoot) + "/gen/1") || kernel.exists(std::string(kRoot) + "/sync")) return false;
  if (kernel.exists(std::string(kRoot) + "/maps/former") || kernel.exists(hook_dir("legacy")) || kernel.hook_count() != 3) return false;
  for (const char* program : {"meter", "watch", "extra"}) {
    if (kernel.runs(hook_dir(program)) != pin(2, std::string("progs/") + program)) return false;
  }
  for (const char* map : {"fresh", "flows", "totals", "windows"}) {
    if (!kernel.exists(std::string(kRoot) + "/maps/" + map)) return false;
  }
  return kernel.state().find('~') == std::string::npos;
}

std::string World::explain() const {
  std::string out = "state " + std::string(to_string(state())) + ", reason \"" + reason() + "\"\n" + kernel.state() + "calls of this life:\n";
  const auto calls = steps.calls();
  for (size_t n = 0; n < calls.size(); ++n) out += std::to_string(n) + " " + calls[n] + "\n";
  return out;
}

void World::expect_nothing_lost() const {
  for (const char* program : {"meter", "watch"}) EXPECT_EQ(kernel.unseen(hook_dir(program)), 0u) << program;
  EXPECT_EQ(kernel.count(std::string(kRoot) + "/maps/flows"), kernel.events(hook_dir("meter")));
  EXPECT_EQ(kernel.count(std::string(kRoot) + "/maps/totals"), kernel.events(hook_dir("watch")));
}

void World::expect_running(uint64_t generation) const {
  if (generation == 1) {
    EXPECT_EQ(kernel.state(), before);
  }
  else EXPECT_TRUE(runs_new_alone()) << kernel.state();
}

void World::expect_consistent() const {
  expect_running(journal->promoted == 2 ? 2 : 1);
  if (is_final(journal->record.state)) {
    EXPECT_EQ(journal->record.state == State::kCommitted, journal->promoted == 2);
  }
}

void World::expect_growing() const {
  for (size_t n = 1; n < observer.shown.size(); ++n) EXPECT_GT(observer.shown[n].revision, observer.shown[n - 1].revision);
  for (const UpdateRecord& record : observer.shown) {
    if (is_final(record.state) && record.state != State::kCommitted) {
      EXPECT_NE(record.reason, "") << to_string(record.state);
    }
  }
}

}  // namespace mapshift::update
