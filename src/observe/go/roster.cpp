// SPDX-License-Identifier: Apache-2.0
#include "observe/go/roster.h"

namespace mapshift::observe::go {

Roster::Entry Roster::name(Found found) {
  const std::scoped_lock lock(mutex_);
  std::string name = labels_.take(found.path);
  return std::make_shared<Process>(std::move(found), std::move(name), State::kOverLimit);
}

void Roster::free_name(const Entry& process) {
  const std::scoped_lock lock(mutex_);
  labels_.free(process->name());
}

void Roster::add(Entry process) {
  const std::scoped_lock lock(mutex_);
  by_pid_[process->pid()] = next_;
  by_order_[next_++] = std::move(process);
}

void Roster::remove(const Entry& process) {
  const std::scoped_lock lock(mutex_);
  const auto found = by_pid_.find(process->pid());
  if (found == by_pid_.end() || by_order_[found->second] != process) return;
  labels_.free(process->name());
  by_order_.erase(found->second);
  by_pid_.erase(found);
}

Roster::Entry Roster::find(int pid) const {
  const std::scoped_lock lock(mutex_);
  const auto found = by_pid_.find(pid);
  return found == by_pid_.end() ? nullptr : by_order_.at(found->second);
}

std::vector<Roster::Entry> Roster::all() const {
  const std::scoped_lock lock(mutex_);
  std::vector<Entry> out;
  out.reserve(by_order_.size());
  for (const auto& [order, process] : by_order_) out.push_back(process);
  return out;
}

size_t Roster::captured() const {
  size_t out = 0;
  for (const Entry& process : all()) out += process->state() == State::kCaptured ? 1 : 0;
  return out;
}

size_t Roster::size() const {
  const std::scoped_lock lock(mutex_);
  return by_order_.size();
}

}  // namespace mapshift::observe::go
