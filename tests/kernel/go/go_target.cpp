// SPDX-License-Identifier: Apache-2.0
#include "go_target.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <sstream>

#include "kernel_test.h"

namespace mapshift::observe::go::test {

GoTarget::GoTarget(const std::vector<std::string>& command) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  signal(SIGPIPE, SIG_IGN);  // of a program that is gone
  int in[2], out[2], exec[2];
  if (pipe2(in, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0 || pipe2(exec, O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  pid_ = fork();
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(in[0], 0);
    dup2(out[1], 1);
    signal(SIGPIPE, SIG_DFL);
    execv(words.front(), words.data());
    _exit(127);
  }
  close(in[0]);
  close(out[1]);
  close(exec[1]);
  char none = 0;
  if (read(exec[0], &none, 1) != 0) ADD_FAILURE() << "no exec";  // ends when the program has begun
  close(exec[0]);
  in_ = in[1];
  out_ = out[0];
}

GoTarget::~GoTarget() {
  kill();
  close(in_);
  close(out_);
}

void GoTarget::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void GoTarget::tell(const std::string& command) {
  const std::string line = command + "\n";
  if (write(in_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) ADD_FAILURE() << "cannot tell " << command;
}

std::string GoTarget::read_line() {
  for (;;) {
    if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    pollfd ready{out_, POLLIN, 0};
    char bytes[4096];
    const ssize_t got = poll(&ready, 1, 20'000) == 1 ? read(out_, bytes, sizeof(bytes)) : -1;
    if (got <= 0) {
      ADD_FAILURE() << "the Go program does not answer";
      return "end";
    }
    buffer_.append(bytes, static_cast<size_t>(got));
  }
}

std::vector<std::string> GoTarget::ask(const std::string& command) {
  tell(command);
  std::vector<std::string> out;
  for (std::string line = read_line(); line != "end"; line = read_line()) {
    if (line.starts_with("error")) ADD_FAILURE() << line;
    out.push_back(line);
  }
  return out;
}

GoTarget::Own GoTarget::figures() {
  Own out;
  std::string histogram;
  for (const std::string& line : ask("figures")) {
    std::istringstream words(line);
    std::string first, name;
    words >> first >> name;
    if (first == "version") {
      out.version = name;
    } else if (first == "value") {
      words >> out.values[name];
    } else if (first == "histogram") {
      histogram = name;
      out.histograms[name];
    } else {
      out.histograms[histogram][std::strtod(first.c_str(), nullptr)] = std::stoull(name);
    }
  }
  return out;
}

std::vector<std::string> programs() {
  std::vector<std::string> out;
  std::istringstream names(GO_PROGRAMS);
  for (std::string name; names >> name;) out.push_back(std::string(GO_BIN) + "/" + name);
  return out;
}

std::string newest() {
  const auto all = programs();
  return all[all.size() - 3];  // before the two variants
}

Copy::Copy(const std::string& of, const std::string& name) {
  std::string folder = std::filesystem::temp_directory_path() / "mapshift-go-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("no folder");
  folder_ = folder;
  path_ = folder_ + "/" + name;
  std::filesystem::copy_file(of, path_);
}

Copy::~Copy() { std::filesystem::remove_all(folder_); }

std::unique_ptr<Capture> capture_of(const std::string& path, size_t most) {
  Settings settings;
  settings.processes = {{path, "*"}};
  settings.max_processes = most;
  settings.overhead_budget = 0;
  auto capture = start_capture(settings);
  if (!capture) {
    ADD_FAILURE() << capture.error().message;
    return nullptr;
  }
  return std::move(*capture);
}

ProcessReport report_on(Capture& capture, int pid) {
  ProcessReport out;
  const auto found = [&] {
    for (auto& report : capture.reports(Nanos{0})) {
      if (report.pid != pid) continue;
      out = std::move(report);
      return true;
    }
    return false;
  };
  if (!mapshift::test::eventually(found)) ADD_FAILURE() << "no report on process " << pid;
  return out;
}

uint64_t count_of(const ProcessReport& report, const std::string& state, const std::string& reason_part) {
  uint64_t out = 0;
  for (const auto& group : report.groups)
    if (group.state == state && group.reason.find(reason_part) != std::string::npos) out += group.count;
  return out;
}

}  // namespace mapshift::observe::go::test
