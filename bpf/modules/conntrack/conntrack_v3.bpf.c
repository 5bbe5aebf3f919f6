// SPDX-License-Identifier: GPL-2.0-only
// conntrack 3: against version 2 the table is called `connections` and is twice as large, the counters moved into a struct of their
// own, and the key's fields have other names for the same bytes.
#include "conntrack.bpf.h"

enum conn_state { CONN_CLOSED, CONN_NEW, CONN_ESTABLISHED, CONN_CLOSING, CONN_TIME_WAIT };

struct conn_key {
	__be32 low_address; // both directions are one connection
	__be32 high_address;
	__be16 low_port;
	__be16 high_port;
	__u8 proto;
	__u8 pad[3];
};

struct conn_counters {
	__u64 packets_forward MS_SUM;
	__u64 packets_reply MS_SUM;
	__u64 bytes_forward MS_SUM;
	__u64 bytes_reply MS_SUM;
};

struct conn {
	struct bpf_spin_lock lock; // of all below
	enum conn_state state MS_LATEST;
	struct conn_counters counters;
	__u64 first_seen MS_FIRST; // CLOCK_MONOTONIC, ns
	__u64 last_seen MS_MAX;
	__u32 mark MS_LATEST MS_DEFAULT(1); // set from user space
	__u32 pad;
};

#define CONNECTIONS connections

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 131072);
	__type(key, struct conn_key);
	__type(value, struct conn);
} connections SEC(".maps");

// Who talks. Nobody is forgotten any more: since version 3 this is an ordinary hash.
struct client {
	__u64 connections MS_SUM;
	__u64 packets MS_SUM;
	__u64 bytes MS_SUM;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __be32);
	__type(value, struct client);
} clients SEC(".maps");

static __always_inline void name_connection(struct conn_key *key, const struct flow_key *from, bool reply)
{
	key->low_address = reply ? from->daddr : from->saddr;
	key->high_address = reply ? from->saddr : from->daddr;
	key->low_port = reply ? from->dport : from->sport;
	key->high_port = reply ? from->sport : from->dport;
	key->proto = from->proto;
}

static __always_inline void count_packet(struct conn *conn, bool reply, __u32 length)
{
	if (reply) {
		conn->counters.packets_reply++;
		conn->counters.bytes_reply += length;
	} else {
		conn->counters.packets_forward++;
		conn->counters.bytes_forward += length;
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
