// SPDX-License-Identifier: GPL-2.0
/* Somebody else's XDP program, which lets everything pass. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int foreign_pass(struct xdp_md *context)
{
	return XDP_PASS;
}
