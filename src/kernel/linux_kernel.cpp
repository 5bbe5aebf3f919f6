// SPDX-License-Identifier: Apache-2.0
#include "kernel/linux_kernel.h"

#include "kernel/adopt.h"
#include "kernel/loader.h"
#include "kernel/map.h"
#include "kernel/memory.h"
#include "kernel/pin.h"
#include "kernel/program.h"

namespace mapshift {

std::unique_ptr<Kernel> make_linux_kernel() { return std::make_unique<LinuxKernel>(); }

Result<LoadReport> LinuxKernel::load(const LoadRequest& request) { return load_generation(request); }

Result<AdoptReport> LinuxKernel::adopt(const AdoptRequest& request) { return adopt_links(request); }

Result<ObjectSpec> LinuxKernel::read_generation(const std::string& generation_dir) { return read_pinned_generation(generation_dir); }

Status LinuxKernel::publish(const std::string& source, const std::string& published) {
  MS_TRY(const Fd fd, open_pin(source));
  return replace_pin(fd.get(), published);
}

Status LinuxKernel::unpublish(const std::string& published) {
  MS_CHECK(unpin(published + "~"));  // of a replace_pin() that died
  return unpin(published);
}

Status LinuxKernel::grace_period() { return grace_.wait(); }

Result<ProgramStats> LinuxKernel::program_stats(const std::string& program) {
  MS_TRY(const Program opened, Program::open(program));
  return opened.stats();
}

Result<MapStats> LinuxKernel::map_stats(const std::string& map) {
  MS_TRY(const Map opened, Map::open(map));
  return opened.stats();
}

Result<uint64_t> LinuxKernel::count_entries(const std::string& map) {
  MS_TRY(const Map opened, Map::open(map));
  return opened.count();
}

Result<std::vector<std::byte>> LinuxKernel::read_element(const std::string& map, const std::vector<std::byte>& key) {
  MS_TRY(const Map opened, Map::open(map));
  return opened.read(key);
}

Result<std::vector<std::string>> LinuxKernel::list(const std::string& dir) { return list_pins(dir); }

uint64_t LinuxKernel::available_memory() { return available_memory_below(""); }

}  // namespace mapshift
