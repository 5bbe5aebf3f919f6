// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "kernel/object_spec.h"

namespace mapshift {

inline constexpr size_t kMaxObjectBytes = size_t{64} << 20;

// Reads an object file without loading anything. The digest is of exactly the bytes that were parsed.
//   kNotFound      there is no such file
//   kTooLarge      beyond kMaxObjectBytes, or a limit on sections, functions, types
//   kInvalid       not a BPF object, or a broken one: the message says what is wrong and how to build a right one
// An object without BTF is read as far as possible (`has_btf` false); one whose maps are defined in the legacy section
// "maps" is refused.
[[nodiscard]] Result<ObjectSpec> read_object_file(const std::string& path);

// The same for bytes in memory. `path` is only quoted in messages.
[[nodiscard]] Result<ObjectSpec> read_object_bytes(const std::string& path, std::span<const std::byte> bytes);

}  // namespace mapshift
