// SPDX-License-Identifier: Apache-2.0
#include "kernel/ring_buffer.h"

#include <bpf/bpf.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

namespace mapshift {
namespace {

size_t page_size() {
  static const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

RingReader reader_of(void* consumer, void* producer, uint64_t size) {
  return {static_cast<std::atomic<uint64_t>*>(consumer), static_cast<const std::atomic<uint64_t>*>(producer),
          static_cast<const std::byte*>(producer) + page_size(), size};
}

}  // namespace

Result<RingBuffer> RingBuffer::open(int map_fd, const std::string& name) {
  bpf_map_info info{};
  uint32_t length = sizeof info;
  if (bpf_map_get_info_by_fd(map_fd, &info, &length) != 0) return fail_errno(errno, name + " is not a readable map");
  if (info.type != BPF_MAP_TYPE_RINGBUF) return fail(ErrorCode::kInvalid, name + " is not a ring buffer");
  Fd fd(::fcntl(map_fd, F_DUPFD_CLOEXEC, 0));
  if (!fd.valid()) return fail_errno(errno, "duplicate the descriptor of " + name);
  void* consumer = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (consumer == MAP_FAILED) return fail_errno(errno, "map the ring buffer " + name);
  void* producer = ::mmap(nullptr, page_size() + 2 * size_t{info.max_entries}, PROT_READ, MAP_SHARED, fd.get(),
                          static_cast<off_t>(page_size()));
  if (producer == MAP_FAILED) {
    const int err = errno;
    ::munmap(consumer, page_size());
    return fail_errno(err, "map the ring buffer " + name);
  }
  return RingBuffer(std::move(fd), consumer, producer, info.max_entries);
}

RingBuffer::RingBuffer(Fd fd, void* consumer, void* producer, uint64_t size)
    : fd_(std::move(fd)), consumer_(consumer), producer_(producer), size_(size), reader_(reader_of(consumer, producer, size)) {}

RingBuffer::RingBuffer(RingBuffer&& other) noexcept
    : fd_(std::move(other.fd_)), consumer_(std::exchange(other.consumer_, nullptr)),
      producer_(std::exchange(other.producer_, nullptr)), size_(other.size_), reader_(other.reader_) {}

RingBuffer& RingBuffer::operator=(RingBuffer&& other) noexcept {
  if (this == &other) return *this;
  unmap();
  fd_ = std::move(other.fd_);
  consumer_ = std::exchange(other.consumer_, nullptr);
  producer_ = std::exchange(other.producer_, nullptr);
  size_ = other.size_;
  reader_ = other.reader_;
  return *this;
}

RingBuffer::~RingBuffer() { unmap(); }

void RingBuffer::unmap() {
  if (consumer_ == nullptr) return;
  ::munmap(producer_, page_size() + 2 * size_);
  ::munmap(consumer_, page_size());
}

Result<RingWaiter> RingWaiter::make(Trigger trigger) {
  Fd epoll(::epoll_create1(EPOLL_CLOEXEC)), event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!epoll.valid() || !event.valid()) return fail_errno(errno, "make a wait for ring buffers");
  epoll_event ready{};
  ready.events = EPOLLIN;
  ready.data.fd = event.get();
  if (::epoll_ctl(epoll.get(), EPOLL_CTL_ADD, event.get(), &ready) != 0) return fail_errno(errno, "wait for an event");
  return RingWaiter(std::move(epoll), std::move(event), trigger);
}

Status RingWaiter::add(const RingBuffer& ring) {
  epoll_event ready{};
  ready.events = EPOLLIN;
  if (trigger_ == Trigger::kEdge) ready.events |= EPOLLET;
  ready.data.fd = ring.fd();
  if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, ring.fd(), &ready) != 0) return fail_errno(errno, "wait for a ring buffer");
  return {};
}

void RingWaiter::remove(const RingBuffer& ring) { (void)::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, ring.fd(), nullptr); }

void RingWaiter::wait(Nanos timeout) {
  epoll_event ready[16];
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(timeout);
  const timespec limit{seconds.count(), (timeout - seconds).count()};
  // A signal ends the sleep early, which is no harm: whoever waits looks again.
  const int count = ::epoll_pwait2(epoll_.get(), ready, 16, timeout.count() < 0 ? nullptr : &limit, nullptr);
  for (int i = 0; i < count; ++i) {
    if (ready[i].data.fd != event_.get()) continue;
    uint64_t ignored = 0;
    (void)!::read(event_.get(), &ignored, sizeof ignored);
  }
}

void RingWaiter::wake() {
  const uint64_t one = 1;
  (void)!::write(event_.get(), &one, sizeof one);
}

}  // namespace mapshift
