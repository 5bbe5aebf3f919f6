// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>
#include <string_view>

namespace mapshift {

// Collects what libbpf warns about on this thread while it lives, and keeps all of libbpf's printing off stderr: the text
// belongs into the Error that the caller returns. Nesting is allowed; the innermost collects.
class LibbpfLog {
 public:
  LibbpfLog();
  LibbpfLog(const LibbpfLog&) = delete;
  LibbpfLog& operator=(const LibbpfLog&) = delete;
  ~LibbpfLog();
  // One warning a line, without "libbpf: "; at most kMaxLogBytes.
  [[nodiscard]] const std::string& text() const { return text_; }

  static constexpr size_t kMaxLogBytes = 64 * 1024;

 private:
  friend struct LibbpfPrinter;
  std::string text_;
  LibbpfLog* outer_;
};

// The end of a verifier's log, where it says why: at most 15 lines.
std::string last_lines(std::string_view log);

}  // namespace mapshift
