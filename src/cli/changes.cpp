// SPDX-License-Identifier: Apache-2.0
#include "cli/changes.h"

#include <fmt/format.h>

#include <charconv>
#include <thread>

#include "cli/agent.h"
#include "cli/event_parser.h"
#include "cli/follow.h"
#include "cli/table.h"

namespace mapshift::cli {
namespace {

using Clock = std::chrono::steady_clock;

std::optional<uint64_t> number(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string text_of(const Json& data, const char* name) {
  const auto at = data.find(name);
  if (at == data.end()) return "-";
  return at->is_string() ? at->get<std::string>() : at->dump();
}

// Lines of a stream have no widest cell to wait for: the columns are as wide as what is usual in them.
std::string line_of(const Json& event) {
  if (event.value("event", "") == "resync")
    return fmt::format("resync: {}; read the map again, it is at version {} ({} lost)", text_of(event, "reason"), text_of(event, "version"), text_of(event, "lost"));
  if (event.value("event", "") == "record") {
    const bool allowed = event.contains("record");
    return fmt::format("{:<20} {}", text_of(event, "seq"), allowed ? text_of(event, "record") : "(counted; its declaration keeps what is in it)");
  }
  const bool has_key = event.contains("key");
  const std::string key = has_key ? text_of(event, "key") : fmt::format("#{:08x}", event.value("key_hash", uint64_t{0}));
  std::string line = fmt::format("{:<20} {:<6} {:<18} {:<12} pid {}", text_of(event, "seq"), text_of(event, "op"), key, text_of(event, "source"), text_of(event, "pid"));
  if (event.contains("value")) line += " value " + text_of(event, "value");
  return line;
}

// One map's stream, over as many connections as it takes.
class ChangeReader {
 public:
  ChangeReader(const Options& options, Transport& transport, Console& console)
      : options_(options), transport_(transport), console_(console), since_(options.since) {
    const size_t slash = options.target.find('/');
    path_ = "/api/v1/changes?module=" + encode(options.target.substr(0, slash)) + "&map=" + encode(options.target.substr(slash + 1));
  }

  int run() {
    const FollowLimits limits;
    auto answered = Clock::now();
    for (;;) {
      const Result<Response> response = read_once();
      if (broken_) return show(console_, to_failure(*broken_));
      const bool away = !response || response->status == 503;
      if (!away && (response->status < 200 || response->status > 299)) return refuse(*response);
      if (!away) answered = Clock::now();
      if (unwatched_) return refuse("the map is not watched any more: its module was unloaded, or the configuration does not name it now");
      if (!options_.follow && (!away || !connected_)) return response ? finish(*response) : show(console_, to_failure(response.error()));
      if (away && (!connected_ || Clock::now() - answered >= limits.patience))
        return response ? refuse(*response) : show(console_, to_failure(response.error()));
      std::this_thread::sleep_for(limits.pause);
    }
  }

 private:
  Result<Response> read_once() {
    EventParser parser;
    Request request{.method = "GET", .path = path_};
    if (since_) request.path += "&since=" + std::to_string(*since_);
    return transport_.stream(request, {.started =
                                           [&](const std::string& etag) {
                                             connected_ = true;
                                             if (!since_) since_ = number(etag);
                                             end_ = number(etag).value_or(0);
                                           },
                                       .piece =
                                           [&](std::string_view piece) {
                                             const Status fed = parser.feed(piece, [this](const ServerEvent& event) { take(event); });
                                             if (!fed) broken_ = fed.error();
                                             return fed && !unwatched_ && (options_.follow || since_.value_or(0) < end_);
                                           }});
  }

  void take(const ServerEvent& event) {
    Json data = Json::parse(event.data, nullptr, false);
    if (!data.is_object()) return;  // of a later release
    if (const auto id = number(event.id)) since_ = *id;
    Json out{{"event", event.kind}};
    out.update(data);
    if (data.value("reason", "") == "unwatched") unwatched_ = true;
    if (!options_.follow) events_.push_back(std::move(out));
    else if (console_.json) console_.out << out.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
    else console_.out << printable(line_of(out)) << '\n' << std::flush;
  }

  int finish(const Response& response) {
    if (!connected_) return refuse(response);
    std::string text;
    for (const Json& event : events_) text += line_of(event) + "\n";
    if (events_.empty()) text = fmt::format("{} is at version {}; nothing changed since.\n", options_.target, end_);
    const size_t slash = options_.target.find('/');
    show(console_, {{"module", options_.target.substr(0, slash)}, {"map", options_.target.substr(slash + 1)}, {"version", end_}, {"events", events_}}, text);
    return kDone;
  }

  int refuse(const Response& response) { return refuse(refused_by_agent(response, Json::parse(response.body, nullptr, false))); }
  int refuse(const std::string& why) { return refuse(to_failure({ErrorCode::kNotFound, 0, why, {}, {}})); }
  int refuse(const Failure& failure) {
    if (!options_.follow || !console_.json || !connected_) return show(console_, failure);
    // Objects went before it: this is one more line.
    console_.out << failure.document.dump(-1, ' ', false, Json::error_handler_t::replace) << '\n' << std::flush;
    note(console_, "error: " + failure.document.value("detail", ""));
    return failure.status;
  }

  const Options& options_;
  Transport& transport_;
  Console& console_;
  std::string path_;
  std::optional<uint64_t> since_;  // where the next connection begins: after the last event
  uint64_t end_ = 0;               // the version when it was connected
  Json events_ = Json::array();
  bool connected_ = false, unwatched_ = false;
  std::optional<Error> broken_;
};

}  // namespace

int changes(const Options& options, Transport& transport, Console& console) { return ChangeReader(options, transport, console).run(); }

}  // namespace mapshift::cli
