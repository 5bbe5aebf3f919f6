// SPDX-License-Identifier: Apache-2.0
#include "kernel/elf_patch.h"

#include <bpf/btf.h>
#include <elf.h>

#include <cerrno>
#include <cstring>
#include <memory>

namespace mapshift {
namespace {

struct BtfDeleter {
  void operator()(btf* types) const { btf__free(types); }
};

Elf64_Shdr* headers(std::vector<std::byte>& bytes) {
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
  return reinterpret_cast<Elf64_Shdr*>(bytes.data() + header->e_shoff);
}

Elf64_Shdr* find(std::vector<std::byte>& bytes, std::string_view name) {
  const auto* header = reinterpret_cast<const Elf64_Ehdr*>(bytes.data());
  Elf64_Shdr* sections = headers(bytes);
  const char* names = reinterpret_cast<const char*>(bytes.data()) + sections[header->e_shstrndx].sh_offset;
  for (unsigned i = 0; i < header->e_shnum; ++i)
    if (name == names + sections[i].sh_name) return &sections[i];
  return nullptr;
}

std::vector<std::byte> contents_of(const std::vector<std::byte>& bytes, const Elf64_Shdr& section) {
  const auto begin = bytes.begin() + static_cast<ptrdiff_t>(section.sh_offset);
  return {begin, begin + static_cast<ptrdiff_t>(section.sh_size)};
}

std::unique_ptr<btf, BtfDeleter> types_of(const std::vector<std::byte>& bytes, const Elf64_Shdr& section) {
  return std::unique_ptr<btf, BtfDeleter>(btf__new(bytes.data() + section.sh_offset, static_cast<uint32_t>(section.sh_size)));
}

void append(std::vector<std::byte>& out, const void* from, size_t size) {
  const auto* begin = static_cast<const std::byte*>(from);
  out.insert(out.end(), begin, begin + size);
}

// A section's type with those of its variables that begin behind the end of the one before.
void append_in_order(std::vector<std::byte>& out, const btf_type& section) {
  const size_t at = out.size();
  append(out, &section, sizeof section);
  const btf_var_secinfo* variables = btf_var_secinfos(&section);
  uint32_t end = 0, kept = 0;
  for (uint32_t i = 0; i < btf_vlen(&section); ++i) {
    if (variables[i].offset < end) continue;
    append(out, &variables[i], sizeof variables[i]);
    end = variables[i].offset + variables[i].size;
    ++kept;
  }
  btf_type header = section;
  header.info = (header.info & ~0xffffu) | kept;
  std::memcpy(out.data() + at, &header, sizeof header);
}

}  // namespace

// The new contents go behind everything else: nothing that is there moves.
Status ElfPatch::replace(std::string_view section, std::span<const std::byte> contents) {
  if (find(bytes_, section) == nullptr) return fail(ErrorCode::kInternal, "no section " + std::string(section) + " to replace");
  bytes_.resize((bytes_.size() + 15) / 16 * 16);
  const size_t at = bytes_.size();
  bytes_.insert(bytes_.end(), contents.begin(), contents.end());
  Elf64_Shdr* header = find(bytes_, section);
  header->sh_offset = at;
  header->sh_size = contents.size();
  return {};
}

Status ElfPatch::rename(const std::function<std::string(std::string_view)>& name_of) {
  Elf64_Shdr* table = find(bytes_, ".symtab");
  Elf64_Shdr* strings = find(bytes_, ".strtab");
  if (table == nullptr || strings == nullptr) return fail(ErrorCode::kInternal, "no symbols to rename");
  std::vector<std::byte> names = contents_of(bytes_, *strings);
  auto* symbols = reinterpret_cast<Elf64_Sym*>(bytes_.data() + table->sh_offset);
  for (size_t i = 0; i < table->sh_size / sizeof(Elf64_Sym); ++i) {
    if (ELF64_ST_BIND(symbols[i].st_info) == STB_LOCAL) continue;
    const std::string name = name_of(reinterpret_cast<const char*>(names.data()) + symbols[i].st_name);
    if (name.empty()) continue;
    symbols[i].st_name = static_cast<Elf64_Word>(names.size());
    const auto* text = reinterpret_cast<const std::byte*>(name.c_str());
    names.insert(names.end(), text, text + name.size() + 1);
  }
  MS_CHECK(replace(".strtab", names));
  return rename_types(name_of);
}

// Linkers and loaders find a symbol's type by its name.
Status ElfPatch::rename_types(const std::function<std::string(std::string_view)>& name_of) {
  Elf64_Shdr* section = find(bytes_, ".BTF");
  if (section == nullptr) return fail(ErrorCode::kInternal, "no types to rename");
  const auto types = types_of(bytes_, *section);
  if (types == nullptr) return fail_errno(errno, "read the types of the sync program");
  for (uint32_t id = 1; id < btf__type_cnt(types.get()); ++id) {
    const btf_type* type = btf__type_by_id(types.get(), id);
    const bool global_variable = btf_is_var(type) && btf_var(type)->linkage != BTF_VAR_STATIC;
    const bool global_function = btf_is_func(type) && btf_vlen(type) != BTF_FUNC_STATIC;
    if (!global_variable && !global_function) continue;
    const std::string name = name_of(btf__name_by_offset(types.get(), type->name_off));
    if (name.empty()) continue;
    const int at = btf__add_str(types.get(), name.c_str());
    if (at < 0) return fail_errno(at, "rename a type of the sync program");
    // Writable since a string was added.
    const_cast<btf_type*>(btf__type_by_id(types.get(), id))->name_off = static_cast<uint32_t>(at);
  }
  uint32_t size = 0;
  const auto* raw = static_cast<const std::byte*>(btf__raw_data(types.get(), &size));
  if (raw == nullptr) return fail_errno(errno, "write the types of the sync program");
  return replace(".BTF", {raw, size});
}

Status ElfPatch::drop_overlapping_variables() {
  Elf64_Shdr* section = find(bytes_, ".BTF");
  if (section == nullptr) return fail(ErrorCode::kInternal, "no types to put in order");
  const auto types = types_of(bytes_, *section);
  if (types == nullptr) return fail_errno(errno, "read the types of the linked program");
  btf_header header;
  const std::byte* raw = bytes_.data() + section->sh_offset;
  std::memcpy(&header, raw, sizeof header);
  std::vector<std::byte> out(raw, raw + header.hdr_len);
  const uint32_t count = btf__type_cnt(types.get());
  const auto* data_end = reinterpret_cast<const std::byte*>(btf__type_by_id(types.get(), 1)) + header.type_len;
  for (uint32_t id = 1; id < count; ++id) {
    const btf_type* type = btf__type_by_id(types.get(), id);
    const auto* begin = reinterpret_cast<const std::byte*>(type);
    const auto* end = id + 1 < count ? reinterpret_cast<const std::byte*>(btf__type_by_id(types.get(), id + 1)) : data_end;
    if (btf_is_datasec(type)) append_in_order(out, *type);
    else append(out, begin, static_cast<size_t>(end - begin));
  }
  append(out, raw + header.hdr_len + header.str_off, header.str_len);
  header.type_len = static_cast<uint32_t>(out.size() - header.hdr_len - header.str_len);
  header.type_off = 0;
  header.str_off = header.type_len;
  std::memcpy(out.data(), &header, sizeof header);
  return replace(".BTF", out);
}

}  // namespace mapshift
