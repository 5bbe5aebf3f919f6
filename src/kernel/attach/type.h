// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/kernel.h"

struct bpf_program;

namespace mapshift {

class Program;

// One kind of hook. To add one: a file here that defines these functions, and a line in table.cpp.
struct AttachType {
  std::string_view name;   // as manifests write it
  std::string_view help;   // one line: what it is and which members of an attachment it needs
  SwapMode swap;
  uint32_t program_type;   // enum bpf_prog_type
  // The program's expected_attach_type, equal for every generation: the kernel compares it at a link update.
  Result<uint32_t> (*expected_attach_type)(const Hook& hook);
  // Whether the hook exists; changes nothing.
  Status (*check)(const Hook& hook);
  // Attaches the program and returns the link. Null: open_links does. Hook::map is the pin of the map here.
  Result<Fd> (*open_link)(const Hook& hook, int program_fd);
  // Before a program, or a dispatcher's stub, is loaded: says what in the kernel it is for. Null: its type says enough.
  Status (*aim)(const Hook& hook, bpf_program* program) = nullptr;
  // Of hooks that take several links, such as one a CPU. At least one. `behind` is what the dispatcher will call first.
  Result<std::vector<Fd>> (*open_links)(const Hook& hook, int program_fd, const Program& behind) = nullptr;
  // What a program needs of the one that it replaces, just before it does. Null: nothing.
  Status (*before_swap)(const Program& from, const Program& to) = nullptr;
  // Of types whose hooks take programs of several types; null: all take `program_type`.
  Result<uint32_t> (*program_type_of)(const Hook& hook) = nullptr;
  // What attaches is a table of functions: see attach/table_hook.h. open_link gets its map then.
  bool tables = false;
};

[[nodiscard]] std::span<const AttachType> attach_types();
// kUnsupported, naming what is served, when it is not in the table.
[[nodiscard]] Result<const AttachType*> find_attach_type(const std::string& name);

// The hooks of the type "cgroup", as manifests write them.
[[nodiscard]] std::vector<std::string> cgroup_hooks();

// The enum bpf_prog_type of the programs that this hook takes.
[[nodiscard]] Result<uint32_t> program_type_of(const AttachType& type, const Hook& hook);

// The index of a network interface in this process's network namespace.
[[nodiscard]] Result<int> interface_index(const std::string& name);
// A name that goes into a path below tracefs: letters, digits, '_' and '-'.
[[nodiscard]] Status check_event_name(const std::string& what, const std::string& name);

}  // namespace mapshift
