// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace mapshift::load {

// What one thread has done. Written by it alone, read by whoever asks.
struct Done {
  std::atomic<uint64_t> number = 0;   // events that happened: all numbers below it
  std::atomic<uint64_t> refused = 0;  // tries that did not, and were made again under the same number
};

// Threads that work in batches between start() and pause(). When pause() returns, no batch is under way.
class Workers {
 public:
  // One batch of a thread; an error's text ends the run, empty: go on. It advances `done` itself.
  using Batch = std::function<std::string(unsigned thread, Done& done)>;

  Workers(unsigned threads, Batch batch);
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;
  ~Workers();

  void start();
  void pause();
  // {"sent": [of each thread], "refused": N, "error": "..."}, one line
  [[nodiscard]] std::string report() const;

 private:
  void run(unsigned thread);

  Batch batch_;
  std::vector<Done> done_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool going_ = false, ending_ = false;
  unsigned busy_ = 0;
  std::string error_;
  std::vector<std::thread> threads_;  // last: they use all of the above
};

// Numbered system calls and calls of a function that a uprobe can find, in this process.
[[nodiscard]] std::string make_calls(Done& done);

// Sends the frames of a file round robin into an interface.
class FrameSender {
 public:
  struct Options {
    std::string interface;
    std::string file;          // each frame: 2 bytes of length, little endian, then its bytes
    uint64_t fresh_every = 0;  // frames after which the number at `fresh_at` grows by one; 0: it stays
    unsigned fresh_at = 0;     // where in the frame a big endian number of 4 bytes lies
  };
  // An error's text, or empty.
  [[nodiscard]] std::string open(const Options& options);
  [[nodiscard]] std::string send_batch(Done& done);

 private:
  [[nodiscard]] std::string read(const std::string& file);

  Options options_;
  int socket_ = -1;
  std::vector<std::string> frames_;
};

}  // namespace mapshift::load
