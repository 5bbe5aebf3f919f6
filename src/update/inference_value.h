// SPDX-License-Identifier: Apache-2.0
#pragma once
// Private to inference*.cpp: what the analysis knows of registers and stack at one instruction.
#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <vector>

namespace mapshift::update::inference {

// Sets of maps, as a program may choose between several: interned, so that a value holds a number only.
class MapSets {
 public:
  explicit MapSets(uint32_t maps) : maps_(maps) {}
  [[nodiscard]] uint32_t of(uint32_t map);
  [[nodiscard]] uint32_t join(uint32_t a, uint32_t b);
  [[nodiscard]] const std::vector<uint32_t>& members(uint32_t set) const { return sets_[set]; }

  // A few constants, as a program may choose between them; 0 where there are none, or more than a few.
  [[nodiscard]] uint32_t choice(std::vector<int64_t> numbers);
  [[nodiscard]] const std::vector<int64_t>& choices(uint32_t choice) const { return choices_[choice]; }

 private:
  [[nodiscard]] uint32_t intern(std::vector<uint32_t> members);
  uint32_t maps_;
  std::vector<std::vector<uint32_t>> sets_ = {{}};
  std::map<std::vector<uint32_t>, uint32_t> known_ = {{{}, 0}};
  std::vector<std::vector<int64_t>> choices_ = {{}};
  std::map<std::vector<int64_t>, uint32_t> known_choices_ = {{{}, 0}};
};

// Some bytes of one element of a map. `base` numbers the element: the lookup that found it, a section, or, where the
// offset depends on a variable, the sum that made the pointer. So equal places are the same bytes, whatever the key.
struct Place {
  uint32_t base = 0;  // 0: none
  int64_t offset = 0;
  uint32_t size = 0;
  bool operator==(const Place&) const = default;
};

enum class Kind : uint8_t { kUnknown, kConst, kStack, kMap, kMapValue, kLoaded, kFunction };
// How a value came from the place it was loaded from.
enum class Derived : uint8_t { kPure, kAdded, kOred, kMax, kMin, kMixed };
enum class Bound : uint8_t { kNone, kAbove, kBelow };

struct Value {
  Kind kind = Kind::kUnknown;
  bool maybe_null = false;  // pointers: not yet compared with null
  bool variable = false;    // pointers: `number` is the least offset only; kLoaded: so was the pointer
  bool also_other = false;  // pointers: on another path it is something else
  bool shifted = false;     // moved left by 32: half of how older instruction sets clear the upper half
  bool clamped = false;     // kLoaded, kAdded: or a limit, where that is less
  uint8_t frame = 0;        // kStack
  Derived derived = Derived::kPure;
  Bound bound = Bound::kNone;  // known to be above or below what is at bound_place
  bool partly = false;      // kLoaded, kMixed: a sum on some paths, something else on others
  Bound limited = Bound::kNone;  // kLoaded, kAdded: known to be above or below the constant `number`
  uint32_t id = 0;          // copies of one value share it; 0: none
  uint32_t element = 0;     // kMapValue: the element's number, whatever the offset; 0: not one only
  uint32_t holder = 0;      // kMapValue: the same, but where ways met a number of its own: copies of this pointer point into one element
  uint32_t maps = 0;        // kMap, kMapValue, kLoaded: which
  uint32_t choices = 0;     // kUnknown: one of a few constants. `variable`: its offset is one of a few beyond the least; 0: it is any
  int64_t number = 0;       // kConst: the value; kFunction: index; kLoaded: see `limited`
  Place place = {};         // kMapValue: where it points (size 0); kLoaded: where it came from
  Place second = {};        // kLoaded, kAdded or kOred of two places
  uint32_t second_maps = 0;
  Place bound_place = {};
  bool operator==(const Value&) const = default;

  [[nodiscard]] bool is_pointer() const { return kind == Kind::kStack || kind == Kind::kMap || kind == Kind::kMapValue; }
  [[nodiscard]] bool is_null() const { return kind == Kind::kConst && number == 0; }
  [[nodiscard]] bool is_pure() const { return kind == Kind::kLoaded && derived == Derived::kPure && !shifted; }
};

[[nodiscard]] Value unknown(uint32_t id);
[[nodiscard]] Value constant(int64_t number, uint32_t id);
// What is known when control comes from either of two places. `id` numbers the result where it is a new value.
// Repeated joins into one place end: each only forgets.
[[nodiscard]] Value join(const Value& old, const Value& next, uint32_t id, MapSets& sets);

struct Cell {  // bytes of a stack frame that were stored at once
  int16_t offset;
  uint8_t size;
  Value value;
  bool operator==(const Cell&) const = default;
};

struct Frame {
  std::array<Value, 11> registers = {};
  std::vector<Cell> cells = {};  // by offset, disjoint
  bool operator==(const Frame&) const = default;

  void forget(int64_t offset, int64_t size);
  void store(int64_t offset, uint32_t size, const Value& value);
  [[nodiscard]] const Value* load(int64_t offset, uint32_t size) const;
};

struct Limit {  // on this path, what is at `place` was compared with a constant
  Place place;
  Bound bound;    // kAbove: it is above `number`, or equal
  int64_t number;
  bool operator==(const Limit&) const = default;
};

struct Written {  // bytes of an element of a per-CPU array that this run has written on every path
  uint32_t element;
  uint32_t begin, end;
  bool operator==(const Written&) const = default;
};

struct State {
  std::vector<Frame> frames = {};      // of the entry program first; the running function's last
  std::vector<uint32_t> absent = {};   // maps in which a lookup failed on this path, sorted
  std::vector<Limit> limits = {};
  std::vector<Written> written = {};   // disjoint, sorted
  uint32_t locked = 0;                 // the element whose lock is held
  bool operator==(const State&) const = default;

  [[nodiscard]] Value& reg(uint32_t index) { return frames.back().registers[index]; }
  void write(uint32_t element, uint32_t begin, uint32_t end);
  [[nodiscard]] bool has_written(uint32_t element, uint32_t begin, uint32_t end) const;
  [[nodiscard]] size_t cost() const;  // of copying it, in steps
  template <class F>
  void each_value(F&& f) {
    for (auto& frame : frames) {
      for (auto& value : frame.registers) f(value);
      for (auto& cell : frame.cells) f(cell.value);
    }
  }
};

// Joins `next` into `old`; true when that changed it. `seed` makes the numbers of new values.
bool merge(State& old, const State& next, uint32_t seed, MapSets& sets);

[[nodiscard]] uint32_t mix(uint32_t a, uint32_t b);  // never 0
// The number of the element of a map that has one only: a section, an array of one entry.
[[nodiscard]] inline uint32_t only_element(uint32_t map) { return mix(0x5ec7104eU, map); }

}  // namespace mapshift::update::inference
