// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bpf/bpf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/prepare.h"
#include "base/fd.h"
#include "fake_journal.h"
#include "kernel/linux_kernel.h"
#include "kernel_test.h"
#include "private_bpffs.h"
#include "update/paths.h"
#include "update/run.h"

namespace mapshift::test {

// One module on the real kernel, in a bpffs of its own: generation 1 is loaded and attached, then updated as an agent does it.
class ModuleTest : public KernelTest {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Loads and attaches generation 1 from fixtures/<object>.bpf.o.
  void load(const std::string& object);
  // What an update to that object would do. `edit` may change the manifest.
  update::Plan plan(const std::string& object, const std::function<void(update::Manifest&)>& edit = {});
  // Makes the update of the last plan(). Its bake ends when somebody orders it.
  update::Run& begin();
  // Runs it on a thread of its own until it bakes.
  void start();
  void end(update::Order order);
  // The agent dies while it bakes, and another one takes it up.
  void restart();

  [[nodiscard]] std::string pin(uint64_t generation, const std::string& map) const { return paths_->map(generation, map); }
  [[nodiscard]] Fd open(uint64_t generation, const std::string& map) const { return Fd(bpf_obj_get(pin(generation, map).c_str())); }
  [[nodiscard]] update::UpdateRecord record() const { return run_->record(); }
  [[nodiscard]] update::MapRecord map_record(const std::string& map) const;

  Steps steps_;
  std::unique_ptr<Kernel> kernel_ = make_linux_kernel();
  std::unique_ptr<PrivateBpffs> fs_;
  std::optional<update::Paths> paths_;
  std::optional<agent::Prepared> old_, next_;
  update::Plan plan_;
  update::RunInput input_;
  std::unique_ptr<update::FakeJournal> journal_;
  update::FakeObserver observer_;
  std::unique_ptr<update::Run> run_;
  std::thread thread_;
};

// The event `number` for the programs of the fixture.
void send_event(uint32_t number);

inline const update::MapPlan& of(const update::Plan& plan, const std::string& map) {
  for (const update::MapPlan& one : plan.maps)
    if (one.name == map) return one;
  throw std::runtime_error("no plan for " + map);
}

template <class T>
std::optional<T> value_of(const Fd& map, const void* key) {
  T value{};
  if (bpf_map_lookup_elem(map.get(), key, &value) != 0) return std::nullopt;
  return value;
}

}  // namespace mapshift::test
