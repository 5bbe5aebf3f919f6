// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/attach/type.h"

struct dispatcher_bpf;

namespace mapshift {

// What a stub has to know of the kind of hook that it is attached to.
struct StubShape {
  enum class Flow : uint8_t { kNone, kXdp, kSkb } flow = Flow::kNone;  // how it finds the flow of an event
  int32_t empty_verdict = 0;             // of an event that finds no program: as if the hook were empty
  uint32_t verdict_mask = 0xffffffff;    // return codes that the kernel takes
};

// Nothing when it is not known what an empty hook of this kind answers.
[[nodiscard]] std::optional<StubShape> stub_shape(uint32_t program_type, uint32_t expected_attach_type);

// kUnsupported when hooks of this kind cannot stand behind a dispatcher.
[[nodiscard]] Status check_stub(const AttachType& type, const Hook& hook);

// A loaded stub with its maps, not attached. `course_fd`: the module's word; -1 for one of its own.
class Stub {
 public:
  // `frags`: for XDP programs that take packets in several buffers; slots take one kind only.
  [[nodiscard]] static Result<Stub> load(const AttachType& type, const Hook& hook, int course_fd, bool frags);
  [[nodiscard]] int program() const;
  [[nodiscard]] int slots() const;
  // Pins everything but the link below `dir`.
  [[nodiscard]] Status pin(class PinGuard& pins, const std::string& dir) const;

 private:
  using Object = std::unique_ptr<dispatcher_bpf, void (*)(dispatcher_bpf*)>;
  Stub(Object object, int program) : object_(std::move(object)), program_(program) {}
  Object object_;
  int program_;
};

}  // namespace mapshift
