// SPDX-License-Identifier: Apache-2.0
#include "observe/go/memory.h"

#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>

namespace mapshift::observe::go {
namespace {

constexpr size_t kBatch = 1024;  // IOV_MAX

std::string hex(uint64_t value) {
  std::array<char, 24> text{};
  std::snprintf(text.data(), text.size(), "0x%llx", static_cast<unsigned long long>(value));
  return text.data();
}

tl::unexpected<Error> read_failed(int err, int pid, uint64_t address) {
  const std::string process = "process " + std::to_string(pid);
  switch (err) {
    case ESRCH: return fail(ErrorCode::kNotFound, process + " is gone");
    case EPERM:
      return fail(Error{ErrorCode::kUnauthorized, err, "the kernel does not let the agent read the memory of " + process +
                        ": give it CAP_SYS_PTRACE", {}, {}});
    case EFAULT: return fail(Error{ErrorCode::kInvalid, err, process + " has nothing mapped at " + hex(address), {}, {}});
    default: return fail_errno(err, "read the memory of " + process);
  }
}

iovec remote(uint64_t address, size_t size) {
  // The kernel takes the other side's addresses as pointers.
  return {reinterpret_cast<void*>(address), size};  // NOLINT(performance-no-int-to-ptr)
}

}  // namespace

Status Memory::read(std::span<const Piece> pieces) const {
  while (!pieces.empty()) {
    const auto batch = pieces.first(std::min(pieces.size(), kBatch));
    std::array<iovec, kBatch> local, there;
    size_t wanted = 0;
    for (size_t i = 0; i < batch.size(); ++i) {
      local[i] = {batch[i].to, batch[i].size};
      there[i] = remote(batch[i].address, batch[i].size);
      wanted += batch[i].size;
    }
    const ssize_t got = process_vm_readv(pid_, local.data(), batch.size(), there.data(), batch.size(), 0);
    if (got < 0) return read_failed(errno, pid_, batch.front().address);
    // Short: it stopped at the first piece that is not mapped.
    if (static_cast<size_t>(got) != wanted) {
      size_t passed = 0, i = 0;
      while (i + 1 < batch.size() && passed + batch[i].size <= static_cast<size_t>(got)) passed += batch[i++].size;
      return read_failed(EFAULT, pid_, batch[i].address);
    }
    pieces = pieces.subspan(batch.size());
  }
  return {};
}

Status Memory::read_each(std::span<const uint64_t> addresses, size_t size, std::byte* to, std::vector<bool>& ok) const {
  ok.assign(addresses.size(), false);
  std::array<iovec, kBatch> there;
  for (size_t next = 0; next < addresses.size();) {
    const size_t count = std::min(addresses.size() - next, kBatch);
    for (size_t i = 0; i < count; ++i) there[i] = remote(addresses[next + i], size);
    iovec local{to + next * size, count * size};
    const ssize_t got = process_vm_readv(pid_, &local, 1, there.data(), count, 0);
    if (got < 0 && errno != EFAULT) return read_failed(errno, pid_, addresses[next]);
    const size_t whole = got < 0 ? 0 : static_cast<size_t>(got) / size;
    std::fill_n(ok.begin() + static_cast<ptrdiff_t>(next), whole, true);
    next += whole == count ? count : whole + 1;  // the one that it stopped at is not there
  }
  return {};
}

}  // namespace mapshift::observe::go
