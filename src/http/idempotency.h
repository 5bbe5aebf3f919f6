// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <deque>
#include <mutex>
#include <string>
#include <unordered_map>

namespace mapshift::http {

// Remembers which update each Idempotency-Key started, so that a client that repeats a request after a lost answer gets the
// same update and not a second one. The newest kMaxKeys are kept, in memory: after a restart of the agent a repeated
// request is a new one. Thread-safe.
class Idempotency {
 public:
  static constexpr size_t kMaxKeys = 1000;

  enum class Verdict : uint8_t {
    kNew,       // the caller must end with finish() or forget()
    kReplay,    // `update_id` is what the first request started
    kMismatch,  // the key came with another body before
    kRunning,   // the first request is not answered yet
  };
  struct Answer {
    Verdict verdict;
    std::string update_id = {};
  };
  [[nodiscard]] Answer begin(const std::string& key, const std::string& body);
  void finish(const std::string& key, const std::string& update_id);
  void forget(const std::string& key);  // the request failed: it may be tried again

 private:
  struct Entry {
    std::string body_digest;
    std::string update_id = {};  // empty while the first request runs
  };
  std::mutex mutex_;
  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::string> finished_;  // oldest first
};

}  // namespace mapshift::http
