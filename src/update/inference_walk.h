// SPDX-License-Identifier: Apache-2.0
#pragma once
// Private to inference*.cpp: one program's instructions, followed from its entry until nothing new is learnt.
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "kernel/object_spec.h"
#include "update/inference_value.h"
#include "update/plan.h"

namespace mapshift::update::inference {

struct FunctionIndex {  // one function, prepared once for all walks
  const FunctionSpec* spec = nullptr;
  std::vector<bool> is_target;                          // by instruction: something jumps there
  std::unordered_map<uint32_t, const Reloc*> relocs;    // by instruction
};

struct ObjectIndex {
  explicit ObjectIndex(const ObjectSpec& object);
  [[nodiscard]] const FunctionIndex* function(const std::string& name) const;
  const ObjectSpec& object;
  struct Map {
    const MapSpec* spec;
    std::string name;  // as facts tell it
    std::optional<uint32_t> inner = {};  // of a map of maps, where the object says their form: the number of those inside
  };
  std::vector<Map> maps;  // the object's, in its order, then the inner ones
  std::vector<FunctionIndex> functions;
  std::unordered_map<std::string, uint32_t> function_numbers, map_numbers;
};

class Walk {
 public:
  // `budget`: steps that the whole object has left; shared by all walks.
  Walk(const ObjectIndex& index, MapSets& sets, const ProgramSpec& program, uint64_t& budget);
  void run();
  void collect(CodeFacts& facts) const;

 private:
  struct Here {  // the instruction that is being followed
    const FunctionIndex* function;
    uint32_t context;  // numbers the chain of calls that led to this function
    uint32_t pc;
    int depth;
    [[nodiscard]] const Insn& insn() const { return function->spec->insns[pc]; }
    [[nodiscard]] uint32_t id(uint32_t n = 0) const { return mix(mix(context, pc), n); }
  };
  struct Function;  // the state of following one function, inference_walk.cpp
  struct Change {   // of some bytes of a value
    AccessKind kind;
    bool locked = false, clamped = false, adds_too = false, atomic = false;
  };

  // Control flow: inference_walk.cpp. The state in which the function returns; none when it does not, or was given up.
  std::optional<State> follow(const FunctionIndex& function, State entry, uint32_t context, int depth);
  void follow_from(Function& function, uint32_t start);
  bool branch(Function& function, State& state, uint32_t& pc);
  void arrive(Function& function, uint32_t target, const State& state);
  std::optional<State> enter(const Here& here, const FunctionIndex& callee, State state, const std::array<Value, 5>& arguments);
  void call_function(const Here& here, State& state, const std::string& name);
  void call_repeatedly(const Here& here, State& state, const Value& function, const std::array<Value, 5>& arguments);
  bool spend(uint64_t steps);
  void give_up(const std::string& reason);

  // Arithmetic and comparisons: inference_alu.cpp.
  void alu(const Here& here, State& state);
  [[nodiscard]] Value add(const Here& here, const Value& left, const Value& right, bool subtract);
  [[nodiscard]] std::optional<Value> combine_few(const Here& here, uint8_t operation, const Value& left, const Value& right, bool wide);
  [[nodiscard]] Value combine(const Here& here, uint8_t operation, const Value& left, const Value& right, bool wide);
  void refine(const Here& here, State& taken, State& other);

  // Memory: inference_memory.cpp.
  void load_imm64(const Here& here, State& state);
  void load(const Here& here, State& state);
  void store(const Here& here, State& state);
  void atomic(const Here& here, State& state);
  [[nodiscard]] std::optional<Change> change_of(const State& state, const Place& place, const Value& value) const;
  void note(const Here& here, uint32_t maps, int64_t offset, uint32_t size, bool variable, const Change& change, uint32_t choices = 0);
  void note_at(const Here& here, uint32_t map, int64_t offset, uint32_t size, bool variable, const Change& change);
  void note_read(const State& state, const Value& pointer, int64_t offset, uint32_t size);
  void note_written(State& state, const Value& pointer, int64_t offset, uint32_t size);
  [[nodiscard]] const MapSpec& spec(uint32_t map) const { return *index_.maps[map].spec; }
  void note_address(const Here& here, const Value& value);
  void write_memory(const Here& here, State& state, const Value& pointer, const Value& size, bool whole = false);
  void read_memory(const State& state, const Value& pointer, const Value& size);

  // Helpers: inference_calls.cpp.
  void call(const Here& here, State& state);
  void call_helper(const Here& here, State& state, int32_t helper);
  void call_back(const Here& here, State& state, int32_t helper, const std::array<Value, 5>& arguments);
  void read_arguments(const State& state, int32_t helper, const std::array<Value, 5>& arguments);
  void look_up(const Here& here, State& state, bool own_cpu);
  void update(const Here& here, State& state);
  void update_from_stack(const Here& here, State& state, const Value& map, const Value& value, bool insert);
  void note_key(const Here& here, State& state, uint32_t maps, const Value& key);
  [[nodiscard]] bool is_insert(const State& state, uint32_t maps, const Value& flags) const;

  MapAccess& access(uint32_t map);
  template <class F>
  void each_access(const Value& value, F&& f);

  const ObjectIndex& index_;
  MapSets& sets_;
  const ProgramSpec& program_;
  uint64_t& budget_;
  uint64_t steps_ = 0;
  bool stopped_ = false;
  std::map<uint64_t, std::vector<FieldAccess>> fields_ = {};  // by call chain and instruction: the last visit knows best
  size_t field_count_ = 0;
  std::map<uint32_t, MapAccess> maps_ = {};
  std::unordered_map<uint32_t, Value> keys_ = {};  // by number of a lookup: the key it was given
  std::set<std::string> gave_up_ = {};
};

template <class F>
void Walk::each_access(const Value& value, F&& f) {
  for (const uint32_t map : sets_.members(value.maps)) f(access(map));
}

// Instruction fields; the kernel's uapi names, without its macros' conversions.
inline constexpr uint8_t kClassMask = 0x07, kOperationMask = 0xf0, kSourceRegister = 0x08;
[[nodiscard]] inline uint8_t class_of(const Insn& insn) { return insn.code & kClassMask; }
[[nodiscard]] inline uint8_t operation_of(const Insn& insn) { return insn.code & kOperationMask; }
[[nodiscard]] inline uint32_t width_of(const Insn& insn) {
  switch (insn.code & 0x18) {
    case 0x00: return 4;
    case 0x08: return 2;
    case 0x10: return 1;
    default: return 8;
  }
}

}  // namespace mapshift::update::inference
