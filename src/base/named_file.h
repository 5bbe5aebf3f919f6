// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"

namespace mapshift {

// fail_errno of a file that somebody named: kInvalid, unless it is the host that has no memory or descriptors left.
[[nodiscard]] tl::unexpected<Error> fail_named_file(int err, std::string what);

}  // namespace mapshift
