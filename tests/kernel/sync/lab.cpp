// SPDX-License-Identifier: Apache-2.0
#include "lab.h"

#include <bpf/libbpf.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <stdexcept>

namespace mapshift::test {
namespace {

Fd create(MapType type, uint32_t key_size, uint32_t value_size, uint32_t entries, uint32_t flags) {
  LIBBPF_OPTS(bpf_map_create_opts, options);
  options.map_flags = flags;
  Fd fd(bpf_map_create(static_cast<bpf_map_type>(type), "lab", key_size, value_size, entries, &options));
  if (!fd.valid()) throw std::runtime_error(std::string("create a map: ") + std::strerror(errno));
  return fd;
}

}  // namespace

SyncField field(SyncOp op, size_t size0, size_t offset0, size_t size1, size_t offset1) {
  SyncField out;
  out.op = op;
  out.size0 = static_cast<uint8_t>(size0);
  out.size1 = static_cast<uint8_t>(size1);
  out.offset0 = static_cast<uint16_t>(offset0);
  out.offset1 = static_cast<uint16_t>(offset1);
  return out;
}

size_t cpu_count() { return static_cast<size_t>(libbpf_num_possible_cpus()); }

void pin_to_cpu(size_t cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  sched_setaffinity(0, sizeof set, &set);
}

Fd run_in_interrupts(int program, size_t cpu, uint64_t period_ns) {
  perf_event_attr attr{};
  attr.size = sizeof attr;
  attr.type = PERF_TYPE_SOFTWARE;
  attr.config = PERF_COUNT_SW_CPU_CLOCK;
  attr.sample_period = period_ns;
  Fd fd(static_cast<int>(syscall(SYS_perf_event_open, &attr, -1, static_cast<int>(cpu), -1, PERF_FLAG_FD_CLOEXEC)));
  if (fd.valid() && ioctl(fd.get(), PERF_EVENT_IOC_SET_BPF, program) != 0) fd.reset();
  return fd;
}

PrivateBpffs::PrivateBpffs() {
  char name[] = "/tmp/mapshift-bpffs-XXXXXX";
  if (mkdtemp(name) == nullptr) {
    problem_ = "no temporary folder";
    return;
  }
  path_ = name;
  if (mount("bpf", name, "bpf", 0, nullptr) != 0) problem_ = std::string("cannot mount bpffs: ") + std::strerror(errno);
}

PrivateBpffs::~PrivateBpffs() {
  if (problem_.empty()) umount2(path_.c_str(), MNT_DETACH);
  if (!path_.empty()) rmdir(path_.c_str());
}

SyncSpec example_spec(MapType type, uint32_t entries0, uint32_t entries1) {
  SyncSpec spec;
  spec.type0 = spec.type1 = type;
  spec.key_size = sizeof(uint32_t);
  spec.value_size0 = sizeof(OldValue);
  spec.value_size1 = sizeof(NewValue);
  spec.max_entries0 = entries0;
  spec.max_entries1 = entries1;
  spec.fields = {
      field(SyncOp::kSum, 8, offsetof(OldValue, packets), 8, offsetof(NewValue, packets)),
      field(SyncOp::kMax, 8, offsetof(OldValue, last), 8, offsetof(NewValue, last)),
      field(SyncOp::kLatest, 4, offsetof(OldValue, state), 4, offsetof(NewValue, state)),
      field(SyncOp::kSum, 4, offsetof(OldValue, n32), 8, offsetof(NewValue, n64)),
  };
  return spec;
}

Lab::Lab(const PrivateBpffs& bpffs, SyncSpec spec, uint32_t flags) : spec_(std::move(spec)) {
  side0_ = create(spec_.type0, spec_.key_size, spec_.value_size0, spec_.max_entries0, flags);
  side1_ = create(spec_.type1, spec_.key_size1 == 0 ? spec_.key_size : spec_.key_size1, spec_.value_size1, spec_.max_entries1, flags);
  pin(bpffs);
  reopen();
}

Lab::Lab(const PrivateBpffs& bpffs, SyncSpec spec, Fd side0, Fd side1) : spec_(std::move(spec)), side0_(std::move(side0)), side1_(std::move(side1)) {
  pin(bpffs);
  reopen();
}

void Lab::pin(const PrivateBpffs& bpffs) {
  static int serial = 0;
  dir_ = bpffs.path() + "/lab" + std::to_string(serial++);
  mkdir(dir_.c_str(), 0700);
  bpf_obj_pin(fd0(), (dir_ + "/side0").c_str());
  bpf_obj_pin(fd1(), (dir_ + "/side1").c_str());
}

Lab::~Lab() {
  for (const char* name : {"/side0", "/side1", "/base"}) unlink((dir_ + name).c_str());
  rmdir(dir_.c_str());
}

void Lab::reopen() {
  sync_.reset();
  auto opened = open_linux_sync(spec_, dir_ + "/side0", dir_ + "/side1", dir_);
  if (!opened) throw std::runtime_error(opened.error().message + "\n" + opened.error().context);
  sync_ = std::move(*opened);
}

PassReport Lab::pass(SyncPhase phase, bool complete) {
  auto report = sync_->pass(phase, complete);
  if (!report) throw std::runtime_error(report.error().message);
  return *report;
}

int Lab::settle(SyncPhase phase) {
  int clean = 0;
  total_ = {};
  for (int n = 1; n <= 20; ++n) {
    const PassReport report = pass(phase);
    total_.added += report.added;
    total_.changed += report.changed;
    total_.deleted += report.deleted;
    total_.conflicts += report.conflicts;
    total_.clamped += report.clamped;
    total_.dropped_deltas += report.dropped_deltas;
    total_.unsafe_wide += report.unsafe_wide;
    clean = report.settled() ? clean + 1 : 0;
    if (clean == 2) return n;
  }
  return -1;
}

}  // namespace mapshift::test
