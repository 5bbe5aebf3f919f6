// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cstdint>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>

#include "change_writers.skel.h"
#include "kernel/kernel.h"
#include "kernel/pin.h"

namespace mapshift::test {

// The instrumented fixture module, loaded with or without the agent's maps in the place of its own.
class Writers {
 public:
  // Loaded as by anybody else.
  Writers() : Writers(LoadRequest{}) {}
  // As the agent loads it; of the request only what concerns logging counts.
  explicit Writers(const LoadRequest& request) : skeleton_(change_writers_bpf::open(), change_writers_bpf::destroy) {
    if (!skeleton_) throw std::runtime_error("open the writers");
    const auto set = [&](const char* name, auto& variable) {
      if (const auto found = request.rodata.find(name); found != request.rodata.end()) std::memcpy(&variable, found->second.data(), sizeof variable);
    };
    set("ms_log_logged", skeleton_->rodata->ms_log_logged);
    set("ms_log_numbers", skeleton_->rodata->ms_log_numbers);
    for (const auto& [name, path] : request.reuse) {
      const auto fd = open_pin(path);
      if (!fd || bpf_map__reuse_fd(bpf_object__find_map_by_name(skeleton_->obj, name.c_str()), fd->get()) != 0) throw std::runtime_error("reuse " + name);
    }
    if (change_writers_bpf::load(skeleton_.get()) != 0) throw std::runtime_error("load the writers");
  }
  [[nodiscard]] change_writers_bpf& object() const { return *skeleton_; }
  [[nodiscard]] int logged() const { return bpf_map__fd(skeleton_->maps.logged); }
  [[nodiscard]] int numbers() const { return bpf_map__fd(skeleton_->maps.numbers); }

  // `count` operations on keys from `first`; on this CPU, in one system call.
  void run(const bpf_program* program, uint32_t first, uint32_t count) const {
    skeleton_->bss->first = first;
    skeleton_->bss->count = count;
    LIBBPF_OPTS(bpf_test_run_opts, options);
    if (bpf_prog_test_run_opts(bpf_program__fd(program), &options) != 0) throw std::runtime_error("run a writer");
  }
  void plain(uint32_t first, uint32_t count) const { run(skeleton_->progs.plain, first, count); }
  void update(uint32_t first, uint32_t count) const { run(skeleton_->progs.update, first, count); }
  void stamp(uint32_t first, uint32_t count) const { run(skeleton_->progs.stamp, first, count); }
  void remove(uint32_t first, uint32_t count) const { run(skeleton_->progs.remove_keys, first, count); }
  void touch(uint32_t first, uint32_t count) const { run(skeleton_->progs.touch, first, count); }
  void poke(uint32_t first, uint32_t count) const { run(skeleton_->progs.poke, first, count); }
  [[nodiscard]] uint64_t failed() const { return skeleton_->bss->failed; }

 private:
  std::unique_ptr<change_writers_bpf, void (*)(change_writers_bpf*)> skeleton_;
};

[[nodiscard]] inline uint32_t map_id(int fd) {
  bpf_map_info info{};
  uint32_t length = sizeof info;
  if (bpf_map_get_info_by_fd(fd, &info, &length) != 0) throw std::runtime_error("read a map");
  return info.id;
}

}  // namespace mapshift::test
