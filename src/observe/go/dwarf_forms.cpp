// SPDX-License-Identifier: Apache-2.0
#include "observe/go/dwarf_forms.h"

#include <limits>

namespace mapshift::observe::go::dwarf {
namespace {

constexpr uint64_t kMaxCodes = 4096, kMaxAttributes = 256;
constexpr size_t kMaxName = 256;          // of names in other sections: those that are looked for are short
constexpr size_t kMaxInline = 1U << 20;  // names of anonymous structures are long
constexpr uint8_t kPlusConstant = 0x23;  // DW_OP_plus_uconst

enum Form : uint16_t {
  kAddr = 0x01, kBlock2 = 0x03, kBlock4, kData2, kData4, kData8, kString, kBlock, kBlock1, kData1, kFlag, kSdata, kStrp, kUdata,
  kRefAddr, kRef1, kRef2, kRef4, kRef8, kRefUdata, kIndirect, kSecOffset, kExprloc, kFlagPresent, kStrx, kAddrx, kRefSup4, kStrpSup,
  kData16, kLineStrp, kRefSig8, kImplicitConst, kLoclistx, kRnglistx, kRefSup8, kStrx1, kStrx2, kStrx3, kStrx4, kAddrx1, kAddrx2,
  kAddrx3, kAddrx4,
};
static_assert(kUdata == 0x0f && kStrx == 0x1a && kAddrx4 == 0x2c);

uint64_t offset(Cursor& cursor, const Unit& unit) { return unit.wide ? cursor.number<uint64_t>() : cursor.number<uint32_t>(); }

Value no_number(Cursor& cursor, uint64_t skip) {
  cursor.skip(skip);
  return {};
}

// A member's location may be an expression that adds a constant to the structure's address.
Value block(Cursor& cursor, Bytes all, uint64_t size) {
  Value out;
  const uint64_t begin = cursor.at();
  cursor.skip(size);
  if (!cursor.ok() || size == 0) return out;
  Cursor inside(all.subspan(begin, size));
  if (inside.number<uint8_t>() != kPlusConstant) return {std::numeric_limits<uint64_t>::max(), {}};
  out.number = inside.uleb();
  return out;
}

Value text_in(Bytes section, uint64_t at, const Attr& attribute) {
  if (attribute.name != kName) return {};
  return {0, text_at(section, at, kMaxName).value_or(std::string_view())};
}

Value unknown(Cursor& cursor) { return no_number(cursor, std::numeric_limits<uint64_t>::max()); }

}  // namespace

std::vector<Abbreviation> read_abbreviations(Bytes abbrev, uint64_t at, uint64_t& budget) {
  std::vector<Abbreviation> out;
  Cursor cursor(abbrev, at);
  while (const uint64_t code = cursor.uleb()) {
    if (!cursor.ok() || code > kMaxCodes || budget == 0) return {};
    --budget;
    if (out.size() <= code) out.resize(code + 1);
    Abbreviation one;
    one.tag = static_cast<uint16_t>(cursor.uleb());
    one.children = cursor.number<uint8_t>() != 0;
    while (cursor.ok() && one.attributes.size() < kMaxAttributes && budget > 0) {
      --budget;
      Attr attr{static_cast<uint16_t>(cursor.uleb()), static_cast<uint16_t>(cursor.uleb())};
      if (attr.form == kImplicitConst) attr.constant = cursor.sleb();
      if (attr.name == 0 && attr.form == 0) break;
      one.attributes.push_back(attr);
    }
    out[code] = std::move(one);
  }
  if (!cursor.ok()) return {};
  return out;
}

Value read_value(Cursor& cursor, Bytes all, const Attr& attribute, const Unit& unit, Bytes str, Bytes line_str) {
  switch (attribute.form) {
    case kAddr: return no_number(cursor, unit.address_size);
    case kBlock1: return block(cursor, all, cursor.number<uint8_t>());
    case kBlock2: return block(cursor, all, cursor.number<uint16_t>());
    case kBlock4: return block(cursor, all, cursor.number<uint32_t>());
    case kBlock: case kExprloc: return block(cursor, all, cursor.uleb());
    case kData1: return {cursor.number<uint8_t>(), {}};
    case kData2: return {cursor.number<uint16_t>(), {}};
    case kData4: return {cursor.number<uint32_t>(), {}};
    case kData8: return {cursor.number<uint64_t>(), {}};
    case kData16: return no_number(cursor, 16);
    case kUdata: case kRefUdata: case kStrx: case kAddrx: case kLoclistx: case kRnglistx: return {cursor.uleb(), {}};
    case kSdata: return {static_cast<uint64_t>(cursor.sleb()), {}};
    case kImplicitConst: return {static_cast<uint64_t>(attribute.constant), {}};
    case kString: return {0, cursor.text(kMaxInline)};
    case kStrp: return text_in(str, offset(cursor, unit), attribute);
    case kLineStrp: return text_in(line_str, offset(cursor, unit), attribute);
    case kSecOffset: case kStrpSup: return {offset(cursor, unit), {}};
    case kRefAddr: return unit.version == 2 ? no_number(cursor, unit.address_size) : Value{offset(cursor, unit), {}};
    case kFlagPresent: return {1, {}};
    case kFlag: case kRef1: case kStrx1: case kAddrx1: return no_number(cursor, 1);
    case kRef2: case kStrx2: case kAddrx2: return no_number(cursor, 2);
    case kStrx3: case kAddrx3: return no_number(cursor, 3);
    case kRef4: case kStrx4: case kAddrx4: case kRefSup4: return no_number(cursor, 4);
    case kRef8: case kRefSig8: case kRefSup8: return no_number(cursor, 8);
    default: return unknown(cursor);  // and DW_FORM_indirect, which Go does not use
  }
}

}  // namespace mapshift::observe::go::dwarf
