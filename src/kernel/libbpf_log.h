// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <string>

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

}  // namespace mapshift
