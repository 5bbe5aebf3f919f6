// SPDX-License-Identifier: Apache-2.0
#include "cli/go.h"

#include "cli/render_go.h"
#include "config/go_json.h"

namespace mapshift::cli {
namespace {

// Of an answer by something else than an agent: nothing.
template <class T>
T member(const Json& document, const char* name, T otherwise) {
  if (!document.is_object()) return otherwise;
  const auto found = document.find(name);
  if (found == document.end()) return otherwise;
  if constexpr (std::is_same_v<T, std::string>) return found->is_string() ? found->get<T>() : otherwise;
  else if constexpr (std::is_same_v<T, bool>) return found->is_boolean() ? found->get<T>() : otherwise;
  else return found->is_number_integer() ? found->get<T>() : otherwise;
}

int show_one(const Options& options, Agent& agent, Console& console) {
  const Answer<Json> answer = agent.get("/api/v1/go/" + encode(options.target));
  if (!answer) return show(console, answer.error());
  const auto report = config::go_process_from_json(*answer);
  if (!report) return show(console, to_failure(report.error()));
  show(console, *answer, render_go_process(*report, Nanos(member<int64_t>(*answer, "read_at_ns", 0))));
  return kDone;
}

}  // namespace

int show_go(const Options& options, Agent& agent, Console& console) {
  if (!options.target.empty()) return show_one(options, agent, console);
  const Answer<Json> answer = agent.get("/api/v1/go");
  if (!answer) return show(console, answer.error());
  GoList list;
  list.enabled = member(*answer, "enabled", true);
  list.reason = member<std::string>(*answer, "reason", {});
  list.dropped = member<uint64_t>(*answer, "dropped_processes", 0);
  if (const Json processes = answer->is_object() ? answer->value("processes", Json::array()) : Json(); processes.is_array()) {
    for (const Json& item : processes) {
      auto report = config::go_process_from_json(item);
      if (!report) return show(console, to_failure(report.error()));
      list.processes.push_back(std::move(*report));
    }
  }
  show(console, *answer, render_go_processes(list));
  return kDone;
}

}  // namespace mapshift::cli
