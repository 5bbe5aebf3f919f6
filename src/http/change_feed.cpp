// SPDX-License-Identifier: Apache-2.0
#include "http/change_feed.h"

#include <nlohmann/json.hpp>

#include "http/hex.h"

namespace mapshift::http {
namespace {

using Json = nlohmann::ordered_json;
using observe::changes::Change;
using observe::changes::Resync;

std::string frame(std::string_view event, uint64_t id, const Json& data) {
  std::string out = "event: ";
  out += event;
  out += "\nid: " + std::to_string(id) + "\ndata: ";
  out += data.dump(-1, ' ', false, Json::error_handler_t::replace);
  return out + "\n\n";
}

uint64_t id_of(const Change& change) { return change.seq; }
uint64_t id_of(const Resync& resync) { return resync.version; }

std::string text(const Change& change) {
  Json data = {{"seq", change.seq},
               {"timestamp_ns", change.timestamp_ns},
               {"pid", change.pid},
               {"op", to_string(change.op)},
               {"key_hash", change.key_hash},
               {"source", to_string(change.source)}};
  if (!change.key.empty()) data["key"] = to_hex(change.key);
  if (!change.value.empty()) data["value"] = to_hex(change.value);
  return frame("change", change.seq, data);
}

std::string text(const Resync& resync) {
  return frame("resync", resync.version, {{"version", resync.version}, {"lost", resync.lost}, {"reason", resync.reason}});
}

}  // namespace

std::string event_text(const observe::changes::Event& event) {
  return std::visit([](const auto& one) { return text(one); }, event);
}

ChangeFeed::ChangeFeed(std::unique_ptr<observe::changes::Subscription> subscription)
    : subscription_(std::move(subscription)), last_written_(monotonic_now()) {}

std::optional<std::string> ChangeFeed::next() {
  if (!greeted_) {  // so that the client knows at once that it is connected
    greeted_ = true;
    return "retry: 1000\n: watching\n\n";
  }
  if (ended_) return std::nullopt;
  const auto events = subscription_->next(kPause, kBatch);
  if (!events) {
    ended_ = true;
    return event_text(Resync{last_id_, 0, "unwatched"});
  }
  std::string out;
  for (const auto& event : *events) {
    out += event_text(event);
    last_id_ = std::visit([](const auto& one) { return id_of(one); }, event);
  }
  const Nanos now = monotonic_now();
  if (out.empty() && now - last_written_ >= kHeartbeat) out = ": alive\n\n";
  if (!out.empty()) last_written_ = now;
  return out;
}

}  // namespace mapshift::http
