// SPDX-License-Identifier: Apache-2.0
#include "config/moving_json.h"

#include <algorithm>
#include <array>

namespace mapshift::config {
namespace {

using namespace std::chrono_literals;
using update::Canary;
using update::SwapTogether;

constexpr std::array<std::pair<std::string_view, SwapTogether>, 2> kSwaps{
    {{"in-order", SwapTogether::kInOrder}, {"together", SwapTogether::kTogether}}};
constexpr std::array<std::pair<std::string_view, Canary::By>, 2> kBy{{{"random", Canary::By::kRandom}, {"flow", Canary::By::kFlow}}};
constexpr double kUsualSteps[] = {0.05, 0.25, 0.5};
constexpr double kSmallestShare = 1e-6;
constexpr size_t kMaxSteps = 32;

void read_steps(ObjectReader& reader, std::vector<double>& out) {
  std::vector<double> steps;
  reader.items("steps", [&](JsonValue& value, const std::string& where) {
    resolve_scalar(value);
    const double share = value.kind == JsonValue::Kind::kUnsigned ? static_cast<double>(value.unsigned_number) : value.real;
    const bool is_number = value.kind == JsonValue::Kind::kUnsigned || value.kind == JsonValue::Kind::kFloat;
    const bool rises = steps.empty() || share > steps.back();
    if (is_number && rises && share >= kSmallestShare && share <= 1) steps.push_back(share);
    else reader.report().add("bad-value", where, value.line, "\"" + where + "\": steps are rising shares above 0 and up to 1, such as [0.05, 0.25, 0.5]");
  });
  if (steps.size() > kMaxSteps) reader.complain("steps", "too-many", "at most " + std::to_string(kMaxSteps) + " steps");
  if (!steps.empty() && steps.back() == 1) steps.pop_back();  // that is what follows the last step anyway
  if (steps.empty() && reader.has("steps")) reader.complain("steps", "bad-value", "needs a share below 1");
  out = std::move(steps);
}

void read_canary(ObjectReader& reader, Canary& out) {
  Nanos step{0};
  double ratio = 0;
  reader.choice<Canary::By>("by", out.by, kBy);
  reader.duration("step", step, 10ms, 7 * 24h);
  out.step_seconds = std::chrono::duration<double>(step).count();
  reader.number("ratio", ratio, kSmallestShare, 1);
  if (reader.has("ratio") && reader.has("steps")) reader.complain("ratio", "bad-value", "is the first of \"steps\": give one of both");
  if (reader.has("steps")) {
    read_steps(reader, out.steps);
  } else {
    if (ratio > 0 && ratio < 1) out.steps.push_back(ratio);
    for (const double usual : kUsualSteps) {
      if (usual > ratio) out.steps.push_back(usual);
    }
  }
  reader.finish();
}

}  // namespace

void read_moving(ObjectReader& reader, update::Manifest& out) {
  reader.choice<SwapTogether>("swap", out.swap, kSwaps);
  std::optional<ObjectReader> canary = reader.object("canary");
  if (!canary) return;
  if (reader.has("swap") && out.swap == SwapTogether::kInOrder) {
    reader.complain("swap", "bad-value", "a canary needs \"together\": hooks that move one after the other have no share in common");
  }
  out.swap = SwapTogether::kTogether;
  read_canary(*canary, out.canary.emplace());
}

}  // namespace mapshift::config
