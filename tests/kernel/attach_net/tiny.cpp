// SPDX-License-Identifier: Apache-2.0
#include "tiny.h"

#include <bpf/bpf.h>

#include <cerrno>

#include "kernel/pin.h"

namespace mapshift::test {

Status TinyTest::pin_tiny(int generation_number, const Hook& hook, int result) {
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  MS_TRY(const uint32_t program_type, program_type_of(*type, hook));
  MS_TRY(const uint32_t expected, type->expected_attach_type(hook));
  const bpf_insn code[] = {{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, result}, {BPF_JMP | BPF_EXIT, 0, 0, 0, 0}};
  LIBBPF_OPTS(bpf_prog_load_opts, options, .expected_attach_type = static_cast<bpf_attach_type>(expected));
  const std::string name = "tiny_" + std::to_string(generation_number);
  const Fd fd(bpf_prog_load(static_cast<bpf_prog_type>(program_type), name.c_str(), "GPL", code, std::size(code), &options));
  if (!fd.valid()) return fail_errno(errno, "load a program for " + hook.type + " " + hook.hook);
  return pin(fd.get(), tiny(generation_number));
}

void TinyTest::swap_there_and_back(const Hook& hook) {
  const std::string dir = hook_dir("tiny");
  for (const int n : {1, 2}) ASSERT_TRUE(ok(pin_tiny(n, hook)));
  ASSERT_TRUE(ok(kernel_->attach(hook, dir, tiny(1))));
  EXPECT_TRUE(ok(kernel_->hook_stats(dir)));
  ASSERT_TRUE(ok(kernel_->swap(hook, dir, tiny(1), tiny(2))));
  EXPECT_EQ(kernel_->running(hook, dir, tiny(1), tiny(2)).value(), 1);
  const auto stale = kernel_->swap(hook, dir, tiny(1), tiny(2));
  ASSERT_FALSE(stale);
  EXPECT_EQ(stale.error().code, ErrorCode::kConflict);
  EXPECT_THAT(stale.error().message, ::testing::HasSubstr("(tiny_2)"));
  ASSERT_TRUE(ok(kernel_->swap(hook, dir, tiny(2), tiny(1))));
  EXPECT_EQ(kernel_->running(hook, dir, tiny(1), tiny(2)).value(), 0);
  ASSERT_TRUE(ok(kernel_->detach(dir)));
  for (const int n : {1, 2}) ASSERT_TRUE(ok(kernel_->remove_tree(generation(n))));
}

}  // namespace mapshift::test
