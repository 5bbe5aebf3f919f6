/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What all versions of conntrack share. They define `struct conn_key`, name_connection(), `struct conn`, count_packet(), the states and
 * CONNECTIONS, the name of the table; then they include conntrack_track.bpf.h.
 */
#ifndef CONNTRACK_BPF_H
#define CONNTRACK_BPF_H
#include "../flowmeter/packet.bpf.h"

#include <mapshift/module.bpf.h>

#define TCP_FIN 0x01
#define TCP_RST 0x04

/* seen = packets of all connections + other + overflow */
struct totals {
	__u64 seen MS_SUM;
	__u64 created MS_SUM;
	__u64 other MS_SUM;    /* neither TCP nor UDP over IPv4 */
	__u64 overflow MS_SUM; /* no room for a connection */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} totals SEC(".maps");

#endif
