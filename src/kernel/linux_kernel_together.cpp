// SPDX-License-Identifier: Apache-2.0
// LinuxKernel's calls on hooks that move together.
#include <optional>

#include "kernel/attach/course.h"
#include "kernel/attach/hook.h"
#include "kernel/attach/sides.h"
#include "kernel/linux_kernel.h"
#include "kernel/pin.h"

namespace mapshift {
namespace {

// The program pinned at `path`; none for an empty path.
Result<std::optional<Program>> open_program(const std::string& path) {
  if (path.empty()) return std::optional<Program>();
  MS_TRY(Program program, Program::open(path));
  return std::optional<Program>(std::move(program));
}

uint32_t id_of(const std::optional<Program>& program) { return program ? program->id() : 0; }

const Program* pointer_to(const std::optional<Program>& program) { return program ? &*program : nullptr; }

Status runs_other(const std::string& dir, uint32_t id, const std::string& expected) {
  return fail(ErrorCode::kConflict, dir + " runs " + (id == 0 ? std::string("no program") : describe_program(id)) + ", not " +
                                        (expected.empty() ? "none" : expected) + ": somebody else changed it");
}

// All dispatchers of a module read one word; one that reads another would stay behind.
Status shares_word(const std::string& dir, const std::string& together_dir) {
  MS_TRY(const uint32_t own, course_id(course_pin(dir)));
  MS_TRY(const uint32_t shared, course_id(course_pin(together_dir)));
  if (own != shared) {
    return fail(ErrorCode::kConflict, dir + " does not read the word of its module: unload the module and load it again");
  }
  return {};
}

}  // namespace

Status LinuxKernel::stage(const Hook& hook, const std::string& hook_dir, const std::string& from, const std::string& to) {
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  MS_TRY(const auto before, open_program(from));
  MS_TRY(const auto after, open_program(to));
  if (after) MS_CHECK(check_program_type(*type, hook, *after));
  if (before && after && type->before_swap != nullptr) MS_CHECK(type->before_swap(*before, *after));
  const DispatcherHook dispatcher{*type, hook_dir};
  if (!before) {
    MS_TRY(const bool gone, place_gone(hook_dir));
    if (gone) MS_CHECK(detach(hook_dir));
  }
  if (!pin_exists(hook_dir + "/link")) {
    if (before) return fail(ErrorCode::kConflict, hook_dir + " is not attached any more");
    MS_CHECK(type->check(hook));
    MS_CHECK(remove_pins(hook_dir));
    return dispatcher.attach(hook, nullptr, pointer_to(after));
  }
  MS_TRY(const bool stands, dispatcher.stands());
  if (!stands && type->swap != SwapMode::kNative) {
    return fail(ErrorCode::kUnsupported, hook_dir + " was attached by an earlier release: unload the module and load it again");
  }
  if (!stands) {
    MS_TRY(const uint32_t id, (NativeHook{*type, hook_dir}.running()));
    if (!before || id != before->id()) return runs_other(hook_dir, id, from);
    MS_CHECK(dispatcher.take_over(hook, *before));
    return dispatcher.fill_idle(pointer_to(after));
  }
  MS_CHECK(shares_word(hook_dir, hook.together));
  MS_TRY(const uint32_t id, dispatcher.running());
  if (id != id_of(before)) return runs_other(hook_dir, id, from);
  return dispatcher.fill_idle(pointer_to(after));
}

Status LinuxKernel::unstage(const Hook& hook, const std::string& hook_dir, const std::string& from) {
  MS_TRY(const AttachType* type, find_attach_type(hook.type));
  MS_TRY(const auto before, open_program(from));
  if (!pin_exists(hook_dir + "/link")) return remove_pins(hook_dir);
  if (!before) return detach(hook_dir);
  const DispatcherHook dispatcher{*type, hook_dir};
  MS_TRY(const bool stands, dispatcher.stands());
  if (!stands && type->swap != SwapMode::kNative) return {};
  MS_TRY(const uint32_t id, stands ? dispatcher.running() : (NativeHook{*type, hook_dir}.running()));
  if (id != before->id()) return runs_other(hook_dir, id, from);
  if (!stands) return remove_stub_pins(hook_dir);  // handed back before
  if (type->swap == SwapMode::kNative && !hook.stub) return dispatcher.hand_back(*before);
  return dispatcher.fill_idle(nullptr);
}

Result<Course> LinuxKernel::course(const std::string& together_dir) {
  MS_TRY(const CourseWord word, CourseWord::open(course_pin(together_dir)));
  return word.load();
}

Result<SwapReport> LinuxKernel::set_course(const std::string& together_dir, const Course& from, const Course& to) {
  MS_TRY(const CourseWord word, CourseWord::open(course_pin(together_dir)));
  SwapReport report{monotonic_now(), {}};
  const bool done = word.replace(from, to);
  report.ended = monotonic_now();
  if (done) return report;
  return fail(ErrorCode::kConflict, "the word of " + together_dir + " is not what was read before: somebody else changed it");
}

Result<SidesReport> LinuxKernel::side_stats(const std::string& hook_dir, const std::string& from, const std::string& to) {
  if (!pin_exists(hook_dir + "/sides")) return fail(ErrorCode::kNotFound, hook_dir + " stands behind no dispatcher");
  // A hook's type does not matter to what its dispatcher counted.
  const DispatcherHook dispatcher{attach_types().front(), hook_dir};
  MS_TRY(const auto before, open_program(from));
  MS_TRY(const auto after, open_program(to));
  SidesReport report;
  if (before) {
    MS_TRY(report.from, dispatcher.side(before->id()));
  }
  if (after) {
    MS_TRY(report.to, dispatcher.side(after->id()));
  }
  MS_TRY(report.misses, dispatcher.misses());
  return report;
}

}  // namespace mapshift
