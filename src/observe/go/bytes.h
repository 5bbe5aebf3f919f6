// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string_view>

namespace mapshift::observe::go {

using Bytes = std::span<const uint8_t>;

// A copy, because nothing in a file is aligned for certain. Little-endian, as every architecture served is.
template <class T>
[[nodiscard]] std::optional<T> load(Bytes bytes, uint64_t offset) {
  static_assert(std::endian::native == std::endian::little);
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T out;
  std::memcpy(&out, bytes.data() + offset, sizeof(T));
  return out;
}

// The zero-terminated text at `offset`; nothing when its end is not within `limit` bytes.
[[nodiscard]] inline std::optional<std::string_view> text_at(Bytes bytes, uint64_t offset, size_t limit) {
  if (offset >= bytes.size()) return std::nullopt;
  const size_t most = std::min<size_t>(bytes.size() - offset, limit);
  const char* begin = reinterpret_cast<const char*>(bytes.data() + offset);
  const void* end = std::memchr(begin, 0, most);
  if (end == nullptr) return std::nullopt;
  return std::string_view(begin, static_cast<size_t>(static_cast<const char*>(end) - begin));
}

// Reads forwards. A read beyond the end gives 0 and makes ok() false for good, so a caller checks once after several reads.
class Cursor {
 public:
  explicit Cursor(Bytes bytes, uint64_t at = 0) : bytes_(bytes), at_(at), ok_(at <= bytes.size()) {}
  [[nodiscard]] bool ok() const { return ok_; }
  [[nodiscard]] uint64_t at() const { return at_; }
  [[nodiscard]] bool done() const { return !ok_ || at_ >= bytes_.size(); }

  template <class T>
  T number() {
    const auto value = load<T>(bytes_, at_);
    if (!value || !ok_) return stop();
    at_ += sizeof(T);
    return *value;
  }
  uint64_t uleb() {
    uint64_t out = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const auto byte = number<uint8_t>();
      if (shift < 64) out |= uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) == 0) return out;
    }
    return stop();
  }
  int64_t sleb() {
    uint64_t out = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      const auto byte = number<uint8_t>();
      if (shift < 64) out |= uint64_t{byte & 0x7fU} << shift;
      if ((byte & 0x80) != 0) continue;
      if (shift + 7 < 64 && (byte & 0x40) != 0) out |= ~uint64_t{0} << (shift + 7);
      return static_cast<int64_t>(out);
    }
    return stop();
  }
  std::string_view text(size_t limit = 4096) {
    const auto found = ok_ ? text_at(bytes_, at_, limit) : std::nullopt;
    if (!found) {
      ok_ = false;
      return {};
    }
    at_ += found->size() + 1;
    return *found;
  }
  void skip(uint64_t count) {
    if (!ok_ || count > bytes_.size() - at_) {
      ok_ = false;
      return;
    }
    at_ += count;
  }

 private:
  uint8_t stop() {
    ok_ = false;
    return 0;
  }
  Bytes bytes_;
  uint64_t at_;
  bool ok_;
};

}  // namespace mapshift::observe::go
