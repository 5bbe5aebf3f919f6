// SPDX-License-Identifier: Apache-2.0
#include "http/idempotency.h"

#include <sodium.h>

namespace mapshift::http {
namespace {

std::string digest(const std::string& body) {
  std::string out(crypto_generichash_BYTES, '\0');
  crypto_generichash(reinterpret_cast<unsigned char*>(out.data()), out.size(), reinterpret_cast<const unsigned char*>(body.data()),
                     body.size(), nullptr, 0);
  return out;
}

}  // namespace

Idempotency::Answer Idempotency::begin(const std::string& key, const std::string& body) {
  std::string shown = digest(body);
  const std::lock_guard lock(mutex_);
  const auto [at, fresh] = entries_.try_emplace(key, Entry{shown});
  if (fresh) return {Verdict::kNew};
  if (at->second.body_digest != shown) return {Verdict::kMismatch};
  if (at->second.update_id.empty()) return {Verdict::kRunning};
  return {Verdict::kReplay, at->second.update_id};
}

void Idempotency::finish(const std::string& key, const std::string& update_id) {
  const std::lock_guard lock(mutex_);
  entries_[key].update_id = update_id;
  finished_.push_back(key);
  if (finished_.size() <= kMaxKeys) return;
  entries_.erase(finished_.front());
  finished_.pop_front();
}

void Idempotency::forget(const std::string& key) {
  const std::lock_guard lock(mutex_);
  entries_.erase(key);
}

}  // namespace mapshift::http
