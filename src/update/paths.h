// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

namespace mapshift::update {

// Where a module lies in bpffs; the layout is written down at kernel/kernel.h.
class Paths {
 public:
  Paths(const std::string& bpffs, const std::string& module) : root_(bpffs + "/mapshift/" + module) {}

  [[nodiscard]] const std::string& root() const { return root_; }
  [[nodiscard]] std::string generation(uint64_t n) const { return root_ + "/gen/" + std::to_string(n); }
  [[nodiscard]] std::string map(uint64_t n, const std::string& map) const { return generation(n) + "/maps/" + map; }
  [[nodiscard]] std::string program(uint64_t n, const std::string& program) const { return generation(n) + "/progs/" + program; }
  [[nodiscard]] std::string all_published() const { return root_ + "/maps"; }
  [[nodiscard]] std::string published(const std::string& map) const { return root_ + "/maps/" + map; }
  [[nodiscard]] std::string hook(const std::string& program) const { return root_ + "/hooks/" + program; }
  [[nodiscard]] std::string together() const { return root_ + "/together"; }
  [[nodiscard]] std::string sync(const std::string& map) const { return root_ + "/sync/" + map; }
  // Old maps after a commit, see kept_map.h.
  [[nodiscard]] std::string all_kept() const { return root_ + "/kept"; }
  [[nodiscard]] std::string kept(const std::string& map) const { return all_kept() + "/" + map; }
  [[nodiscard]] std::string kept_map(const std::string& map) const { return kept(map) + "/old"; }
  [[nodiscard]] std::string kept_sync(const std::string& map) const { return kept(map) + "/sync"; }
  [[nodiscard]] std::string syncs() const { return root_ + "/sync"; }

 private:
  std::string root_;
};

}  // namespace mapshift::update
