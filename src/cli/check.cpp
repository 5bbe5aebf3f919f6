// SPDX-License-Identifier: Apache-2.0
#include "cli/check.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/fd.h"
#include "config/config.h"
#include "config/manifest.h"

namespace mapshift::cli {
namespace {

// That the object is there and is an ELF file for BPF; what is in it, the plan tells.
Status check_object(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file.valid() && errno == ENOENT)
    return fail(ErrorCode::kNotFound, path + ": no such object file; build it, or correct \"object\" in the manifest");
  if (!file.valid()) return fail_errno(errno, "cannot read the object " + path);
  struct stat info {};
  unsigned char header[20] = {};
  if (fstat(file.get(), &info) != 0) return fail_errno(errno, "cannot read the object " + path);
  const bool whole = S_ISREG(info.st_mode) && ::read(file.get(), header, sizeof header) == static_cast<ssize_t>(sizeof header);
  const bool elf = whole && header[0] == 0x7f && header[1] == 'E' && header[2] == 'L' && header[3] == 'F';
  constexpr unsigned kMachineBpf = 247;
  const bool little = header[5] == 1;
  const unsigned machine = little ? header[18] + 256U * header[19] : header[19] + 256U * header[18];
  if (!elf || machine != kMachineBpf)
    return fail(ErrorCode::kInvalid, path + ": not a BPF object file; compile it with clang -target bpf");
  return {};
}

}  // namespace

int check_config(const Options& options, Console& console) {
  const Result<config::Config> config = config::load_config(options.target);
  if (!config) return show(console, to_failure(config.error()));
  Json warnings = Json::array();
  for (const std::string& sentence : config::not_served(*config)) {
    warnings.push_back(sentence);
    note(console, "warning: " + sentence);
  }
  show(console, {{"file", options.target}, {"valid", true}, {"warnings", warnings}}, options.target + ": valid\n");
  return kDone;
}

int check_module(const Options& options, Console& console) {
  const Result<update::Manifest> manifest = config::load_manifest(options.target, options.set);
  if (!manifest) return show(console, to_failure(manifest.error()));
  if (const Status object = check_object(manifest->object); !object) return show(console, to_failure(object.error()));
  show(console,
       {{"file", options.target},
        {"valid", true},
        {"name", manifest->name},
        {"version", manifest->version},
        {"object", manifest->object}},
       options.target + ": valid (" + manifest->name + " " + manifest->version + ")\n");
  return kDone;
}

}  // namespace mapshift::cli
