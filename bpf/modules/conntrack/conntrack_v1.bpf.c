// SPDX-License-Identifier: GPL-2.0-only
// conntrack 1: tracks TCP and UDP connections over IPv4 that arrive on one interface, in both directions. Never drops.
#include "conntrack.bpf.h"

enum conn_state { CONN_NEW, CONN_ESTABLISHED, CONN_CLOSING, CONN_CLOSED };

struct conn_key {
	__be32 saddr; // the lower address: both directions are one connection
	__be32 daddr;
	__be16 sport;
	__be16 dport;
	__u8 proto;
	__u8 pad[3];
};

struct conn {
	struct bpf_spin_lock lock; // of all below
	__u32 packets_forward MS_SUM;
	__u32 packets_reply MS_SUM;
	enum conn_state state MS_LATEST;
	__u64 bytes_forward MS_SUM;
	__u64 bytes_reply MS_SUM;
	__u64 first_seen MS_FIRST; // CLOCK_MONOTONIC, ns
	__u64 last_seen MS_MAX;
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
	__u32 packets MS_SUM;
	__u32 connections MS_SUM;
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
		.packets = 1, .connections = created,
	};

	return client;
}

static __always_inline void count_client(struct client *client, __u32 length, bool created)
{
	__sync_fetch_and_add(&client->packets, 1);
	if (created)
		__sync_fetch_and_add(&client->connections, 1);
}

#include "conntrack_track.bpf.h"

char LICENSE[] SEC("license") = "GPL";
