// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>

#include "http/change_feed.h"

namespace mapshift::http {
namespace {

using Json = nlohmann::ordered_json;
using observe::changes::Value;

// As deep as the type is, which is bounded.
Json to_json(const Value& value) {
  struct Visitor {
    Json operator()(std::monostate) const { return nullptr; }
    Json operator()(bool v) const { return v; }
    Json operator()(int64_t v) const { return v; }
    Json operator()(uint64_t v) const { return v; }
    Json operator()(double v) const { return v; }
    Json operator()(const std::string& v) const { return v; }
    Json operator()(const Value::List& list) const {
      Json out = Json::array();
      for (const Value& item : list) out.push_back(to_json(item));
      return out;
    }
    Json operator()(const Value::Object& object) const {
      Json out = Json::object();
      for (const auto& [name, member] : object) out[name] = to_json(member);
      return out;
    }
  };
  return std::visit(Visitor{}, value.is);
}

}  // namespace

std::string record_text(const observe::changes::RingRecord& record) {
  Json data = {{"seq", record.seq}, {"timestamp_ns", record.read_at.count()}, {"source", "ring"}};
  if (record.value) data["record"] = to_json(*record.value);
  return frame_text("record", record.seq, data.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace mapshift::http
