// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <fstream>

#include "workers.h"

namespace mapshift::load {

namespace {

constexpr size_t kMostFrames = 65536, kLongest = 1514, kShortest = 34;

std::string why(const char* what) { return std::string(what) + ": " + std::strerror(errno); }

}  // namespace

std::string FrameSender::open(const Options& options) {
  options_ = options;
  if (auto error = read(options.file); !error.empty()) return error;
  socket_ = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  if (socket_ < 0) return why("socket");
  sockaddr_ll to = {};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(if_nametoindex(options.interface.c_str()));
  if (to.sll_ifindex == 0) return why(options.interface.c_str());
  if (bind(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0) return why("bind");
  return {};
}

std::string FrameSender::read(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  unsigned char length[2];
  while (in.read(reinterpret_cast<char*>(length), 2)) {
    std::string frame(length[0] + 256U * length[1], '\0');
    if (frame.size() < kShortest || frame.size() > kLongest || frames_.size() == kMostFrames || options_.fresh_at + 4 > frame.size()) {
      return file + ": not a file of frames";
    }
    if (!in.read(frame.data(), static_cast<std::streamsize>(frame.size()))) return file + ": ends in mid-frame";
    frames_.push_back(std::move(frame));
  }
  return frames_.empty() ? file + ": no frames" : std::string();
}

std::string FrameSender::send_batch(Done& done) {
  constexpr unsigned kBatch = 64;
  std::string frame;
  for (unsigned i = 0; i < kBatch;) {
    const uint64_t number = done.number.load(std::memory_order_relaxed);
    frame = frames_[number % frames_.size()];
    if (options_.fresh_every != 0) {
      uint32_t value;
      std::memcpy(&value, &frame[options_.fresh_at], sizeof value);
      value = htonl(ntohl(value) + static_cast<uint32_t>(number / options_.fresh_every));
      std::memcpy(&frame[options_.fresh_at], &value, sizeof value);
    }
    if (send(socket_, frame.data(), frame.size(), 0) >= 0) {
      done.number.store(number + 1, std::memory_order_relaxed);
      ++i;
    } else if (errno == ENOBUFS) {  // the device had no room: not sent
      done.refused.fetch_add(1, std::memory_order_relaxed);
      std::this_thread::yield();
      if (i == 0) return {};  // a pause must not wait for room
      ++i;
    } else if (errno != EINTR && errno != EAGAIN) {
      return why("send");
    }
  }
  return {};
}

}  // namespace mapshift::load
