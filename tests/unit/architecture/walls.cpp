// SPDX-License-Identifier: Apache-2.0
#include "walls.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <optional>

namespace mapshift::architecture {
namespace {

constexpr size_t kMaxLines = 400;

// A folder may include those of a lower rank, and itself.
struct Folder {
  std::string_view name;
  int rank;
};
constexpr std::array kFolders{Folder{"base", 0},   Folder{"kernel", 1}, Folder{"promql", 1},  Folder{"slo", 2},   Folder{"observe", 2},
                              Folder{"update", 3}, Folder{"alerts", 4}, Folder{"config", 4},  Folder{"metrics", 5}, Folder{"store", 6},
                              Folder{"http", 6},   Folder{"cli", 6},     Folder{"agent", 7}};

struct Wall {
  std::string_view prefix;  // of a third party's header
  std::array<std::string_view, 5> folders;
};
constexpr std::array kWalls{
    Wall{"bpf/", {"kernel"}},           Wall{"prometheus/", {"metrics", "http"}},
    Wall{"civetweb.h", {"http"}},       Wall{"CivetServer.h", {"http"}},
    Wall{"sqlite3.h", {"store"}},       Wall{"nlohmann/", {"config", "http", "store", "cli", "promql"}},
    Wall{"curl/", {"cli", "http", "promql"}},     Wall{"CLI/", {"cli", "agent"}},
    Wall{"spdlog/", {"base"}},
};

// Values in, values out: what these must not reach for.
constexpr std::array<std::string_view, 5> kPure{"src/slo/", "src/alerts/", "src/update/schema_diff", "src/update/planner", "src/update/merge/"};
constexpr std::array<std::string_view, 9> kImpure{"monotonic_now(", "now_text(", "_clock::now(", "<fstream>", "<filesystem>",
                                                  "<unistd.h>", "<fcntl.h>", "<thread>", "getenv("};

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    out.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

std::string at(std::string_view path, size_t line, const std::string& what) {
  return std::string(path) + ":" + std::to_string(line + 1) + ": " + what;
}

// "src/slo/sample.h": "slo". Empty outside of src/.
std::string_view folder_of(std::string_view path) {
  if (!path.starts_with("src/")) return {};
  path.remove_prefix(4);
  return path.substr(0, std::min(path.find('/'), path.size()));
}

std::optional<int> rank_of(std::string_view folder) {
  const auto* found = std::ranges::find(kFolders, folder, &Folder::name);
  return found == kFolders.end() ? std::nullopt : std::optional<int>(found->rank);
}

// The header that a line includes, or nothing.
std::string_view included(std::string_view line) {
  const auto skip_blanks = [&line] { line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size())); };
  skip_blanks();
  if (!line.starts_with('#')) return {};
  line.remove_prefix(1);
  skip_blanks();
  if (!line.starts_with("include")) return {};
  line.remove_prefix(7);
  skip_blanks();
  if (line.empty() || (line.front() != '"' && line.front() != '<')) return {};
  const char close = line.front() == '"' ? '"' : '>';
  line.remove_prefix(1);
  return line.substr(0, std::min(line.find(close), line.size()));
}

std::string crossing(std::string_view folder, std::string_view header) {
  for (const Wall& wall : kWalls)
    if (header.starts_with(wall.prefix) && std::ranges::find(wall.folders, folder) == wall.folders.end())
      return "<" + std::string(header) + "> does not belong in src/" + std::string(folder);
  const std::string_view target = header.substr(0, std::min(header.find('/'), header.size()));
  const auto from = rank_of(folder), to = rank_of(target);
  if (header.find('/') == std::string_view::npos || !to || target == folder) return {};
  if (!from) return "src/" + std::string(folder) + " has no rank: add it to kFolders";
  if (*to >= *from) return "src/" + std::string(folder) + " must not include \"" + std::string(header) + "\": it is not below";
  return {};
}

std::vector<std::string_view> allowed_licences(std::string_view path) {
  if (path.ends_with(".bpf.c")) return {"GPL-2.0-only"};
  if (path.starts_with("bpf/include/mapshift/module")) return {"LGPL-2.1 OR BSD-2-Clause"};
  if (path.starts_with("bpf/")) return {"GPL-2.0-only", "LGPL-2.1 OR BSD-2-Clause", "Apache-2.0"};
  if (path.starts_with("tests/")) return {"Apache-2.0", "GPL-2.0-only"};
  return {"Apache-2.0"};
}

}  // namespace

std::vector<std::string> include_violations(std::string_view path, std::string_view text) {
  std::vector<std::string> out;
  const std::string_view folder = folder_of(path);
  if (folder.empty()) return out;
  const auto lines = lines_of(text);
  for (size_t i = 0; i < lines.size(); i++) {
    const std::string_view header = included(lines[i]);
    if (header.empty()) continue;
    if (std::string wrong = crossing(folder, header); !wrong.empty()) out.push_back(at(path, i, wrong));
  }
  return out;
}

std::vector<std::string> purity_violations(std::string_view path, std::string_view text) {
  std::vector<std::string> out;
  if (std::ranges::none_of(kPure, [path](auto prefix) { return path.starts_with(prefix); })) return out;
  const auto lines = lines_of(text);
  for (size_t i = 0; i < lines.size(); i++)
    for (const auto word : kImpure)
      if (lines[i].find(word) != std::string_view::npos)
        out.push_back(at(path, i, std::string(word) + " in code that must be pure"));
  return out;
}

std::vector<std::string> licence_violations(std::string_view path, std::string_view text) {
  const auto lines = lines_of(text);
  const size_t first = !lines.empty() && lines[0].starts_with("#!") ? 1 : 0;
  static constexpr std::string_view kTag = "SPDX-License-Identifier: ";
  const size_t tag = lines.size() > first ? lines[first].find(kTag) : std::string_view::npos;
  if (tag == std::string_view::npos) return {at(path, first, "no SPDX-License-Identifier on the first line")};
  const std::string_view rest = lines[first].substr(tag + kTag.size());
  for (const auto licence : allowed_licences(path))
    if (rest == licence || rest.starts_with(std::string(licence) + " */")) return {};
  return {at(path, first, "licence \"" + std::string(rest) + "\" is not the one of this place")};
}

std::vector<std::string> length_violations(std::string_view path, std::string_view text) {
  const size_t lines = lines_of(text).size();
  if (!path.starts_with("src/") || lines <= kMaxLines) return {};
  return {std::string(path) + ": " + std::to_string(lines) + " lines, more than " + std::to_string(kMaxLines)};
}

std::vector<std::string> paths_named_in(std::string_view document) {
  static constexpr std::array<std::string_view, 7> kRoots{"src/", "bpf/", "tests/", "config/", "dashboards/", "alerts/",
                                                          ".ci/"};
  std::vector<std::string> out;
  for (size_t open = document.find('`'); open != std::string_view::npos; open = document.find('`', open + 1)) {
    const size_t close = document.find('`', open + 1);
    if (close == std::string_view::npos) break;
    std::string_view word = document.substr(open + 1, close - open - 1);
    open = close;
    if (std::ranges::none_of(kRoots, [word](auto root) { return word.starts_with(root); })) continue;
    word = word.substr(0, std::min(word.find_first_of(" :\n"), word.size()));
    const size_t placeholder = word.find_first_of("<*{$");
    if (placeholder != std::string_view::npos) word = word.substr(0, word.rfind('/', placeholder) + 1);
    out.emplace_back(word);
  }
  return out;
}

}  // namespace mapshift::architecture
