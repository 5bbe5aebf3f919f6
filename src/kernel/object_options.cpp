// SPDX-License-Identifier: Apache-2.0
// Object::configure: what a manifest may set before load, each checked against the object, all problems in one Error.
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>

#include "kernel/attach/type.h"
#include "kernel/map.h"
#include "kernel/map_sizes.h"
#include "kernel/object.h"
#include "kernel/ops_table.h"

namespace mapshift {
namespace {

using Problems = std::vector<Problem>;

bpf_map* find_map(const bpf_object* object, const std::string& name) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    if (map_name(map) == name) return map;
  }
  return nullptr;
}

bpf_map* find_map(const bpf_object* object, const std::string& name, Problems& problems) {
  bpf_map* map = find_map(object, name);
  if (map == nullptr) problems.push_back({"unknown-map", "maps." + name, "the object has no map of this name"});
  return map;
}

void set_max_entries(const bpf_object* object, const LoadRequest& request, Problems& problems) {
  for (const auto& [name, entries] : request.max_entries) {
    bpf_map* map = find_map(object, name, problems);
    if (map == nullptr) continue;
    if (entries == 0 || bpf_map__is_internal(map) || bpf_map__set_max_entries(map, entries) != 0) {
      problems.push_back({"bad-max-entries", "maps." + name + ".max_entries", "cannot be " + std::to_string(entries) +
          " for this map"});
    }
  }
}

void settle_sizes(const bpf_object* object) {
  bpf_map* map = nullptr;
  bpf_object__for_each_map(map, object) {
    const MapSizes declared{bpf_map__key_size(map), bpf_map__value_size(map)};
    const MapSizes sizes = settled(static_cast<MapType>(bpf_map__type(map)), declared);
    if (sizes.key != declared.key) bpf_map__set_key_size(map, sizes.key);
    if (sizes.value != declared.value) bpf_map__set_value_size(map, sizes.value);
  }
}

// The kernel rounds a ring buffer up to pages that are a power of two.
uint32_t rounded_ring(uint32_t bytes) {
  uint32_t size = static_cast<uint32_t>(::sysconf(_SC_PAGESIZE));
  while (size < bytes && size < (1u << 31)) size *= 2;
  return size;
}

// Flags that the kernel sets by itself on some types.
uint32_t comparable_flags(MapType type, uint32_t flags) {
  const bool devmap = type == MapType::kDevmap || type == MapType::kDevmapHash;
  return devmap ? flags & ~static_cast<uint32_t>(BPF_F_RDONLY_PROG) : flags;
}

void compare(const std::string& what, uint32_t running, uint32_t wanted, std::string& differences) {
  if (running == wanted) return;
  if (!differences.empty()) differences += ", ";
  differences += what + " " + std::to_string(running) + " running, " + std::to_string(wanted) + " in the object";
}

std::string differences(const MapStats& running, const bpf_map* map) {
  std::string found;
  const auto type = static_cast<MapType>(bpf_map__type(map));
  if (running.type != type) found = "type " + to_string(running.type) + " running, " + to_string(type) + " in the object";
  compare("key size", running.key_size, bpf_map__key_size(map), found);
  compare("value size", running.value_size, bpf_map__value_size(map), found);
  const bool ring = type == MapType::kRingbuf || type == MapType::kUserRingbuf;
  const uint32_t entries = bpf_map__max_entries(map);  // 0 where libbpf picks it at creation
  if (entries != 0) compare("max_entries", running.max_entries, ring ? rounded_ring(entries) : entries, found);
  compare("flags", comparable_flags(type, running.flags), comparable_flags(type, bpf_map__map_flags(map)), found);
  return found;
}

void reuse_maps(const bpf_object* object, const LoadRequest& request, Problems& problems) {
  std::map<std::string, bpf_map*> found;  // all of them before the first one is renamed
  for (const auto& [name, pin] : request.reuse) found[name] = find_map(object, name, problems);
  for (const auto& [name, pin] : request.reuse) {
    bpf_map* map = found.at(name);
    if (map == nullptr) continue;
    const auto running = Map::open(pin);
    if (!running) {
      problems.push_back({"no-map-to-reuse", "maps." + name, running.error().message});
    } else if (const auto differs = differences(running->shape(), map); !differs.empty()) {
      problems.push_back({"map-differs", "maps." + name, "cannot be reused: " + differs});
    } else if (const int err = bpf_map__reuse_fd(map, running->fd()); err != 0) {
      problems.push_back({"map-differs", "maps." + name, std::string("cannot be reused: ") + std::strerror(-err)});
    }
  }
}

// Where a variable lies: its section's map name, offset and size. False when no .rodata section has it.
struct Place {
  std::string section;
  uint32_t offset = 0, size = 0;
};

bool find_rodata(const btf* types, const std::string& variable, Place& place) {
  for (uint32_t id = 1; id < btf__type_cnt(types); ++id) {
    const btf_type* section = btf__type_by_id(types, id);
    if (!btf_is_datasec(section)) continue;
    const char* name = btf__name_by_offset(types, section->name_off);
    if (name == nullptr || std::strncmp(name, ".rodata", 7) != 0) continue;
    const btf_var_secinfo* variables = btf_var_secinfos(section);
    for (int i = 0; i < btf_vlen(section); ++i) {
      const btf_type* type = btf__type_by_id(types, variables[i].type);
      const char* found = type == nullptr ? nullptr : btf__name_by_offset(types, type->name_off);
      if (found == nullptr || variable != found) continue;
      place = {name + 1, variables[i].offset, variables[i].size};
      std::replace(place.section.begin(), place.section.end(), '.', '_');
      return true;
    }
  }
  return false;
}

void set_rodata(const bpf_object* object, const LoadRequest& request, Problems& problems) {
  const btf* types = bpf_object__btf(object);
  for (const auto& [name, bytes] : request.rodata) {
    const std::string where = "rodata." + name;
    Place place;
    if (types == nullptr || !find_rodata(types, name, place)) {
      problems.push_back({"unknown-variable", where, "the object has no \"const volatile\" variable of this name (or no BTF)"});
      continue;
    }
    bpf_map* map = find_map(object, place.section);
    size_t section_size = 0;
    auto* section = map == nullptr ? nullptr : static_cast<std::byte*>(bpf_map__initial_value(map, &section_size));
    if (section == nullptr || size_t{place.offset} + place.size > section_size) {
      problems.push_back({"broken-section", where, "the object's BTF contradicts its sections"});
    } else if (bytes.size() != place.size) {
      problems.push_back({"wrong-size", where, "has " + std::to_string(place.size) + " bytes, not " +
          std::to_string(bytes.size())});
    } else if (request.reuse.contains(place.section)) {
      problems.push_back({"reused-section", where, "cannot be set: its section is reused from the running generation"});
    } else {
      std::memcpy(section + place.offset, bytes.data(), bytes.size());
    }
  }
}

void check_prog_arrays(const bpf_object* object, const LoadRequest& request, Problems& problems) {
  for (const auto& [name, slots] : request.prog_arrays) {
    const std::string where = "prog_arrays." + name;
    const bpf_map* map = find_map(object, name);
    if (map == nullptr || bpf_map__type(map) != BPF_MAP_TYPE_PROG_ARRAY) {
      problems.push_back({"not-a-prog-array", where, "the object has no program array of this name"});
      continue;
    }
    if (request.reuse.contains(name)) {
      problems.push_back({"reused-prog-array", where, "is never refilled in place: do not reuse it"});
    }
    for (const auto& [slot, program] : slots) {
      const std::string at = where + "." + std::to_string(slot);
      if (slot >= bpf_map__max_entries(map)) {
        problems.push_back({"no-such-slot", at, "the array has " + std::to_string(bpf_map__max_entries(map)) + " slots"});
      }
      if (bpf_object__find_program_by_name(object, program.c_str()) == nullptr) {
        problems.push_back({"unknown-program", at, "the object has no program " + program});
      }
    }
  }
}

void set_attach_type(const bpf_object* object, const std::string& name, const Hook& hook, Problems& problems) {
  const std::string where = "programs." + name;
  if (hook.type == "struct_ops" && find_ops_table(object, name) != nullptr) return;  // the kernel knows what its functions are for
  bpf_program* program = bpf_object__find_program_by_name(object, name.c_str());
  if (program == nullptr) {
    problems.push_back({"unknown-program", where, "the object has no program of this name"});
    return;
  }
  const auto type = find_attach_type(hook.type);
  if (!type) {
    problems.push_back({"unsupported-attach-type", where, type.error().message});
    return;
  }
  const auto expected = (*type)->expected_attach_type(hook);
  if (!expected) {
    problems.push_back({"bad-attachment", where, expected.error().message});
    return;
  }
  const auto wanted = program_type_of(**type, hook);
  if (!wanted) {
    problems.push_back({"bad-attachment", where, wanted.error().message});
    return;
  }
  const uint32_t program_type = bpf_program__type(program);
  if (program_type != BPF_PROG_TYPE_UNSPEC && program_type != *wanted) {
    const char* section = bpf_program__section_name(program);
    problems.push_back({"wrong-program-type", where, "is built for \"" + std::string(section) + "\" and cannot attach to " +
        hook.type});
    return;
  }
  bpf_program__set_type(program, static_cast<bpf_prog_type>(*wanted));
  bpf_program__set_expected_attach_type(program, static_cast<bpf_attach_type>(*expected));
  bpf_program__set_autoload(program, true);  // also one that its author left out by a '?' before the section's name
  if ((*type)->aim == nullptr) return;
  if (const Status aimed = (*type)->aim(hook, program); !aimed) problems.push_back({"bad-attachment", where, aimed.error().message});
}

}  // namespace

Status Object::configure(const LoadRequest& request, const std::vector<std::string>& skipped) {
  Problems problems;
  set_max_entries(object_.get(), request, problems);
  settle_sizes(object_.get());
  set_rodata(object_.get(), request, problems);
  check_prog_arrays(object_.get(), request, problems);
  for (const auto& [name, hook] : request.hooks) set_attach_type(object_.get(), name, hook, problems);
  for (const auto& name : request.optional_programs) {
    if (bpf_object__find_program_by_name(object_.get(), name.c_str()) != nullptr) continue;
    problems.push_back({"unknown-program", "optional." + name, "the object has no program of this name"});
  }
  for (const auto& [name, load] : request.load) {
    bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
    if (program != nullptr) bpf_program__set_autoload(program, load);
  }
  for (const auto& name : skipped) {
    bpf_program* program = bpf_object__find_program_by_name(object_.get(), name.c_str());
    if (program != nullptr) bpf_program__set_autoload(program, false);
  }
  reuse_maps(object_.get(), request, problems);  // last: libbpf gives such a map the name of the running one
  if (problems.empty()) return {};
  std::string message = path_ + " cannot be loaded as asked: " + problems.front().where + " " + problems.front().message;
  if (problems.size() > 1) message += " (and " + std::to_string(problems.size() - 1) + " more)";
  return fail(Error{ErrorCode::kRefused, 0, std::move(message), {}, std::move(problems)});
}

}  // namespace mapshift
