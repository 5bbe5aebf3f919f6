// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/kernel.h"

namespace mapshift {

// Owner of one reference to a map of the kernel. Its shape never changes while it lives, so it is read once.
// Thread-safe: every call is one system call on elements, or several that promise nothing about each other.
class Map {
 public:
  [[nodiscard]] static Result<Map> open(const std::string& pin);
  [[nodiscard]] static Result<Map> from_fd(Fd fd, std::string name);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] const std::string& name() const { return name_; }  // the pin, or what the maker called it
  [[nodiscard]] const MapStats& shape() const { return shape_; }   // memory_bytes is not filled
  // shape() with the memory that the kernel charges now.
  [[nodiscard]] Result<MapStats> stats() const;
  // Bytes of a value as user space reads it: per-CPU values are concatenated, each rounded up to 8.
  [[nodiscard]] Result<size_t> read_size() const;
  // An empty key reads element 0 of an array. kNotFound when the key is absent.
  [[nodiscard]] Result<std::vector<std::byte>> read(const std::vector<std::byte>& key) const;
  // Elements present; for arrays their size, for an array of maps the slots that hold one. Exact when nothing writes meanwhile.
  [[nodiscard]] Result<uint64_t> count() const;

 private:
  Map(Fd fd, std::string name, MapStats shape) : fd_(std::move(fd)), name_(std::move(name)), shape_(shape) {}
  [[nodiscard]] Result<uint64_t> count_by_key() const;
  [[nodiscard]] Result<uint64_t> count_filled() const;

  Fd fd_;
  std::string name_;
  MapStats shape_;
};

}  // namespace mapshift
