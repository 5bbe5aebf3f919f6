// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <memory>

#include "kernel/grace.h"
#include "kernel/kernel.h"

namespace mapshift {

// The running system. Keeps nothing but the maps of grace_period(): whatever an update needs later is in bpffs, so that a
// new process goes on where another died. Thread safety as promised by Kernel.
class LinuxKernel final : public Kernel {
 public:
  [[nodiscard]] Result<LoadReport> load(const LoadRequest& request) override;
  // A generation's programs also leave the idle slots of their module's dispatchers, where they would live on. A hook whose
  // dispatcher has no program left is detached: the generation that runs does not have it.
  [[nodiscard]] Status remove_tree(const std::string& dir) override;
  [[nodiscard]] Status publish(const std::string& source, const std::string& published) override;
  [[nodiscard]] Status unpublish(const std::string& published) override;
  [[nodiscard]] Result<AdoptReport> adopt(const AdoptRequest& request) override;
  [[nodiscard]] Result<ObjectSpec> read_generation(const std::string& generation_dir) override;
  [[nodiscard]] Status check_hook(const Hook& hook) override;
  [[nodiscard]] Result<SwapMode> swap_mode(const Hook& hook) override;
  [[nodiscard]] Status attach(const Hook& hook, const std::string& hook_dir, const std::string& program) override;
  [[nodiscard]] Result<SwapReport> swap(const Hook& hook, const std::string& hook_dir, const std::string& from,
                                        const std::string& to) override;
  [[nodiscard]] Result<int> running(const Hook& hook, const std::string& hook_dir, const std::string& from,
                                    const std::string& to) override;
  [[nodiscard]] Status detach(const std::string& hook_dir) override;
  [[nodiscard]] Result<bool> place_gone(const std::string& hook_dir) override;
  [[nodiscard]] Status stage(const Hook& hook, const std::string& hook_dir, const std::string& from, const std::string& to) override;
  [[nodiscard]] Status unstage(const Hook& hook, const std::string& hook_dir, const std::string& from) override;
  [[nodiscard]] Result<Course> course(const std::string& together_dir) override;
  [[nodiscard]] Result<SwapReport> set_course(const std::string& together_dir, const Course& from, const Course& to) override;
  [[nodiscard]] Result<SidesReport> side_stats(const std::string& hook_dir, const std::string& from, const std::string& to) override;
  [[nodiscard]] Status grace_period() override;
  [[nodiscard]] Result<std::unique_ptr<Sync>> open_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                                        const std::string& sync_dir) override;
  [[nodiscard]] Result<ProgramStats> program_stats(const std::string& program) override;
  [[nodiscard]] Result<ProgramStats> hook_stats(const std::string& hook_dir) override;
  [[nodiscard]] Result<MapStats> map_stats(const std::string& map) override;
  [[nodiscard]] Result<uint64_t> count_entries(const std::string& map) override;
  [[nodiscard]] Result<std::vector<std::byte>> read_element(const std::string& map, const std::vector<std::byte>& key) override;
  [[nodiscard]] Result<MapSpec> read_map_spec(const std::string& map) override;
  [[nodiscard]] Result<std::vector<std::string>> list(const std::string& dir) override;
  [[nodiscard]] uint64_t available_memory() override;

 private:
  GracePeriod grace_;
};

[[nodiscard]] std::unique_ptr<Kernel> make_linux_kernel();

}  // namespace mapshift
