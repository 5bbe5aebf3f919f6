// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace mapshift {

// Pins: names in bpffs that keep kernel objects alive without a process. Every function is stateless and thread-safe as
// long as calls on one path do not overlap. bpffs refuses '.' in names; a name that ends in '~' is one of ours in the
// making, which a C identifier can never be.

// What a name of ours in bpffs may be: up to kMaxPinName letters, digits and '_'; bpffs takes 255 bytes.
inline constexpr size_t kMaxPinName = 200;
[[nodiscard]] bool is_pin_name(std::string_view name);

// The object pinned at `path`. kNotFound when there is none.
[[nodiscard]] Result<Fd> open_pin(const std::string& path);
// Pins a new name; the folders above it are made. kConflict when the name is taken.
[[nodiscard]] Status pin(int fd, const std::string& path);
// Makes `published` name the object of `fd` by one rename, whatever it named before.
[[nodiscard]] Status replace_pin(int fd, const std::string& published);
// Removes one pin. Nothing there: not an error.
[[nodiscard]] Status unpin(const std::string& path);
[[nodiscard]] bool pin_exists(const std::string& path);

// Makes `dir` and the folders above it, all of them on a BPF file system or refused.
[[nodiscard]] Status make_pin_dir(const std::string& dir);
// Removes every pin below `dir`, then `dir`. Goes on after a failure and reports the first. Nothing there: not an error.
[[nodiscard]] Status remove_pins(const std::string& dir);
// Names directly below `dir`, sorted; empty when it does not exist. Names in the making are left out.
[[nodiscard]] Result<std::vector<std::string>> list_pins(const std::string& dir);

// Undoes pins unless kept: a step that fails half-way leaves nothing behind.
class PinGuard {
 public:
  PinGuard() = default;
  PinGuard(const PinGuard&) = delete;
  PinGuard& operator=(const PinGuard&) = delete;
  ~PinGuard();
  // Makes a folder and those above it; only what was missing, and is empty then, is removed again.
  [[nodiscard]] Status dir(const std::string& path);
  [[nodiscard]] Status pin(int fd, const std::string& path);
  void keep() { undo_.clear(); }

 private:
  struct Undo {
    bool is_dir = false;
    std::string path;
  };
  std::vector<Undo> undo_;
};

}  // namespace mapshift
