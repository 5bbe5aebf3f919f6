// SPDX-License-Identifier: Apache-2.0
#include "observe/go/build_info.h"

#include <charconv>

namespace mapshift::observe::go {
namespace {

constexpr uint64_t kMaxSection = 4U << 20;
constexpr size_t kMaxVersion = 256, kMaxModules = 2U << 20, kMaxPath = 1024;
constexpr std::string_view kMagic = "\xff Go buildinf:";
constexpr uint8_t kBigEndian = 1, kInline = 2;
constexpr size_t kHeader = 32, kSentinel = 16;  // the module text has 16 bytes before and after it

tl::unexpected<Error> broken(const char* what) {
  return fail(ErrorCode::kInvalid, std::string("claims to be a Go program, but its .go.buildinfo is damaged: ") + what);
}

std::string printable(std::string_view text, size_t limit) {
  std::string out(text.substr(0, limit));
  for (char& c : out) {
    if (c < 0x20 || c > 0x7e) c = '?';
  }
  return out;
}

Result<std::string> inline_text(Bytes bytes, uint64_t& at, size_t limit) {
  Cursor cursor(bytes, at);
  const uint64_t size = cursor.uleb();
  if (!cursor.ok() || size > limit || size > bytes.size() - cursor.at()) return broken("a text is longer than the section");
  std::string out(reinterpret_cast<const char*>(bytes.data()) + cursor.at(), size);
  at = cursor.at() + size;
  return out;
}

// Before 1.18 the section held pointers to two Go strings.
Result<std::string> pointed_text(ElfImage& image, uint64_t slot, size_t limit) {
  const auto header = image.pointer(slot);
  if (!header || *header == 0) return broken("a pointer in it cannot be read");
  const auto data = image.pointer(*header);
  const auto size = image.read(*header + 8, 8);
  if (!data || !size) return broken("a pointer in it leads nowhere");
  const uint64_t length = *load<uint64_t>(*size, 0);
  if (length > limit) return broken("a text in it is too long");
  MS_TRY(const auto bytes, image.read(*data, length));
  return std::string(bytes.begin(), bytes.end());
}

void read_modules(std::string_view text, BuildInfo& info) {
  std::string_view package;
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with("path\t")) package = line.substr(5);
    if (line.starts_with("mod\t") && info.main_module.empty()) {
      info.main_module = printable(line.substr(4, line.find('\t', 4) - 4), kMaxPath);
    }
    if (line == "build\tCGO_ENABLED=1") info.cgo = true;
  }
  if (info.main_module.empty()) info.main_module = printable(package, kMaxPath);
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  const auto at = text.find("go1.");
  if (at == std::string_view::npos) return std::nullopt;
  Version out;
  const char* const end = text.data() + text.size();
  auto [rest, error] = std::from_chars(text.data() + at + 4, end, out.minor);
  if (error != std::errc() || out.minor < 0 || out.minor > 9999) return std::nullopt;
  if (rest != end && *rest == '.' && std::from_chars(rest + 1, end, out.patch).ec != std::errc()) out.patch = 0;
  out.text = printable(text, 64);
  return out;
}

Result<BuildInfo> read_build_info(ElfImage& image) {
  const Section* section = image.section(".go.buildinfo");
  if (section == nullptr) return fail(ErrorCode::kUnsupported, "not a Go program: it has no .go.buildinfo section");
  MS_TRY(const auto bytes, image.contents(*section, kMaxSection));
  if (bytes.size() < kHeader || std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) != 0) return broken("it has no magic");
  const uint8_t flags = bytes[15];
  std::string version, modules;
  if ((flags & kInline) != 0) {
    uint64_t at = kHeader;
    MS_TRY(version, inline_text(bytes, at, kMaxVersion));
    if (at < bytes.size()) {
      MS_TRY(modules, inline_text(bytes, at, kMaxModules));
    }
  } else {
    if (bytes[14] != 8 || (flags & kBigEndian) != 0) return broken("its pointers have another size than the file's");
    MS_TRY(version, pointed_text(image, section->address + 16, kMaxVersion));
    if (auto text = pointed_text(image, section->address + 24, kMaxModules)) modules = std::move(*text);
  }
  const auto parsed = parse_version(version);
  if (!parsed) return broken("it has no version of Go");
  BuildInfo info{*parsed, {}, false};
  const std::string_view all = modules;
  if (all.size() >= 2 * kSentinel) read_modules(all.substr(kSentinel, all.size() - 2 * kSentinel), info);
  return info;
}

}  // namespace mapshift::observe::go
