// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

namespace mapshift::traffic {

// Set by the main thread when a signal or the time limit ends the run; read by all senders.
using StopFlag = std::atomic<bool>;

struct Options {
  std::string address;        // send: destination; sink: what to listen on
  uint16_t port = 0;          // of both UDP and TCP
  unsigned flows = 64;        // UDP sockets, one flow each
  uint64_t packets = 0;       // for each UDP flow; 0: until stopped
  uint64_t rate = 0;          // UDP packets a second, all flows together; 0: as fast as it goes
  unsigned threads = 1;       // UDP sender threads
  unsigned payload = 64;      // UDP payload bytes; the first 16 hold the flow's index and the packet's number
  uint64_t tcp_bytes = 0;     // to transfer over one TCP connection; 0: no TCP
  uint64_t tcp_rate = 0;      // bytes a second, paced by the kernel; 0: as fast as it goes
  double seconds = 60;        // no run is longer
};

// One direction of one flow, as an XDP program on the receiving interface should have seen it.
struct Flow {
  std::string src, dst;
  uint16_t sport = 0, dport = 0;
  int proto = 0;
  uint64_t packets = 0;  // UDP: accepted by the device; TCP: segments sent, retransmitted ones included
  uint64_t bytes = 0;    // UDP: IP bytes; TCP: payload bytes, each counted once
  uint64_t refused = 0;  // UDP: the device had no room (ENOBUFS): never sent, and sent again under the same number
};

struct Report {
  std::vector<Flow> flows;
  double seconds = 0;
  std::string error = {};  // empty: all went well
};

// Each returns when `stop` is set or its packets are sent. They share nothing but the flag.
[[nodiscard]] Report send_udp(const Options& options, unsigned thread, const StopFlag& stop);
[[nodiscard]] Report send_tcp(const Options& options, const StopFlag& stop);
// Receives and discards, until stopped. Reports the TCP segments that went back to each sender.
[[nodiscard]] Report run_sink(const Options& options, const StopFlag& stop);

}  // namespace mapshift::traffic
