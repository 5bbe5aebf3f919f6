// SPDX-License-Identifier: Apache-2.0
#include "observe/go/process.h"

#include <unistd.h>

#include <algorithm>
#include <ctime>

namespace mapshift::observe::go {
namespace {

// Younger than this, what looks wrong may be a runtime that is not up yet.
constexpr Nanos kYoung = std::chrono::seconds(2);

}  // namespace

Process::Process(Found found, std::string name, State state)
    : found_(std::move(found)), name_(std::move(name)), memory_(found_.pid), state_(state) {
  if (state_ == State::kOverLimit) reason_ = "more Go processes than go.max_processes allows";
}

State Process::state() const {
  const std::scoped_lock lock(mutex_);
  return state_;
}

void Process::add_note(const std::string& note) {
  const std::scoped_lock lock(mutex_);
  if (std::ranges::find(notes_, note) == notes_.end()) notes_.push_back(note);
}

Nanos Process::uptime() const {
  timespec now{};
  clock_gettime(CLOCK_BOOTTIME, &now);
  const double began = static_cast<double>(found_.start_ticks) / static_cast<double>(sysconf(_SC_CLK_TCK));
  const double seconds = static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9 - began;
  return std::chrono::duration_cast<Nanos>(Seconds(std::max(seconds, 0.0)));
}

bool Process::still_same() const {
  if (has_ended(found_.pidfd)) return false;
  const auto image = image_of(found_.pid);
  return found_.image ? image && *image == *found_.image : !image;
}

void Process::refuse(const Error& error) {
  const std::scoped_lock lock(mutex_);
  state_ = error.code == ErrorCode::kUnauthorized ? State::kDenied : State::kUnsupported;
  reason_ = error.message;
}

Result<Figures> Process::believed(const Figures* before) const {
  MS_TRY(Figures figures, read_figures(memory_, *found_.executable->binary, bias_));
  if (auto why = implausible(figures, before, uptime()))
    return fail(ErrorCode::kUnsupported, "what was read of the process cannot be the runtime's figures: " + *why);
  return figures;
}

Result<Census> Process::walk() const {
  const Binary& binary = *found_.executable->binary;
  const Walked walked{memory_, binary.layout, bias_, wait_reasons_, *found_.executable->names, *found_.file};
  // The array moves when it grows, and what it leaves may be used for something else before we are through.
  static constexpr int kTries = 3;
  for (int left = kTries; left > 0; --left) {
    MS_TRY(const Figures figures, believed(nullptr));
    auto census = go::take_census(walked, figures);
    if (census || left == 1 || census.error().code == ErrorCode::kNotFound || census.error().code == ErrorCode::kUnauthorized)
      return census;
  }
  return fail(ErrorCode::kInternal, "no census was tried");
}

Status Process::first_reading() {
  const Binary& binary = *found_.executable->binary;
  MS_TRY(bias_, load_bias(*found_.image, found_.file->get()));
  MS_TRY(Figures figures, believed(nullptr));
  // Counts that stand still or rise are the runtime's; the second reading is a little later by its nature.
  MS_TRY(figures, believed(&figures));
  if (figures.allglen && *figures.allglen == 0) return fail(ErrorCode::kUnavailable, "the runtime has not come up yet");
  if (binary.globals.wait_reasons != 0) {
    MS_TRY(wait_reasons_, read_strings(memory_, binary.globals.wait_reasons + bias_, binary.globals.wait_reason_count));
  }
  if (binary.globals.stw_reasons != 0) {
    MS_TRY(stw_reasons_, read_strings(memory_, binary.globals.stw_reasons + bias_, binary.globals.stw_reason_count));
  }
  std::optional<Census> census;
  if (can_walk(binary.layout, figures)) {
    MS_TRY(census, walk());
  }
  if (!still_same()) return fail(ErrorCode::kNotFound, "the process is another one now");
  const std::scoped_lock lock(mutex_);
  last_ = std::move(figures);
  census_ = std::move(census);
  state_ = State::kCaptured;
  reason_.clear();
  return {};
}

bool Process::start() {
  if (!found_.executable->binary) {
    refuse(Error{ErrorCode::kUnsupported, 0, found_.executable->refusal, {}, {}});
    return true;
  }
  if (!found_.image) {
    refuse(Error{ErrorCode::kUnauthorized, 0, "the kernel does not let the agent look into process " +
                 std::to_string(found_.pid) + ": give it CAP_SYS_PTRACE", {}, {}});
    return true;
  }
  {
    const std::scoped_lock lock(mutex_);
    if (last_) {  // captured before, and stopped: what was found then still holds
      state_ = State::kCaptured;
      reason_.clear();
      return true;
    }
  }
  const Status read = first_reading();
  if (read) return true;
  const ErrorCode code = read.error().code;
  if (code == ErrorCode::kUnavailable || code == ErrorCode::kNotFound) return false;
  if (uptime() < kYoung && code != ErrorCode::kUnauthorized) return false;
  refuse(read.error());
  return true;
}

void Process::stop() {
  const std::scoped_lock lock(mutex_);
  state_ = State::kOverLimit;
  reason_ = "more Go processes than go.max_processes allows";
}

void Process::give_up() {
  const std::scoped_lock lock(mutex_);
  state_ = State::kDenied;
  reason_ = "a read of its memory did not return, as if what it has mapped there did not answer; or too many of other processes' did not";
}

Process::Reading Process::after_failure(const Error& error) {
  if (has_ended(found_.pidfd) || error.code == ErrorCode::kNotFound) return Reading::kGone;
  if (!still_same()) return Reading::kReplaced;
  refuse(error);
  return Reading::kDone;
}

Process::Reading Process::take_census() {
  if (state() != State::kCaptured) return Reading::kDone;
  const Nanos began = monotonic_now();
  auto census = walk();
  if (!census && census.error().code == ErrorCode::kUnsupported) {
    if (!still_same()) return Reading::kReplaced;
    {
      const std::scoped_lock lock(mutex_);
      refused_at_ = monotonic_now();
      refused_took_ = refused_at_ - began;
    }
    add_note("no census: " + census.error().message);
    return Reading::kDone;
  }
  if (!census) return after_failure(census.error());
  if (!still_same()) return has_ended(found_.pidfd) ? Reading::kGone : Reading::kReplaced;
  const std::scoped_lock lock(mutex_);
  census_ = std::move(*census);
  return Reading::kDone;
}

bool Process::census_is_due(Nanos budget) const {
  const std::scoped_lock lock(mutex_);
  if (!census_ || std::max(census_->took, refused_took_) > budget) return false;
  const Nanos now = monotonic_now();
  return now - census_->at >= census_->took * 1000 && now - refused_at_ >= refused_took_ * 1000;
}

Process::Reading Process::read(ProcessReport& report, Nanos& census_budget) {
  report = outline();
  if (report.state != State::kCaptured) return has_ended(found_.pidfd) ? Reading::kGone : Reading::kDone;
  if (census_is_due(census_budget)) {
    const Nanos began = monotonic_now();
    if (const Reading outcome = take_census(); outcome != Reading::kDone) return outcome;
    census_budget -= monotonic_now() - began;
  }
  std::optional<Figures> before;
  {
    const std::scoped_lock lock(mutex_);
    before = last_;
  }
  auto figures = believed(before ? &*before : nullptr);
  if (!figures) {
    const Reading outcome = after_failure(figures.error());
    report = outline();
    return outcome;
  }
  if (!still_same()) return has_ended(found_.pidfd) ? Reading::kGone : Reading::kReplaced;
  fill(*figures, *found_.executable->binary, report);
  const std::scoped_lock lock(mutex_);
  fill_goroutines(*figures, report);
  last_ = std::move(*figures);
  return Reading::kDone;
}

// Between two walks the list's growth is what tells of new goroutines; slots that were used again are not seen.
void Process::fill_goroutines(const Figures& figures, ProcessReport& report) const {
  if (!census_) return;
  report.goroutines = census_->goroutines + (*figures.allglen - std::min(*figures.allglen, census_->allglen));
  report.groups = census_->groups;
  report.start_functions = census_->start_functions;
  report.census_at = census_->at;
  report.census_took = census_->took;
  if (census_->truncated) report.notes.push_back("goroutines beyond the first million are not looked at");
  if (found_.executable->names->unreadable())
    report.notes.push_back("the executable has no function names: the runtime's own goroutines are counted too");
}

std::optional<uint64_t> Process::recorded() const {
  if (state() != State::kCaptured) return {};
  const auto figures = read_figures(memory_, *found_.executable->binary, bias_);
  if (!figures || !still_same()) return {};
  return figures->observed(Figures::kSched);
}

Traced Process::traced() const {
  const std::scoped_lock lock(mutex_);
  // Not /proc/PID/exe: after an exec that is another file, and a probe in the middle of another instruction.
  return {found_.pid, found_.start_ticks, "/proc/self/fd/" + std::to_string(found_.file->get()), found_.key.device, found_.key.inode,
          bias_, found_.executable->binary, wait_reasons_, stw_reasons_, found_.file};
}

ProcessReport Process::outline() const {
  ProcessReport out;
  out.pid = found_.pid;
  out.start_ticks = found_.start_ticks;
  out.name = name_;
  out.path = found_.path;
  out.cgroup = found_.cgroup;
  if (const auto& binary = found_.executable->binary) {
    out.go_version = binary->version.text;
    out.layout_from = to_string(binary->layout.origin);
    out.notes = binary->missing;
  }
  const std::scoped_lock lock(mutex_);
  out.state = state_;
  out.reason = reason_;
  if (out.state == State::kCaptured) {
    out.notes.insert(out.notes.end(), notes_.begin(), notes_.end());
  } else {
    out.notes.clear();
  }
  return out;
}

}  // namespace mapshift::observe::go
