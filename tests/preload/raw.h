/* SPDX-License-Identifier: BSD-2-Clause */
/* System calls as liburing and others make them: without the C library. */
#ifndef NF_TESTS_RAW_H
#define NF_TESTS_RAW_H

static inline long raw_syscall3(long n, long a, long b, long c)
{
#if defined(__x86_64__)
	long rc;

	__asm__ volatile("syscall"
			 : "=a"(rc)
			 : "a"(n), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return rc;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = n, x0 __asm__("x0") = a, x1 __asm__("x1") = b,
			 x2 __asm__("x2") = c;

	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	return x0;
#else
#error "how does this machine make a system call?"
#endif
}

#endif
