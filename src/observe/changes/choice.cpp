// SPDX-License-Identifier: Apache-2.0
#include "observe/changes/choice.h"

#include <algorithm>

namespace mapshift::observe::changes {
namespace {

const Offer& of(const std::array<Offer, kSources>& offers, Source source) { return offers[static_cast<size_t>(source) - 1]; }

Result<Choice> wanted_ones(const std::array<Offer, kSources>& offers, std::vector<Source> wanted) {
  std::ranges::sort(wanted);
  wanted.erase(std::unique(wanted.begin(), wanted.end()), wanted.end());
  Choice choice;
  std::vector<Problem> problems;
  for (const Source source : wanted) {
    if (of(offers, source).available) {
      choice.sources.push_back(source);
    } else {
      problems.push_back({"source-unavailable", std::string(to_string(source)), of(offers, source).why_not});
    }
  }
  if (choice.sources.empty()) {
    std::string message = "none of the sources that were asked for can be had";
    for (const auto& problem : problems) message += (&problem == problems.data() ? ": " : "; ") + problem.where + ": " + problem.message;
    return fail(Error{ErrorCode::kUnsupported, 0, std::move(message), {}, std::move(problems)});
  }
  choice.reason = "as configured";
  for (const auto& problem : problems) choice.reason += "; without " + problem.where + ": " + problem.message;
  const auto has = [&](Source source) { return std::ranges::find(choice.sources, source) != choice.sources.end(); };
  choice.complete = has(Source::kFexit) || has(Source::kScan) || (has(Source::kInstrumented) && has(Source::kSyscall));
  return choice;
}

}  // namespace

Result<Choice> choose(const std::array<Offer, kSources>& offers, const std::vector<Source>& wanted, Mode mode,
                      std::optional<bool> programs_write) {
  const Offer& fexit = of(offers, Source::kFexit);
  const Offer& instrumented = of(offers, Source::kInstrumented);
  const Offer& syscall = of(offers, Source::kSyscall);
  const Offer& scan = of(offers, Source::kScan);
  if (mode == Mode::kPull) {
    if (scan.available) return Choice{{Source::kScan}, true, "mode pull: scanned at an interval"};
    return fail(ErrorCode::kUnsupported, "mode pull takes scans, and this map cannot be scanned: " + scan.why_not);
  }
  if (!wanted.empty()) return wanted_ones(offers, wanted);
  if (fexit.available) return Choice{{Source::kFexit}, true, "fexit sees every write but those in place"};
  const std::string no_fexit = "no fexit: " + fexit.why_not;
  if (instrumented.available && syscall.available) {
    return Choice{{Source::kInstrumented, Source::kSyscall}, true,
                  no_fexit + "; the module logs what its programs write, system calls are traced"};
  }
  if (syscall.available && programs_write == false) {
    return Choice{{Source::kSyscall}, true, no_fexit + "; no program of the module writes this map, so its system calls are all"};
  }
  const std::string incomplete = no_fexit + (instrumented.available ? "; system calls cannot be traced: " + syscall.why_not
                                                                    : "; not instrumented: " + instrumented.why_not);
  if (scan.available) return Choice{{Source::kScan}, true, incomplete + "; scans see everything, but of several changes of a key the last"};
  Choice partial{{}, false, incomplete + "; no scans: " + scan.why_not};
  if (instrumented.available) partial.sources.push_back(Source::kInstrumented);
  if (syscall.available) partial.sources.push_back(Source::kSyscall);
  if (!partial.sources.empty()) return partial;
  return fail(ErrorCode::kUnsupported, "no source can see changes of this map: " + partial.reason + "; no system calls: " + syscall.why_not);
}

}  // namespace mapshift::observe::changes
