// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "kernel/trace_target.h"
#include "slo/objective.h"
#include "update/rodata.h"

namespace mapshift::update {

enum class AttachType : uint8_t { kXdp, kTcx, kCgroup, kTracepoint, kRawTracepoint };

// Where one program attaches. Only the members of its type are set; everything is already substituted and absolute.
struct AttachSpec {
  std::string type;       // as written: "xdp", "tcx", "cgroup", "tracepoint", "raw_tracepoint", or one not served yet
  std::string interface = {};
  std::string mode = "auto";       // xdp: auto, native, generic
  std::string direction = {};      // tcx: ingress, egress
  std::string category = {}, name = {};  // tracepoint; raw_tracepoint uses name
  std::string path = {}, hook = {};      // cgroup: skb_ingress, skb_egress; probes of executables: path
  uint32_t priority = 0, handle = 0;     // tc; 0: the kernel's choice
  TraceTarget trace = {};                // probes: the rest of what they need
  std::string map = {};                  // sockmap, iter: the map of the module that the program hangs at
  bool operator==(const AttachSpec&) const = default;
};

enum class Merge : uint8_t { kSum, kLatest, kMax, kMin, kOr, kFirst };
enum class Policy : uint8_t { kAuto, kReuse, kSync, kReset, kRefuse };
enum class OnDelete : uint8_t { kDrop, kKeepDelta };

// Which member of a union is in use.
struct UnionRule {
  std::string discriminator = {};                  // the field that says so, beside the union
  std::map<std::string, std::string> when = {};    // its values, as numbers or enumerators, and the member each stands for
  bool zero = false;                               // with any other value nothing but zero is carried; else the bytes as they are
};

struct FieldRule {
  std::optional<Merge> merge = {};
  std::string from = {};                  // the field's path in the old layout
  std::optional<int64_t> default_value = {};
  std::optional<UnionRule> in_union = {};
};

struct MapRule {
  Policy policy = Policy::kAuto;
  std::string from = {};  // the map's name in the old generation
  std::string klass = {}; // control, state, flight, scratch, counters
  std::optional<int64_t> epoch = {};
  OnDelete on_delete = OnDelete::kDrop;
  std::optional<uint32_t> max_entries = {};
  std::optional<double> keep_old = {};     // seconds after the commit for which the old map is kept in step for who holds it
  std::string key_type = {}, value_type = {};  // "struct flow_key", "struct flow": of maps without type information
  std::string transform_up = {}, transform_down = {};  // functions of the new object: old value to new, and back
  // A second map of the old generation that they look at, and functions: which of its keys, new value to its value.
  std::string transform_with = {}, transform_with_key = {}, transform_with_down = {};
  bool per_instance = false;               // each instance of the module has its own
  std::map<std::string, FieldRule> fields = {};  // by path in the new layout: "a.b", "hist"
  std::map<std::string, FieldRule> key_fields = {};  // of the key; only `from` has a meaning there
};

struct RingRule {
  std::string record = {};  // the type of its records, such as "struct event"; empty: of any length
  bool values = false;      // whether what is in them may leave the agent, decoded; otherwise they are counted
};

struct ProgramRule {
  std::optional<AttachSpec> attach = {};  // absent: from the section's name
  bool overlap = false;                   // TraceTarget::overlap, wherever `attach` comes from
  bool load = true;                       // false: the generation does without it
};

enum class SwapTogether : uint8_t { kInOrder, kTogether };

// How a share of events goes to the new generation before all do. Only with SwapTogether::kTogether.
struct Canary {
  enum class By : uint8_t { kRandom, kFlow } by = By::kRandom;
  std::vector<double> steps = {};  // shares in (0, 1), rising; after the last one everything goes to the new generation
  double step_seconds = 0;         // how long each step is judged; 0: the analysis's bake divided by the steps
};

// A module manifest, validated in form: names resolve and values are sane only as far as the file itself tells.
struct Manifest {
  std::string name, version;
  std::string object;  // absolute path
  std::map<std::string, ProgramRule> programs = {};
  std::map<std::string, MapRule> maps = {};
  std::map<std::string, RingRule> ringbufs = {};  // ring buffers that the agent reads
  std::optional<slo::Analysis> analysis = {};
  std::map<std::string, RodataValue> rodata = {};
  std::map<std::string, std::map<uint32_t, std::string>> prog_arrays = {};
  std::vector<std::string> optional_programs = {};
  SwapTogether swap = SwapTogether::kInOrder;
  std::optional<Canary> canary = {};
  std::vector<std::map<std::string, std::string>> instances = {};  // parameters of each; empty: one, without a name
  std::string text = {};  // the manifest as JSON after substitution, one line: what the store keeps and reads again
};

}  // namespace mapshift::update
