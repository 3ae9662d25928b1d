/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Libraries that the NF loads. One with RTLD_DEEPBIND, or in a namespace of its
 * own, would call the C library past the shim.
 */
#include <dlfcn.h>

#include "engine.h"
#include "escape.h"
#include "log.h"
#include "real.h"

/* libc looks at who calls, for the search path of that library: the real function must return
 * there, so it is jumped to. */
#define JUMPS __attribute__((optimize("O2")))

static int flags_for(int flags)
{
	if ((flags & RTLD_DEEPBIND) && nf_escape_refuses(NF_ESCAPE_DEEPBIND))
		flags &= ~RTLD_DEEPBIND;
	if (!nf_real_table.dlopen)
		nf_real_init();
	nf_real_refresh();
	return flags;
}

JUMPS void *dlopen(const char *file, int flags)
{
	flags = flags_for(flags);
	return nf_real_table.dlopen(file, flags);
}

JUMPS void *dlmopen(Lmid_t space, const char *file, int flags)
{
	if (space != LM_ID_BASE && !nf_inert)
		nf_warn("%s is loaded in a namespace of its own: what it puts out while the NF "
			"reprocesses a packet is not dropped",
			file ? file : "a program");
	flags = flags_for(flags);
	return nf_real_table.dlmopen(space, file, flags);
}
