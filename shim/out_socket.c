/* SPDX-License-Identifier: BSD-2-Clause */
/* Output by sockets. A dropped call returns what a complete one would. */
#include "drop.h"
#include "real.h"

ssize_t __send(int fd, const void *buf, size_t n, int flags);

ssize_t send(int fd, const void *buf, size_t n, int flags)
{
	if (nf_drop_fd(NF_FN_send, fd))
		return nf_dropped_data(NF_FN_send, buf, n);
	return nf_real.send(fd, buf, n, flags);
}

ssize_t __send(int fd, const void *buf, size_t n, int flags)
{
	if (nf_drop_fd(NF_FN___send, fd))
		return nf_dropped_data(NF_FN___send, buf, n);
	return nf_real.__send(fd, buf, n, flags);
}

ssize_t sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *to,
	       socklen_t tolen)
{
	if (nf_drop_fd(NF_FN_sendto, fd))
		return nf_dropped_data(NF_FN_sendto, buf, n);
	return nf_real.sendto(fd, buf, n, flags, to, tolen);
}

ssize_t sendmsg(int fd, const struct msghdr *m, int flags)
{
	if (nf_drop_fd(NF_FN_sendmsg, fd))
		return nf_dropped_iov(NF_FN_sendmsg, m->msg_iov, m->msg_iovlen);
	return nf_real.sendmsg(fd, m, flags);
}

int sendmmsg(int fd, struct mmsghdr *m, unsigned n, int flags)
{
	size_t sum = 0;

	if (!nf_drop_fd(NF_FN_sendmmsg, fd))
		return nf_real.sendmmsg(fd, m, n, flags);
	for (unsigned i = 0; i < n; i++) {
		m[i].msg_len = (unsigned)nf_iov_len(m[i].msg_hdr.msg_iov, m[i].msg_hdr.msg_iovlen);
		sum += m[i].msg_len;
	}
	nf_dropped(NF_FN_sendmmsg, sum);
	return (int)n;
}
