// SPDX-License-Identifier: Apache-2.0
// Keys that changed their layout: which old key becomes which new one, and whether that is a one-to-one relation.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "update/schema_diff_key.h"
#include "update/schema_diff_match.h"

namespace mapshift::update {

namespace {

bool padded(const Layout& layout, uint32_t size) {
  const KeyPieces pieces = pieces_of(layout, size);
  return std::ranges::find(pieces.used, false) != pieces.used.end();
}

std::string names(const std::vector<std::string>& all) { return fmt::format("{}", fmt::join(all, ", ")); }

class Conversion {
 public:
  Conversion(const KeyConversion& keys, KeyDiff& out) : keys_(keys), out_(out) {}

  void run() {
    if (!check_form()) return;
    const Match match = match_fields(*keys_.before, *keys_.after, keys_.rules, keys_.where);
    out_.refusals.insert(out_.refusals.end(), match.refusals.begin(), match.refusals.end());
    std::vector<std::string> added, dropped;
    for (size_t i = 0; i < keys_.after->fields.size(); ++i) {
      const Field& now = keys_.after->fields[i];
      if (match.old_of_new[i]) both(keys_.before->fields[*match.old_of_new[i]], now);
      else added.push_back(now.path);
    }
    for (size_t j = 0; j < keys_.before->fields.size(); ++j)
      if (!match.old_used[j]) dropped.push_back(keys_.before->fields[j].path);
    if (!added.empty() && !dropped.empty()) return refuse_guess(added, dropped);
    for (const std::string& path : added) out_.changes.push_back(fmt::format("{}: new, zero in the keys that are there", path));
    for (const std::string& path : dropped) out_.changes.push_back(fmt::format("{}: dropped", path));
    if (!dropped.empty()) out_.may_meet = fmt::format("{} {} dropped", names(dropped), dropped.size() == 1 ? "is" : "are");
    if (!added.empty()) {
      no_way_back(fmt::format("keys in which {} {} not zero", names(added), added.size() == 1 ? "is" : "are"));
      out_.loses_back = true;
    }
    for (const auto* side : {&keys_.old_key, &keys_.new_key})
      if (padded(side == &keys_.old_key ? *keys_.before : *keys_.after, side->size))
        out_.changes.push_back(fmt::format("padding of the {} key counts as zero", side == &keys_.old_key ? "old" : "new"));
  }

 private:
  void refuse(std::string message) { out_.refusals.push_back({"key-changed", keys_.where, std::move(message)}); }
  std::string at(const Field& field) const { return fmt::format("{}_fields.{}", keys_.where, field.path); }
  void no_way_back(const std::string& which) { out_.no_way_back += (out_.no_way_back.empty() ? "" : ", ") + which; }

  bool check_form() {
    const bool typed = keys_.old_key.type && keys_.new_key.type;
    if (!typed)
      refuse(fmt::format("{}: without types on both sides a key cannot be converted; name them with \"types\" in the manifest", out_.reason));
    for (const Layout* layout : {keys_.before, keys_.after}) {
      out_.refusals.insert(out_.refusals.end(), layout->problems.begin(), layout->problems.end());
      for (const std::string& special : layout->specials) refuse(fmt::format("{} cannot be part of a key that is converted", special));
      if (!layout->locks.empty()) refuse(fmt::format("{} is a lock, which cannot be part of a key", layout->locks.front().path));
    }
    const uint32_t size = std::max(keys_.old_key.size, keys_.new_key.size);
    if (size > kMaxSyncKeySize)
      refuse(fmt::format("{}: keys of {} bytes cannot be converted, {} is the limit", out_.reason, size, kMaxSyncKeySize));
    return out_.refusals.empty();
  }

  void both(const Field& was, const Field& now) {
    const FieldPair pair{&was, &now, Merge::kLatest, keys_.old_key.size, keys_.new_key.size};
    FieldOps made = make_field_ops(pair);
    std::string change = was.path == now.path ? "" : fmt::format("was {}", was.path);
    const auto note = [&](const std::string& text) { change += (change.empty() ? "" : ", ") + text; };
    if (!made.change.empty()) note(made.change);
    if (was.offset != now.offset) note(fmt::format("moved from byte {} to {}", was.offset, now.offset));
    const bool whole = keys_.after->fields.size() == 1 && now.path == "value";  // a key without a structure has no names
    if (!change.empty()) out_.changes.push_back(whole ? change : fmt::format("{}: {}", now.path, change));
    if (!made.refusal.empty()) return out_.refusals.push_back({"key-changed", at(now), fmt::format("{}: {}", now.path, made.refusal)});
    if (!made.remap.values.empty())
      return out_.refusals.push_back({"key-changed", at(now), fmt::format("{}: the values of its enum moved, and a key must keep them", now.path)});
    if (!check_width(was, now, made)) return;
    check_count(was, now);
    out_.fields.insert(out_.fields.end(), made.ops.begin(), made.ops.end());
  }

  // A key that does not fit has no place at all: to clamp it would make it another key.
  bool check_width(const Field& was, const Field& now, const FieldOps& made) {
    if (made.ops.empty()) return true;
    const SyncField& op = made.ops.front();
    const bool loses_sign = op.size1 > op.size0 && op.signed0 && !op.signed1;
    if (op.size1 < op.size0 || loses_sign) {
      out_.refusals.push_back({"key-changed", at(now), fmt::format("{} changed from {} to {}, in which not every old key has a place: keep its width",
                                                                   now.path, describe(was), describe(now))});
      return false;
    }
    if (op.size1 > op.size0) no_way_back(fmt::format("keys whose {} does not fit into {}", now.path, describe(was)));
    return true;
  }

  void check_count(const Field& was, const Field& now) {
    const uint64_t before = element_count(was) * was.size, after = element_count(now) * now.size;
    const uint64_t elements0 = was.kind == FieldKind::kBytes ? before : element_count(was);
    const uint64_t elements1 = now.kind == FieldKind::kBytes ? after : element_count(now);
    if (elements1 < elements0) out_.may_meet = fmt::format("{} lost its last {} elements", now.path, elements0 - elements1);
    if (elements1 <= elements0) return;
    no_way_back(fmt::format("keys that use the new elements of {}", now.path));
    out_.loses_back = true;
  }

  void refuse_guess(const std::vector<std::string>& added, const std::vector<std::string>& dropped) {
    refuse(fmt::format("{} of the key {} gone and {} {} new: if that is a new name of the same field, declare it "
                       "(\"key_fields\": {{\"{}\": {{\"from\": \"{}\"}}}}, or MS_FROM); otherwise say \"policy\": \"reset\"",
                       names(dropped), dropped.size() == 1 ? "is" : "are", names(added), added.size() == 1 ? "is" : "are", added.front(),
                       dropped.front()));
  }

  const KeyConversion& keys_;
  KeyDiff& out_;
};

}  // namespace

void convert_key(const KeyConversion& keys, KeyDiff& out) { Conversion(keys, out).run(); }

}  // namespace mapshift::update
