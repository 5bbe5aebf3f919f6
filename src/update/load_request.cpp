// SPDX-License-Identifier: Apache-2.0
#include "update/load_request.h"

#include <linux/bpf.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <set>

#include "kernel/instance_name.h"
#include "update/attach_section.h"
#include "update/instances.h"
#include "update/names.h"
#include "update/overlap.h"
#include "update/rodata.h"

namespace mapshift::update {
namespace {

const Variable* find_rodata(const ObjectSpec& object, const std::string& name) {
  for (const MapSpec& map : object.maps) {
    if (map.section != DataSection::kRodata) continue;
    for (const Variable& variable : map.variables) {
      if (variable.name == name) return &variable;
    }
  }
  return nullptr;
}

// What a table of functions is, and is called, its object says.
void name_tables(const ObjectSpec& object, std::map<std::string, AttachSpec>& attachments, std::vector<Problem>& problems) {
  for (auto& [name, attach] : attachments) {
    const ProgramSpec* program = find_program(object, base_name(name));
    if (program == nullptr) continue;  // check_names() says so
    const bool table = program->table.has_value();
    if (table != (attach.type == "struct_ops")) {
      problems.push_back({"no-attach", "programs." + name, name + (table ? " is a table of functions: its attach type is struct_ops"
                                                                         : " is a program: the attach type struct_ops is for a table of functions, a variable")});
    } else if (table && program->section != ".struct_ops.link") {
      problems.push_back({"no-attach", "programs." + name, "a table of functions can be exchanged only if it is attached by a link: put it into SEC(\".struct_ops.link\")"});
    } else if (table) {
      attach.name = program->table->type;
      attach.hook = program->table->registered;
    }
  }
}

}  // namespace

Hook to_hook(const AttachSpec& attach) {
  return Hook{attach.type, attach.interface, attach.mode, attach.direction, attach.category, attach.name, attach.path, attach.hook,
              attach.priority, attach.handle, attach.trace, {}, false, attach.map};
}

std::string describe_attach(const AttachSpec& attach) {
  if (attach.type == "xdp") return "xdp on " + attach.interface + " (" + attach.mode + ")";
  if (attach.type == "tcx" || attach.type == "tc" || attach.type == "netkit") return attach.type + " " + attach.direction + " on " + attach.interface;
  if (attach.type == "cgroup") return attach.hook + " of " + attach.path;
  if (attach.type == "sk_lookup" || attach.type == "flow_dissector")
    return attach.type + " of " + (attach.path.empty() ? "the agent's network namespace" : attach.path);
  if (attach.type == "tracepoint") return "tracepoint " + attach.category + "/" + attach.name;
  if (attach.type == "sockmap") return attach.hook + " of the sockets in " + attach.map;
  if (attach.type == "iter") return "iterator of " + (attach.map.empty() ? attach.name : attach.map);
  if (attach.type == "struct_ops" && !attach.name.empty()) return attach.name + " " + attach.hook;
  if (attach.type == "raw_tracepoint") return "raw tracepoint " + attach.name;
  const TraceTarget& trace = attach.trace;
  std::string offset;
  if (trace.offset != 0) offset.append("+").append(std::to_string(trace.offset));
  if (!trace.event.empty()) return "perf_event " + trace.event;
  if (!trace.provider.empty()) return attach.type + " " + trace.provider + ":" + attach.name + " of " + attach.path;
  if (!attach.path.empty()) return attach.type + " " + trace.symbol + offset + " of " + attach.path;
  if (!attach.name.empty()) return attach.type + " " + attach.name + offset;
  return attach.type;
}

Result<std::map<std::string, AttachSpec>> attachments(const Manifest& manifest, const ObjectSpec& object) {
  std::map<std::string, AttachSpec> out;
  std::vector<Problem> problems;
  std::set<std::string> tail_called;  // reached through a program array: they need no hook, whatever their section's name
  for (const auto& [map, slots] : manifest.prog_arrays) {
    for (const auto& [slot, program] : slots) tail_called.insert(program);
  }
  std::set<std::string_view> said;
  for (const auto& [name, rule] : manifest.programs) {
    if (!rule.attach || find_program(object, base_name(name)) == nullptr) continue;
    out.emplace(name, *rule.attach);
    said.insert(base_name(name));
  }
  for (const ProgramSpec& program : object.programs) {
    if (said.contains(program.name)) continue;
    const auto rule = manifest.programs.find(program.name);
    if (tail_called.contains(program.name)) continue;
    auto from_section = attach_from_section(program.section);
    if (!from_section) {
      problems.push_back({"no-attach", "programs." + program.name, from_section.error().message});
    } else if (from_section->has_value()) {
      AttachSpec& spec = out.emplace(program.name, **from_section).first->second;
      spec.trace.overlap = rule != manifest.programs.end() && rule->second.overlap;
    } else if (program.type == BPF_PROG_TYPE_UNSPEC && !program.section.empty()) {
      problems.push_back({"unknown-section", "programs." + program.name, "section \"" + program.section + "\" is none that libbpf knows, so that the kernel "
                          "would not be told what kind of program it is: name it after that (\"tc\", \"xdp\"), say in the manifest where it "
                          "attaches, or leave it out with \"load\": false"});
    }
  }
  name_tables(object, out, problems);
  if (!problems.empty()) return fail(Error{ErrorCode::kInvalid, 0, "the manifest does not say where every program attaches", {}, std::move(problems)});
  return out;
}

Result<std::map<std::string, std::vector<std::byte>>> rodata_bytes(const Manifest& manifest, const ObjectSpec& object) {
  std::map<std::string, std::vector<std::byte>> out;
  std::vector<Problem> problems;
  for (const auto& [name, value] : manifest.rodata) {
    const Variable* variable = find_rodata(object, name);
    if (variable == nullptr) {
      problems.push_back({"unknown-variable", "rodata." + name, "the object has no `const volatile` variable of this name"});
      continue;
    }
    auto bytes = encode_rodata(*variable, value, "rodata." + name);
    if (bytes) out.emplace(name, std::move(*bytes));
    else std::ranges::move(bytes.error().problems, std::back_inserter(problems));
  }
  if (!problems.empty()) return fail(Error{ErrorCode::kInvalid, 0, "`rodata` of the manifest does not fit the object", {}, std::move(problems)});
  return out;
}

Result<LoadRequest> load_request(const Manifest& manifest, const ObjectSpec& object, const std::string& object_path, const Paths& paths,
                                 uint64_t generation, const std::string& log_dir, const Plan* plan) {
  LoadRequest request;
  request.object_path = object_path;
  request.object_digest = object.digest;
  request.generation_dir = paths.generation(generation);
  request.prog_arrays = manifest.prog_arrays;
  request.optional_programs = manifest.optional_programs;
  request.log_dir = log_dir;
  request.instances = instance_names(manifest);
  request.instance_maps = instance_maps(manifest, object);
  request.instance_programs = instance_programs(manifest);
  for (const ProgramSpec& program : object.programs) request.load[program.name] = true;
  for (const auto& [name, rule] : manifest.programs) {
    if (!rule.load) request.load[std::string(base_name(name))] = false;
  }
  MS_TRY(request.rodata, rodata_bytes(manifest, object));
  if (const Variable* own = find_rodata(object, kGenerationVariable); own != nullptr && own->size == sizeof(uint32_t)) {
    std::vector<std::byte>& bytes = request.rodata[kGenerationVariable];
    bytes.resize(sizeof(uint32_t));
    std::memcpy(bytes.data(), &generation, sizeof(uint32_t));  // little endian
  }
  MS_TRY(const auto attached, attachments(manifest, object));
  for (const auto& [program, attach] : attached) request.hooks.emplace(program, to_hook(attach));
  for (const auto& [name, rule] : manifest.maps) {
    if (rule.max_entries) request.max_entries.emplace(name, *rule.max_entries);
  }
  if (plan == nullptr) return request;
  for (const MapPlan& map : plan->maps) {
    if (map.policy == Policy::kReuse && !map.from.empty()) request.reuse.emplace(map.name, paths.map(plan->from.generation, map.from));
  }
  return request;
}

}  // namespace mapshift::update
