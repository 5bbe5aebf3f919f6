// SPDX-License-Identifier: Apache-2.0
#include "kernel/libbpf_log.h"

#include <bpf/libbpf.h>

#include <array>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <string_view>

namespace mapshift {
namespace {

constexpr size_t kContextLines = 15;

thread_local LibbpfLog* innermost = nullptr;

}  // namespace

struct LibbpfPrinter {
  static int print(libbpf_print_level level, const char* format, va_list args) __attribute__((format(printf, 2, 0))) {
    if (level != LIBBPF_WARN || innermost == nullptr) return 0;
    std::array<char, 2048> line{};
    const int length = std::vsnprintf(line.data(), line.size(), format, args);
    std::string_view text(line.data());
    if (text.starts_with("libbpf: ")) text.remove_prefix(8);
    auto& kept = innermost->text_;
    if (kept.size() + text.size() <= LibbpfLog::kMaxLogBytes) kept += text;
    return length;
  }
};

LibbpfLog::LibbpfLog() : outer_(innermost) {
  static std::once_flag once;
  std::call_once(once, [] { libbpf_set_print(&LibbpfPrinter::print); });
  innermost = this;
}

LibbpfLog::~LibbpfLog() { innermost = outer_; }

std::string last_lines(std::string_view log) {
  while (!log.empty() && log.back() == '\n') log.remove_suffix(1);
  size_t begin = log.size();
  for (size_t lines = 0; begin > 0; --begin) {
    if (log[begin - 1] == '\n' && ++lines == kContextLines) break;
  }
  return std::string(log.substr(begin));
}

}  // namespace mapshift
