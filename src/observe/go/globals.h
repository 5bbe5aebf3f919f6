// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <map>
#include <string>

#include "observe/go/binary.h"
#include "observe/go/code.h"
#include "observe/go/dwarf.h"

namespace mapshift::observe::go {

struct DataSymbol {
  uint64_t address = 0, size = 0;
};
using DataSymbols = std::map<std::string, DataSymbol, std::less<>>;

// Those that globals_by_symbol() asks for.
[[nodiscard]] const std::vector<std::string_view>& wanted_symbols();

// What the symbol table and the debugging information tell together; 0 for all else.
[[nodiscard]] Globals globals_by_symbol(const DataSymbols& symbols, const StructLayouts& structs);
// What small functions of the runtime tell by the addresses that they use, checked against each other: a pattern that is not
// unique, or whose parts do not fit, tells nothing.
[[nodiscard]] Globals globals_by_code(Code& code, const Layout& layout);
// Symbols with the offsets of the version table, for what neither of the above knows.
[[nodiscard]] Globals globals_by_table(const DataSymbols& symbols, const Layout& layout);

// Fills what is 0 in `into` and drops what does not lie in memory that the program may write.
void merge_globals(Globals& into, const Globals& from);
void drop_impossible(Globals& globals, const ElfImage& image, uint32_t histogram_size);

}  // namespace mapshift::observe::go
