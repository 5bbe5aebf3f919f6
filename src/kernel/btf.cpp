// SPDX-License-Identifier: Apache-2.0
#include "kernel/btf.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>

#include "kernel/btf_impl.h"
#include "kernel/libbpf_log.h"

namespace mapshift {

BtfTypes::BtfTypes(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
BtfTypes::BtfTypes(BtfTypes&&) noexcept = default;
BtfTypes& BtfTypes::operator=(BtfTypes&&) noexcept = default;
BtfTypes::~BtfTypes() = default;

Result<BtfTypes> BtfTypes::parse(std::span<const std::byte> section) {
  if (section.size() > kMaxBtfBytes) {
    return fail(ErrorCode::kTooLarge, fmt::format("{} bytes of BTF, at most {} are read", section.size(), kMaxBtfBytes));
  }
  const LibbpfLog log;
  // btf__new checks every offset, type id and string once (libbpf 1.3 and later), and prints what is wrong.
  btf* raw = btf__new(section.data(), static_cast<uint32_t>(section.size()));
  auto impl = Impl::take(raw, "the object's BTF is not well formed; compile it again with -g");
  if (!impl) {
    Error error = std::move(impl).error();
    error.context = log.text();
    return fail(std::move(error));
  }
  return BtfTypes(*std::move(impl));
}

Result<BtfTypes> BtfTypes::from_kernel(uint32_t btf_id) {
  MS_TRY(auto impl, Impl::take(btf__load_from_kernel_by_id(btf_id), fmt::format("read BTF {} from the kernel", btf_id)));
  return BtfTypes(std::move(impl));
}

Result<std::unique_ptr<BtfTypes::Impl>> BtfTypes::Impl::take(btf* raw, const std::string& what) {
  if (raw == nullptr) {
    const int err = errno;
    if (err == EINVAL || err == EPROTO) return fail(ErrorCode::kInvalid, what);
    return fail_errno(err, what);
  }
  auto impl = std::make_unique<Impl>();
  impl->types.reset(raw);
  const uint32_t count = btf__type_cnt(raw);
  for (uint32_t id = 1; id < count; ++id) {
    const btf_type* type = btf__type_by_id(raw, id);
    if (type == nullptr || !btf_is_decl_tag(type)) continue;
    impl->tags[{type->type, btf_decl_tag(type)->component_idx}].push_back(impl->name_at(type->name_off));
  }
  return impl;
}

const btf_type* BtfTypes::Impl::at(uint32_t id) const {
  const btf_type* type = btf__type_by_id(types.get(), id);
  return type != nullptr ? type : btf__type_by_id(types.get(), 0);
}

std::string BtfTypes::Impl::name_at(uint32_t offset) const {
  const char* name = btf__name_by_offset(types.get(), offset);
  if (name == nullptr) return {};
  std::string out(name, strnlen(name, 1024));
  // No compiler writes them; in a message they would look like lines of our own.
  std::ranges::replace_if(out, [](unsigned char c) { return std::iscntrl(c) != 0; }, '?');
  return out;
}

std::string BtfTypes::Impl::title_of(uint32_t id) const {
  const std::string name = name_at(at(id)->name_off);
  return name.empty() ? fmt::format("the unnamed type {}", id) : fmt::format("type \"{}\"", name);
}

std::vector<std::string> BtfTypes::Impl::tags_of(uint32_t id, int component) const {
  const auto found = tags.find({id, component});
  return found == tags.end() ? std::vector<std::string>() : found->second;
}

Result<TypeRef> BtfTypes::type(uint32_t id) { return impl_->convert(id, 0); }

Result<TypeRef> BtfTypes::named(std::string_view name) {
  std::vector<uint32_t> kinds{BTF_KIND_TYPEDEF, BTF_KIND_ENUM, BTF_KIND_ENUM64, BTF_KIND_INT};
  std::string bare(name);
  for (const auto& [word, kind] : {std::pair<std::string_view, uint32_t>{"struct ", BTF_KIND_STRUCT}, {"union ", BTF_KIND_UNION}}) {
    if (!name.starts_with(word)) continue;
    kinds = {kind};
    bare = name.substr(word.size());
  }
  for (const uint32_t kind : kinds) {
    const int id = btf__find_by_name_kind(impl_->types.get(), bare.c_str(), kind);
    if (id > 0) return impl_->convert(static_cast<uint32_t>(id), 0);
  }
  return fail(ErrorCode::kNotFound, fmt::format("the BTF has no type \"{}\"; a type that no map and no global variable uses is left "
                                                "out by the compiler: declare \"const {} *unused __attribute__((unused));\"", name, name));
}

bool BtfTypes::is_section(uint32_t id) const { return btf_is_datasec(impl_->at(id)); }

Result<BtfTypes::Section> BtfTypes::section(std::string_view name) {
  const int id = btf__find_by_name_kind(impl_->types.get(), std::string(name).c_str(), BTF_KIND_DATASEC);
  if (id <= 0) return Section{};
  return impl_->read_section(static_cast<uint32_t>(id));
}

Result<BtfTypes::Section> BtfTypes::section(uint32_t id) {
  if (!is_section(id)) return fail(ErrorCode::kInvalid, fmt::format("BTF type {} is not a data section", id));
  return impl_->read_section(id);
}

Result<BtfTypes::Section> BtfTypes::Impl::read_section(uint32_t id) {
  const btf_type* type = at(id);
  Section out;
  out.name = name_at(type->name_off);
  out.size = type->size;
  const btf_var_secinfo* entries = btf_var_secinfos(type);
  for (uint32_t i = 0; i < btf_vlen(type); ++i) {
    const btf_type* variable = at(entries[i].type);
    if (!btf_is_var(variable)) continue;  // a section of functions
    MS_TRY(auto model, convert(variable->type, 0));
    out.variables.push_back(
        {Variable{name_at(variable->name_off), entries[i].offset, model->size, model, tags_of(entries[i].type, -1)},
         btf_var(variable)->linkage == BTF_VAR_STATIC});
  }
  return out;
}

std::string section_map_name(std::string_view section) {
  std::string out(section.starts_with('.') ? section.substr(1) : section);
  for (auto& c : out) c = c == '.' ? '_' : c;
  return out;
}

DataSection data_section_kind(std::string_view section) {
  const auto is = [&](std::string_view name) {
    return section == name || (section.starts_with(name) && section[name.size()] == '.');
  };
  if (is(".bss")) return DataSection::kBss;
  if (is(".data")) return DataSection::kData;
  if (is(".rodata")) return DataSection::kRodata;
  if (section == ".kconfig") return DataSection::kKconfig;
  return DataSection::kNone;
}

TypeRef section_value_type(const std::string& section, uint32_t size, const std::vector<Variable>& variables) {
  auto out = std::make_shared<Type>();
  out->kind = TypeKind::kStruct;
  out->name = section;
  out->size = size;
  for (const auto& variable : variables) {
    if (!variable.type) return nullptr;
    out->members.push_back({variable.name, variable.offset * 8, 0, variable.type, variable.tags});
  }
  return out;
}

TypeRef section_key_type() {
  Type type;
  type.kind = TypeKind::kInt;
  type.name = "__u32";
  type.size = 4;
  return std::make_shared<const Type>(std::move(type));
}

}  // namespace mapshift
