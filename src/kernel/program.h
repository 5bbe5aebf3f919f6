// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/kernel.h"

namespace mapshift {

// Owner of one reference to a loaded program. Thread-safe.
class Program {
 public:
  [[nodiscard]] static Result<Program> open(const std::string& pin);
  [[nodiscard]] static Result<Program> by_id(uint32_t id);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] uint32_t id() const { return id_; }
  [[nodiscard]] uint32_t type() const { return type_; }  // enum bpf_prog_type
  [[nodiscard]] const std::string& name() const { return name_; }
  // What of the kernel's types it was verified for, such as the arguments of one function. 0: none, or the kernel does not tell (before 6.0).
  [[nodiscard]] uint64_t target() const { return target_; }
  // Ids of the maps that it uses.
  [[nodiscard]] Result<std::vector<uint32_t>> maps() const;
  // Runs and run time count only while enable_run_stats() is held by someone.
  [[nodiscard]] Result<ProgramStats> stats() const;

 private:
  Program(Fd fd, std::string name, uint32_t id, uint32_t type, uint64_t target) : fd_(std::move(fd)), name_(std::move(name)), id_(id),
      type_(type), target_(target) {}

  Fd fd_;
  std::string name_;  // the pin, or the id
  uint32_t id_, type_;
  uint64_t target_;
};

// "program 12 (count_packets)"; without the name when it is gone.
[[nodiscard]] std::string describe_program(uint32_t id);

// Makes the kernel measure every program's runs until the descriptor closes: unlike the sysctl it cannot outlive us.
[[nodiscard]] Result<Fd> enable_run_stats();

}  // namespace mapshift
