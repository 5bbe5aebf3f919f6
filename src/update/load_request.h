// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

#include "base/result.h"
#include "kernel/kernel.h"
#include "update/manifest.h"
#include "update/paths.h"
#include "update/plan.h"

namespace mapshift::update {

[[nodiscard]] Hook to_hook(const AttachSpec& attach);
// "xdp on eth0 (native)"
[[nodiscard]] std::string describe_attach(const AttachSpec& attach);

// Where each program of the object attaches: what the manifest says, else what the section's name says. Programs that
// attach nowhere are not in it. All problems at once.
[[nodiscard]] Result<std::map<std::string, AttachSpec>> attachments(const Manifest& manifest, const ObjectSpec& object);

// The bytes of every `rodata` variable of the manifest, by its BTF type. kInvalid with all problems.
[[nodiscard]] Result<std::map<std::string, std::vector<std::byte>>> rodata_bytes(const Manifest& manifest, const ObjectSpec& object);

// A first generation. For an update, `plan` says which maps are reused from `from`.
[[nodiscard]] Result<LoadRequest> load_request(const Manifest& manifest, const ObjectSpec& object, const std::string& object_path,
                                               const Paths& paths, uint64_t generation, const std::string& log_dir,
                                               const Plan* plan = nullptr);

}  // namespace mapshift::update
