// SPDX-License-Identifier: Apache-2.0
#include "config/record_moving.h"

#include <cmath>

#include "config/utf8.h"

namespace mapshift::config {
namespace {

using Json = nlohmann::ordered_json;
using namespace update;

Json side_json(const GenerationRef& ref, const ComparedSide& side) {
  Json out;
  out["generation"] = ref.generation;
  out["version"] = valid_utf8(ref.version);
  out["events"] = side.events;
  const bool known = side.run_seconds_avg && std::isfinite(*side.run_seconds_avg);
  out["run_seconds_avg"] = known ? Json(*side.run_seconds_avg) : Json(nullptr);
  out["verdicts"] = Json::object();
  for (const auto& [code, count] : side.verdicts) out["verdicts"][valid_utf8(code)] = count;
  return out;
}

void read_side(Members& in, ComparedSide& out) {
  in.get("events", out.events);
  in.get("run_seconds_avg", out.run_seconds_avg);
  in.get("verdicts", out.verdicts);
}

}  // namespace

void put_moving(Json& out, const UpdateRecord& record) {
  out["swap"] = valid_utf8(record.swap);
  if (record.canary) {
    out["canary"] = {{"step", record.canary->step}, {"share", record.canary->share}, {"steps", record.canary->steps},
                     {"by", valid_utf8(record.canary->by)}};
  }
  if (record.comparison.empty()) return;
  out["comparison"] = Json::array();
  for (const ComparisonRecord& one : record.comparison) {
    out["comparison"].push_back({{"program", valid_utf8(one.program)},
                                 {"from", side_json(record.from, one.from)},
                                 {"to", side_json(record.to, one.to)},
                                 {"misses", one.misses}});
  }
}

void read_moving(Members& in, UpdateRecord& out) {
  in.get("swap", out.swap);
  in.object("canary", [&](Members& canary) {
    CanaryRecord& read = out.canary.emplace();
    canary.get("step", read.step);
    canary.get("share", read.share);
    canary.get("steps", read.steps);
    canary.get("by", read.by);
  });
  in.array("comparison", out.comparison, +[](Members& one, ComparisonRecord& read) {
    one.get("program", read.program);
    one.object("from", [&](Members& side) { read_side(side, read.from); });
    one.object("to", [&](Members& side) { read_side(side, read.to); });
    one.get("misses", read.misses);
  });
}

}  // namespace mapshift::config
