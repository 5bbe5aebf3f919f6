// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "base/result.h"

namespace mapshift {

// Which processes execute programs, as the kernel tells. Process ids are those of the first pid namespace. Ends of processes are
// not among them: a pidfd tells those exactly, without a tracepoint. Not thread-safe.
class ProcessEvents {
 public:
  // kKernel: no privilege, or no such tracepoint.
  [[nodiscard]] static Result<ProcessEvents> open();

  // Readable when drain() has something to give; for poll().
  [[nodiscard]] int fd() const;
  struct Drained {
    std::vector<int> executed;  // process ids, oldest first, possibly the same several times
    bool lost = false;          // some since the last call were not recorded: look at all processes
  };
  [[nodiscard]] Drained drain();

 private:
  struct Impl;
  struct Close {
    void operator()(Impl* impl) const;
  };
  explicit ProcessEvents(std::unique_ptr<Impl, Close> impl) : impl_(std::move(impl)) {}
  std::unique_ptr<Impl, Close> impl_;
};

}  // namespace mapshift
