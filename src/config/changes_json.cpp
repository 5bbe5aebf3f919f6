// SPDX-License-Identifier: Apache-2.0
#include "config/changes_json.h"

#include <algorithm>
#include <array>
#include <set>

namespace mapshift::config {
namespace {

using namespace std::chrono_literals;
using Kind = JsonValue::Kind;
using observe::changes::Mode;
using observe::changes::Source;
using observe::changes::Watch;

constexpr size_t kMaxMaps = 64;  // each has its history in memory
constexpr std::array<std::pair<std::string_view, Mode>, 3> kModes{
    {{"events", Mode::kEvents}, {"pull", Mode::kPull}, {"hybrid", Mode::kHybrid}}};

void read_sources(ObjectReader& map, Watch& out) {
  map.items("sources", [&](JsonValue& value, const std::string& where) {
    if (!expect_kind(map.report(), value, where, Kind::kString)) return;
    if (value.text == "auto") return;  // adds nothing: empty is the best that is to be had
    const auto source = observe::changes::source_named(value.text);
    if (!source) {
      map.report().add("bad-value", where, value.line, "\"" + value.text + "\" is not a source" +
                       suggestion(value.text, {"auto", "fexit", "instrumented", "syscall", "scan"}));
      return;
    }
    out.sources.push_back(*source);
  });
}

Watch read_map(ObjectReader& map) {
  Watch out;
  map.require("module");
  map.require("map");
  map.text("module", out.name.module, is_name, kNameRule);
  map.text("map", out.name.map, is_full_name, kNameRule);
  read_sources(map, out);
  map.choice<Mode>("mode", out.mode, kModes);
  map.duration("interval", out.pull_interval, 10ms, 1h);
  map.duration("silence", out.silence, 10ms, 1h);
  map.boolean("keys", out.keys);
  map.boolean("values", out.values);
  if (out.values && map.has("keys") && !out.keys)
    map.complain("keys", "bad-value", "values cannot leave without their keys: leave \"keys\" out, or set \"values\" to false");
  out.keys |= out.values;
  return out;
}

}  // namespace

void read_changes(ObjectReader& reader, ChangeCapture& out) {
  std::optional<ObjectReader> changes = reader.object("changes");
  if (!changes) return;
  if (int64_t bytes = 0; changes->has("ring_bytes")) {
    changes->integer("ring_bytes", bytes, 1 << 16, int64_t{1} << 30);
    if (bytes > 0 && (bytes & (bytes - 1)) != 0) changes->complain("ring_bytes", "bad-value", "it must be a power of two, such as 16777216");
    out.ring_bytes = static_cast<uint64_t>(bytes);
  }
  changes->integer_as("history", out.history, 64, 1 << 22);
  std::set<observe::changes::MapName> seen;
  changes->items("maps", [&](JsonValue& value, const std::string& where) {
    if (!expect_kind(changes->report(), value, where, Kind::kObject)) return;
    ObjectReader map(changes->report(), value, where);
    Watch watch = read_map(map);
    map.finish();
    if (!watch.name.map.empty() && !seen.insert(watch.name).second)
      changes->report().add("duplicate-name", where, value.line, "map " + watch.name.map + " of " + watch.name.module + " stands twice");
    out.maps.push_back(std::move(watch));
  });
  if (out.maps.size() > kMaxMaps) changes->complain("maps", "too-many", "more than 64 maps");
  changes->finish();
}

}  // namespace mapshift::config
