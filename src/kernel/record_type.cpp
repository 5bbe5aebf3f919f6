// SPDX-License-Identifier: Apache-2.0
#include "kernel/record_type.h"

#include "kernel/btf.h"
#include "kernel/digest.h"
#include "kernel/elf_file.h"

namespace mapshift {

Result<TypeRef> read_record_type(const std::string& object_path, const std::string& name) {
  MS_TRY(const auto bytes, read_file_bytes(object_path));
  MS_TRY(const ElfFile elf, ElfFile::parse(bytes));
  const ElfSection* section = elf.section(".BTF");
  if (section == nullptr) return fail(ErrorCode::kInvalid, object_path + " has no BTF; compile it with -g");
  MS_TRY(BtfTypes types, BtfTypes::parse(section->data));
  MS_TRY(TypeRef type, types.named(name));
  if (type->size == 0) return fail(ErrorCode::kInvalid, "\"" + name + "\" of " + object_path + " has no size");
  return type;
}

}  // namespace mapshift
