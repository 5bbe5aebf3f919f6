// SPDX-License-Identifier: Apache-2.0
#include "kernel/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "kernel/libbpf_log.h"
#include "kernel/ops_table.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

// One program's log. The pages are touched only when the kernel writes them; since Linux 6.4 the end of a longer log is kept.
constexpr size_t kLogBytes = 8u << 20;

// What bpftool shows before ".bss": the file's name up to its first dot.
std::string object_name(const std::string& path) {
  std::string name = path.substr(path.find_last_of('/') + 1);
  name = name.substr(0, name.find('.'));
  std::replace_if(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name.empty() ? "object" : name;
}

}  // namespace

std::string map_name(const bpf_map* map) {
  std::string name = bpf_map__name(map);
  if (!bpf_map__is_internal(map)) return name;
  // "prefix.bss" or ".data.x": what follows the first dot is the section.
  name = name.substr(name.find('.') + 1);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

void Object::Close::operator()(bpf_object* object) const { bpf_object__close(object); }

Result<Object> Object::open(const std::string& path, const std::vector<std::byte>& bytes) {
  const LibbpfLog log;
  const std::string name = object_name(path);
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = name.c_str());
  bpf_object* opened = bpf_object__open_mem(bytes.data(), bytes.size(), &options);
  if (opened == nullptr) {
    const int err = errno;
    return fail(Error{ErrorCode::kInvalid, err, path +
        " is not a BPF object that can be loaded; build it with clang -g -target bpf",
                      log.text(), {}});
  }
  Object object(std::unique_ptr<bpf_object, Close>(opened), path);
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, opened) {
    if (!is_pin_name(map_name(map))) {
      return fail(ErrorCode::kInvalid, path + " has a map whose name cannot be pinned: " + map_name(map));
    }
    object.map_names_.push_back(map_name(map));
    // An object may ask libbpf to share maps by name across all modules of the host; pins are ours alone.
    if (const int err = bpf_map__set_pin_path(map, nullptr); err != 0) return fail_errno(err, "configure " + map_name(map));
  }
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, opened) {
    const std::string program_name = bpf_program__name(program);
    if (!is_pin_name(program_name)) {
      return fail(ErrorCode::kInvalid, path + " has a program whose name cannot be pinned: " + program_name);
    }
  }
  object.give_log_buffers();
  return object;
}

// A buffer of its own for each program: libbpf fills it only when the kernel refuses the program.
void Object::give_log_buffers() {
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) {
    std::unique_ptr<char[]> buffer(new char[kLogBytes]);  // not make_unique, which would touch every page
    buffer[0] = '\0';
    bpf_program__set_log_buf(program, buffer.get(), kLogBytes);
    logs_[bpf_program__name(program)] = std::move(buffer);
  }
}

Status Object::load() {
  const LibbpfLog log;
  failed_.clear();
  inner_forms_ = inner_forms(object_.get());
  const int err = bpf_object__load(object_.get());
  if (err == 0) return {};
  find_failed_program(log.text());
  std::string what = "load " + path_;
  if (!failed_.empty()) what = "the kernel refused the program " + failed_ + " of " + path_;
  auto error = fail_errno(err, what);
  error.value().context = log.text();
  return error;
}

void Object::find_failed_program(const std::string& warnings) {
  for (const auto& [name, log] : logs_) {
    if (log[0] != '\0') failed_ = name;
  }
  if (!failed_.empty()) return;
  // Refused before the verifier spoke: libbpf names it as "prog 'NAME': ".
  constexpr std::string_view kBefore = "prog '";
  const auto begin = warnings.find(kBefore);
  if (begin == std::string::npos) return;
  const auto end = warnings.find('\'', begin + kBefore.size());
  if (end == std::string::npos) return;
  const std::string name = warnings.substr(begin + kBefore.size(), end - begin - kBefore.size());
  if (logs_.contains(name)) failed_ = name;
}

std::string Object::verifier_log() const {
  const auto found = logs_.find(failed_);
  if (found == logs_.end()) return {};
  const char* text = found->second.get();
  return std::string(text, std::find(text, text + kLogBytes, '\0'));
}

Status Object::fill_prog_arrays(const LoadRequest& request) const {
  const std::vector<Loaded> loaded = maps();
  for (const auto& [map_name, slots] : request.prog_arrays) {
    const auto found = std::find_if(loaded.begin(), loaded.end(), [&name = map_name](const Loaded& map) { return map.name == name; });
    const int map = found == loaded.end() ? -1 : found->fd;
    for (const auto& [slot, name] : slots) {
      const bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
      const int fd = program == nullptr ? -1 : bpf_program__fd(program);
      if (fd < 0) continue;  // optional, and did not load: its slot stays empty
      if (bpf_map_update_elem(map, &slot, &fd, BPF_ANY) != 0) {
        return fail_errno(errno, "put the program " + name + " into slot " + std::to_string(slot) + " of " + map_name);
      }
    }
  }
  return {};
}

Status Object::fill_ops_tables() const {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS && bpf_map__fd(map) >= 0) MS_CHECK(fill_ops_table(object_.get(), map));
  }
  return {};
}

std::vector<Object::Loaded> Object::maps() const {
  std::vector<Loaded> loaded;
  auto name = map_names_.begin();
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    const bool table = bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS;
    if (!table && bpf_map__autocreate(map) && bpf_map__fd(map) >= 0) {
      const bool constant = bpf_map__is_internal(map) && (bpf_map__map_flags(map) & BPF_F_RDONLY_PROG) != 0;
      loaded.push_back({*name, bpf_map__fd(map), constant});
    }
    ++name;
  }
  return loaded;
}

std::vector<std::pair<std::string, Map>> Object::templates() const {
  std::vector<std::pair<std::string, Map>> made;
  for (const InnerForm& form : inner_forms_) {
    if (auto map = make_template(form, bpf_object__btf_fd(object_.get())); map) made.emplace_back(form.outer, *std::move(map));
  }
  return made;
}

std::vector<Object::Loaded> Object::programs() const {
  std::vector<Loaded> loaded;
  bpf_program* program = nullptr;
  bpf_object__for_each_program(program, object_.get()) {
    if (bpf_program__autoload(program) && bpf_program__fd(program) >= 0) {
      loaded.push_back({bpf_program__name(program), bpf_program__fd(program)});
    }
  }
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object_.get()) {
    if (bpf_map__type(map) == BPF_MAP_TYPE_STRUCT_OPS && bpf_map__fd(map) >= 0) loaded.push_back({bpf_map__name(map), bpf_map__fd(map)});
  }
  return loaded;
}

}  // namespace mapshift
