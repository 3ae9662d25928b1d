/* SPDX-License-Identifier: BSD-2-Clause */
/* The functions behind ours: nf_real.write(…) is libc's write. From interpose.list. */
#ifndef NF_REAL_H
#define NF_REAL_H

#include <aio.h>
#include <dlfcn.h>
#include <err.h>
#include <error.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <syslog.h>
#include <unistd.h>
#include <wchar.h>

typedef void (*nf_handler)(int);
struct nf_filebuf;
struct nf_basic_file;

/* Resolved in the constructor, or by the first call if another library's comes before it. */
struct nf_real_fns {
#define FN(ret, name, params)	    ret(*name) params;
#define RF			    FN
#define OUT(fam, ret, name, params) FN(ret, name, params)
#include "interpose.list"
#undef FN
#undef RF
#undef OUT
};

#define NF_LOCAL __attribute__((visibility("hidden"))) /* addressed without a table */
extern struct nf_real_fns nf_real_table NF_LOCAL;
extern bool nf_real_ready NF_LOCAL;
__attribute__((cold)) void nf_real_init(void);
void nf_real_refresh(void); /* a library is about to be loaded, maybe with what was missing */

/* Ours are visible; everything else in the library is not. The headers' macros would get in the
 * way of the names. */
#undef putc
#undef putchar
#undef putc_unlocked
#undef putchar_unlocked
#undef fputc_unlocked
#undef fwrite_unlocked
#undef putwc
#undef putwchar
#define FN(ret, name, params) ret name params __attribute__((visibility("default")));
#define RF(ret, name, params)
#define OUT(fam, ret, name, params) FN(ret, name, params)
#include "interpose.list"
#undef FN
#undef RF
#undef OUT

#define nf_real (*nf_real_get())

static inline struct nf_real_fns *nf_real_get(void)
{
	if (__builtin_expect(!nf_real_ready, 0))
		nf_real_init();
	return &nf_real_table;
}

/* For functions of a library that may be loaded later than the shim. */
extern _Atomic bool nf_real_ready_late;
void nf_real_init_late(void);

static inline struct nf_real_fns *nf_real_late(void)
{
	if (__builtin_expect(!nf_real_ready_late, 0))
		nf_real_init_late();
	return &nf_real_table;
}

#endif
