// SPDX-License-Identifier: Apache-2.0
#include "kernel/sync_link.h"

#include <bpf/libbpf.h>
#include <elf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <string_view>

#include "base/fd.h"
#include "kernel/digest.h"
#include "kernel/elf_file.h"
#include "kernel/elf_patch.h"
#include "kernel/libbpf_log.h"

namespace mapshift {
namespace {

struct LinkerDeleter {
  void operator()(bpf_linker* linker) const { bpf_linker__free(linker); }
};

// A file in memory, for a library that wants names.
class NamedMemory {
 public:
  static Result<NamedMemory> make(std::span<const std::byte> bytes) {
    NamedMemory memory;
    memory.fd_ = Fd(memfd_create("mapshift-link", MFD_CLOEXEC));
    if (!memory.fd_.valid()) return fail_errno(errno, "make a file in memory");
    for (size_t done = 0; done < bytes.size();) {
      const ssize_t wrote = ::write(memory.fd_.get(), bytes.data() + done, bytes.size() - done);
      if (wrote <= 0) return fail_errno(errno, "write a file in memory");
      done += static_cast<size_t>(wrote);
    }
    return memory;
  }
  [[nodiscard]] std::string name() const { return "/proc/self/fd/" + std::to_string(fd_.get()); }

 private:
  Fd fd_;
};

bool has_function(const ElfFile& object, const std::string& name) {
  return std::ranges::any_of(object.symbols(), [&](const ElfSymbol& symbol) {
    return symbol.name == name && symbol.type == STT_FUNC && symbol.binding != STB_LOCAL && symbol.section != 0;
  });
}

// The linker wants one license of both. The author's is the one that the kernel is told.
Result<std::vector<std::byte>> rename_engine(std::span<const std::byte> engine, const ElfFile& object,
                                             const std::map<std::string, std::string>& bound) {
  ElfPatch patch(engine);
  const auto name_of = [&bound](std::string_view name) {
    const auto author = bound.find(std::string(name));
    return author != bound.end() ? author->second : kEnginePrefix + std::string(name);
  };
  MS_CHECK(patch.rename(name_of));
  if (const ElfSection* license = object.section("license")) MS_CHECK(patch.replace("license", license->data));
  return patch.take();
}

Status link(const NamedMemory& engine, const NamedMemory& object, const NamedMemory& out, const std::string& path) {
  const LibbpfLog log;
  const std::unique_ptr<bpf_linker, LinkerDeleter> linker(bpf_linker__new(out.name().c_str(), nullptr));
  int err = linker == nullptr ? -errno : bpf_linker__add_file(linker.get(), engine.name().c_str(), nullptr);
  err = err != 0 ? err : bpf_linker__add_file(linker.get(), object.name().c_str(), nullptr);
  err = err != 0 ? err : bpf_linker__finalize(linker.get());
  if (err == 0) return {};
  return fail(Error{ErrorCode::kInvalid, 0, "the functions of " + path + " that convert values cannot be linked with the sync program", log.text(), {}});
}

}  // namespace

Result<std::vector<std::byte>> link_with_engine(std::span<const std::byte> engine, const std::string& path,
                                                const std::map<std::string, std::string>& bound) {
  MS_TRY(const std::vector<std::byte> bytes, read_file_bytes(path));
  MS_TRY(const ElfFile object, ElfFile::parse(bytes));
  for (const auto& [hook, name] : bound) {
    if (!has_function(object, name)) {
      return fail(ErrorCode::kInvalid, "the object " + path + " has no function " + name +
                                           " that converts values: write it with MS_TRANSFORM of mapshift/module.bpf.h");
    }
  }
  MS_TRY(const std::vector<std::byte> renamed, rename_engine(engine, object, bound));
  MS_TRY(const NamedMemory first, NamedMemory::make(renamed));
  MS_TRY(const NamedMemory second, NamedMemory::make(bytes));
  MS_TRY(const NamedMemory out, NamedMemory::make({}));
  MS_CHECK(link(first, second, out, path));
  MS_TRY(const std::vector<std::byte> linked, read_file_bytes(out.name()));
  ElfPatch patch(linked);
  MS_CHECK(patch.drop_overlapping_variables());
  return patch.take();
}

void load_engine_only(bpf_object& object) {
  const auto ours = [](const char* name) { return std::string_view(name).starts_with(kEnginePrefix); };
  bpf_program* program = nullptr;
  while ((program = bpf_object__next_program(&object, program)) != nullptr) {
    if (!ours(bpf_program__name(program))) bpf_program__set_autoload(program, false);
  }
  bpf_map* map = nullptr;
  while ((map = bpf_object__next_map(&object, map)) != nullptr) {
    if (!ours(bpf_map__name(map)) && !bpf_map__is_internal(map)) bpf_map__set_autocreate(map, false);
  }
}

}  // namespace mapshift
