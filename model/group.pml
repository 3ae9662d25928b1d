/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Two flows that share a record (multi-flow state; two connections of a host and the host's asset).
 *
 * What an NF does with a packet may depend on the flow's state and on the record, so process() asks
 * that both are what they would be without a move. source.pml and destination.pml say how.
 */
#define F 2
#define GROUP 1
#include "move.pml"
