// SPDX-License-Identifier: Apache-2.0
#include "kernel/adopt.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <set>

#include "kernel/btf.h"
#include "kernel/pin.h"
#include "kernel/program.h"

namespace mapshift {
namespace {

constexpr size_t kMaxLinks = 64, kMaxPrograms = 256;
constexpr uint32_t kMaxSlots = 4096;  // of a program array that are looked at
constexpr size_t kKernelName = BPF_OBJ_NAME_LEN - 1;

// The variables of ".maps": the names that their author gave to maps.
std::vector<std::string> maps_in_btf(int program_fd) {
  std::vector<std::string> names;
  bpf_prog_info info{};
  uint32_t length = sizeof info;
  if (bpf_prog_get_info_by_fd(program_fd, &info, &length) != 0 || info.btf_id == 0) return names;
  const std::unique_ptr<btf, void (*)(btf*)> types(btf__load_from_kernel_by_id(info.btf_id), btf__free);
  const int section = types ? btf__find_by_name_kind(types.get(), ".maps", BTF_KIND_DATASEC) : -1;
  if (section <= 0) return names;
  const btf_type* list = btf__type_by_id(types.get(), static_cast<uint32_t>(section));
  for (int i = 0; i < btf_vlen(list); ++i) {
    const btf_type* variable = btf__type_by_id(types.get(), btf_var_secinfos(list)[i].type);
    const char* name = variable != nullptr ? btf__name_by_offset(types.get(), variable->name_off) : nullptr;
    if (name != nullptr) names.emplace_back(name);
  }
  return names;
}

// A name that bpffs takes: section maps of programs without BTF are "prefix.bss".
std::string pin_name(std::string name, const std::string& otherwise) {
  if (const size_t dot = name.find('.'); dot != std::string::npos) name = name.substr(dot + 1);
  std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name.empty() ? otherwise : name;
}

struct Piece {  // one pin to be
  Fd fd;
  std::string name;
};

struct ProgramPiece {
  Program program;
  std::string name;
};

// What is to be pinned, collected before anything is.
class Adoption {
 public:
  explicit Adoption(const AdoptRequest& request) : request_(request) {}

  Status collect() {
    if (request_.links.empty()) return fail(ErrorCode::kInvalid, "no link is named");
    if (request_.links.size() > kMaxLinks) return fail(ErrorCode::kTooLarge, "more than " + std::to_string(kMaxLinks) + " links are named");
    MS_CHECK(check_owners());
    for (const uint32_t id : request_.links) MS_CHECK(add_link(id));
    // Only now, for what is found by tail calls makes way for the names of what links run.
    for (const LinkedProgram& linked : linked_) {
      MS_TRY(const Program program, Program::by_id(linked.program));
      MS_CHECK(add_maps(program));
    }
    return {};
  }

  Result<AdoptReport> pin_all() {
    const std::string generation = request_.module_dir + "/gen/" + std::to_string(request_.generation);
    PinGuard pins;
    MS_CHECK(pins.dir(generation + "/maps"));
    MS_CHECK(pins.dir(generation + "/progs"));
    for (const Piece& map : maps_) {
      MS_CHECK(pins.pin(map.fd.get(), generation + "/maps/" + map.name));
      report_.maps.push_back(map.name);
    }
    for (const ProgramPiece& piece : programs_) MS_CHECK(pins.pin(piece.program.fd(), generation + "/progs/" + piece.name));
    for (const Piece& link : links_) MS_CHECK(pins.pin(link.fd.get(), request_.module_dir + "/hooks/" + link.name + "/link"));
    MS_CHECK(check_unchanged());
    pins.keep();
    return report_;
  }

 private:
  // Links that other modules hold already.
  Status check_owners() {
    const std::filesystem::path root = std::filesystem::path(request_.module_dir).parent_path();
    MS_TRY(const auto modules, list_pins(root.string()));
    for (const std::string& module : modules) {
      const auto hooks = list_pins((root / module / "hooks").string());
      for (const std::string& hook : hooks.value_or(std::vector<std::string>())) {
        const auto link = open_pin((root / module / "hooks" / hook / "link").string());
        bpf_link_info info{};
        uint32_t length = sizeof info;
        if (!link || bpf_link_get_info_by_fd(link->get(), &info, &length) != 0) continue;
        if (std::ranges::find(request_.links, info.id) == request_.links.end()) continue;
        return fail(ErrorCode::kConflict, "link " + std::to_string(info.id) + " belongs to the module \"" + module + "\" (program " + hook +
            ") already");
      }
    }
    return {};
  }

  Status add_link(uint32_t id) {
    Fd link(bpf_link_get_fd_by_id(id));
    if (!link.valid() && errno == ENOENT) {
      return fail(ErrorCode::kNotFound, "there is no link " + std::to_string(id) + ": it is gone, or is no link; see `bpftool link`");
    }
    if (!link.valid()) return fail_errno(errno, "open link " + std::to_string(id));
    MS_TRY(LinkedProgram linked, read_link(link.get(), id));
    if (request_.program && id == request_.links.front() && linked.program != *request_.program) {
      return fail(ErrorCode::kConflict, "link " + std::to_string(id) + " runs " + describe_program(linked.program) + ", not program " +
          std::to_string(*request_.program) + ": somebody changed it, or the id was given out again");
    }
    const std::string name = pin_name(whole_name(linked.name, request_.program_names), "program_" + std::to_string(linked.program));
    if (!report_.hooks.emplace(name, linked.hook).second) {
      return fail(ErrorCode::kUnsupported, "two of the links run programs of the name " + name + ": adopt them as modules of their own");
    }
    MS_CHECK(add_program(linked.program, name));
    linked_.push_back(std::move(linked));
    links_.push_back({std::move(link), name});
    return {};
  }

  Status add_program(uint32_t id, const std::string& name) {
    if (!program_ids_.insert(id).second) return {};
    if (program_ids_.size() > kMaxPrograms) return fail(ErrorCode::kTooLarge, "more than " + std::to_string(kMaxPrograms) + " programs belong to the links");
    MS_TRY(Program program, Program::by_id(id));
    programs_.push_back({std::move(program), name});
    return {};
  }

  // What a program reaches by tail calls belongs to it, with the maps of that.
  Status add_tail_calls(int prog_array, uint32_t slots) {
    for (uint32_t slot = 0; slot < std::min(slots, kMaxSlots); ++slot) {
      uint32_t id = 0;
      if (bpf_map_lookup_elem(prog_array, &slot, &id) != 0 || program_ids_.contains(id)) continue;
      MS_TRY(const Program program, Program::by_id(id));
      MS_TRY(const std::string name, program_name(program.fd()));
      const std::string pinned = pin_name(whole_name(name, request_.program_names), "program_" + std::to_string(id));
      const bool twice = std::ranges::find(programs_, pinned, &ProgramPiece::name) != programs_.end();
      MS_CHECK(add_program(id, twice ? pinned + "_" + std::to_string(id) : pinned));
      MS_CHECK(add_maps(program));
    }
    return {};
  }

  Status add_maps(const Program& program) {
    MS_TRY(const auto ids, program.maps());
    std::vector<std::string> names = request_.map_names;
    for (std::string& name : maps_in_btf(program.fd())) names.push_back(std::move(name));
    std::ranges::sort(names);
    names.erase(std::unique(names.begin(), names.end()), names.end());
    for (const uint32_t id : ids) {
      if (!map_ids_.insert(id).second) continue;
      Fd map(bpf_map_get_fd_by_id(id));
      if (!map.valid()) return fail_errno(errno, "open map " + std::to_string(id));
      MS_TRY(const MapSpec spec, map_spec_from_fd(map.get()));
      std::string name = pin_name(spec.section == DataSection::kNone ? whole_name(spec.name, names) : spec.name, "map_" + std::to_string(id));
      const bool twice = std::ranges::find(maps_, name, &Piece::name) != maps_.end();
      if (twice) return fail(ErrorCode::kUnsupported, "two of the programs' maps have the name " + name + ": adopt the programs as modules of their own");
      const int fd = map.get();
      maps_.push_back({std::move(map), std::move(name)});
      if (spec.type == MapType::kProgArray) MS_CHECK(add_tail_calls(fd, spec.max_entries));
    }
    return {};
  }

  // Somebody else may have updated a link while it was read.
  Status check_unchanged() {
    for (size_t i = 0; i < links_.size(); ++i) {
      bpf_link_info info{};
      uint32_t length = sizeof info;
      if (bpf_link_get_info_by_fd(links_[i].fd.get(), &info, &length) != 0) return fail_errno(errno, "read a link again");
      if (info.prog_id == linked_[i].program) continue;
      return fail(ErrorCode::kConflict, "link " + std::to_string(info.id) + " runs " + describe_program(info.prog_id) +
          " now: somebody else updated it meanwhile; try again");
    }
    return {};
  }

  const AdoptRequest& request_;
  AdoptReport report_ = {};
  std::vector<LinkedProgram> linked_ = {};
  std::vector<Piece> maps_ = {}, links_ = {};
  std::vector<ProgramPiece> programs_ = {};
  std::set<uint32_t> map_ids_ = {}, program_ids_ = {};
};

}  // namespace

std::string whole_name(const std::string& short_name, const std::vector<std::string>& whole) {
  if (short_name.size() < kKernelName) return short_name;
  const std::string* found = nullptr;
  for (const std::string& name : whole) {
    if (!name.starts_with(short_name)) continue;
    if (found != nullptr) return short_name;
    found = &name;
  }
  return found != nullptr ? *found : short_name;
}

Result<AdoptReport> adopt_links(const AdoptRequest& request) {
  Adoption adoption(request);
  MS_CHECK(adoption.collect());
  return adoption.pin_all();
}

Result<ObjectSpec> read_pinned_generation(const std::string& generation_dir) {
  ObjectSpec object;
  MS_TRY(const auto maps, list_pins(generation_dir + "/maps"));
  MS_TRY(const auto programs, list_pins(generation_dir + "/progs"));
  for (const std::string& name : maps) {
    const std::string pinned = generation_dir + "/maps/" + name;
    MS_TRY(const Fd fd, open_pin(pinned));
    MS_TRY(MapSpec map, map_spec_from_fd(fd.get()));
    map.name = name;
    map.pin_path = pinned;
    object.has_btf = object.has_btf || map.value != nullptr;
    object.maps.push_back(std::move(map));
  }
  for (const std::string& name : programs) {
    MS_TRY(const Program program, Program::open(generation_dir + "/progs/" + name));
    object.programs.push_back({.name = name, .section = {}, .type = program.type(), .code = {.name = name, .insns = {}, .relocs = {}}});
  }
  return object;
}

}  // namespace mapshift
