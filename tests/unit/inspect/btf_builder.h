// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <linux/btf.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace mapshift::update {

// Type information byte by byte, also such as no compiler would write. Each call gives the id of the type it wrote.
class BtfBuilder {
 public:
  using Members = std::vector<std::pair<std::string, uint32_t>>;  // name, type; all at offset 0 but in `structure`

  uint32_t integer(const std::string& name, uint32_t size, uint32_t bits = 0) {
    type(name, BTF_KIND_INT, 0, size);
    return extra({bits == 0 ? size * 8 : bits});
  }
  uint32_t pointer(uint32_t to) { return type("", BTF_KIND_PTR, 0, to); }
  uint32_t alias(uint32_t kind, const std::string& name, uint32_t to) { return type(name, kind, 0, to); }
  uint32_t forward(const std::string& name) { return type(name, BTF_KIND_FWD, 0, 0); }
  uint32_t array(uint32_t element, uint32_t count) {
    type("", BTF_KIND_ARRAY, 0, 0);
    return extra({element, 1, count});
  }
  // Members 32 bits apart.
  uint32_t structure(const std::string& name, uint32_t size, const Members& members, uint32_t bits_apart = 32, uint32_t kind = BTF_KIND_STRUCT) {
    type(name, kind, static_cast<uint32_t>(members.size()), size);
    uint32_t at = 0;
    for (const auto& [member, of] : members) {
      extra({text(member), of, at});
      at += bits_apart;
    }
    return next_ - 1;
  }
  uint32_t enumeration(const std::string& name, uint32_t count) {
    type(name, BTF_KIND_ENUM, count, 4);
    for (uint32_t n = 0; n < count; ++n) extra({text("E"), n});
    return next_ - 1;
  }
  uint32_t variable(const std::string& name, uint32_t of) {
    type(name, BTF_KIND_VAR, 0, of);
    return extra({BTF_VAR_GLOBAL_ALLOCATED});
  }
  uint32_t section(const std::string& name, const std::vector<uint32_t>& variables) {
    type(name, BTF_KIND_DATASEC, static_cast<uint32_t>(variables.size()), 0);
    for (const uint32_t variable : variables) extra({variable, 0, 32});
    return next_ - 1;
  }
  // __uint(name, value) of a map definition.
  uint32_t number(uint32_t value) { return pointer(array(1, value)); }
  [[nodiscard]] uint32_t next() const { return next_; }

  [[nodiscard]] std::vector<std::byte> bytes() const {
    const btf_header header{BTF_MAGIC, BTF_VERSION, 0, sizeof(btf_header), 0, static_cast<uint32_t>(types_.size() * 4),
                            static_cast<uint32_t>(types_.size() * 4), static_cast<uint32_t>(strings_.size())};
    std::vector<std::byte> out(sizeof header + types_.size() * 4 + strings_.size());
    std::memcpy(out.data(), &header, sizeof header);
    std::memcpy(out.data() + sizeof header, types_.data(), types_.size() * 4);
    std::memcpy(out.data() + sizeof header + types_.size() * 4, strings_.data(), strings_.size());
    return out;
  }

 private:
  uint32_t text(const std::string& name) {
    if (name.empty()) return 0;
    const auto at = static_cast<uint32_t>(strings_.size());
    strings_ += name + '\0';
    return at;
  }
  uint32_t type(const std::string& name, uint32_t kind, uint32_t count, uint32_t size_or_type) {
    extra({text(name), kind << 24 | count, size_or_type});
    return next_++;
  }
  uint32_t extra(const std::vector<uint32_t>& words) {
    types_.insert(types_.end(), words.begin(), words.end());
    return next_ - 1;
  }

  std::vector<uint32_t> types_ = {};
  std::string strings_ = std::string(1, '\0');
  uint32_t next_ = 1;
};

}  // namespace mapshift::update
