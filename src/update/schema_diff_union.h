// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>
#include <vector>

#include "kernel/sync_spec.h"
#include "update/schema_diff_layout.h"
#include "update/schema_diff_match.h"

namespace mapshift::update {

// The unions of a value whose discriminator is declared, as the fields of their members.
struct ExpandedUnions {
  std::vector<SyncUnion> unions = {};        // as in SyncSpec
  std::map<std::string, std::string> discriminates = {};  // path of a discriminator: of its unions
  std::vector<Problem> refusals = {}, warnings = {};
  std::vector<std::string> notes = {};
};

// Puts the fields of members in the place of each union that has a discriminator, in both layouts and in their match. A member
// is paired by its name, or by the one that it was declared to have had.
[[nodiscard]] ExpandedUnions expand_unions(Layout& before, uint32_t old_size, Layout& after, uint32_t new_size, Match& match,
                                           const std::map<std::string, FieldRule>& rules, const std::string& where);

// What the manifest, or else the source of either generation, says about it.
[[nodiscard]] const UnionRule* union_rule(const Field& before, const Field& after, const std::map<std::string, FieldRule>& rules);

// Gives every field of a member the group of its discriminator, which becomes a group of its own where a member cannot be written in
// place (`lone_group`), and puts it before the discriminator.
void arrange_unions(std::vector<SyncField>& ops, const std::vector<SyncUnion>& unions, uint16_t lone_group, bool locked);

}  // namespace mapshift::update
