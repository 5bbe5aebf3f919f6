// SPDX-License-Identifier: Apache-2.0
#include "ledger.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <filesystem>

#include "kernel/digest.h"
#include "kernel/pin.h"

namespace mapshift::test {
namespace {

constexpr uint16_t kEtherType = 0x88b5;
constexpr uint32_t kMagic = 0x6d736c67;

std::vector<std::byte> bytes_of(uint32_t value) {
  std::vector<std::byte> bytes(sizeof(value));
  std::memcpy(bytes.data(), &value, sizeof(value));
  return bytes;
}

uint32_t offset_of_first_argument() {
#if defined(__x86_64__)
  return offsetof(user_regs_struct, rdi);
#elif defined(__aarch64__)
  return offsetof(user_regs_struct, regs);
#endif
}

}  // namespace

Ledger::Ledger(const std::string& pin) {
  const auto fd = open_pin(pin);
  if (!fd) throw std::runtime_error(fd.error().message);
  void* mapped = ::mmap(nullptr, kLedgerEntries * sizeof(uint64_t), PROT_READ, MAP_SHARED, fd->get(), 0);
  if (mapped == MAP_FAILED) throw std::runtime_error("map a ledger");
  entries_ = static_cast<uint64_t*>(mapped);
}

Ledger::~Ledger() { ::munmap(entries_, kLedgerEntries * sizeof(uint64_t)); }

void await_all(const Ledger& ledger0, const Ledger& ledger1, uint32_t count) {
  uint32_t n = 0;
  (void)eventually([&] {
    while (n < count && ledger0.times(n) + ledger1.times(n) > 0) ++n;
    return n == count;
  });
}

void expect_exactly_once(const Ledger& ledger0, const Ledger& ledger1, uint32_t count) {
  uint64_t by0 = 0, by1 = 0, none = 0, more = 0;
  for (uint32_t n = 0; n < count; ++n) {
    const uint64_t times0 = ledger0.times(n), times1 = ledger1.times(n);
    by0 += times0;
    by1 += times1;
    none += times0 + times1 == 0;
    more += times0 + times1 > 1;
  }
  EXPECT_EQ(none, 0u) << "of " << count;
  EXPECT_EQ(more, 0u) << "of " << count;
  EXPECT_GT(by0, 0u);
  EXPECT_GT(by1, 0u);
}

void RuntimeTest::SetUp() {
  KernelTest::SetUp();
  if (IsSkipped() || HasFatalFailure()) return;
  fs_ = std::make_unique<PrivateBpffs>();
  MS_SKIP_FOR(fs_->problem());
  log_dir_ = (std::filesystem::temp_directory_path() / ("mapshift-log-" + std::to_string(::getpid()))).string();
  ASSERT_TRUE(ok(kernel_->grace_period()));  // makes its maps, which stay
  before_ = KernelIds::now();
}

void RuntimeTest::TearDown() {
  if (fs_ == nullptr || !fs_->problem().empty()) return;
  const auto hooks = kernel_->list(module() + "/hooks");
  for (const auto& hook : hooks.value_or(std::vector<std::string>{})) EXPECT_TRUE(ok(kernel_->detach(hook_dir(hook))));
  EXPECT_TRUE(ok(kernel_->remove_tree(fs_->path() + "/mapshift")));
  EXPECT_THAT(fs_->listing(), ::testing::IsEmpty());
  EXPECT_EQ(left_over_since(before_), "");
  std::filesystem::remove_all(log_dir_);
}

LoadRequest RuntimeTest::request(int n) const {
  LoadRequest request;
  request.object_path = LEDGER_OBJECT;
  request.object_digest = sha256_hex(read_file_bytes(LEDGER_OBJECT).value());
  request.generation_dir = generation(n);
  request.rodata = {{"traced_pid", bytes_of(static_cast<uint32_t>(::getpid()))},
                    {"traced_syscall", bytes_of(SYS_getpgid)},
                    {"first_argument", bytes_of(offset_of_first_argument())}};
  request.log_dir = log_dir_;
  return request;
}

Status RuntimeTest::attach(const Hook& hook, const std::string& name) { return kernel_->attach(hook, hook_dir(name),
    program(1, name)); }

Fd open_frame_socket(const std::string&) { return Fd(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)); }

bool send_frame(const Fd& socket, const std::string& interface, uint32_t number) {
  unsigned char frame[60] = {0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, kEtherType >> 8, kEtherType & 0xff};
  std::memcpy(frame + 14, &number, sizeof(number));
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(::if_nametoindex(interface.c_str()));
  to.sll_halen = 6;
  return ::sendto(socket.get(), frame, sizeof(frame), 0, reinterpret_cast<sockaddr*>(&to), sizeof(to)) == sizeof(frame);
}

Fd open_datagram_socket() {
  Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in self{};
  self.sin_family = AF_INET;
  self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof(self);
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&self), length) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&self), &length) != 0 ||
      ::connect(fd.get(), reinterpret_cast<sockaddr*>(&self), length) != 0) {
    fd.reset();
  }
  return fd;
}

bool send_datagram(const Fd& socket, uint32_t number) {
  const uint32_t payload[2] = {kMagic, number};
  uint32_t back[2] = {};
  return ::send(socket.get(), payload, sizeof(payload), 0) == sizeof(payload) && ::recv(socket.get(), back, sizeof(back),
      0) == sizeof(back);
}

}  // namespace mapshift::test
