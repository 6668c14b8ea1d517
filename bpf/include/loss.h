/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets and handshakes that could not be counted are counted here. The
 * reasons are shared with user space (exporter/Exporter/Signals/Loss.cs).
 */
#ifndef PODNET_LOSS_H
#define PODNET_LOSS_H

#include <linux/types.h>
#include <linux/errno.h>

#define LOSS_MAP_FULL  0 /* E2BIG: more keys than the map has entries */
#define LOSS_MAP_BUSY  1 /* EBUSY: this CPU already holds the bucket's lock */
#define LOSS_MAP_ERROR 2 /* any other error of a map operation */
#define LOSS_REASONS   3

struct loss {
	__u64 packets;
	__u64 bytes;
};

/* Why a map operation failed. */
static inline __u32 loss_reason(int error)
{
	return error == -E2BIG ? LOSS_MAP_FULL : error == -EBUSY ? LOSS_MAP_BUSY : LOSS_MAP_ERROR;
}

#endif
