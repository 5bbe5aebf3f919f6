// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "kernel/kernel.h"
#include "kernel/map.h"

namespace mapshift {

// The inner maps of two maps of maps, in pairs that belong together. Not thread-safe.
class InnerPairs {
 public:
  using Ids = std::pair<uint32_t, uint32_t>;  // of the old and the new side's map
  // Takes up the pairs that an earlier agent left. `outer0` and `outer1` are the pins of the maps of maps.
  [[nodiscard]] static Result<std::unique_ptr<InnerPairs>> open(const SyncSpec& spec, const std::string& outer0, const std::string& outer1,
                                                                const std::string& dir);

  [[nodiscard]] bool contains(Ids ids) const { return pairs_.contains(ids); }
  // The counterpart of an inner map on the other side (`to1`: of one of the old side), made and filled where there is none.
  // kNotFound when the map itself is gone.
  [[nodiscard]] Result<uint32_t> counterpart(uint32_t id, bool to1);
  [[nodiscard]] Result<Map> open_side(Ids ids, bool side) const;
  // The object of that side declares it, and the other side's object does not have a map of that name.
  [[nodiscard]] bool only_declared_on1(uint32_t id) const;

  [[nodiscard]] Status pass(SyncPhase phase, bool complete, PassReport& into);
  [[nodiscard]] Status pass_hot(SyncPhase phase, PassReport& into);
  [[nodiscard]] Result<VerifyReport> verify(bool again);
  void enter(SyncPhase phase);
  // Lets go of the pairs of which neither map is in these any more, for the second time in a row.
  [[nodiscard]] Status keep_only(const std::set<uint32_t>& used0, const std::set<uint32_t>& used1);

 private:
  struct Pair {
    std::unique_ptr<Sync> sync = {};  // null: the same map on both sides, or planned on its own
    bool unused = false;
  };
  using Names = std::map<uint32_t, std::string>;  // of the maps that an object declares, by id; by the old name where one was renamed

  InnerPairs(const SyncSpec& spec, std::string dir) : spec_(spec), dir_(std::move(dir)) {}
  [[nodiscard]] Status take_up();
  [[nodiscard]] Status take_up_one(const std::string& name);
  [[nodiscard]] std::optional<uint32_t> declared_counterpart(uint32_t id, bool to1) const;
  [[nodiscard]] bool declared(Ids ids) const;
  [[nodiscard]] Result<Map> make(const Map& like, bool on1);
  [[nodiscard]] Status add(const Map& map0, const Map& map1, bool filled_from1);
  [[nodiscard]] Result<std::unique_ptr<Sync>> open_pair(const Map& map0, const Map& map1) const;
  [[nodiscard]] std::string folder(Ids ids) const { return dir_ + "/" + std::to_string(ids.first) + "_" + std::to_string(ids.second); }

  const SyncSpec spec_;
  const std::string dir_;
  std::optional<Map> form0_, form1_;  // empty maps of each side's form, where the generation left one
  Names names0_, names1_;
  std::map<Ids, Pair> pairs_;
};

}  // namespace mapshift
