// SPDX-License-Identifier: Apache-2.0
#include "update/field_ops.h"

#include <fmt/format.h>

#include <algorithm>

#include "update/merge/merge_policy.h"

namespace mapshift::update {

namespace {

constexpr size_t kMaxUnionMembers = 256;  // that are compared one by one

bool integer_like(FieldKind kind) { return kind == FieldKind::kInt || kind == FieldKind::kBool || kind == FieldKind::kEnum; }
bool keeps_bytes(Merge merge) { return merge == Merge::kLatest || merge == Merge::kFirst; }

// Where one element lies on both sides.
struct Spot {
  uint32_t offset0 = 0, offset1 = 0;
};

// Fields with their dimensions made comparable: a scalar counts as an array of one.
struct Shape {
  Field old_field, new_field;
  bool comparable = true;
};

Shape shape_of(const FieldPair& pair) {
  Shape shape{*pair.old_field, *pair.new_field};
  const bool apart = shape.old_field.kind != shape.new_field.kind;
  if (apart || !keeps_bytes(pair.merge)) {
    shape.old_field = as_elements(std::move(shape.old_field));
    shape.new_field = as_elements(std::move(shape.new_field));
  }
  auto &a = shape.old_field.dims, &b = shape.new_field.dims;
  if (a.empty()) a.resize(b.size(), {1, 0});
  if (b.empty()) b.resize(a.size(), {1, 0});
  shape.comparable = a.size() == b.size();
  return shape;
}

std::vector<Spot> spots_of(const Shape& shape) {
  std::vector<Spot> spots{{shape.old_field.offset, shape.new_field.offset}};
  for (size_t d = 0; d < shape.old_field.dims.size(); ++d) {
    const Dimension &a = shape.old_field.dims[d], &b = shape.new_field.dims[d];
    const uint32_t count = std::min(a.count, b.count);
    std::vector<Spot> next;
    for (const Spot& spot : spots)
      for (uint32_t i = 0; i < count && next.size() <= kMaxSyncValueSize; ++i)
        next.push_back({spot.offset0 + i * a.stride, spot.offset1 + i * b.stride});
    spots = std::move(next);
  }
  return spots;
}

void note(std::string& text, const std::string& more) {
  if (more.empty() || text.find(more) != std::string::npos) return;
  text += (text.empty() ? "" : "; ") + more;
}

class Builder {
 public:
  Builder(const FieldPair& pair, FieldOps& out) : pair_(pair), shape_(shape_of(pair)), out_(out) {}

  void build() {
    if (!shape_.comparable)
      return refuse("incompatible-field", fmt::format("it changed from {} to {}, and nothing says which element became which",
                                                      describe(*pair_.old_field), describe(*pair_.new_field)));
    check_count();
    const Field &a = shape_.old_field, &b = shape_.new_field;
    if (integer_like(a.kind) && integer_like(b.kind)) return build_integers(a, b);
    if (!check_kinds(a, b)) return;
    if (!keeps_bytes(pair_.merge)) return refuse("bad-merge", merge_unfit(pair_));
    const uint32_t size = std::min(a.size, b.size);
    for (const Spot& spot : spots_of(shape_)) add_chunks(spot, size);
  }

 private:
  void refuse(std::string code, std::string why) {
    if (!out_.refusal.empty()) return;
    out_.refusal_code = std::move(code);
    out_.refusal = std::move(why);
    out_.ops.clear();
  }

  void check_count() {
    const Field &a = shape_.old_field, &b = shape_.new_field;
    for (size_t d = 0; d < a.dims.size(); ++d) resized(a.dims[d].count, b.dims[d].count, "elements");
  }

  void resized(uint32_t before, uint32_t after, const char* what) {
    if (before == after) return;
    note(out_.change, fmt::format("{} {} to {} {}", before < after ? "grew" : "shrunk", before, after, what));
    if (after < before) note(out_.lossy, fmt::format("the last {} {} have no place", before - after, what));
  }

  bool check_kinds(const Field& a, const Field& b) {
    const auto incompatible = [&] {
      refuse("incompatible-field", fmt::format("it changed from {} to {}, which no rule converts", describe(*pair_.old_field),
                                               describe(*pair_.new_field)));
      return false;
    };
    const bool pointer = a.kind == FieldKind::kPointer || b.kind == FieldKind::kPointer;
    if (pointer) {
      const auto word = [](const Field& f) { return f.kind == FieldKind::kPointer || f.kind == FieldKind::kInt; };
      if (!word(a) || !word(b) || a.size != b.size) return incompatible();
      note(out_.warning, "it holds a pointer, which is carried as it is: make sure that what it points to outlives the update");
      if (a.kind != b.kind) note(out_.change, fmt::format("{} to {}", describe(a), describe(b)));
      return true;
    }
    if (a.kind != b.kind) return incompatible();
    switch (a.kind) {
      case FieldKind::kInt:
      case FieldKind::kBool:
      case FieldKind::kEnum:
      case FieldKind::kPointer: return true;
      case FieldKind::kFloat: return a.size == b.size || incompatible();
      case FieldKind::kBytes:
        if (a.size != b.size && !(a.resizable && b.resizable)) return incompatible();
        resized(a.size, b.size, "bytes");
        return true;
      case FieldKind::kBits: return check_bits(a, b);
      case FieldKind::kUnion: return check_union(a, b);
    }
    return true;
  }

  bool check_bits(const Field& a, const Field& b) {
    bool same = a.size == b.size && a.bits.size() == b.bits.size();
    for (size_t i = 0; same && i < a.bits.size(); ++i)
      same = a.bits[i].bit_offset == b.bits[i].bit_offset && a.bits[i].bit_size == b.bits[i].bit_size;
    if (!same)
      refuse("bit-fields", "its bit-fields are laid out in another way: keep names, widths and order, or use whole integers");
    return same;
  }

  bool check_union(const Field& a, const Field& b) {
    if (same_bytes(a.type, b.type)) return true;
    if (!keeps_members(*a.type, *b.type)) {
      refuse("union", "the union changed, and nothing says which of its members is in use: keep its members and add others, or convert "
                      "the value with a function (\"transform\" in the manifest)");
      return false;
    }
    note(out_.change, "members added to the union, bytes kept");
    note(out_.warning, "its union has new members, which the old generation cannot read after a rollback");
    if (b.size > a.size) note(out_.lossy, fmt::format("of the union's {} bytes the old generation has room for {}", b.size, a.size));
    return true;
  }

  // All that the old union can hold, the new one holds in the same bytes.
  static bool keeps_members(const Type& a, const Type& b) {
    if (b.size < a.size || a.members.size() > kMaxUnionMembers) return false;
    return std::ranges::all_of(a.members, [&](const Member& was) {
      const auto now = std::ranges::find_if(b.members, [&](const Member& m) { return m.name == was.name && m.bit_offset == was.bit_offset; });
      return now != b.members.end() && now->bit_size == was.bit_size && same_bytes(was.type, now->type);
    });
  }

  void build_integers(const Field& a, const Field& b) {
    if (b.kind == FieldKind::kBool && a.kind != FieldKind::kBool)
      return refuse("incompatible-field", fmt::format("it changed from {} to bool, which holds 0 and 1 only", describe(a)));
    if (a.kind == FieldKind::kEnum && b.kind == FieldKind::kEnum && !check_enums(*a.type, *b.type)) return;
    if (const std::string why = merge_unfit(pair_); !why.empty()) return refuse("bad-merge", why);
    describe_change(a, b);
    for (const Spot& spot : spots_of(shape_)) add_integer(spot, a, b);
  }

  bool check_enums(const Type& a, const Type& b) {
    EnumMatch match = match_enums(a, b);
    if (!match.problem.empty()) {
      refuse("enum", fmt::format("enum {}: {}", b.name, match.problem));
      return false;
    }
    out_.remap = std::move(match.remap);
    note(out_.warning, match.warning);
    if (out_.remap.values.empty()) return true;
    note(out_.change, "enum values follow their names");
    if (keeps_bytes(pair_.merge)) return true;
    refuse("bad-merge", fmt::format("its enumerators have other values now, so that only latest and first have a meaning, not {}",
                                    policy_of(pair_.merge).name));
    return false;
  }

  void describe_change(const Field& a, const Field& b) {
    Field from = a, to = b;
    from.dims.clear();
    to.dims.clear();
    if (a.size != b.size) {
      note(out_.change, fmt::format("{} {} to {}", a.size < b.size ? "widened" : "narrowed", describe(from), describe(to)));
    } else if (a.kind != b.kind || a.is_signed != b.is_signed) {
      const bool ordered = a.is_signed != b.is_signed && (pair_.merge == Merge::kMax || pair_.merge == Merge::kMin);
      note(out_.change, fmt::format("{} to {}{}", describe(from), describe(to), ordered ? "" : ", bits kept"));
      if (ordered) note(out_.lossy, fmt::format("a value that does not fit into {} is clamped and counted", describe(to)));
    }
    if (b.size < a.size)
      note(out_.lossy, fmt::format("a value that does not fit into {} is clamped and counted", describe(to)));
    else if (b.size > a.size && a.is_signed && !b.is_signed)
      note(out_.lossy, fmt::format("a negative value does not fit into {}", describe(to)));
    note(out_.inexact, out_.lossy);
  }

  void add_integer(const Spot& spot, const Field& a, const Field& b) {
    const MergeSite site0{true, false, spot.offset0, a.size, pair_.old_value_size};
    const MergeSite site1{true, false, spot.offset1, b.size, pair_.new_value_size};
    const bool aligned = spot.offset0 % a.size == 0 && spot.offset1 % b.size == 0;
    if (!aligned && a.size == b.size && keeps_bytes(pair_.merge) && out_.remap.values.empty()) return add_chunks(spot, a.size);
    if (!aligned)
      return refuse("misaligned", fmt::format("it is not aligned to its size (bytes {} and {}), so that it cannot be converted in place",
                                              spot.offset0, spot.offset1));
    SyncField op = make_op(spot);
    op.size0 = static_cast<uint8_t>(a.size);
    op.size1 = static_cast<uint8_t>(b.size);
    // Same size, other signedness: the bits travel as they are and come back as they were. Only an order needs to know.
    const bool ordered = pair_.merge == Merge::kMax || pair_.merge == Merge::kMin;
    op.signed0 = a.size == b.size && !ordered ? b.is_signed : a.is_signed;
    op.signed1 = b.is_signed;
    op.wide = keeps_bytes(pair_.merge) && !(word_fits(site0) && word_fits(site1));
    if (op.wide && pair_.merge == Merge::kLatest) no_word();
    out_.ops.push_back(op);
  }

  // Plain bytes, in the largest aligned pieces that a single load and store moves on both sides.
  void add_chunks(const Spot& spot, uint32_t size) {
    for (uint32_t done = 0; done < size;) {
      const uint32_t at0 = spot.offset0 + done, at1 = spot.offset1 + done;
      uint32_t piece = 8;
      while (piece > size - done || at0 % piece != 0 || at1 % piece != 0) piece /= 2;
      SyncField op = make_op({at0, at1});
      op.size0 = op.size1 = static_cast<uint8_t>(piece);
      const MergeSite site0{true, false, at0, piece, pair_.old_value_size}, site1{true, false, at1, piece, pair_.new_value_size};
      op.wide = size > 8 || !word_fits(site0) || !word_fits(site1);
      if (op.wide && size <= 8 && pair_.merge == Merge::kLatest) no_word();
      out_.ops.push_back(op);
      done += piece;
    }
    if (size > 8 && pair_.merge == Merge::kLatest)
      note(out_.late, "wider than 8 bytes: after the swap a late change cannot be written safely in place, and is counted");
  }

  void no_word() {
    note(out_.late, "no aligned 4 bytes around it lie within the value: after the swap a late change cannot be written safely, "
                    "and is counted");
  }

  SyncField make_op(const Spot& spot) const {
    SyncField op;
    op.op = policy_of(pair_.merge).op;
    op.offset0 = static_cast<uint16_t>(spot.offset0);
    op.offset1 = static_cast<uint16_t>(spot.offset1);
    return op;
  }

  const FieldPair& pair_;
  Shape shape_;
  FieldOps& out_;
};

MergeSite site_of(const Field& field, uint32_t offset, uint32_t value_size) {
  return {integer_like(field.kind), field.kind == FieldKind::kEnum, offset, field.size, value_size};
}

}  // namespace

std::string merge_unfit(const FieldPair& pair) {
  const MergePolicy& policy = policy_of(pair.merge);
  const Shape shape = shape_of(pair);
  if (!shape.comparable) return {};
  for (const Spot& spot : spots_of(shape)) {
    for (const bool newer : {false, true}) {
      const Field& field = newer ? shape.new_field : shape.old_field;
      const uint32_t value_size = newer ? pair.new_value_size : pair.old_value_size;
      if (const auto why = policy.unfit(site_of(field, newer ? spot.offset1 : spot.offset0, value_size)))
        return fmt::format("{} cannot be used in the {} generation: {}", policy.name, newer ? "new" : "old", *why);
    }
  }
  return {};
}

FieldOps make_field_ops(const FieldPair& pair) {
  FieldOps out;
  Builder(pair, out).build();
  return out;
}

}  // namespace mapshift::update
