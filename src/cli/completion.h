// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace mapshift::cli {

// The same text as config/completion/mapshift.bash.
extern const char* const kBashCompletion;

}  // namespace mapshift::cli
