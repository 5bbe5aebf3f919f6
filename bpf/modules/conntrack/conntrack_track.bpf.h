/* SPDX-License-Identifier: GPL-2.0-only */
/* The program, the same in all versions. State and counters of a connection change together, under its lock. */

/* The side with the lower address is the one that a connection is named after: both directions find the same entry. */
static __always_inline bool is_reply(const struct flow_key *key)
{
	__u32 source = bpf_ntohl(key->saddr), destination = bpf_ntohl(key->daddr);

	return source > destination || (source == destination && bpf_ntohs(key->sport) > bpf_ntohs(key->dport));
}

static __always_inline __u32 next_state(__u32 state, bool reply, __u32 tcp_flags)
{
	if (tcp_flags & TCP_RST)
		return CONN_CLOSED;
	if (tcp_flags & TCP_FIN)
		return state == CONN_CLOSED ? CONN_CLOSED : CONN_CLOSING;
	return state == CONN_NEW && reply ? CONN_ESTABLISHED : state;
}

static __always_inline void meet_client(__be32 address, __u32 length, bool created)
{
	struct client *client = bpf_map_lookup_elem(&clients, &address);

	if (!client) {
		struct client first = first_of(length, created);

		/* Whole or not at all. When another CPU was faster its entry takes the packet. */
		if (!bpf_map_update_elem(&clients, &address, &first, BPF_NOEXIST))
			return;
		client = bpf_map_lookup_elem(&clients, &address);
	}
	if (client)
		count_client(client, length, created);
}

static __always_inline void track(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_ns();
	struct packet packet = {};
	struct conn_key key = {};
	struct totals *all = bpf_map_lookup_elem(&totals, &zero);
	struct conn *conn;
	bool reply, created = false;

	if (!all)
		return;
	all->seen++; /* this hook runs with bottom halves off: a CPU's slot has one writer */
	if (!read_packet((void *)(long)skb->data, (void *)(long)skb->data_end, &packet) ||
	    (packet.key.proto != IPPROTO_TCP && packet.key.proto != IPPROTO_UDP)) {
		all->other++;
		return;
	}
	reply = is_reply(&packet.key);
	name_connection(&key, &packet.key, reply);
	conn = bpf_map_lookup_elem(&CONNECTIONS, &key);
	if (!conn) {
		struct conn first = {.state = CONN_NEW, .first_seen = now};

		/* Empty, so that it does not matter which CPU was faster: both count under the lock. */
		created = !bpf_map_update_elem(&CONNECTIONS, &key, &first, BPF_NOEXIST);
		if (created)
			all->created++;
		conn = bpf_map_lookup_elem(&CONNECTIONS, &key);
	}
	if (!conn) {
		all->overflow++;
		return;
	}
	bpf_spin_lock(&conn->lock);
	count_packet(conn, reply, packet.length);
	conn->state = next_state(conn->state, reply, packet.tcp_flags);
	conn->last_seen = now;
	bpf_spin_unlock(&conn->lock);
	meet_client(packet.key.saddr, packet.length, created);
}

SEC("tcx/ingress")
int on_ingress(struct __sk_buff *skb)
{
	track(skb);
	return TCX_NEXT;
}
