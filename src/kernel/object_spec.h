// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "kernel/type.h"

namespace mapshift {

// Values of the kernel's enum bpf_map_type (uapi, never renumbered).
enum class MapType : uint32_t {
  kUnspec = 0, kHash = 1, kArray = 2, kProgArray = 3, kPerfEventArray = 4, kPercpuHash = 5, kPercpuArray = 6,
  kStackTrace = 7, kCgroupArray = 8, kLruHash = 9, kLruPercpuHash = 10, kLpmTrie = 11, kArrayOfMaps = 12,
  kHashOfMaps = 13, kDevmap = 14, kSockmap = 15, kCpumap = 16, kXskmap = 17, kSockhash = 18, kCgroupStorage = 19,
  kReuseportSockarray = 20, kPercpuCgroupStorage = 21, kQueue = 22, kStack = 23, kSkStorage = 24, kDevmapHash = 25,
  kStructOps = 26, kRingbuf = 27, kInodeStorage = 28, kTaskStorage = 29, kBloomFilter = 30, kUserRingbuf = 31,
  kCgrpStorage = 32, kArena = 33,
};
[[nodiscard]] std::string to_string(MapType type);  // "hash", "lru_percpu_hash": bpftool's names
[[nodiscard]] inline bool is_percpu(MapType type) {
  return type == MapType::kPercpuHash || type == MapType::kPercpuArray || type == MapType::kLruPercpuHash;
}
// What a loader of its own gives a map of call stacks that the object leaves open, in bytes: as many frames as the kernel
// collects (PERF_MAX_STACK_DEPTH).
inline constexpr uint32_t kDefaultStackSize = 127 * 8;
[[nodiscard]] inline bool is_lru(MapType type) { return type == MapType::kLruHash || type == MapType::kLruPercpuHash; }
[[nodiscard]] inline bool is_array(MapType type) { return type == MapType::kArray || type == MapType::kPercpuArray; }

enum class DataSection : uint8_t { kNone, kBss, kData, kRodata, kKconfig };

struct Variable {  // of a data section
  std::string name;
  uint32_t offset = 0;
  uint32_t size = 0;
  TypeRef type;  // null without BTF
  std::vector<std::string> tags = {};  // btf_decl_tag strings on the variable itself
};

struct MapSpec {
  std::string name;  // as in the source; data sections by their section without the dot, dots as '_': "bss", "data_x"
  MapType type = MapType::kUnspec;
  uint32_t key_size = 0, value_size = 0, max_entries = 0, flags = 0;
  TypeRef key, value;                       // null without BTF
  DataSection section = DataSection::kNone;
  std::vector<Variable> variables = {};     // of a data section, by offset
  std::string pin_path = {};
  std::shared_ptr<const MapSpec> inner = {};  // maps of maps: the form of their inner maps; null when the object does not say
};

// Same layout as the kernel's struct bpf_insn.
struct Insn {
  uint8_t code = 0;
  uint8_t dst : 4 = 0;
  uint8_t src : 4 = 0;
  int16_t off = 0;
  int32_t imm = 0;
};
static_assert(sizeof(Insn) == 8);

// What an instruction refers to, from the ELF relocations.
struct Reloc {
  enum class Kind : uint8_t { kMap, kVariable, kCall, kCallback, kExtern };
  uint32_t insn = 0;        // index into the same function's `insns`
  Kind kind = Kind::kMap;
  std::string symbol;       // map, data section's MapSpec name, or function name
  uint32_t offset = 0;      // kVariable: byte offset into the data section
};

struct FunctionSpec {  // a program's main function, or a subprogram
  std::string name;
  std::vector<Insn> insns;
  std::vector<Reloc> relocs;  // by insn
};

// Functions that the kernel calls through a structure, such as a congestion control: a variable of the section ".struct_ops.link".
struct OpsTable {
  std::string type;                   // of the structure: "tcp_congestion_ops"
  std::string registered = {};        // its member `name`, under which the kernel finds it; empty: it has none
  std::vector<std::string> programs;  // that its members point to
};

struct ProgramSpec {
  std::string name;
  std::string section;         // "xdp", "tp/sched/sched_process_exec"
  uint32_t type = 0;           // enum bpf_prog_type
  uint32_t expected_attach_type = 0;
  bool sleepable = false;
  bool on_demand = false;      // its section's name began with '?': loaded only where somebody asks for it
  FunctionSpec code;
  std::optional<OpsTable> table = {};  // what attaches is not a program but this; `code` is empty then
};

// The maps of the agent's change log that an object brings along to be loaded without the agent (mapshift/module.bpf.h): no
// generation's state.
[[nodiscard]] bool is_change_log(const std::string& map_name);

// An object file as its author wrote it: pure data. Everything that a plan needs to know is here.
struct ObjectSpec {
  std::string path;
  std::string digest;  // lower-case hex SHA-256 of the file
  bool has_btf = false;
  std::vector<MapSpec> maps;
  std::vector<ProgramSpec> programs;
  std::map<std::string, FunctionSpec> subprograms;  // by name; what the programs call or pass as callbacks
};

}  // namespace mapshift
