// SPDX-License-Identifier: Apache-2.0
// An instrumented object through the agent's own loader, and through a hot update.
#include <bpf/bpf.h>

#include <cstring>

#include "kernel/linux_kernel.h"
#include "kernel/object_file.h"
#include "lab.h"

namespace mapshift::test {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class LoadTest : public ChangesTest {
 protected:
  void SetUp() override {
    ChangesTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    start();
    auto read = read_object_file(CHANGE_WRITERS_OBJECT);
    ASSERT_TRUE(ok(read));
    object_ = *read;
  }
  [[nodiscard]] std::string generation(int n) const { return fs_->path() + "/mapshift/m/gen/" + std::to_string(n); }
  void load(int n) {
    LoadRequest request;
    request.object_path = object_.path;
    request.object_digest = object_.digest;
    request.generation_dir = generation(n);
    const auto prepared = stream_->prepare("m", object_, request);
    ASSERT_TRUE(ok(prepared));
    EXPECT_THAT(*prepared, ElementsAre("logged", "numbers"));
    ASSERT_TRUE(ok(kernel_->load(request)));
  }
  // Runs the generation's program `update` over keys 0 to count - 1.
  void update(int n, uint32_t count) const {
    const auto bss = open_pin(generation(n) + "/maps/bss");
    const auto program = open_pin(generation(n) + "/progs/update");
    ASSERT_TRUE(ok(bss));
    ASSERT_TRUE(ok(program));
    const auto section = std::ranges::find(object_.maps, "bss", &MapSpec::name);
    ASSERT_NE(section, object_.maps.end());
    std::vector<char> bytes(section->value_size);
    const uint32_t zero = 0;
    ASSERT_EQ(bpf_map_lookup_elem(bss->get(), &zero, bytes.data()), 0);
    const auto variable = std::ranges::find(section->variables, "count", &Variable::name);
    std::memcpy(bytes.data() + variable->offset, &count, sizeof count);
    ASSERT_EQ(bpf_map_update_elem(bss->get(), &zero, bytes.data(), BPF_ANY), 0);
    LIBBPF_OPTS(bpf_test_run_opts, options);
    ASSERT_EQ(bpf_prog_test_run_opts(program->get(), &options), 0);
  }

  std::unique_ptr<Kernel> kernel_ = make_linux_kernel();
  ObjectSpec object_;
};

TEST_F(LoadTest, TwoGenerationsShareTheSlotAndItsNumbers) {
  load(1);
  Watch watch = watch_of("logged", {Source::kInstrumented});
  watch.pin = generation(1) + "/maps/logged";
  watch.instrumented = true;
  ASSERT_TRUE(ok(stream_->watch(watch)));
  const auto subscription = subscribe("logged");
  const uint64_t before = stream_->version(watch.name).value();
  update(1, 10);
  load(2);
  ASSERT_TRUE(ok(stream_->retarget(watch.name, generation(2) + "/maps/logged", true, {})));
  update(2, 5);
  const Got got = read(*subscription, 15);
  ASSERT_THAT(got.changes, SizeIs(15));
  for (uint64_t i = 0; i < 15; ++i) EXPECT_EQ(got.changes[i].seq, before + 1 + i);
  EXPECT_NE(got.changes[0].map_id, got.changes[14].map_id);
  ASSERT_THAT(got.resyncs, SizeIs(1));
  EXPECT_EQ(got.resyncs[0].reason, "map-replaced");
  ASSERT_TRUE(ok(kernel_->remove_tree(fs_->path() + "/mapshift")));
}

}  // namespace
}  // namespace mapshift::test
