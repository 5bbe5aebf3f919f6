// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "kernel/sync_spec.h"
#include "kernel/type.h"
#include "update/inference.h"
#include "update/manifest.h"
#include "update/record.h"

namespace mapshift::update {

// What the instructions of both generations say about the field at these places.
using FieldInference = std::function<std::optional<InferredMerge>(uint32_t old_offset, uint32_t old_size, uint32_t new_offset,
                                                              uint32_t new_size)>;

struct ValueLayout {
  TypeRef type;       // null without BTF
  uint32_t size = 0;  // bytes
};

struct SchemaRequest {
  std::string where;  // "maps.flows": prefix of every problem's place
  ValueLayout old_value, new_value;
  std::map<std::string, FieldRule> rules = {};  // of the manifest
  bool percpu = false;
  bool section = false;     // global variables: the value's fields are the variables
  bool code_known = true;   // false when the analysis of some program gave up
  FieldInference infer = {};  // may be empty
  std::string preempted = {}; // of per-CPU maps: a program that writes it and that another task may interrupt
  bool add_up = false;        // the old map has a value for each CPU and the new one does not: only sums can become one
  std::string transform = {}; // a function converts the values first: both layouts are the new one
  std::optional<int32_t> lock0 = {}; // as in SyncSpec, where old_value is not the running layout
};

// The difference of two value layouts: for people (`fields`, `differences`) and for the engine (`ops` …).
struct SchemaDiff {
  bool identical = false;  // same paths, offsets, sizes and kinds: the old map serves the new programs as it is
  bool opaque = false;     // a side without type information: nothing but the size is known
  std::string lossy = {};  // what may be lost when it is synchronised; empty when nothing
  std::vector<std::string> differences = {};
  std::vector<FieldRecord> fields = {};
  std::vector<SyncField> ops = {};
  std::vector<SyncDefault> defaults = {};
  std::vector<SyncRemap> remaps = {};
  int32_t lock0 = -1, lock1 = -1;            // as in SyncSpec
  std::vector<SyncUnion> unions = {};
  std::vector<std::string> notes = {};       // what else an author should know
  std::vector<Problem> warnings = {};
  std::vector<Problem> refusals = {};        // against synchronising
  std::vector<Problem> reuse_refusals = {};  // against reusing the map, and against dropping it
};

// Pure and bounded: type information may be hostile.
[[nodiscard]] SchemaDiff diff_values(const SchemaRequest& request);

struct KeyDiff {
  bool same = false;         // the same bytes mean the same key
  std::string reason = {};   // why not
  // Of keys that are not the same:
  std::vector<Problem> refusals = {};    // why old keys cannot be converted; empty when they can
  std::vector<SyncField> fields = {};    // how: every scalar that travels; the others are zero
  std::vector<std::string> changes = {}; // "saddr: widened u16 to u32"
  std::string may_meet = {};             // what could make one new key of two old ones; empty: nothing
  std::string no_way_back = {};          // which new keys have no place in the old layout; empty: all have one
  bool loses_back = false;               // those are to be expected, and not an exception
};
[[nodiscard]] KeyDiff diff_keys(const ValueLayout& old_key, const ValueLayout& new_key, const std::string& where = "key",
                                const std::map<std::string, FieldRule>& rules = {});

// Every name that a manifest may use for a field of this type: leaves, what is around them, members of unions.
[[nodiscard]] std::vector<std::string> field_names(const ValueLayout& value);

}  // namespace mapshift::update
