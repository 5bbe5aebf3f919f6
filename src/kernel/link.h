// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/kernel.h"
#include "kernel/map.h"
#include "kernel/program.h"

namespace mapshift {

// Owner of one reference to a BPF link. The attachment lives as long as any reference or pin of it. Thread-safe.
class Link {
 public:
  [[nodiscard]] static Result<Link> open(const std::string& pin);

  // The program that the link runs now.
  [[nodiscard]] Result<uint32_t> program_id() const;
  // Replaces `from` by `to` in one step, or nothing: kConflict when the link does not run `from`. The call itself waits
  // for readers of the hook, 8 to 20 ms; events are processed by one of the two programs all along.
  [[nodiscard]] Result<SwapReport> replace(const Program& from, const Program& to) const;
  // The same for a link to a table of functions (struct_ops): the map that is its table.
  [[nodiscard]] Result<uint32_t> table_id() const;
  [[nodiscard]] Result<SwapReport> replace(const Map& from, const Map& to) const;
  // The map that the program hangs at, of sockmap links and of iterators over one; 0: none.
  [[nodiscard]] Result<uint32_t> map_id() const;
  // Ends the attachment at once where the kernel can; elsewhere it ends with the last reference.
  void detach() const;

 private:
  Link(Fd fd, std::string name) : fd_(std::move(fd)), name_(std::move(name)) {}

  Fd fd_;
  std::string name_;  // the pin
};

}  // namespace mapshift
