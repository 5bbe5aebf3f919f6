// SPDX-License-Identifier: Apache-2.0
#include "observe/go/symbols.h"

#include <elf.h>

namespace mapshift::observe::go {
namespace {

constexpr uint64_t kMaxTable = 96U << 20, kMaxStrings = 128U << 20;
constexpr size_t kMaxName = 512;

}  // namespace

Result<bool> for_each_symbol(const ElfImage& image, const std::function<void(const Symbol&)>& each) {
  const Section* table = image.section(".symtab");
  if (table == nullptr || table->type != SHT_SYMTAB) return false;
  if (table->link >= image.sections().size()) return fail(ErrorCode::kInvalid, "the symbol table has no names: the file is damaged");
  MS_TRY(const auto symbols, image.contents(*table, kMaxTable));
  MS_TRY(const auto names, image.contents(image.sections()[table->link], kMaxStrings));
  for (uint64_t at = 0; at + sizeof(Elf64_Sym) <= symbols.size(); at += sizeof(Elf64_Sym)) {
    const auto symbol = *load<Elf64_Sym>(symbols, at);
    const auto type = ELF64_ST_TYPE(symbol.st_info);
    if (symbol.st_shndx == SHN_UNDEF || (type != STT_FUNC && type != STT_OBJECT && type != STT_NOTYPE)) continue;
    const auto name = text_at(names, symbol.st_name, kMaxName);
    if (!name || name->empty()) continue;  // or longer than any that is of use
    each({*name, symbol.st_value, symbol.st_size, type == STT_FUNC});
  }
  return true;
}

}  // namespace mapshift::observe::go
