// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/kernel.h"

namespace mapshift {

// What a link of somebody else's making attaches, and where: enough to name it in a manifest.
struct LinkedProgram {
  uint32_t link = 0, program = 0;
  std::string name;  // the whole name where the program has BTF; else the kernel's, cut to 15 characters
  Hook hook;
};
// kNotFound: there is no such link. kUnsupported: of a type whose program the kernel does not replace, or at a hook that cannot
// be named from here.
[[nodiscard]] Result<LinkedProgram> read_link(int link_fd, uint32_t id);

// The whole name where the program has BTF.
[[nodiscard]] Result<std::string> program_name(int program_fd);

// See Kernel::adopt.
[[nodiscard]] Result<AdoptReport> adopt_links(const AdoptRequest& request);
// See Kernel::read_generation.
[[nodiscard]] Result<ObjectSpec> read_pinned_generation(const std::string& generation_dir);

// Names for pins: `short_name` is the kernel's, cut to 15 characters; the one among `whole` that begins so, if it is one only.
[[nodiscard]] std::string whole_name(const std::string& short_name, const std::vector<std::string>& whole);

}  // namespace mapshift
