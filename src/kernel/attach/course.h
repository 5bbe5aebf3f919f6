// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <cstdint>
#include <string>
#include <utility>

#include "base/fd.h"
#include "base/result.h"
#include "kernel/kernel.h"

namespace mapshift {

// The word of a module, mapped: a store is one store, seen by all of its dispatchers. Thread-safe.
class CourseWord {
 public:
  // kNotFound when none is pinned there.
  [[nodiscard]] static Result<CourseWord> open(const std::string& pin);
  CourseWord(CourseWord&& other) noexcept : word_(std::exchange(other.word_, nullptr)) {}
  CourseWord(const CourseWord&) = delete;
  CourseWord& operator=(const CourseWord&) = delete;
  ~CourseWord();

  [[nodiscard]] Course load() const;
  // False, and nothing is changed, when the word is not `from`.
  [[nodiscard]] bool replace(const Course& from, const Course& to) const;

 private:
  explicit CourseWord(uint64_t* word) : word_(word) {}
  uint64_t* word_;
};

// The descriptor of the module's word, which is made and pinned when it is not there.
[[nodiscard]] Result<Fd> open_course(const std::string& together_dir);
// Of the kernel's object: whether two pins are of the same word.
[[nodiscard]] Result<uint32_t> course_id(const std::string& pin);
[[nodiscard]] std::string course_pin(const std::string& together_dir);

}  // namespace mapshift
