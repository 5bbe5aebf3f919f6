// SPDX-License-Identifier: Apache-2.0
#include <signal.h>
#include <sys/wait.h>

#include <thread>

#include "store_fixture.h"

namespace mapshift::store {
namespace {

using Fault = StoreTest;

TEST_F(Fault, AFullDiskFailsTheCallAndNothingElse) {
  open({.max_bytes = 200 << 10});
  ASSERT_TRUE(store_->put_module({"m", 1, "1", "d", "{}", "/o", "active"}));
  const std::string id = create("m");
  auto record = store_->update(id)->record;
  Status status;
  int written = 0;
  while (status && written < 10'000) {
    status = store_->record_intent(id, "step", std::string(2000, 'x'));
    written += status ? 1 : 0;
  }
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().sys_errno, ENOSPC);
  EXPECT_NE(status.error().message.find("free space"), std::string::npos) << status.error().message;

  record.revision++;
  record.reason = std::string(20'000, 'r');
  EXPECT_EQ(store_->save_update(record).error().sys_errno, ENOSPC);
  EXPECT_EQ(store_->update(id)->record.reason, "");
  EXPECT_EQ(store_->journal(id)->size(), static_cast<size_t>(written));

  ASSERT_TRUE(store_->clear_journal(id));  // room again
  EXPECT_TRUE(store_->save_update(record));
  open();
  EXPECT_EQ(store_->update(id)->record.reason.size(), 20'000u);
}

// The child writes rounds: intent, a revision with as many phases, done; a pipe tells what was acknowledged. It is killed
// in the midst of it. What was acknowledged must be there, and no round may be there by half.
void write_rounds(const std::string& dir, int report) {
  auto store = Store::open(dir);
  if (!store) ::_exit(1);
  NewUpdate update;
  update.record.module = "m";
  const auto id = (*store)->create_update(update);
  if (!id) ::_exit(1);
  auto record = (*store)->update(*id)->record;
  for (uint32_t round = 1;; round++) {
    if (!(*store)->record_intent(*id, "round")) ::_exit(1);
    record.revision = round;
    record.phases.assign(round % 17, {"phase", static_cast<double>(round)});
    if (!(*store)->save_update(record) || !(*store)->done(*id, "round")) ::_exit(1);
    if (::write(report, &round, sizeof round) != sizeof round) ::_exit(1);
  }
}

TEST_F(Fault, AKilledWriterLosesNothingThatItWasToldIsSafe) {
  for (int attempt = 0; attempt < 8; attempt++) {
    std::filesystem::remove_all(dir_);
    int pipe[2];
    ASSERT_EQ(::pipe(pipe), 0);
    const pid_t child = ::fork();
    if (child == 0) write_rounds(dir_, pipe[1]);
    ::close(pipe[1]);
    uint32_t acknowledged = 0;
    for (int i = 0; i < 5 + attempt; i++) ASSERT_EQ(::read(pipe[0], &acknowledged, sizeof acknowledged),
                                                    ssize_t{sizeof acknowledged});
    std::this_thread::sleep_for(std::chrono::microseconds(attempt * 700));
    ::kill(child, SIGKILL);
    while (::read(pipe[0], &acknowledged, sizeof acknowledged) == ssize_t{sizeof acknowledged}) {
    }
    ::close(pipe[0]);
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);

    open();
    const auto running = store_->running_updates();
    ASSERT_TRUE(running) << running.error().message;
    ASSERT_EQ(running->size(), 1u);
    const auto& record = running->front().record;
    EXPECT_GE(record.revision, acknowledged);
    EXPECT_LE(record.revision, acknowledged + 1);
    EXPECT_EQ(record.phases.size(), record.revision % 17);
    const auto journal = store_->journal(record.id);
    EXPECT_GE(journal->size(), record.revision);
    for (size_t i = 0; i + 1 < journal->size(); i++) EXPECT_TRUE(journal->at(i).done());
    store_.reset();
  }
}

TEST_F(Fault, ThreadsShareTheStore) {
  open();
  constexpr int kThreads = 4, kRounds = 15;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; t++) {
    threads.emplace_back([this, t] {
      const std::string module = "m" + std::to_string(t);
      for (int i = 0; i < kRounds; i++) {
        const std::string id = create(module);
        EXPECT_TRUE(store_->record_intent(id, "load"));
        EXPECT_TRUE(store_->add_measurement(id, {"o", "", i * 1.0}));
        EXPECT_TRUE(store_->done(id, "load"));
        EXPECT_TRUE(store_->updates("", 5));
        finish(id);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(store_->updates("", 1000)->size(), size_t{kThreads * kRounds});
  EXPECT_TRUE(store_->running_updates()->empty());
  EXPECT_TRUE(store_->open_subjects()->empty());
}

}  // namespace
}  // namespace mapshift::store
