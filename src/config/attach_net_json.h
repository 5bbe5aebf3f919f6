// SPDX-License-Identifier: Apache-2.0
#pragma once
#include "config/attach_json.h"

namespace mapshift::config {

// The members of attachments to the network: one function a type, for the table in attach_json.cpp.
void read_interface(ObjectReader& reader, update::AttachSpec& out);
void read_tc(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_netkit(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);
void read_netns(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);  // sk_lookup, flow_dissector
void read_sockmap(ObjectReader& reader, const MakeAbsolute& absolute, update::AttachSpec& out);

}  // namespace mapshift::config
