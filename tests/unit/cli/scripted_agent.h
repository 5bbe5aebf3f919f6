// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <gtest/gtest.h>

#include <deque>
#include <sstream>

#include "cli/commands.h"
#include "config/record_json.h"

namespace mapshift::cli {

// Answers requests in the order that a test wrote down, and keeps what was asked.
class ScriptedAgent : public Transport {
 public:
  void answer(int status, const Json& document) {
    answers_.push_back(Response{status, document.is_null() ? "" : document.dump()});
  }
  void be_silent() { answers_.push_back(fail(ErrorCode::kUnavailable, "no answer")); }
  Result<Response> send(const Request& request) override {
    asked.push_back(request);
    if (answers_.empty()) return fail(ErrorCode::kUnavailable, "the script is over");
    Result<Response> next = std::move(answers_.front());
    answers_.pop_front();
    return next;
  }
  std::vector<Request> asked;

  // A stream that gives these pieces and ends.
  void stream(std::string etag, std::vector<std::string> pieces) { streams_.push_back({200, std::move(etag), std::move(pieces)}); }
  void refuse_stream(int status, std::string body) { streams_.push_back({status, "", {std::move(body)}}); }
  void be_silent_stream() { streams_.push_back({0, "", {}}); }
  Result<Response> stream(const Request& request, const StreamReader& reader) override {
    asked.push_back(request);
    if (streams_.empty()) return fail(ErrorCode::kUnavailable, "the script is over");
    const Stream next = std::move(streams_.front());
    streams_.pop_front();
    if (next.status == 0) return fail(ErrorCode::kUnavailable, "no answer");
    if (next.status != 200) return Response{next.status, next.pieces[0]};
    reader.started(next.etag);
    for (const std::string& piece : next.pieces)
      if (!reader.piece(piece)) break;
    return Response{200, ""};
  }

 private:
  struct Stream {
    int status;
    std::string etag;
    std::vector<std::string> pieces;
  };
  std::deque<Stream> streams_;
  std::deque<Result<Response>> answers_;
};

struct Outcome {
  int status = -1;
  std::string out, err;
};

inline Outcome run_line(ScriptedAgent& agent, std::vector<const char*> words) {
  words.insert(words.begin(), "mapshift");
  const Parsed parsed = parse_options(static_cast<int>(words.size()), words.data());
  if (!parsed.options) return {parsed.status, parsed.out, parsed.err};
  std::ostringstream out;
  std::ostringstream err;
  Console console{out, err, parsed.options->json};
  const int status = run_command(*parsed.options, agent, console);
  return {status, out.str(), err.str()};
}

inline update::UpdateRecord record_in(update::State state, uint64_t revision = 1) {
  update::UpdateRecord record;
  record.id = "u-000001";
  record.module = "flowmeter";
  record.state = state;
  record.from = {1, "1.0.0"};
  record.to = {2, "2.0.0"};
  record.created_at = "2026-01-01T00:00:00.000Z";
  record.updated_at = "2026-01-01T00:00:12.000Z";
  record.revision = revision;
  return record;
}

inline update::ModuleRecord module_with(std::vector<update::UpdateRecord> running) {
  update::ModuleRecord module;
  module.name = "flowmeter";
  module.version = "1.0.0";
  module.generation = 1;
  module.running_update = std::move(running);
  return module;
}

}  // namespace mapshift::cli
