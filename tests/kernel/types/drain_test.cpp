// SPDX-License-Identifier: Apache-2.0
// Queues and stacks through an update: numbered elements, none lost, none twice, in their order.
#include <algorithm>
#include <atomic>
#include <numeric>
#include <thread>

#include "module.h"

namespace mapshift::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct Job1 {
  uint32_t number, weight;
};
struct Job2 {
  uint64_t number, made;
  uint32_t weight, pad;
};

class Drain : public ModuleTest {
 protected:
  template <class T>
  static std::optional<T> pop(const Fd& map) {
    T value{};
    if (bpf_map_lookup_and_delete_elem(map.get(), nullptr, &value) != 0) return std::nullopt;
    return value;
  }
  static std::vector<uint32_t> pop_all(const Fd& map) {
    std::vector<uint32_t> all;
    while (const auto number = pop<uint32_t>(map)) all.push_back(*number);
    return all;
  }
  static std::vector<uint32_t> numbers(uint32_t from, uint32_t to) {
    std::vector<uint32_t> all(to - from);
    std::iota(all.begin(), all.end(), from);
    return all;
  }
};

TEST_F(Drain, OrderIsKept) {
  load("kinds_v1");
  const Fd old_jobs = open(1, "jobs");
  for (uint32_t n = 0; n < 3; ++n) {
    const Job1 job{n, 10 * n};
    ASSERT_EQ(bpf_map_update_elem(old_jobs.get(), nullptr, &job, 0), 0);
  }
  for (uint32_t n = 0; n < 5000; ++n) send_event(n);
  plan("kinds_v2");
  for (const char* map : {"numbers", "undo", "jobs"}) {
    EXPECT_EQ(of(plan_, map).record.policy, "sync") << map;
    EXPECT_TRUE(of(plan_, map).record.lossy) << map;
    EXPECT_THAT(of(plan_, map).record.reason, HasSubstr("moved to the new one after the swap")) << map;
  }
  EXPECT_FALSE(plan_.lossy) << "the update itself loses nothing";
  start();
  for (uint32_t n = 5000; n < 6000; ++n) send_event(n);
  EXPECT_EQ(pop_all(open(2, "numbers")), numbers(0, 6000));
  auto reversed = numbers(0, 6000);
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(pop_all(open(2, "undo")), reversed);
  const Fd jobs = open(2, "jobs");
  for (uint64_t n = 0; n < 3; ++n) {
    const auto job = pop<Job2>(jobs);
    ASSERT_TRUE(job);
    EXPECT_EQ(job->number, n);
    EXPECT_EQ(job->weight, 10 * n);
    EXPECT_EQ(job->made, 3u);
  }
  end(update::Order::kCommit);
  EXPECT_EQ(record().state, update::State::kCommitted);
}

TEST_F(Drain, ARollbackBringsBackWhatStillWaits) {
  load("kinds_v1");
  for (uint32_t n = 0; n < 100; ++n) send_event(n);
  plan("kinds_v2");
  start();
  for (uint32_t n = 100; n < 200; ++n) send_event(n);
  const Fd fresh = open(2, "numbers");
  for (uint32_t n = 0; n < 10; ++n) EXPECT_EQ(pop<uint32_t>(fresh), n);
  const Job2 job{77, 1, 5, 0};
  ASSERT_EQ(bpf_map_update_elem(open(2, "jobs").get(), nullptr, &job, 0), 0);
  end(update::Order::kRollback);
  ASSERT_EQ(record().state, update::State::kRolledBack) << record().reason;
  EXPECT_EQ(pop_all(open(1, "numbers")), numbers(10, 200));
  auto reversed = numbers(0, 200);
  std::reverse(reversed.begin(), reversed.end());
  EXPECT_EQ(pop_all(open(1, "undo")), reversed);
  EXPECT_EQ(pop<Job1>(open(1, "jobs"))->number, 77u);
}

// A producer at full speed in programs, a consumer in user space that opens the pin again as it is told to.
TEST_F(Drain, NothingIsLostUnderProducerAndConsumer) {
  load("kinds_v1");
  std::atomic<bool> stop{false}, drained{false};
  std::atomic<uint32_t> sent{0}, taken{0};
  std::vector<uint32_t> got;
  std::thread producer([&] {
    while (!stop.load()) {
      const uint32_t n = sent.load();
      if (n - taken.load() > 8000) std::this_thread::yield();  // there is room for 16,384
      else send_event(n), sent.store(n + 1);
    }
  });
  std::thread consumer([&] {
    while (true) {
      const bool last = stop.load() && drained.load();
      const Fd now(bpf_obj_get(paths_->published("numbers").c_str()));
      uint32_t number = 0;
      int n = 0;
      while (n < 64 && bpf_map_lookup_and_delete_elem(now.get(), nullptr, &number) == 0) got.push_back(number), ++n;
      taken.store(static_cast<uint32_t>(got.size()));
      if (last && n == 0) return;
    }
  });
  EXPECT_TRUE(eventually([&] { return taken.load() > 2000; }, std::chrono::seconds(20)));
  plan("kinds_v2");
  start();
  const uint32_t after_swap = taken.load();
  EXPECT_TRUE(eventually([&] { return taken.load() > after_swap + 2000; }, std::chrono::seconds(20)));
  stop.store(true);
  producer.join();
  drained.store(true);
  consumer.join();
  end(update::Order::kCommit);
  EXPECT_EQ(got.size(), sent.load());
  std::sort(got.begin(), got.end());
  EXPECT_EQ(got, numbers(0, sent.load())) << "each once";
}

}  // namespace
}  // namespace mapshift::test
