// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "observe/go/code.h"
#include "observe/go/elf_image.h"
#include "observe/go/globals.h"

namespace mapshift::observe::go {

// Finds runtime.waitReasonStrings and stwReasonStrings by their symbols, else by the functions that index them, and believes only
// tables whose first texts are the well-known ones and whose every text can be read.
void find_reason_tables(ElfImage& image, Code& code, const DataSymbols& symbols, Globals& globals);

}  // namespace mapshift::observe::go
