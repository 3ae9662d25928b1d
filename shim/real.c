/* SPDX-License-Identifier: BSD-2-Clause */
/* Looks up the real functions: RTLD_NEXT, for some also the loaded library by name. */
#include "real.h"

#include <dlfcn.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct nf_real_fns nf_real_table;
bool nf_real_ready;
_Atomic bool nf_real_ready_late;

struct entry {
	const char *name;
	size_t offset;
	bool ours; /* interposed: must not resolve to ourselves */
};

static const struct entry entries[] = {
#define FN(ret, name, params)	    {#name, offsetof(struct nf_real_fns, name), true},
#define RF(ret, name, params)	    {#name, offsetof(struct nf_real_fns, name), false},
#define OUT(fam, ret, name, params) FN(ret, name, params)
#include "interpose.list"
#undef FN
#undef RF
#undef OUT
};

/* The library's own image, by the linker. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));
extern const char _end[] __attribute__((visibility("hidden")));

/* In this library, whatever else is interposed: where a symbol of ours must not lead. */
static bool is_ours(const void *p)
{
	return (const char *)p >= __ehdr_start && (const char *)p < _end;
}

static void missing(void)
{
	static const char text[] =
		"nfshim: error: this program calls a function that none of its libraries has\n";

	(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
	abort();
}

/* A plugin may have brought them, out of RTLD_NEXT's sight. */
static const char *const libraries[] = {"libpcap.so.0.8", "libstdc++.so.6"};

static void *look_up(const char *name)
{
	void *p = dlsym(RTLD_NEXT, name);

	for (size_t i = 0; !p && i < sizeof(libraries) / sizeof(libraries[0]); i++) {
		void *lib = dlopen(libraries[i], RTLD_LAZY | RTLD_NOLOAD);

		if (!lib)
			continue;
		p = dlsym(lib, name);
		dlclose(lib);
	}
	return p;
}

static void resolve(void)
{
	/* First, since ours is called here. */
	nf_real_table.dlopen = (void *(*)(const char *, int))dlsym(RTLD_NEXT, "dlopen");
	for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
		void **slot = (void **)((char *)&nf_real_table + entries[i].offset);
		void *p;

		if (*slot && *slot != (void *)missing)
			continue;
		p = look_up(entries[i].name);
		if (p && entries[i].ours && is_ours(p))
			abort(); /* it would call itself for ever */
		*slot = p ? p : (void *)missing;
	}
}

void nf_real_init(void)
{
	resolve();
	__atomic_store_n(&nf_real_ready, true, __ATOMIC_RELEASE);
}

/* Only libpcap's are ever missing here. */
void nf_real_refresh(void)
{
	if (nf_real_ready &&
	    nf_real_table.pcap_loop == (int (*)(pcap_t *, int, pcap_handler, u_char *))missing)
		__atomic_store_n(&nf_real_ready, false, __ATOMIC_RELEASE);
}

void nf_real_init_late(void)
{
	nf_real_get();
	resolve();
	nf_real_ready_late = true;
}

__attribute__((constructor(101))) static void early(void)
{
	nf_real_get();
}
