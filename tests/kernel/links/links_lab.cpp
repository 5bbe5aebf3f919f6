// SPDX-License-Identifier: Apache-2.0
#include "links_lab.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include "config/manifest.h"
#include "update/load_request.h"
#include "update/planner.h"

namespace mapshift::test {
namespace {

constexpr size_t kEventsAt[] = {0, 8};    // in a value of either layout
constexpr size_t kEventsSize[] = {4, 8};

constexpr std::chrono::minutes kPatience{5};

std::vector<std::byte> key_of(uint32_t key) {
  std::vector<std::byte> bytes(sizeof key);
  std::memcpy(bytes.data(), &key, sizeof key);
  return bytes;
}

void let_fail_in_time(const Fd& socket) {
  const timeval limit{30, 0};
  (void)::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

// A journal that no disk backs.
class Memory final : public update::Journal {
 public:
  Status save(const update::UpdateRecord&) override { return {}; }
  Status set_intent(const std::string&, const std::string&) override { return {}; }
  Status add_measurement(const std::string&, const slo::Measurement&) override { return {}; }
  Status keep(const update::KeptMap&) override { return {}; }
  Status promote(const update::UpdateRecord&) override { return {}; }
};

class Nobody final : public update::Observer {
 public:
  void changed(const update::UpdateRecord&) override {}
  void phase_ended(const update::UpdateRecord&, const std::string&, double) override {}
  void passed(const update::UpdateRecord&, const std::string&, const PassReport&) override {}
  void verified(const update::UpdateRecord&, const std::string&, const VerifyReport&) override {}
  void measured(const update::UpdateRecord&, const slo::Measurement&) override {}
  void swapped(const update::UpdateRecord&) override {}
  void finished(const update::UpdateRecord&, double) override {}
};

}  // namespace

Connection connect_tcp(const std::string& congestion) {
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof at;
  if (::bind(listener.get(), reinterpret_cast<sockaddr*>(&at), length) != 0 || ::listen(listener.get(), 1) != 0 ||
      ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&at), &length) != 0) {
    return {};
  }
  Connection out{Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), Fd()};
  // Closed by a reset, at once: nobody has to wait for the other end.
  const linger at_once{1, 0};
  if (::setsockopt(out.client.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once) != 0 ||
      (!congestion.empty() && ::setsockopt(out.client.get(), IPPROTO_TCP, TCP_CONGESTION, congestion.data(),
          static_cast<socklen_t>(congestion.size())) != 0) ||
      ::connect(out.client.get(), reinterpret_cast<sockaddr*>(&at), length) != 0) {
    return {};
  }
  out.server = Fd(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  let_fail_in_time(out.server);
  return out;
}

bool talk(const Connection& connection) {
  char byte = 'x';
  return ::write(connection.client.get(), &byte, 1) == 1 && ::read(connection.server.get(), &byte, 1) == 1;
}

void LinksTest::describe(std::string fixture, std::string programs) {
  fixture_ = std::move(fixture);
  programs_ = std::move(programs);
}

Result<agent::Prepared> LinksTest::prepare(int layout) const {
  const std::string number = std::to_string(layout);
  const std::string object = std::string(FIXTURES) + "/links_" + fixture_ + "_v" + number + ".bpf.o";
  const std::string text = R"({"name": "m", "version": ")" + number + R"(.0.0", "object": ")" + object + R"(", "programs": {)" + programs_ + "}}";
  MS_TRY(const update::Manifest manifest, config::parse_manifest(text, "/", {}, "the test's manifest"));
  return agent::prepare(manifest, static_cast<uint64_t>(layout), "");
}

std::vector<Problem> LinksTest::load() {
  const auto first = prepare(1);
  EXPECT_TRUE(ok(first));
  if (!first) return {{"not-prepared", "", first.error().message}};
  const update::Plan plan = agent::plan_load(*kernel_, *first, {});
  if (!plan.refusals.empty()) return plan.refusals;
  const update::Paths paths(fs_->path(), "m");
  const auto request = update::load_request(first->input.manifest, first->input.object, first->object_path, paths, 1, log_dir_);
  EXPECT_TRUE(ok(request));
  EXPECT_TRUE(ok(kernel_->load(*request)));
  for (const char* name : {"counts", "truth"}) EXPECT_TRUE(ok(kernel_->publish(map(1, name), paths.published(name))));
  for (const auto& [name, attach] : first->attach) EXPECT_TRUE(ok(kernel_->attach(update::to_hook(attach), hook_dir(name),
      program(1, name)))) << name;
  return {};
}

update::Plan LinksTest::plan() {
  const auto first = prepare(1), next = prepare(2);
  return agent::plan_update(*kernel_, fs_->path(), first.value(), next.value(), {});
}

void LinksTest::start_update() {
  auto first = prepare(1), next = prepare(2);
  update::RunInput input;
  input.plan = plan();
  for (const Problem& problem : input.plan.refusals) ADD_FAILURE() << problem.where << ": " << problem.message;
  ASSERT_TRUE(input.plan.refusals.empty());
  input.record = update::to_record(input.plan);
  input.record.id = "u-000001";
  input.old_manifest = first->input.manifest;
  input.new_manifest = next->input.manifest;
  input.old_object = first->input.object;
  input.new_object = next->input.object;
  input.old_attach = first->attach;
  input.new_attach = next->attach;
  input.new_object_path = next->object_path;
  input.log_dir = log_dir_;
  input.bpffs = fs_->path();
  input.analysis.bake = std::chrono::hours(1);
  // An emulated machine takes its time: 40 s to verify the programs of a synchronisation.
  input.limits.migration_timeout = input.limits.swap_timeout = input.limits.rollback_timeout = kPatience;
  journal_ = std::make_unique<Memory>();
  observer_ = std::make_unique<Nobody>();
  run_ = std::make_unique<update::Run>(*kernel_, *journal_, *observer_, std::move(input));
  thread_ = std::jthread([this] { run_->execute(); });
  EXPECT_TRUE(eventually([&] { return run_->ended() || run_->record().state == update::State::kBaking; },
      kPatience));
  ASSERT_EQ(run_->record().state, update::State::kBaking) << run_->record().reason;
}

update::UpdateRecord LinksTest::end_update(update::Order order) {
  EXPECT_TRUE(ok(run_->order(order, "the test wants it", "operator")));
  thread_.join();
  return run_->record();
}

uint64_t LinksTest::counted(int generation, int layout) const {
  const auto value = kernel_->read_element(map(generation, "counts"), key_of(0));
  EXPECT_TRUE(ok(value));
  uint64_t events = 0;
  if (value) std::memcpy(&events, value->data() + kEventsAt[layout - 1], kEventsSize[layout - 1]);
  return events;
}

uint64_t LinksTest::truth(int layout) const {
  const auto value = kernel_->read_element(module() + "/maps/truth", key_of(static_cast<uint32_t>(layout)));
  EXPECT_TRUE(ok(value));
  uint64_t events = 0;
  if (value) std::memcpy(&events, value->data(), sizeof events);
  return events;
}

void LinksTest::TearDown() {
  if (thread_.joinable()) (void)end_update(update::Order::kAbort);
  run_.reset();
  RuntimeTest::TearDown();
}

}  // namespace mapshift::test
