/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps that the tests of a destination share. */
#ifndef NF_TESTS_DESTINATION_H
#define NF_TESTS_DESTINATION_H

#include "stage.h"

void begin_dst(unsigned hold_packets); /* with a new helper */
void make_ready(void);
/* Nothing comes in yet: clones come to the NF's call or wait, which the helper serves. Then the
 * move is aborted, and packets come on sw0. */
void clones_come_to_a_wait(void);
/* Packets from sw0, six of them, wait for the commit and come back then. */
void held_packets_come_back(void);
void everything_came(void); /* the NF ends, with all packets and all output */

#endif
