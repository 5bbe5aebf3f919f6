// SPDX-License-Identifier: Apache-2.0
#include "kernel/attach/course.h"

#include <bpf/bpf.h>
#include <mapshift/course.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>

#include "kernel/pin.h"

namespace mapshift {
namespace {

uint64_t pack(const Course& course) {
  return (course.odd ? MS_COURSE_ODD : 0) | (course.by_flow ? MS_COURSE_BY_FLOW : 0) | (course.watched ? MS_COURSE_WATCHED : 0) |
         uint64_t{course.share} << MS_COURSE_SHARE_SHIFT;
}

size_t page_size() { return static_cast<size_t>(::sysconf(_SC_PAGESIZE)); }

}  // namespace

std::string course_pin(const std::string& together_dir) { return together_dir + "/course"; }

Result<Fd> open_course(const std::string& together_dir) {
  auto there = open_pin(course_pin(together_dir));
  if (there || there.error().code != ErrorCode::kNotFound) return there;
  LIBBPF_OPTS(bpf_map_create_opts, options, .map_flags = BPF_F_MMAPABLE);
  Fd made(bpf_map_create(BPF_MAP_TYPE_ARRAY, "course", sizeof(uint32_t), sizeof(uint64_t), 1, &options));
  if (!made.valid()) return fail_errno(errno, "make the word of " + together_dir);
  MS_CHECK(pin(made.get(), course_pin(together_dir)));
  return made;
}

Result<uint32_t> course_id(const std::string& pin) {
  MS_TRY(const Fd fd, open_pin(pin));
  bpf_map_info info{};
  uint32_t length = sizeof(info);
  if (bpf_map_get_info_by_fd(fd.get(), &info, &length) != 0) return fail_errno(errno, "inspect " + pin);
  return info.id;
}

Result<CourseWord> CourseWord::open(const std::string& pin) {
  MS_TRY(const Fd fd, open_pin(pin));
  void* mapped = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (mapped == MAP_FAILED) return fail_errno(errno, "map the word " + pin);
  return CourseWord(static_cast<uint64_t*>(mapped));
}

CourseWord::~CourseWord() {
  if (word_ != nullptr) ::munmap(word_, page_size());
}

Course CourseWord::load() const {
  const uint64_t word = std::atomic_ref(*word_).load();
  return {(word & MS_COURSE_ODD) != 0, static_cast<uint32_t>(word >> MS_COURSE_SHARE_SHIFT), (word & MS_COURSE_BY_FLOW) != 0,
          (word & MS_COURSE_WATCHED) != 0};
}

bool CourseWord::replace(const Course& from, const Course& to) const {
  uint64_t expected = pack(from);
  return std::atomic_ref(*word_).compare_exchange_strong(expected, pack(to));
}

}  // namespace mapshift
