// SPDX-License-Identifier: Apache-2.0
#include "fake_kernel.h"

#include <algorithm>
#include <cerrno>
#include <sstream>

#include "kernel/instance_name.h"

namespace mapshift {
namespace {

// What is there once for each instance, by the names that it has then.
std::vector<std::string> full_names(const LoadRequest& request, const std::set<std::string>& often, const std::vector<std::string>& names) {
  std::vector<std::string> all;
  for (const std::string& name : names) {
    if (!often.contains(name)) all.push_back(name);
    else for (const std::string& instance : request.instances) all.push_back(instance_name(name, instance));
  }
  return all;
}

std::string last_part(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

}  // namespace

tl::unexpected<Error> injected(const std::string& call) {
  return fail(Error{ErrorCode::kKernel, EIO, "injected: " + call, {}, {}});
}

Steps::Verdict Steps::next(const std::string& call) {
  if (!numbers_me()) return dead() ? Verdict::kFail : Verdict::kGo;
  size_t n = 0;
  {
    const std::lock_guard lock(mutex_);
    if (dead_) return Verdict::kFail;
    n = calls_.size();
    calls_.push_back(call);
  }
  if (hook_) hook_(n, call);
  const std::lock_guard lock(mutex_);
  const auto fault = faults_.find(n);
  if (fault == faults_.end()) return Verdict::kGo;
  dead_ = fault->second == Fault::kDieBefore || fault->second == Fault::kDieMidway || fault->second == Fault::kDieAfter;
  switch (fault->second) {
    case Fault::kError:
    case Fault::kDieBefore: return Verdict::kFail;
    case Fault::kDieMidway: return Verdict::kGoHalfThenFail;
    case Fault::kErrorDone:
    case Fault::kDieAfter: break;
  }
  return Verdict::kGoThenFail;
}

bool Steps::dead() const {
  const std::lock_guard lock(mutex_);
  return dead_;
}

std::vector<std::string> Steps::calls() const {
  const std::lock_guard lock(mutex_);
  return calls_;
}

size_t Steps::find(const std::string& part, size_t from) const {
  const std::lock_guard lock(mutex_);
  for (size_t n = from; n < calls_.size(); ++n) {
    if (calls_[n].find(part) != std::string::npos) return n;
  }
  return calls_.size();
}

void Steps::revive() {
  const std::lock_guard lock(mutex_);
  dead_ = false;
  faults_.clear();
  calls_.clear();
  hook_ = {};
}

void FakeKernel::event() {
  for (auto& [hook, seen] : seen_) {
    ++seen.events;
    const auto running = hooks_.find(hook);
    ThingRef program = running == hooks_.end() ? ThingRef() : running->second;
    if (goes_astray(hook, seen.events)) {
      const Staged& staged = staged_.at(hook);
      program = staged.slots[staged.own == course_->odd ? 1 : 0];
    }
    if (!program) ++seen.unseen;
    else ++program->counts_in->count;
  }
}

void FakeKernel::traffic() {
  const std::lock_guard lock(mutex_);
  event();
}

std::string FakeKernel::state() const {
  const std::lock_guard lock(mutex_);
  std::ostringstream out;
  for (const auto& [path, thing] : pins_) {
    out << path << ' ' << thing->kind;
    // A link or a dispatcher that was made anew is another object, and serves as well.
    if (thing->kind == 'm' || thing->kind == 'p') out << thing->id;
    out << '\n';
  }
  for (const auto& [hook, program] : hooks_) out << hook << " runs p" << program->id << '\n';
  return out.str();
}

uint64_t FakeKernel::events(const std::string& hook) const {
  const std::lock_guard lock(mutex_);
  return seen_.at(hook).events;
}

uint64_t FakeKernel::unseen(const std::string& hook) const {
  const std::lock_guard lock(mutex_);
  return seen_.at(hook).unseen;
}

uint64_t FakeKernel::count(const std::string& map_pin) const {
  const std::lock_guard lock(mutex_);
  return pins_.at(map_pin)->count;
}

uint64_t FakeKernel::hook_count() const {
  const std::lock_guard lock(mutex_);
  return hooks_.size();
}

std::string FakeKernel::runs(const std::string& hook) const {
  const std::lock_guard lock(mutex_);
  const auto program = hooks_.find(hook);
  if (program == hooks_.end()) return "";
  for (const auto& [path, thing] : pins_) {
    if (thing == program->second) return path;
  }
  return "a program without a pin";
}

bool FakeKernel::exists(const std::string& pin_or_folder) const {
  const std::lock_guard lock(mutex_);
  return std::any_of(pins_.begin(), pins_.end(), [&](const auto& pin) {
    return pin.first == pin_or_folder || pin.first.starts_with(pin_or_folder + "/");
  });
}

void FakeKernel::erase(const std::string& pin) {
  const std::lock_guard lock(mutex_);
  pins_.erase(pin);
}

void FakeKernel::vanish(const std::string& interface, const std::string& hook_dir) {
  const std::lock_guard lock(mutex_);
  lost_.insert(interface);
  gone_.insert(hook_dir);
  hooks_.erase(hook_dir);
  seen_.erase(hook_dir);
  staged_.erase(hook_dir);
}

Status FakeKernel::stands(const std::string& hook_dir) const {
  if (!gone_.contains(hook_dir)) return {};
  return fail(ErrorCode::kConflict, hook_dir + " is no longer attached");
}

FakeKernel::ThingRef FakeKernel::make(char kind) {
  auto thing = std::make_shared<Thing>();
  thing->kind = kind;
  thing->id = ++last_id_;
  return thing;
}

Result<FakeKernel::ThingRef> FakeKernel::pinned(const std::string& path) const {
  const auto found = pins_.find(path);
  if (found != pins_.end()) return found->second;
  return fail(Error{ErrorCode::kNotFound, ENOENT, "nothing is pinned at " + path, {}, {}});
}

Result<LoadReport> FakeKernel::load(const LoadRequest& request) {
  return step("load " + request.generation_dir, [&](bool half) -> Result<LoadReport> {
    const std::string& dir = request.generation_dir;
    if (pins_.lower_bound(dir + "/") != pins_.lower_bound(dir + "0")) return fail(ErrorCode::kConflict, dir + " holds pins already");
    const FakeObject& object = objects.at(request.object_path);
    std::map<std::string, ThingRef> maps;
    for (const std::string& name : full_names(request, request.instance_maps, object.maps)) {
      const auto reused = request.reuse.find(name);
      if (reused == request.reuse.end()) {
        maps[name] = make('m');
        continue;
      }
      MS_TRY(maps[name], pinned(reused->second));
    }
    LoadReport report;
    for (const auto& [name, map] : maps) pins_[dir + "/maps/" + name] = map;
    if (half) return report;
    std::vector<std::string> programs;
    for (const auto& [name, map] : object.programs) programs.push_back(name);
    for (const std::string& name : full_names(request, request.instance_programs, programs)) {
      const std::string base(base_name(name));
      if (object.broken.contains(base)) {
        report.skipped_programs.push_back(name);
        continue;
      }
      const ThingRef program = make('p');
      const std::string& map = object.programs.at(base);
      const std::string own = map + name.substr(base.size());
      program->counts_in = maps.at(request.instance_maps.contains(map) ? own : map);
      pins_[dir + "/progs/" + name] = program;
      report.programs.push_back(name);
    }
    return report;
  });
}

void FakeKernel::remove_below(const std::string& dir, bool half) {
  std::vector<std::string> paths;
  for (const auto& [path, thing] : pins_) {
    if (path.starts_with(dir + "/")) paths.push_back(path);
  }
  if (half) paths.resize((paths.size() + 1) / 2);
  for (const std::string& path : paths) pins_.erase(path);
}

Status FakeKernel::remove_tree(const std::string& dir) {
  return step("remove_tree " + dir, [&](bool half) -> Status {
    remove_below(dir, half);
    if (!half) detach_empty_hooks();
    return {};
  });
}

Status FakeKernel::publish(const std::string& source, const std::string& published) {
  return step("publish " + published, [&](bool half) -> Status {
    MS_TRY(const ThingRef thing, pinned(source));
    pins_[published + "~"] = thing;
    if (half) return {};
    pins_.erase(published + "~");
    pins_[published] = thing;
    return {};
  });
}

Status FakeKernel::unpublish(const std::string& published) {
  return step("unpublish " + published, [&](bool half) -> Status {
    pins_.erase(published + "~");
    if (!half) pins_.erase(published);
    return {};
  });
}

Status FakeKernel::check_hook(const Hook& hook) {
  return step("check_hook " + hook.type, [&](bool) -> Status {
    if (lost_.contains(hook.interface)) return fail(ErrorCode::kNotFound, "there is no network interface " + hook.interface);
    return {};
  });
}

Result<SwapMode> FakeKernel::swap_mode(const Hook& hook) {
  return step("swap_mode " + hook.type, [&](bool) -> Result<SwapMode> {
    return hook.type == "tracepoint" ? SwapMode::kDispatcher : SwapMode::kNative;
  });
}

Status FakeKernel::attach(const Hook& hook, const std::string& hook_dir, const std::string& program) {
  return step("attach " + hook_dir, [&](bool half) -> Status {
    MS_TRY(const ThingRef opened, pinned(program));
    if (pins_.contains(hook_dir + "/link")) return fail(ErrorCode::kConflict, hook_dir + " is attached already");
    if (lost_.contains(hook.interface)) return fail(ErrorCode::kNotFound, "there is no network interface " + hook.interface);
    remove_below(hook_dir, false);
    if (hook.type == "tracepoint") pins_[hook_dir + "/slots"] = make('d');
    if (half) return {};
    pins_[hook_dir + "/link"] = make('l');
    hooks_[hook_dir] = opened;
    seen_.try_emplace(hook_dir);
    return {};
  });
}

Result<SwapReport> FakeKernel::swap(const Hook& /*hook*/, const std::string& hook_dir, const std::string& from, const std::string& to) {
  return step("swap " + hook_dir + " to " + to, [&](bool half) -> Result<SwapReport> {
    MS_TRY([[maybe_unused]] const ThingRef link, pinned(hook_dir + "/link"));
    MS_CHECK(stands(hook_dir));
    MS_TRY(const ThingRef before, pinned(from));
    MS_TRY(const ThingRef after, pinned(to));
    if (hooks_.at(hook_dir) != before) return fail(ErrorCode::kConflict, hook_dir + " runs something else");
    if (!half) hooks_[hook_dir] = after;
    if (const auto staged = staged_.find(hook_dir); !half && staged != staged_.end()) {
      staged->second.own = !staged->second.own;
      staged->second.slots[staged->second.own == course_->odd ? 0 : 1] = after;
    }
    const Nanos now = monotonic_now();
    return SwapReport{now, now + swap_takes};
  });
}

Result<int> FakeKernel::running(const Hook& /*hook*/, const std::string& hook_dir, const std::string& from, const std::string& to) {
  return step("running " + hook_dir, [&](bool) -> Result<int> {
    MS_TRY([[maybe_unused]] const ThingRef link, pinned(hook_dir + "/link"));
    MS_CHECK(stands(hook_dir));
    if (!hooks_.contains(hook_dir)) return from.empty() ? 0 : 1;
    const ThingRef program = hooks_.at(hook_dir);
    if (const auto opened = pinned(from); opened && *opened == program) return 0;
    if (const auto opened = pinned(to); opened && *opened == program) return 1;
    return fail(ErrorCode::kConflict, hook_dir + " runs neither " + from + " nor " + to);
  });
}

Status FakeKernel::detach(const std::string& hook_dir) {
  return step("detach " + hook_dir, [&](bool half) -> Status {
    if (pins_.erase(hook_dir + "/link") != 0) hooks_.erase(hook_dir), staged_.erase(hook_dir);
    if (!half) remove_below(hook_dir, false);
    return {};
  });
}

Result<bool> FakeKernel::place_gone(const std::string& hook_dir) {
  return step("place_gone " + hook_dir, [&](bool) -> Result<bool> { return gone_.contains(hook_dir) && pins_.contains(hook_dir + "/link"); });
}

Status FakeKernel::grace_period() {
  return step("grace_period", [](bool) -> Status { return {}; });
}

Result<ProgramStats> FakeKernel::program_stats(const std::string& program) {
  return step("program_stats " + program, [&](bool) -> Result<ProgramStats> {
    MS_TRY(const ThingRef opened, pinned(program));
    return ProgramStats{static_cast<uint32_t>(opened->id), opened->counts_in->count, 0, 0};
  });
}

Result<ProgramStats> FakeKernel::hook_stats(const std::string& hook_dir) {
  return step("hook_stats " + hook_dir, [&](bool) -> Result<ProgramStats> {
    MS_TRY([[maybe_unused]] const ThingRef link, pinned(hook_dir + "/link"));
    MS_CHECK(stands(hook_dir));
    const Thing& program = *hooks_.at(hook_dir);
    return ProgramStats{static_cast<uint32_t>(program.id), program.counts_in->count, 0, 0};
  });
}

Result<MapStats> FakeKernel::map_stats(const std::string& map) {
  return step("map_stats " + map, [&](bool) -> Result<MapStats> {
    MS_TRY(const ThingRef opened, pinned(map));
    MapStats stats;
    stats.id = static_cast<uint32_t>(opened->id);
    stats.type = MapType::kHash;
    return stats;
  });
}

Result<uint64_t> FakeKernel::count_entries(const std::string& map) {
  return step("count_entries " + map, [&](bool) -> Result<uint64_t> {
    MS_TRY([[maybe_unused]] const ThingRef opened, pinned(map));
    return uint64_t{1};
  });
}

Result<std::vector<std::byte>> FakeKernel::read_element(const std::string& map, const std::vector<std::byte>& /*key*/) {
  return step("read_element " + map, [&](bool) -> Result<std::vector<std::byte>> {
    MS_TRY([[maybe_unused]] const ThingRef opened, pinned(map));
    if (!element) return fail(ErrorCode::kNotFound, map + " has no such element");
    return *element;
  });
}

Result<MapSpec> FakeKernel::read_map_spec(const std::string& map) {
  return step("read_map_spec " + map, [&](bool) -> Result<MapSpec> {
    MS_TRY([[maybe_unused]] const ThingRef opened, pinned(map));
    MapSpec spec;
    spec.name = last_part(map);
    return spec;
  });
}

Result<std::vector<std::string>> FakeKernel::list(const std::string& dir) {
  return step("list " + dir, [&](bool) -> Result<std::vector<std::string>> {
    std::set<std::string> names;
    for (const auto& [path, thing] : pins_) {
      if (!path.starts_with(dir + "/")) continue;
      const std::string rest = path.substr(dir.size() + 1);
      const std::string name = rest.substr(0, rest.find('/'));
      if (!name.ends_with('~')) names.insert(name);
    }
    return std::vector<std::string>(names.begin(), names.end());
  });
}

}  // namespace mapshift
