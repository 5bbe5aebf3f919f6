// SPDX-License-Identifier: Apache-2.0
#include "base/named_file.h"

#include <cerrno>

namespace mapshift {

tl::unexpected<Error> fail_named_file(int err, std::string what) {
  auto error = fail_errno(err, std::move(what));
  if (err != ENOMEM && err != EMFILE && err != ENFILE) error.value().code = ErrorCode::kInvalid;
  return error;
}

}  // namespace mapshift
