// SPDX-License-Identifier: Apache-2.0
#include "kernel/table_sync.h"

#include <algorithm>
#include <cstring>

namespace mapshift {

// A row of the base table: what both sides held when they were reconciled (`base`), or what is about to be written. Of an intent,
// `seen` is what the sides held when it was made.
struct TableSync::Row {
  enum Kind : uint32_t { kInStep = 0, kWriting = 1, kCreating0 = 2, kCreating1 = 3 };
  Kind kind = kInStep;
  FieldMerge::Values base, seen = {}, next = {};

  static Row parse(const Bytes& bytes, const SyncSpec& spec);
  [[nodiscard]] Bytes bytes(const SyncSpec& spec) const;
};

uint32_t TableSync::base_value_size(const SyncSpec& spec) { return 8 + 3 * (spec.value_size0 + spec.value_size1); }

TableSync::Row TableSync::Row::parse(const Bytes& bytes, const SyncSpec& spec) {
  Row row;
  uint32_t kind = 0;
  std::memcpy(&kind, bytes.data(), sizeof kind);
  row.kind = static_cast<Kind>(kind & 3);
  size_t at = 8;
  for (FieldMerge::Values* values : {&row.base, &row.seen, &row.next}) {
    const auto take = [&](uint32_t size) {
      const Bytes part(bytes.begin() + static_cast<ptrdiff_t>(at), bytes.begin() + static_cast<ptrdiff_t>(at + size));
      at += size;
      return part;
    };
    values->side0 = take(spec.value_size0);
    values->side1 = take(spec.value_size1);
  }
  return row;
}

Bytes TableSync::Row::bytes(const SyncSpec& spec) const {
  Bytes out(8);
  const uint32_t word = kind;
  std::memcpy(out.data(), &word, sizeof word);
  for (const FieldMerge::Values* values : {&base, &seen, &next}) {
    const auto append = [&](const Bytes& part, uint32_t size) {
      const size_t at = out.size();
      out.resize(at + size);
      std::copy(part.begin(), part.end(), out.begin() + static_cast<ptrdiff_t>(at));
    };
    append(values->side0, spec.value_size0);
    append(values->side1, spec.value_size1);
  }
  return out;
}

Result<std::unique_ptr<TableSync>> TableSync::open(SyncSpec spec, Tables tables) {
  std::unique_ptr<TableSync> sync(new TableSync(std::move(spec), std::move(tables)));
  MS_CHECK(sync->recover());
  return sync;
}

Status TableSync::recover() {
  base_.clear();
  MS_TRY(const auto keys, tables_.base->keys());
  for (const Bytes& key : keys) {
    MS_TRY(const auto row, tables_.base->read(key));
    if (row) MS_CHECK(recover_one(key, *row));
  }
  stale_ = false;
  return {};
}

// Side 1 is written before side 0. So what side 1 holds says whether an intent was begun, and what is left is done.
Status TableSync::recover_one(const Bytes& key, const Bytes& bytes) {
  const Row row = Row::parse(bytes, spec_);
  switch (row.kind) {
    case Row::kInStep: base_[key] = {row.base}; return {};
    case Row::kCreating0:
    case Row::kCreating1: {
      MS_TRY(const auto keys, side(row.kind == Row::kCreating1).keys());
      return std::binary_search(keys.begin(), keys.end(), key, BytesLess()) ? settle_row(key, row.next) : forget(key);
    }
    case Row::kWriting: break;
  }
  MS_TRY(const auto now0, tables_.side0->read(key));
  MS_TRY(const auto now1, tables_.side1->read(key));
  const bool begun1 = now1 && *now1 == row.next.side1, ended0 = now0 && *now0 == row.next.side0;
  const bool untouched = now1 && *now1 == row.seen.side1 && row.seen.side1 != row.next.side1;
  if (untouched) return settle_row(key, row.base);
  if (begun1 && !ended0 && now0 && *now0 == row.seen.side0) {
    MS_TRY([[maybe_unused]] const auto put, tables_.side0->replace(key, row.next.side0));
  }
  return settle_row(key, row.next);
}

Status TableSync::remember(const Bytes& key, const Row& row) {
  const Bytes bytes = row.bytes(spec_);
  const auto known = base_.find(key);
  auto put = known == base_.end() ? tables_.base->insert(key, bytes) : tables_.base->replace(key, bytes);
  // A row that recovery forgot halfway, or that another process made.
  if (put && *put == Table::Put::kThere) put = tables_.base->replace(key, bytes);
  if (!put) return fail(std::move(put).error());
  if (*put == Table::Put::kFull) {
    ++report_.base_full;
    return fail(ErrorCode::kTooLarge, "the record of what was reconciled is full");
  }
  if (known == base_.end()) base_[key] = {row.base};
  return {};
}

Status TableSync::settle_row(const Bytes& key, FieldMerge::Values base) {
  Row row;
  row.base = std::move(base);
  MS_CHECK(remember(key, row));
  base_[key] = {row.base};
  return {};
}

Status TableSync::forget(const Bytes& key) {
  MS_CHECK(tables_.base->erase(key));
  base_.erase(key);
  return {};
}

Status TableSync::drop(const Bytes& key, bool on1) {
  MS_CHECK(side(on1).erase(key));
  ++report_.deleted;
  return forget(key);
}

Result<TableSync::Rows> TableSync::read_all(Table& table) const {
  Rows rows;
  MS_TRY(const auto keys, table.keys());
  for (const Bytes& key : keys) {
    MS_TRY(auto value, table.read(key));
    if (value) rows.emplace(key, *std::move(value));
  }
  return rows;
}

// False: both sides are as base says, key by key, so that nothing is to be done.
bool TableSync::interesting(const Seen& seen) const {
  const bool live = phase_ != SyncPhase::kPrecopy;
  if (seen.side0.size() != base_.size() || (live && seen.side1.size() != base_.size())) return true;
  return std::any_of(base_.begin(), base_.end(), [&](const auto& known) {
    const auto row0 = seen.side0.find(known.first), row1 = seen.side1.find(known.first);
    if (row0 == seen.side0.end() || row1 == seen.side1.end() || known.second.missing != Absent::kNone) return true;
    return merge_.changed(row0->second, known.second.base.side0, false) || (live && merge_.changed(row1->second, known.second.base.side1, true));
  });
}

// A key that was deleted while it was read may have been answered for by a shorter prefix: only what is still there counts.
Status TableSync::confirm(Seen& seen) const {
  for (const bool one : {false, true}) {
    MS_TRY(const auto keys, side(one).keys());
    std::erase_if(one ? seen.side1 : seen.side0,
                  [&](const auto& row) { return !std::binary_search(keys.begin(), keys.end(), row.first, BytesLess()); });
  }
  return {};
}

Result<PassReport> TableSync::pass(SyncPhase phase, bool /*complete*/) {
  if (stale_) MS_CHECK(recover());
  phase_ = phase;
  report_ = {};
  report_.began = monotonic_now();
  Seen seen;
  MS_TRY(seen.side0, read_all(*tables_.side0));
  MS_TRY(seen.side1, read_all(*tables_.side1));
  report_.keys = seen.side0.size();
  if (interesting(seen)) {
    MS_CHECK(confirm(seen));
    std::map<Bytes, std::pair<const Bytes*, const Bytes*>, BytesLess> all;
    for (const auto& [key, entry] : base_) all[key];
    for (const auto& [key, value] : seen.side0) all[key].first = &value;
    for (const auto& [key, value] : seen.side1) all[key].second = &value;
    for (const auto& [key, values] : all) {
      const Status done = sync_key(key, values.first, values.second);
      if (done || done.error().code == ErrorCode::kTooLarge) continue;  // counted
      stale_ = true;
      return fail(done.error());
    }
  }
  report_.ended = monotonic_now();
  return report_;
}

Status TableSync::sync_key(const Bytes& key, const Bytes* v0, const Bytes* v1) {
  const auto known = base_.find(key);
  const bool live = phase_ != SyncPhase::kPrecopy;
  if (v0 != nullptr && v1 != nullptr) return sync_both(key, {*v0, *v1});
  if (known == base_.end()) {
    // Before the swap a key that only the new side has is not ours to judge.
    if (v0 != nullptr) return create(key, *v0, false);
    return live ? create(key, *v1, true) : Status{};
  }
  if (v0 == nullptr && v1 == nullptr) {
    ++report_.deleted;
    return forget(key);
  }
  // Absence on the new side is never a deletion before the swap.
  if (!live && v1 == nullptr) {
    MS_CHECK(forget(key));
    return create(key, *v0, false);
  }
  const Absent missing = v0 == nullptr ? Absent::kSide0 : Absent::kSide1;
  if (std::exchange(known->second.missing, missing) != missing) {  // one look proves nothing
    report_.pending += absence_waits(key, v0 != nullptr ? *v0 : *v1, v0 == nullptr);
    return {};
  }
  return one_side(key, v0 != nullptr ? *v0 : *v1, v0 == nullptr);
}

// The rule is the one of delta_waits() in bpf/sync/presence.h. `on1`: side 1 still has the key.
bool TableSync::absence_waits(const Bytes& key, const Bytes& value, bool on1) const {
  if (phase_ == SyncPhase::kPrecopy || active1() == on1) return true;
  const FieldMerge::Values& base = base_.at(key).base;
  const auto verdict = merge_.judge(value, on1 ? base.side1 : base.side0, on1);
  return spec_.keep_delta && verdict.rose && !verdict.fell;
}

Status TableSync::sync_both(const Bytes& key, const FieldMerge::Values& now) {
  const auto known = base_.find(key);
  if (known != base_.end()) known->second.missing = Absent::kNone;
  FieldMerge::Values next = now;
  const auto outcome = merge_.merge(phase_, next, known == base_.end() ? nullptr : &known->second.base);
  if (known != base_.end() && next == now && now == known->second.base) return {};
  if (next == now) return settle_row(key, next);
  // Somebody may have written since: the next pass takes it up.
  MS_TRY(const auto again0, tables_.side0->read(key));
  MS_TRY(const auto again1, tables_.side1->read(key));
  if (again0 != now.side0 || again1 != now.side1) {
    const bool passive_moved = active1() ? outcome.moved0 || again0 != now.side0 : outcome.moved1 || again1 != now.side1;
    report_.pending += phase_ == SyncPhase::kPrecopy || passive_moved;
    return {};
  }
  Row intent{Row::kWriting, known == base_.end() ? FieldMerge::Values{Bytes(spec_.value_size0), Bytes(spec_.value_size1)} : known->second.base, now, next};
  MS_CHECK(remember(key, intent));
  if (next.side1 != now.side1) {
    MS_TRY([[maybe_unused]] const auto put, tables_.side1->replace(key, next.side1));
  }
  if (next.side0 != now.side0) {
    MS_TRY([[maybe_unused]] const auto put, tables_.side0->replace(key, next.side0));
  }
  report_.changed += 1;
  report_.conflicts += outcome.conflict;
  report_.clamped += outcome.clamped;
  report_.undeclared += outcome.undeclared;
  report_.from_passive += phase_ == SyncPhase::kLiveOld ? outcome.moved1 : outcome.moved0;
  return settle_row(key, next);
}

// `on1`: the new side has the key, the old one gets it.
Status TableSync::create(const Bytes& key, const Bytes& value, bool on1) {
  bool clamped = false;
  FieldMerge::Values next{on1 ? merge_.to_side0(value, clamped) : value, on1 ? value : merge_.to_side1(value, clamped)};
  Row intent{on1 ? Row::kCreating0 : Row::kCreating1, {Bytes(spec_.value_size0), Bytes(spec_.value_size1)}, {}, next};
  MS_CHECK(remember(key, intent));
  MS_TRY(const auto put, side(!on1).insert(key, on1 ? next.side0 : next.side1));
  if (put != Table::Put::kDone) {
    if (put == Table::Put::kFull) ++(on1 ? report_.full0 : report_.full1);
    else ++report_.pending;  // made by somebody else meanwhile
    return forget(key);
  }
  ++report_.added;
  report_.clamped += clamped;
  report_.undeclared += merge_.is_undeclared(value, on1);
  report_.from_passive += on1 != active1() || phase_ == SyncPhase::kPrecopy;
  return settle_row(key, std::move(next));
}

// The key is gone from the other side for good, `on1` still has it. The rules are those of bpf/sync/presence.h.
Status TableSync::one_side(const Bytes& key, const Bytes& value, bool on1) {
  const FieldMerge::Values base = base_.at(key).base;
  const auto verdict = merge_.judge(value, on1 ? base.side1 : base.side0, on1);
  if (phase_ == SyncPhase::kPrecopy) {
    ++report_.from_passive;
    return drop(key, on1);
  }
  bool take_out = verdict.changed && !verdict.fell;
  if (active1() != on1) {  // deleted on the active side: that wins
    if (!spec_.keep_delta || !take_out || !verdict.rose) {
      report_.dropped_deltas += verdict.changed;
      return drop(key, on1);
    }
  } else {
    ++report_.from_passive;
    const bool evicted = is_lru(on1 ? spec_.type0 : spec_.type1);
    if (!verdict.changed && !evicted) return drop(key, on1);
    take_out = take_out && !evicted;
  }
  MS_CHECK(forget(key));
  if (!take_out) return create(key, value, on1);
  // The deletion took the old count only.
  const Bytes left = merge_.without(value, on1 ? base.side1 : base.side0, on1);
  if (left != value) {
    MS_TRY(const auto put, side(on1).replace(key, left));
    if (put != Table::Put::kDone) {
      ++report_.pending;
      return {};
    }
  }
  return create(key, left, on1);
}

std::set<Bytes, BytesLess> TableSync::differing(const Seen& seen) const {
  std::set<Bytes, BytesLess> out;
  for (const auto& [key, value] : seen.side0) {
    const auto known = base_.find(key);
    const auto other = seen.side1.find(key);
    if (other == seen.side1.end()) {
      out.insert(key);
      continue;
    }
    const bool waits = known == base_.end() || merge_.changed(value, known->second.base.side0, false) ||
                       merge_.changed(other->second, known->second.base.side1, true);
    if (!waits && !merge_.equal({value, other->second})) out.insert(key);
  }
  for (const auto& [key, value] : seen.side1)
    if (!seen.side0.contains(key) && base_.contains(key)) out.insert(key);
  return out;
}

Result<VerifyReport> TableSync::verify() {
  Seen seen;
  MS_TRY(seen.side0, read_all(*tables_.side0));
  MS_TRY(seen.side1, read_all(*tables_.side1));
  suspects_ = differing(seen);
  return VerifyReport{seen.side0.size(), suspects_.size()};
}

Result<VerifyReport> TableSync::verify_again() {
  if (suspects_.empty()) return VerifyReport{};
  const auto before = std::exchange(suspects_, {});
  MS_TRY(const VerifyReport now, verify());
  std::erase_if(suspects_, [&](const Bytes& key) { return !before.contains(key); });
  return VerifyReport{now.keys, suspects_.size()};
}

}  // namespace mapshift
