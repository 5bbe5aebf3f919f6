// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"
#include "observe/go/binary.h"
#include "observe/go/elf_image.h"

namespace mapshift::observe::go {

// What the linker wrote into .go.buildinfo.
struct BuildInfo {
  Version version;
  std::string main_module;  // of the main package's module, else the package's path; may be empty
  bool cgo = false;         // built with CGO_ENABLED=1
};

// kUnsupported: not a Go program; kInvalid: it claims to be one, but the section is damaged.
[[nodiscard]] Result<BuildInfo> read_build_info(ElfImage& image);
// "go1.22.12", "go1.26rc1", "devel go1.20-abc Mon ..."; nothing when no go1.N is in it.
[[nodiscard]] std::optional<Version> parse_version(std::string_view text);

}  // namespace mapshift::observe::go
