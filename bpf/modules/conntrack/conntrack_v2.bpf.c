// SPDX-License-Identifier: GPL-2.0-only
// conntrack 2: against version 1 the packet counters are widened, the fields are reordered with the lock behind the counters, the
// states have other values (as their order says now how a connection goes on), and clients have bytes.
#include "conntrack.bpf.h"

enum conn_state { CONN_CLOSED, CONN_NEW, CONN_ESTABLISHED, CONN_CLOSING, CONN_TIME_WAIT };

struct conn_key {
	__be32 saddr; // the lower address: both directions are one connection
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 pad[3];
};

struct conn {
	__u64 packets_forward MS_SUM;
	__u64 bytes_forward MS_SUM;
	__u64 packets_reply MS_SUM;
	__u64 bytes_reply MS_SUM;
	struct bpf_spin_lock lock; // of all of it
	enum conn_state state MS_LATEST;
	__u64 last_seen MS_MAX; // CLOCK_MONOTONIC, ns
	__u64 first_seen MS_FIRST;
	__u32 mark MS_LATEST MS_DEFAULT(1); // set from user space
	__u32 pad;
};

#define CONNECTIONS ct4

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct conn_key);
	__type(value, struct conn);
} ct4 SEC(".maps");

// Who talks: the ones seen least recently make room for others. A value with a lock cannot be in such a map.
struct client {
	__u64 packets MS_SUM;
	__u64 bytes MS_SUM; // since version 2
	__u32 connections MS_SUM;
	__u32 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 16384);
	__type(key, __be32);
	__type(value, struct client);
} clients SEC(".maps");

static __always_inline void name_connection(struct conn_key *key, const struct flow_key *from, bool reply)
{
	key->saddr = reply ? from->daddr : from->saddr;
	key->daddr = reply ? from->saddr : from->daddr;
	key->sport = reply ? from->dport : from->sport;
	key->dport = reply ? from->sport : from->dport;
	key->proto = from->proto;
}

static __always_inline void count_packet(struct conn *conn, bool reply, __u32 length)
{
	if (reply) {
		conn->packets_reply++;
		conn->bytes_reply += length;
	} else {
		conn->packets_forward++;
		conn->bytes_forward += length;
	}
}

static __always_inline struct client first_of(__u32 length, bool created)
{
	struct client client = {
		.packets = 1, .bytes = length, .connections = created,
	};

	return client;
}

static __always_inline void count_client(struct client *client, __u32 length, bool created)
{
	__sync_fetch_and_add(&client->packets, 1);
	__sync_fetch_and_add(&client->bytes, length);
	if (created)
		__sync_fetch_and_add(&client->connections, 1);
}

#include "conntrack_track.bpf.h"

char LICENSE[] SEC("license") = "GPL";
