/* SPDX-License-Identifier: BSD-2-Clause */
/* Steps that the tests of a destination share. */
#ifndef NF_TESTS_DESTINATION_H
#define NF_TESTS_DESTINATION_H

#include "stage.h"

void begin_dst(unsigned hold_packets); /* with a new helper */
void make_ready(void);
void everything_came(void); /* the NF ends, with all packets and all output */

#endif
