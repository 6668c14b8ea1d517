// SPDX-License-Identifier: GPL-2.0
/*
 * Says the low half of jiffies, which programs stamp packets with. User space
 * runs it (BPF_PROG_TEST_RUN) when it has read the stamps; it is attached to
 * nothing.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("tc")
int podnet_jiffies(struct __sk_buff *skb)
{
	return bpf_jiffies64();
}

char _license[] SEC("license") = "GPL";
