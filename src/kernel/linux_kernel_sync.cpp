// SPDX-License-Identifier: Apache-2.0
// LinuxKernel's calls that the sync engine and the BTF reader answer.
#include "kernel/any_sync.h"
#include "kernel/btf.h"
#include "kernel/linux_kernel.h"
#include "kernel/pin.h"

namespace mapshift {

Result<std::unique_ptr<Sync>> LinuxKernel::open_sync(const SyncSpec& spec, const std::string& map0, const std::string& map1,
                                                     const std::string& sync_dir) {
  MS_CHECK(make_pin_dir(sync_dir));
  return open_any_sync(spec, map0, map1, sync_dir);
}

Result<MapSpec> LinuxKernel::read_map_spec(const std::string& map) {
  MS_TRY(const Fd fd, open_pin(map));
  MS_TRY(MapSpec spec, map_spec_from_fd(fd.get()));
  spec.pin_path = map;
  return spec;
}

}  // namespace mapshift
