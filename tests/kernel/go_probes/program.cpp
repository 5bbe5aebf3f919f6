// SPDX-License-Identifier: Apache-2.0
#include "program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <sstream>
#include <stdexcept>

namespace mapshift::test {
namespace {

constexpr int kPatienceMs = 60000;

std::pair<Fd, Fd> make_pipe() {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

}  // namespace

Program::Program(const std::string& path, const std::string& mode, int count, const std::string& hold) {
  auto [in_read, in_write] = make_pipe();
  auto [out_read, out_write] = make_pipe();
  const std::string number = std::to_string(count);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(in_read.get(), 0);
    ::dup2(out_write.get(), 1);
    ::execl(path.c_str(), path.c_str(), mode.c_str(), number.c_str(), hold.c_str(), nullptr);
    ::_exit(127);
  }
  input_ = std::move(in_write);
  output_ = std::move(out_read);
  out_write.reset();
  if (line() != "ready") throw std::runtime_error(path + " " + mode + " did not get ready");
}

Program::~Program() {
  input_.reset();
  kill();
}

void Program::kill() {
  if (pid_ <= 0) return;
  ::kill(pid_, SIGKILL);
  ::waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

std::optional<std::string> Program::line() {
  while (true) {
    if (const size_t end = buffered_.find('\n'); end != std::string::npos) {
      std::string text = buffered_.substr(0, end);
      buffered_.erase(0, end + 1);
      return text;
    }
    pollfd ready{output_.get(), POLLIN, 0};
    if (::poll(&ready, 1, kPatienceMs) <= 0) return std::nullopt;
    std::array<char, 4096> bytes{};
    const ssize_t got = ::read(output_.get(), bytes.data(), bytes.size());
    if (got <= 0) return std::nullopt;
    buffered_.append(bytes.data(), static_cast<size_t>(got));
  }
}

void Program::go() {
  if (::write(input_.get(), "go\n", 3) != 3) throw std::runtime_error("the program is gone");
}

std::string Program::finish() {
  std::string all;
  while (auto text = line()) {
    all += *text + "\n";
    if (text->starts_with("done")) return all;
  }
  throw std::runtime_error("the program did not finish: " + all);
}

std::map<std::string, uint64_t> Program::work() {
  go();
  const std::string all = finish();
  std::istringstream words(all.substr(all.rfind("done") + 4));
  std::map<std::string, uint64_t> figures;
  for (std::string word; words >> word;) figures[word.substr(0, word.find('='))] = std::stoull(word.substr(word.find('=') + 1));
  return figures;
}

std::vector<std::string> go_versions() {
  std::vector<std::string> versions;
  std::istringstream list(GO_VERSIONS);
  for (std::string version; std::getline(list, version, ',');) versions.push_back(version);
  return versions;
}

int minor_of(const std::string& version) { return std::stoi(version.substr(version.find('.') + 1)); }

std::string known_answers(const std::string& version) { return std::string(GO_PROGRAMS) + "/go-known-answers-" + version; }

std::string newest() { return go_versions().empty() ? std::string() : known_answers(go_versions().back()); }

}  // namespace mapshift::test
