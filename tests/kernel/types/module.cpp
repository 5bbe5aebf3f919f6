// SPDX-License-Identifier: Apache-2.0
#include "module.h"

#include <sys/syscall.h>
#include <unistd.h>

#include "update/load_request.h"
#include "update/planner.h"

namespace mapshift::test {
namespace {

constexpr const char* kModule = "kinds";

update::Manifest manifest_of(const std::string& object, const std::string& version) {
  update::Manifest manifest;
  manifest.name = kModule;
  manifest.version = version;
  manifest.object = TYPES_OBJECTS + object + ".bpf.o";
  manifest.rodata["traced_pid"] = {int64_t{::getpid()}};
  return manifest;
}

}  // namespace

void send_event(uint32_t number) { ::syscall(SYS_getpgid, number); }

void ModuleTest::SetUp() {
  KernelTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  fs_ = std::make_unique<PrivateBpffs>();
  MS_SKIP_FOR(fs_->problem());
  paths_.emplace(fs_->path(), kModule);
}

void ModuleTest::TearDown() {
  if (thread_.joinable()) {
    (void)run_->order(update::Order::kAbort, "the test is over", "cli");
    thread_.join();
  }
  run_.reset();
  if (!paths_) return;
  const auto hooks = kernel_->list(paths_->root() + "/hooks");
  ASSERT_TRUE(hooks);
  for (const std::string& hook : *hooks) EXPECT_TRUE(kernel_->detach(paths_->hook(hook)));
  EXPECT_TRUE(kernel_->remove_tree(paths_->root()));
}

void ModuleTest::load(const std::string& object) {
  auto prepared = agent::prepare(manifest_of(object, "1.0.0"), 1, "");
  ASSERT_TRUE(prepared) << prepared.error().message;
  old_ = *std::move(prepared);
  const auto request = update::load_request(old_->input.manifest, old_->input.object, old_->object_path, *paths_, 1, "");
  ASSERT_TRUE(request) << request.error().message;
  const auto loaded = kernel_->load(*request);
  ASSERT_TRUE(loaded) << loaded.error().message << "\n" << loaded.error().context;
  const auto maps = kernel_->list(paths_->generation(1) + "/maps");
  for (const std::string& map : *maps) ASSERT_TRUE(kernel_->publish(pin(1, map), paths_->published(map)));
  for (const auto& [program, attach] : old_->attach) {
    const Status attached = kernel_->attach(update::to_hook(attach), paths_->hook(program), paths_->program(1, program));
    ASSERT_TRUE(attached) << attached.error().message;
  }
  agent::adopt_running_layouts(*kernel_, *paths_, *old_);
}

update::Plan ModuleTest::plan(const std::string& object, const std::function<void(update::Manifest&)>& edit) {
  update::Manifest manifest = manifest_of(object, "2.0.0");
  if (edit) edit(manifest);
  auto prepared = agent::prepare(manifest, 2, "");
  EXPECT_TRUE(prepared) << prepared.error().message;
  next_ = *std::move(prepared);
  plan_ = agent::plan_update(*kernel_, fs_->path(), *old_, *next_, {});
  return plan_;
}

update::Run& ModuleTest::begin() {
  input_ = {};
  input_.record = update::to_record(plan_);
  input_.record.id = "u-000001";
  input_.record.state = update::State::kPlanning;
  input_.record.revision = 1;
  input_.plan = plan_;
  input_.old_manifest = old_->input.manifest;
  input_.new_manifest = next_->input.manifest;
  input_.old_object = old_->input.object;
  input_.new_object = next_->input.object;
  input_.old_attach = old_->attach;
  input_.new_attach = next_->attach;
  input_.new_object_path = next_->object_path;
  input_.bpffs = fs_->path();
  input_.analysis.bake = std::chrono::hours(1);
  journal_ = std::make_unique<update::FakeJournal>(steps_, input_.record);
  run_ = std::make_unique<update::Run>(*kernel_, *journal_, observer_, input_);
  return *run_;
}

void ModuleTest::start() {
  for (const Problem& refusal : plan_.refusals) ADD_FAILURE() << refusal.where << ": " << refusal.message;
  ASSERT_TRUE(plan_.refusals.empty());
  update::Run& run = begin();
  thread_ = std::thread([&run] { run.execute(); });
  for (uint64_t seen = 0; !update::is_final(run.record().state) && run.record().state != update::State::kBaking;)
    seen = run.wait(seen, std::chrono::seconds(1)).revision;
  ASSERT_EQ(run.record().state, update::State::kBaking) << run.record().reason;
}

void ModuleTest::end(update::Order order) {
  // An order for the present moment may find the update a little before its bake.
  ASSERT_TRUE(run_->order(order, "by the test", "cli"));
  thread_.join();
}

void ModuleTest::restart() {
  ASSERT_TRUE(run_->order(update::Order::kStop, "", ""));
  thread_.join();
  update::RunInput again = input_;
  again.record = journal_->record;
  again.intent = journal_->intent;
  run_ = std::make_unique<update::Run>(*kernel_, *journal_, observer_, again);
  thread_ = std::thread([this] { run_->resume(); });
  for (uint64_t seen = 0; !update::is_final(run_->record().state) && run_->record().state != update::State::kBaking;)
    seen = run_->wait(seen, std::chrono::seconds(1)).revision;
}

update::MapRecord ModuleTest::map_record(const std::string& map) const {
  for (const update::MapRecord& one : run_->record().maps)
    if (one.name == map) return one;
  throw std::runtime_error("no record of " + map);
}

}  // namespace mapshift::test
