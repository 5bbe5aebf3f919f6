/* SPDX-License-Identifier: GPL-2.0-only */
/* What all versions of flowagg share. They define `struct record`, RECORDS_MAX, add() and fresh(). */
#ifndef FLOWAGG_BPF_H
#define FLOWAGG_BPF_H

/* seen = packets of all records, drained ones included, + other + overflow */
struct totals {
	__u64 seen MS_SUM;
	__u64 other MS_SUM;    /* not IPv4 */
	__u64 overflow MS_SUM; /* no room in records */
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RECORDS_MAX);
	__type(key, struct flow_key);
	__type(value, struct record);
} records SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct totals);
} totals SEC(".maps");

static __always_inline void add(struct record *record, const struct packet *packet, __u64 now);
static __always_inline struct record fresh(const struct packet *packet, __u64 now);

static __always_inline int account(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 now = bpf_ktime_get_ns();
	struct packet packet = {};
	struct totals *all = bpf_map_lookup_elem(&totals, &zero);
	struct record *record;

	if (!all)
		return XDP_PASS;
	all->seen++; /* XDP runs with bottom halves off: a CPU's slot has one writer */
	if (!read_packet((void *)(long)ctx->data, (void *)(long)ctx->data_end, &packet)) {
		all->other++;
		return XDP_PASS;
	}
	record = bpf_map_lookup_elem(&records, &packet.key);
	if (!record) {
		struct record first = fresh(&packet, now);

		/* Whole or not at all. When another CPU was faster its entry takes the packet. */
		if (!bpf_map_update_elem(&records, &packet.key, &first, BPF_NOEXIST))
			return XDP_PASS;
		record = bpf_map_lookup_elem(&records, &packet.key);
	}
	if (record)
		add(record, &packet, now);
	else
		all->overflow++;
	return XDP_PASS;
}

#endif
