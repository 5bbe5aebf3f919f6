// SPDX-License-Identifier: Apache-2.0
#include "update/order.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <map>
#include <set>

namespace mapshift::update {
namespace {

struct Edge {  // `reader` before `writer`, because of `map`
  size_t reader, writer;
  std::string map;
};

std::vector<Edge> edges_of(const CodeFacts& facts, const std::vector<std::string>& names) {
  struct Users {
    std::set<size_t> readers, writers;
  };
  std::map<std::string, Users> maps;
  for (const auto& access : facts.maps) {
    const auto found = std::lower_bound(names.begin(), names.end(), access.program);
    if (found == names.end() || *found != access.program || is_change_log(access.map)) continue;
    const auto index = static_cast<size_t>(found - names.begin());
    auto& users = maps[access.map];
    if (access.updates || access.deletes || access.writes_value) users.writers.insert(index);
    else if (access.looks_up || access.reads_value) users.readers.insert(index);
  }
  std::vector<Edge> out;
  for (const auto& [map, users] : maps) {
    for (const size_t reader : users.readers) {
      if (users.writers.contains(reader)) continue;
      for (const size_t writer : users.writers) out.push_back({reader, writer, map});
    }
  }
  return out;
}

// reach[a] holds b: a is swapped before b, directly or through others.
std::vector<std::set<size_t>> reachable(size_t count, const std::vector<Edge>& edges) {
  std::vector<std::vector<size_t>> next(count);
  for (const auto& edge : edges) next[edge.reader].push_back(edge.writer);
  std::vector<std::set<size_t>> out(count);
  for (size_t start = 0; start < count; ++start) {
    std::vector<size_t> open = next[start];
    while (!open.empty()) {
      const size_t at = open.back();
      open.pop_back();
      if (out[start].insert(at).second) open.insert(open.end(), next[at].begin(), next[at].end());
    }
  }
  return out;
}

std::string reason_for(size_t self, const std::vector<std::string>& names, const std::vector<Edge>& edges,
                       const std::vector<std::set<size_t>>& reach) {
  std::vector<std::string> together, words;
  for (size_t other = 0; other < names.size(); ++other) {
    if (other != self && reach[self].contains(other) && reach[other].contains(self)) together.push_back(names[other]);
  }
  if (!together.empty()) {
    words.push_back(fmt::format("moves together with {}: each reads what the other writes", fmt::join(together, ", ")));
  }
  for (const auto& edge : edges) {
    if (edge.reader == self) words.push_back(fmt::format("reads {}, which {} writes", edge.map, names[edge.writer]));
    if (edge.writer == self) words.push_back(fmt::format("writes {}, which {} reads", edge.map, names[edge.reader]));
    if (words.size() == 3) break;  // enough to understand
  }
  if (words.empty()) return "no other program depends on the maps that it writes, nor writes those that it reads";
  return fmt::format("{}", fmt::join(words, "; "));
}

}  // namespace

std::vector<ProgramOrder> swap_order(const CodeFacts& facts, const std::vector<std::string>& programs) {
  auto names = programs;
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  const auto edges = edges_of(facts, names);
  const auto reach = reachable(names.size(), edges);
  std::vector<int> order(names.size(), 0);
  const auto together = [&](size_t a, size_t b) { return a == b || (reach[a].contains(b) && reach[b].contains(a)); };
  const auto ready = [&](size_t candidate) {
    for (size_t other = 0; other < names.size(); ++other) {
      if (order[other] == 0 && reach[other].contains(candidate) && !together(other, candidate)) return false;
    }
    return true;
  };
  std::vector<ProgramOrder> out;
  for (int next = 1; out.size() < names.size(); ++next) {
    size_t first = 0;
    while (order[first] != 0 || !ready(first)) ++first;  // the condensed graph has no cycle, so there is one
    for (size_t other = first; other < names.size(); ++other) {
      if (!together(first, other)) continue;
      order[other] = next;
      out.push_back({names[other], next, reason_for(other, names, edges, reach)});
    }
  }
  return out;
}

}  // namespace mapshift::update
