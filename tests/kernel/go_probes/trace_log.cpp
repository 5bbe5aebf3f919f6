// SPDX-License-Identifier: Apache-2.0
#include "trace_log.h"

#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>

namespace mapshift::test {
namespace {

// A line such as `M=2185 P=1 G=7 StateTransition Time=1653 GoID=7 Running->Waiting Reason="chan receive"`; up to 1.23 the reason comes
// before the states. Nothing where it is of something else.
struct Transition {
  uint64_t time = 0;
  std::string goroutine, from, to, reason;
};

std::optional<std::string> member(const std::string& line, const std::string& name, const char* end) {
  const size_t found = line.find(name);
  if (found == std::string::npos) return std::nullopt;
  const size_t begin = found + name.size();
  return line.substr(begin, line.find_first_of(end, begin) - begin);
}

std::optional<Transition> transition(const std::string& line) {
  if (line.find(" StateTransition ") == std::string::npos) return std::nullopt;
  const auto time = member(line, " Time=", " "), goroutine = member(line, " GoID=", " \n");
  const size_t arrow = line.find("->");
  if (!time || !goroutine || arrow == std::string::npos) return std::nullopt;
  const size_t begin = line.rfind(' ', arrow) + 1;
  return Transition{std::stoull(*time), *goroutine, line.substr(begin, arrow - begin),
                    line.substr(arrow + 2, line.find_first_of(" \n", arrow) - arrow - 2), member(line, " Reason=\"", "\"").value_or("")};
}

class Reader {
 public:
  void take(const std::string& line);
  [[nodiscard]] TraceLog result() && { return std::move(log_); }

 private:
  struct State {
    uint64_t since = 0;
    std::string reason;
  };
  void take(const Transition& event);
  [[nodiscard]] bool inside() const { return log_.begun && !log_.ended; }

  TraceLog log_;
  std::map<std::string, State> states_;  // by goroutine; what the trace saw begin
};

void Reader::take(const std::string& line) {
  if (!line.starts_with("M=")) return;  // stacks
  if (line.find("Category=\"mix\"") != std::string::npos) {
    (line.find("Message=\"begin\"") != std::string::npos ? log_.begun : log_.ended) = true;
  } else if (const auto event = transition(line)) {
    take(*event);
  }
}

void Reader::take(const Transition& event) {
  // Each part of a trace begins with the states that all are in: no events.
  if (event.from == event.to || event.from == "Undetermined") return;
  const bool woke = event.from == "Waiting" && event.to == "Runnable", ran = event.from == "Runnable" && event.to == "Running";
  const auto found = states_.find(event.goroutine);
  if (inside()) {
    if (event.from == "NotExist") log_.created++;
    if (event.to == "NotExist") log_.exited++;
    const bool known = found != states_.end();
    if (woke && known) log_.block[found->second.reason].push_back(event.time - found->second.since);
    if (ran && known) log_.run_queue.push_back(event.time - found->second.since);
  }
  if (event.to == "NotExist") states_.erase(event.goroutine);
  else states_[event.goroutine] = {event.time, event.reason};
}

}  // namespace

TraceLog read_trace(const std::string& tool, const std::string& file) {
  // To 1.23 what to print is a number.
  const std::string command = tool + " -d=parsed " + file + " 2>/dev/null || " + tool + " -d=1 " + file;
  const std::unique_ptr<FILE, int (*)(FILE*)> output(::popen(command.c_str(), "r"), ::pclose);
  if (!output) throw std::runtime_error("cannot run " + command);
  Reader reader;
  char* line = nullptr;
  size_t room = 0;
  while (::getline(&line, &room, output.get()) >= 0) reader.take(line);
  ::free(line);
  TraceLog log = std::move(reader).result();
  if (!log.begun || !log.ended) throw std::runtime_error("no complete trace from " + command);
  return log;
}

}  // namespace mapshift::test
