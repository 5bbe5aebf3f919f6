// SPDX-License-Identifier: Apache-2.0
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

#include "socket.h"

namespace mapshift::traffic {

namespace {

using Clock = std::chrono::steady_clock;

constexpr unsigned kBatch = 64;
constexpr unsigned kHeaders = 28;  // IPv4 without options, and UDP

struct Payload {
  uint64_t flow = 0;
  uint64_t number = 0;
};

class UdpFlow {
 public:
  // The error's text, or empty.
  [[nodiscard]] std::string open(const Options& options, unsigned index) {
    fd_ = Fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    if (!fd_.valid()) return errno_text("socket");
    // With IP_RECVERR a packet that the device refuses is ENOBUFS; without, the kernel keeps quiet about it.
    const int on = 1;
    const timeval timeout = {1, 0};
    setsockopt(fd_.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on);
    setsockopt(fd_.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout);
    const sockaddr_in to = make_address(options);
    if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return errno_text("connect");
    flow_ = describe(fd_.get(), IPPROTO_UDP);
    index_ = index;
    limit_ = options.packets;
    size_ = std::max<unsigned>(options.payload, sizeof(Payload));
    buffer_.assign(size_t{kBatch} * size_, 0);
    return {};
  }

  [[nodiscard]] bool done() const { return limit_ != 0 && flow_.packets >= limit_; }
  [[nodiscard]] const Flow& flow() const { return flow_; }

  // Sends up to `count` packets; how many the device took, or -1 with errno for an error that will not pass.
  [[nodiscard]] int send(unsigned count) {
    if (limit_ != 0) count = static_cast<unsigned>(std::min<uint64_t>(count, limit_ - flow_.packets));
    for (unsigned i = 0; i < count; ++i) {
      const Payload payload = {index_, flow_.packets + i};
      std::memcpy(&buffer_[size_t{i} * size_], &payload, sizeof payload);
      parts_[i] = {&buffer_[size_t{i} * size_], size_};
      messages_[i] = {};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
    const int sent = sendmmsg(fd_.get(), messages_.data(), count, 0);
    if (sent > 0) {
      flow_.packets += static_cast<unsigned>(sent);
      flow_.bytes += static_cast<uint64_t>(sent) * (size_ + kHeaders);
    }
    if (sent == static_cast<int>(count)) return sent;
    return after_error(sent);
  }

 private:
  // The message after the last one that was taken met an error and was not sent. When others went before it, sendmmsg
  // leaves the error in the socket, and a later call would return it without having sent anything.
  [[nodiscard]] int after_error(int sent) {
    int error = errno;
    if (sent >= 0) {
      socklen_t size = sizeof error;
      getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    }
    drain_error_queue();
    if (error == ENOBUFS || error == 0) {  // 0: a drop whose error sendmmsg did not leave behind (6.18)
      ++flow_.refused;
    } else if (error != EAGAIN && error != EINTR && error != ECONNREFUSED) {
      errno = error;
      return -1;
    }
    return std::max(sent, 0);
  }

  void drain_error_queue() const {
    std::array<char, 512> scrap;
    msghdr message = {};
    message.msg_control = scrap.data();
    message.msg_controllen = scrap.size();
    while (recvmsg(fd_.get(), &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) message.msg_controllen = scrap.size();
  }

  Fd fd_;
  Flow flow_;
  unsigned index_ = 0;
  uint64_t limit_ = 0;
  unsigned size_ = 0;
  std::vector<char> buffer_;
  std::array<iovec, kBatch> parts_ = {};
  std::array<mmsghdr, kBatch> messages_ = {};
};

// Sleeps until `sent` packets are due at `rate` packets a second.
void pace(Clock::time_point start, uint64_t sent, uint64_t rate) {
  if (rate == 0) return;
  const auto due = start + std::chrono::nanoseconds(static_cast<int64_t>(1e9 * static_cast<double>(sent) / static_cast<double>(rate)));
  if (due > Clock::now()) std::this_thread::sleep_until(due);
}

// Round robin over the flows, a batch each; the error's text, or empty.
std::string send_all(std::vector<UdpFlow>& flows, const Options& options, const StopFlag& stop) {
  const uint64_t rate = options.rate / options.threads;
  const unsigned batch = rate == 0 ? kBatch : static_cast<unsigned>(std::clamp<uint64_t>(rate / 1000, 1, kBatch));
  const auto start = Clock::now();
  uint64_t total = 0;
  for (bool busy = true; busy;) {
    busy = false;
    for (auto& flow : flows) {
      if (stop) return {};
      if (flow.done()) continue;
      busy = true;
      const int sent = flow.send(batch);
      if (sent < 0) return errno_text("sendmmsg");
      if (sent == 0) std::this_thread::yield();
      total += static_cast<unsigned>(sent);
      pace(start, total, rate);
    }
  }
  return {};
}

}  // namespace

Report send_udp(const Options& options, unsigned thread, const StopFlag& stop) {
  Report report;
  std::vector<UdpFlow> flows;
  for (unsigned i = thread; i < options.flows; i += options.threads) {
    flows.emplace_back();
    report.error = flows.back().open(options, i);
    if (!report.error.empty()) return report;
  }
  const auto start = Clock::now();
  report.error = send_all(flows, options, stop);
  report.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  for (const auto& flow : flows) report.flows.push_back(flow.flow());
  return report;
}

}  // namespace mapshift::traffic
