// SPDX-License-Identifier: Apache-2.0
#include "cli/follow.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <thread>

#include "cli/render_status.h"
#include "config/record_json.h"

namespace mapshift::cli {
namespace {

using Clock = std::chrono::steady_clock;

// A bar that is drawn again in place on a terminal; elsewhere a line for each change of state.
class Progress {
 public:
  explicit Progress(Console& console) : console_(console) {}
  ~Progress() {
    if (drawn_) console_.err << '\n' << std::flush;
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void show(const update::UpdateRecord& record) {
    if (console_.progress_bar) {
      console_.err << "\r\x1b[K" << printable(render_progress_bar(record, console_.width)) << std::flush;
      drawn_ = true;
    } else if (!state_ || *state_ != record.state) {
      note(console_, render_progress(record));
    }
    state_ = record.state;
  }

 private:
  Console& console_;
  std::optional<update::State> state_;
  bool drawn_ = false;
};

// One long poll, tried again while no agent answers.
Answer<Json> poll(Agent& agent, const std::string& path, const FollowLimits& limits) {
  const auto began = Clock::now();
  for (;;) {
    Answer<Json> answer = agent.get(path, std::chrono::seconds(40));
    if (answer || answer.error().status != kUnreachable || Clock::now() - began >= limits.patience) return answer;
    std::this_thread::sleep_for(limits.pause);
  }
}

}  // namespace

Answer<Json> follow(Agent& agent, Json document, Console& console, const FollowLimits& limits) {
  const auto began = Clock::now();
  Progress progress(console);
  for (;;) {
    const Result<update::UpdateRecord> record = config::update_from_json(document);
    if (!record) return tl::unexpected(to_failure(record.error()));
    progress.show(*record);
    const auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
    if (is_final(record->state) || spent >= limits.at_most) return document;
    const auto left = std::chrono::duration_cast<std::chrono::seconds>(limits.at_most - spent).count();
    const auto asked = Clock::now();
    Answer<Json> next = poll(agent,
                             fmt::format("/api/v1/updates/{}?since={}&wait={}s", encode(record->id), record->revision,
                                         std::clamp<int64_t>(left, 1, 30)),
                             limits);
    if (!next) return next;
    const bool same = next->is_object() && next->value("revision", uint64_t{0}) == record->revision;
    // An agent with many waiting answers at once: do not ask it without a pause.
    if (same && Clock::now() - asked < limits.pause) std::this_thread::sleep_for(limits.pause);
    document = std::move(*next);
  }
}

}  // namespace mapshift::cli
