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
  return frame_text(event, id, data.dump(-1, ' ', false, Json::error_handler_t::replace));
}

uint64_t id_of(const observe::changes::RingRecord& record) { return record.seq; }
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

std::string text(const observe::changes::RingRecord& record) { return record_text(record); }

}  // namespace

std::string event_text(const observe::changes::Event& event) {
  return std::visit([](const auto& one) { return text(one); }, event);
}

std::string frame_text(std::string_view kind, uint64_t id, std::string_view data) {
  std::string out = "event: ";
  out += kind;
  out += "\nid: ";
  out += std::to_string(id);
  out += "\ndata: ";
  out += data;
  out += "\n\n";
  return out;
}

ChangeFeed::ChangeFeed(std::unique_ptr<observe::changes::Subscription> subscription) : changes_(std::move(subscription)) {}
ChangeFeed::ChangeFeed(std::unique_ptr<observe::changes::RingSubscription> subscription) : records_(std::move(subscription)) {}

template <class Event>
bool ChangeFeed::append(const Result<std::vector<Event>>& events, std::string& out) {
  if (!events) return false;
  for (const Event& event : *events) {
    out += std::visit([](const auto& one) { return text(one); }, event);
    last_id_ = std::visit([](const auto& one) { return id_of(one); }, event);
  }
  return true;
}

bool ChangeFeed::read(std::string& out) {
  return changes_ ? append(changes_->next(kPause, kBatch), out) : append(records_->next(kPause, kBatch), out);
}

std::optional<std::string> ChangeFeed::next() {
  if (!greeted_) {  // so that the client knows at once that it is connected
    greeted_ = true;
    return "retry: 1000\n: watching\n\n";
  }
  if (ended_) return std::nullopt;
  std::string out;
  if (!read(out)) {
    ended_ = true;
    return event_text(Resync{last_id_, 0, "unwatched"});
  }
  const Nanos now = monotonic_now();
  if (out.empty() && now - last_written_ >= kHeartbeat) out = ": alive\n\n";
  if (!out.empty()) last_written_ = now;
  return out;
}

}  // namespace mapshift::http
