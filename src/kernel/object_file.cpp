// SPDX-License-Identifier: Apache-2.0
#include "kernel/object_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sodium.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "base/fd.h"
#include "base/named_file.h"
#include "kernel/elf_file.h"
#include "kernel/object_reader.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

Result<std::vector<std::byte>> read_file(const std::string& path) {
  // Non-blocking, because opening a FIFO would wait for a writer.
  const Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) {
    if (errno == ENOENT || errno == ENOTDIR) {
      return fail(ErrorCode::kNotFound, fmt::format("there is no object file \"{}\"", path));
    }
    return fail_named_file(errno, fmt::format("open object file \"{}\"", path));
  }
  struct stat status = {};
  if (::fstat(fd.get(), &status) != 0) return fail_named_file(errno, fmt::format("stat object file \"{}\"", path));
  if (!S_ISREG(status.st_mode)) return fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not a file", path));
  const auto size = static_cast<size_t>(status.st_size);
  if (size > kMaxObjectBytes) {
    return fail(ErrorCode::kTooLarge,
                fmt::format("object file \"{}\" has {} bytes, at most {} are read", path, size, kMaxObjectBytes));
  }
  std::vector<std::byte> bytes(size);
  size_t done = 0;
  while (done < size) {
    const ssize_t got = ::read(fd.get(), bytes.data() + done, size - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_named_file(errno, fmt::format("read object file \"{}\"", path));
    if (got == 0) break;  // it was cut while we read
    done += static_cast<size_t>(got);
  }
  bytes.resize(done);
  return bytes;
}

std::string sha256_hex(std::span<const std::byte> bytes) {
  unsigned char hash[crypto_hash_sha256_BYTES];
  crypto_hash_sha256(hash, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  char text[2 * sizeof(hash) + 1];
  sodium_bin2hex(text, sizeof(text), hash, sizeof(hash));
  return text;
}

Status read_into(std::span<const std::byte> bytes, ObjectSpec& out) {
  MS_TRY(const auto elf, ElfFile::parse(bytes));
  ObjectReader reader(elf, out);
  MS_CHECK(reader.read_types());
  MS_CHECK(reader.read_maps());
  MS_CHECK(reader.read_data_sections());
  MS_CHECK(reader.read_kconfig());
  MS_CHECK(reader.read_functions());
  MS_CHECK(reader.read_relocations());
  return reader.read_ops_tables();
}

}  // namespace

Result<ObjectSpec> read_object_file(const std::string& path) {
  MS_TRY(const auto bytes, read_file(path));
  return read_object_bytes(path, bytes);
}

Result<ObjectSpec> read_object_bytes(const std::string& path, std::span<const std::byte> bytes) {
  ObjectSpec out;
  out.path = path;
  out.digest = sha256_hex(bytes);
  if (auto status = read_into(bytes, out); !status) {
    Error error = std::move(status).error();
    error.message = fmt::format("object file \"{}\": {}", path, error.message);
    return fail(std::move(error));
  }
  return out;
}

Status ObjectReader::check_name(const char* what, std::string_view name) {
  if (is_pin_name(name)) return {};
  std::string shown(name.substr(0, kMaxPinName));
  std::ranges::replace_if(shown, [](unsigned char c) { return c < ' ' || c > '~'; }, '?');
  return fail(ErrorCode::kInvalid, fmt::format("the {} \"{}\" cannot be pinned by its name: use up to {} letters, digits and '_'", what, shown, kMaxPinName));
}

Status ObjectReader::read_types() {
  const ElfSection* section = elf_.section(".BTF");
  if (section == nullptr || section->data.empty()) return {};
  MS_TRY(types_, BtfTypes::parse(section->data));
  out_.has_btf = true;
  return {};
}

}  // namespace mapshift
