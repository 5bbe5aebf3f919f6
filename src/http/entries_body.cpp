// SPDX-License-Identifier: Apache-2.0
#include "http/entries_body.h"

#include "http/hex.h"
#include "http/json_body.h"

namespace mapshift::http {
namespace {

constexpr size_t kMaxProblems = 100;

std::optional<std::vector<std::byte>> bytes_of(const Json& value) {
  if (!value.is_string()) return std::nullopt;
  return from_hex(*value.get_ptr<const std::string*>());
}

class EntriesReader {
 public:
  void read(const Json& list) {
    for (size_t i = 0; i < list.size() && problems_.size() < kMaxProblems; ++i) read_one(list[i], "entries[" + std::to_string(i) + "]");
  }
  void complain(std::string code, std::string where, std::string message) {
    problems_.push_back({std::move(code), std::move(where), std::move(message)});
  }
  [[nodiscard]] Result<std::vector<MapEntry>> result() && {
    if (problems_.empty()) return std::move(entries_);
    std::string message = "The body is not what it must be; the first: " + problems_.front().where + ": " + problems_.front().message;
    return fail(Error{ErrorCode::kInvalid, 0, std::move(message), {}, std::move(problems_)});
  }

 private:
  void read_one(const Json& item, const std::string& where) {
    if (!item.is_object()) return complain("wrong-type", where, "It must be an object with key and value.");
    for (const auto& member : item.items())
      if (member.key() != "key" && member.key() != "value") complain("unknown-member", where + "." + member.key(), "There is no such member here.");
    MapEntry entry;
    read_bytes(item, "key", where, entry.key);
    read_bytes(item, "value", where, entry.value);
    entries_.push_back(std::move(entry));
  }
  void read_bytes(const Json& item, const char* name, const std::string& where, std::vector<std::byte>& out) {
    const auto at = item.find(name);
    if (at == item.end()) return complain("missing-member", where + "." + name, "An entry has a key and a value.");
    auto bytes = bytes_of(*at);
    if (!bytes) return complain("not-hex", where + "." + name, "It must be bytes in hexadecimal, two digits each, such as \"0a000001\".");
    out = std::move(*bytes);
  }

  std::vector<MapEntry> entries_;
  std::vector<Problem> problems_;
};

}  // namespace

Result<std::vector<MapEntry>> parse_entries(const std::string& body) {
  MS_TRY(const Json document, parse_object(body));
  EntriesReader reader;
  for (const auto& member : document.items())
    if (member.key() != "entries") reader.complain("unknown-member", member.key(), "There is no such member here.");
  const auto list = document.find("entries");
  if (list == document.end())
    reader.complain("missing-member", "entries", "It must be the list of all that the map is to hold.");
  else if (!list->is_array())
    reader.complain("wrong-type", "entries", "It must be an array.");
  else
    reader.read(*list);
  return std::move(reader).result();
}

std::string contents_text(const MapContents& contents) {
  Json out = {{"module", contents.name.module}, {"map", contents.name.map},  {"version", contents.version},
              {"source", contents.source},      {"reason", contents.reason}, {"keys", contents.keys},
              {"values", contents.values}};
  if (!contents.keys) return out.dump(-1, ' ', false, Json::error_handler_t::replace);
  std::string text = out.dump(-1, ' ', false, Json::error_handler_t::replace);
  text.pop_back();
  text += ",\"entries\":[";  // by hand: a tree of a hundred thousand entries takes ten times their memory
  for (size_t i = 0; i < contents.entries.size(); ++i) {
    const MapEntry& entry = contents.entries[i];
    text += i == 0 ? "{\"key\":\"" : ",{\"key\":\"";
    text += to_hex(entry.key);
    if (contents.values) {
      text += "\",\"value\":\"";
      text += to_hex(entry.value);
    }
    text += "\"}";
  }
  text += "]}";
  return text;
}

std::string replaced_text(const MapName& name, uint64_t version, size_t entries) {
  return Json{{"module", name.module}, {"map", name.map}, {"version", version}, {"entries", entries}}.dump();
}

}  // namespace mapshift::http
