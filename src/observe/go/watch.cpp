// SPDX-License-Identifier: Apache-2.0
#include "observe/go/watch.h"

#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <array>
#include <cerrno>

#include "observe/go/procfs.h"

namespace mapshift::observe::go {
namespace {

// What an epoll entry stands for: a pid, or one of these.
constexpr uint64_t kEvents = 0, kStop = ~uint64_t{0};
// Between two looks at the events: a build machine executes a thousand programs a second, most of them gone soon.
constexpr int kNapMs = 50;

bool add(int epoll, int fd, uint32_t events, uint64_t what) {
  epoll_event entry{};
  entry.events = events;
  entry.data.u64 = what;
  return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &entry) == 0;
}

}  // namespace

Watch::Watch(Look look, LookAtAll look_at_all, Fd epoll, Fd stop)
    : look_(std::move(look)), look_at_all_(std::move(look_at_all)), epoll_(std::move(epoll)), stop_(std::move(stop)) {}

Result<std::unique_ptr<Watch>> Watch::start(Look look, LookAtAll look_at_all) {
  Fd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return fail_errno(errno, "create an epoll descriptor");
  Fd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return fail_errno(errno, "create an eventfd");
  if (!add(epoll.get(), stop.get(), EPOLLIN, kStop)) return fail_errno(errno, "watch an eventfd");
  std::unique_ptr<Watch> out(new Watch(std::move(look), std::move(look_at_all), std::move(epoll), std::move(stop)));
  out->open_events();
  out->thread_ = std::thread([watch = out.get()] { watch->run(); });
  pthread_setname_np(out->thread_.native_handle(), "go-watch");
  return out;
}

void Watch::open_events() {
  same_numbers_ = in_first_pid_namespace();
  auto events = ProcessEvents::open();
  if (!events) {
    shortcoming_ = "new processes are found within 10 s and not at once: " + events.error().message;
    return;
  }
  events_.emplace(std::move(*events));
  if (!add(epoll_.get(), events_->fd(), EPOLLIN, kEvents)) {
    shortcoming_ = "new processes are found within 10 s and not at once: " + fail_errno(errno, "watch for execs").value().message;
    events_.reset();
  }
}

Watch::~Watch() {
  (void)eventfd_write(stop_.get(), 1);  // fails only when it counts to 2^64
  thread_.join();
}

void Watch::watch(int pid, const Fd& pidfd) const {
  // Refused when it is watched already or when descriptors run out: then the next look at all finds its end.
  (void)add(epoll_.get(), pidfd.get(), EPOLLIN | EPOLLONESHOT, static_cast<uint64_t>(pid));
}

void Watch::unwatch(const Fd& pidfd) const { (void)epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, pidfd.get(), nullptr); }

bool Watch::nap() const {
  pollfd stop{stop_.get(), POLLIN, 0};
  return poll(&stop, 1, kNapMs) == 0;
}

void Watch::take_events() {
  const auto drained = events_->drain();
  if (drained.lost || (!same_numbers_ && !drained.executed.empty())) {
    look_at_all_();
    return;
  }
  for (const int pid : drained.executed) look_(pid);
}

void Watch::run() {
  const Nanos interval = events_ ? kRescan : kRescanWithoutEvents;
  Nanos next = monotonic_now() + interval;
  look_at_all_();
  for (;;) {
    const Nanos left = std::max(next - monotonic_now(), Nanos{0});
    std::array<epoll_event, 64> ready{};
    const int timeout = static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(left).count()) + 1;
    const int count = epoll_wait(epoll_.get(), ready.data(), ready.size(), timeout);
    bool events = false;
    for (int i = 0; i < count; ++i) {
      const uint64_t what = ready[static_cast<size_t>(i)].data.u64;
      if (what == kStop) return;
      if (what == kEvents) {
        events = true;
      } else {
        look_(static_cast<int>(what));
      }
    }
    if (events) {
      if (!nap()) return;
      take_events();
    }
    if (monotonic_now() >= next) {
      look_at_all_();
      next = monotonic_now() + interval;
    }
  }
}

}  // namespace mapshift::observe::go
