/* SPDX-License-Identifier: BSD-2-Clause */
#include "leave.h"

namespace
{
struct left {
};
} // namespace

void leave_by_throw(void)
{
	throw left();
}

bool leave_catch(int (*call)(int), int arg, int *rc)
{
	try {
		*rc = call(arg);
	} catch (const left &) {
		return false;
	}
	return true;
}
