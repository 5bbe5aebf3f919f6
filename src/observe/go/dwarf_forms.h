// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

#include "observe/go/bytes.h"

namespace mapshift::observe::go::dwarf {

// Of the DWARF 5 standard, section 7.5.
enum Tag : uint16_t { kMember = 0x0d, kCompileUnit = 0x11, kStructure = 0x13 };
enum Attribute : uint16_t { kName = 0x03, kByteSize = 0x0b, kMemberLocation = 0x38 };

struct Attr {
  uint16_t name = 0, form = 0;
  int64_t constant = 0;  // of DW_FORM_implicit_const
};

struct Abbreviation {
  uint16_t tag = 0;  // 0: there is none with this code
  bool children = false;
  std::vector<Attr> attributes;
};

// By code. Empty when the table is damaged or beyond its limits. Takes a unit of `budget` for each code and attribute: a file of
// many small units could make us read one large table for each.
[[nodiscard]] std::vector<Abbreviation> read_abbreviations(Bytes abbrev, uint64_t offset, uint64_t& budget);

struct Unit {
  uint16_t version = 0;
  uint8_t address_size = 8;
  bool wide = false;  // 64-bit DWARF
};

// The value of an attribute, as far as it is wanted: a number or a text.
struct Value {
  uint64_t number = 0;
  std::string_view text = {};
};

// Reads or skips one value; texts in other sections are looked up for names only. The cursor is not ok() afterwards when it is damaged or the form is unknown.
Value read_value(Cursor& cursor, Bytes all, const Attr& attribute, const Unit& unit, Bytes str, Bytes line_str);

}  // namespace mapshift::observe::go::dwarf
