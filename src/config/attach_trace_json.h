// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/attach_json.h"

namespace mapshift::config {

// What follows "type" in the "attach" of programs that trace.
void read_uprobe(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);  // and uretprobe
void read_uprobe_multi(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_usdt(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_kprobe(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_kretprobe(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_kprobe_multi(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_kernel_function(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);  // fentry, fexit
void read_lsm(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_iter(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_perf_event(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);

}  // namespace mapshift::config
