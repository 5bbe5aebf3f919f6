// SPDX-License-Identifier: Apache-2.0
#include "observe/go/dwarf.h"

#include <limits>

#include "observe/go/dwarf_forms.h"

namespace mapshift::observe::go {
namespace {

using namespace dwarf;

constexpr uint64_t kMaxInfo = 128U << 20, kMaxAbbrev = 4U << 20, kMaxStrings = 128U << 20;
constexpr uint32_t kMaxUnits = 1U << 18;
constexpr size_t kMaxMembers = 1024;
// Attributes and entries that are read, to bound the time: a hundred times what a large program has.
constexpr uint64_t kMaxWork = 200U << 20, kEntryWork = 8, kMaxAbbreviations = 8U << 20;
constexpr uint64_t kMaxOffset = 1U << 20;
constexpr uint8_t kPartialUnitTypes = 3;  // DW_UT_partial; larger ones have further fields in their header

struct Entry {
  const Abbreviation* abbreviation = nullptr;
  std::string_view name;
  uint64_t size = 0, location = std::numeric_limits<uint64_t>::max();
};

// Walks the entries of one compile unit.
class UnitReader {
 public:
  UnitReader(const DwarfSections& sections, const Unit& unit, Bytes all, uint64_t at, const std::vector<Abbreviation>& codes,
             uint64_t& budget)
      : sections_(sections), unit_(unit), all_(all), cursor_(all, at), codes_(codes), budget_(budget) {}

  // Nothing at the end of siblings, of the unit, and where it is damaged; ok() tells.
  std::optional<Entry> next() {
    const uint64_t code = cursor_.uleb();
    if (code == 0 || !cursor_.ok()) return std::nullopt;
    const bool known = code < codes_.size() && codes_[code].tag != 0;
    if (known) budget_ -= std::min(budget_, codes_[code].attributes.size() + kEntryWork);
    if (!known || budget_ == 0) {
      cursor_.skip(std::numeric_limits<uint64_t>::max());
      return std::nullopt;
    }
    Entry out;
    out.abbreviation = &codes_[code];
    for (const auto& attr : codes_[code].attributes) {
      const Value value = read_value(cursor_, all_, attr, unit_, sections_.str, sections_.line_str);
      if (attr.name == kName) out.name = value.text;
      if (attr.name == kByteSize) out.size = value.number;
      if (attr.name == kMemberLocation) out.location = value.number;
    }
    if (!cursor_.ok()) return std::nullopt;
    return out;
  }
  [[nodiscard]] bool ok() const { return cursor_.ok(); }
  [[nodiscard]] bool done() const { return cursor_.done(); }

 private:
  const DwarfSections& sections_;
  const Unit& unit_;
  Bytes all_;  // the section up to the unit's end
  Cursor cursor_;
  const std::vector<Abbreviation>& codes_;
  uint64_t& budget_;
};

class Reader {
 public:
  Reader(const DwarfSections& sections, const std::vector<std::string_view>& wanted) : sections_(sections), wanted_(wanted) {}

  Result<StructLayouts> run() {
    uint64_t at = 0;
    for (uint32_t units = 0; at < sections_.info.size() && found_.size() < wanted_.size(); ++units) {
      if (units >= kMaxUnits) return fail(ErrorCode::kTooLarge, "the debugging information has too many compile units");
      if (!unit(at)) return fail(ErrorCode::kInvalid, "the debugging information (.debug_info) is damaged");
    }
    return std::move(found_);
  }

 private:
  // Reads the unit at `at` and moves on to the next one.
  bool unit(uint64_t& at) {
    Cursor cursor(sections_.info, at);
    Unit unit;
    uint64_t length = cursor.number<uint32_t>();
    if (length == 0xffffffff) {
      unit.wide = true;
      length = cursor.number<uint64_t>();
    }
    if (!cursor.ok() || length == 0 || length > sections_.info.size() - cursor.at()) return false;
    at = cursor.at() + length;
    unit.version = cursor.number<uint16_t>();
    uint64_t abbreviations = 0;
    if (unit.version >= 5) {
      const auto kind = cursor.number<uint8_t>();
      unit.address_size = cursor.number<uint8_t>();
      abbreviations = unit.wide ? cursor.number<uint64_t>() : cursor.number<uint32_t>();
      if (kind > kPartialUnitTypes) return true;
    } else {
      abbreviations = unit.wide ? cursor.number<uint64_t>() : cursor.number<uint32_t>();
      unit.address_size = cursor.number<uint8_t>();
    }
    if (unit.version < 2 || unit.version > 5) return true;
    if (!cursor.ok() || unit.address_size > 8) return false;
    return entries(unit, sections_.info.first(at), cursor.at(), abbreviations);
  }

  bool entries(const Unit& unit, Bytes all, uint64_t at, uint64_t abbreviations) {
    if (codes_.empty() || abbreviations != codes_at_) {
      codes_ = read_abbreviations(sections_.abbrev, abbreviations, abbreviation_budget_);
      codes_at_ = abbreviations;
    }
    UnitReader reader(sections_, unit, all, at, codes_, budget_);
    const auto top = reader.next();
    // Foreign units (C code linked by cgo) may use forms that are not known here: they are not ours to judge.
    if (!top || top->abbreviation->tag != kCompileUnit || (top->name != "runtime" && top->name != "internal/poll")) return true;
    return top->abbreviation->children ? children(reader) : true;
  }

  bool children(UnitReader& reader) {
    uint32_t depth = 1;
    while (depth > 0 && !reader.done() && found_.size() < wanted_.size()) {
      const auto entry = reader.next();
      if (!reader.ok()) return false;
      if (!entry) {
        --depth;
        continue;
      }
      const bool ours = depth == 1 && entry->abbreviation->tag == kStructure && entry->abbreviation->children && is_wanted(entry->name);
      if (ours && !members(reader, *entry)) return false;
      if (!ours && entry->abbreviation->children) ++depth;
    }
    return true;
  }

  bool members(UnitReader& reader, const Entry& structure) {
    StructLayout layout{structure.size, {}};
    for (uint32_t depth = 1; depth > 0;) {
      const auto entry = reader.next();
      if (!reader.ok() || layout.members.size() > kMaxMembers) return false;
      if (!entry) {
        --depth;
        continue;
      }
      if (depth == 1 && entry->abbreviation->tag == kMember && entry->location < std::min(kMaxOffset, structure.size)) {
        layout.members.emplace(entry->name, static_cast<uint32_t>(entry->location));
      }
      if (entry->abbreviation->children) ++depth;
    }
    found_.emplace(structure.name, std::move(layout));
    return true;
  }

  bool is_wanted(std::string_view name) const {
    return std::find(wanted_.begin(), wanted_.end(), name) != wanted_.end() && !found_.contains(name);
  }

  const DwarfSections& sections_;
  const std::vector<std::string_view>& wanted_;
  StructLayouts found_;
  std::vector<Abbreviation> codes_;
  uint64_t codes_at_ = 0, budget_ = kMaxWork, abbreviation_budget_ = kMaxAbbreviations;
};

}  // namespace

Result<StructLayouts> read_structs(const DwarfSections& sections, const std::vector<std::string_view>& wanted) {
  return Reader(sections, wanted).run();
}

Result<StructLayouts> read_structs(const ElfImage& image, const std::vector<std::string_view>& wanted) {
  const Section *info = image.section(".debug_info"), *abbrev = image.section(".debug_abbrev");
  if (info == nullptr || abbrev == nullptr) return fail(ErrorCode::kNotFound, "the executable has no debugging information");
  MS_TRY(const auto info_bytes, image.contents(*info, kMaxInfo));
  MS_TRY(const auto abbrev_bytes, image.contents(*abbrev, kMaxAbbrev));
  std::vector<uint8_t> str, line_str;
  for (const auto& [name, into] : {std::pair{".debug_str", &str}, std::pair{".debug_line_str", &line_str}}) {
    const Section* section = image.section(name);
    if (section == nullptr) continue;
    MS_TRY(*into, image.contents(*section, kMaxStrings));
  }
  return read_structs(DwarfSections{info_bytes, abbrev_bytes, str, line_str}, wanted);
}

}  // namespace mapshift::observe::go
