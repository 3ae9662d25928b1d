/* SPDX-License-Identifier: BSD-2-Clause */
/* What the NF sees of its input API. */
#include "cases.h"

void add_input_cases(TCase *t)
{
	(void)t;
}
