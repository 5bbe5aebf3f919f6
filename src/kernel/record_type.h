// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"
#include "kernel/type.h"

namespace mapshift {

// The type that an object file's BTF has under a name such as "struct event": what the records of a ring buffer look like.
// kNotFound: no such file, or no such type; kInvalid, kTooLarge: as read_object_file().
[[nodiscard]] Result<TypeRef> read_record_type(const std::string& object_path, const std::string& name);

}  // namespace mapshift
