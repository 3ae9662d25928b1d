/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Output by programs that the NF starts: in the window none is, and it looks
 * as if it had run, said nothing and succeeded. A process forked in the window
 * is in it for the rest of its life, so it ends where it would become another
 * program. An NF that replaces itself is let go.
 */
#include "out_process.h"

#include <alloca.h>
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "drop.h"
#include "fds.h"
#include "real.h"

#define PIPES 64

/* ---- the pipes to running programs: their other end is not the NF ---- */

static _Atomic ino_t pipes[PIPES]; /* 0: free */

bool nf_popen_has(ino_t pipe)
{
	for (int i = 0; i < PIPES; i++)
		if (atomic_load_explicit(&pipes[i], memory_order_relaxed) == pipe)
			return true;
	return false;
}

static ino_t pipe_of(FILE *f)
{
	struct stat st;
	int e = errno;
	ino_t ino = nf_real.fstat(fileno_unlocked(f), &st) == 0 ? st.st_ino : 0;

	errno = e;
	return ino;
}

static FILE *remember(FILE *f)
{
	ino_t ino = f ? pipe_of(f) : 0, none;

	for (int i = 0; ino && i < PIPES; i++) {
		none = 0;
		if (atomic_compare_exchange_strong(&pipes[i], &none, ino))
			break;
	}
	return f;
}

static void forget(FILE *f)
{
	ino_t ino = pipe_of(f), want;

	for (int i = 0; ino && i < PIPES; i++) {
		want = ino;
		if (atomic_compare_exchange_strong(&pipes[i], &want, 0))
			return;
	}
}

/* ---- programs that are waited for, read from or written to ---- */

int system(const char *command)
{
	if (!command || !nf_drop_call(NF_FN_system))
		return nf_real.system(command);
	nf_dropped(NF_FN_system, 0);
	return 0;
}

static FILE *nobody(enum nf_fn fn, const char *type)
{
	nf_dropped(fn, 0);
	return fopen("/dev/null", *type == 'r' ? "re" : "ae");
}

static bool is_type(const char *type)
{
	return (*type == 'r' || *type == 'w') && !type[1 + strspn(type + 1, "e")];
}

FILE *_IO_popen(const char *command, const char *type);

FILE *popen(const char *command, const char *type)
{
	if (is_type(type) && nf_drop_call(NF_FN_popen))
		return nobody(NF_FN_popen, type);
	return remember(nf_real.popen(command, type));
}

FILE *_IO_popen(const char *command, const char *type)
{
	if (is_type(type) && nf_drop_call(NF_FN__IO_popen))
		return nobody(NF_FN__IO_popen, type);
	return remember(nf_real._IO_popen(command, type));
}

int pclose(FILE *f)
{
	int rc;

	forget(f);
	rc = nf_real.pclose(f);
	nf_fds_forget();
	return rc;
}

/* ---- children ---- */

/* The NF may wait for it. */
static int spawn_nobody(enum nf_fn fn, pid_t *pid)
{
	int e = errno, rc;
	pid_t child = _Fork();

	if (child == 0)
		_exit(0);
	rc = child < 0 ? errno : 0;
	errno = e;
	if (rc == 0 && pid)
		*pid = child;
	nf_dropped(fn, 0);
	return rc;
}

static bool there(const char *path)
{
	int e = errno;
	bool is = faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0;

	errno = e;
	return is;
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
		const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	if (nf_dropping() && there(path) && nf_drop_call(NF_FN_posix_spawn))
		return spawn_nobody(NF_FN_posix_spawn, pid);
	return nf_real.posix_spawn(pid, path, actions, attr, argv, env);
}

int posix_spawnp(pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
		 const posix_spawnattr_t *attr, char *const argv[], char *const env[])
{
	if (nf_drop_call(NF_FN_posix_spawnp))
		return spawn_nobody(NF_FN_posix_spawnp, pid);
	return nf_real.posix_spawnp(pid, file, actions, attr, argv, env);
}

/* ---- processes forked in the window ---- */

static pid_t self; /* the process, or the one that it forked outside a window */

static void in_child(void)
{
	if (!nf_dropping())
		self = getpid();
}

__attribute__((constructor)) static void start(void)
{
	self = getpid();
	pthread_atfork(NULL, NULL, in_child);
}

static void end_child(enum nf_fn fn)
{
	if (nf_dropping() && getpid() != self && nf_drop_call(fn))
		_exit(0);
}

int execve(const char *path, char *const argv[], char *const env[])
{
	end_child(NF_FN_execve);
	return nf_real.execve(path, argv, env);
}

int execveat(int at, const char *path, char *const argv[], char *const env[], int flags)
{
	end_child(NF_FN_execveat);
	return nf_real.execveat(at, path, argv, env, flags);
}

int fexecve(int fd, char *const argv[], char *const env[])
{
	end_child(NF_FN_fexecve);
	return nf_real.fexecve(fd, argv, env);
}

int execv(const char *path, char *const argv[])
{
	end_child(NF_FN_execv);
	return nf_real.execv(path, argv);
}

int execvp(const char *file, char *const argv[])
{
	end_child(NF_FN_execvp);
	return nf_real.execvp(file, argv);
}

int execvpe(const char *file, char *const argv[], char *const env[])
{
	end_child(NF_FN_execvpe);
	return nf_real.execvpe(file, argv, env);
}

/* The arguments one by one, and @more that follow their end. On the stack, since a child of vfork
 * may ask for it. */
#define COLLECT(argv, arg, more)                                                                   \
	do {                                                                                       \
		size_t n = 1;                                                                      \
		va_list ap;                                                                        \
                                                                                                   \
		va_start(ap, arg);                                                                 \
		while (va_arg(ap, char *))                                                         \
			n++;                                                                       \
		va_end(ap);                                                                        \
		argv = alloca((n + 1 + (more)) * sizeof(*argv));                                   \
		argv[0] = (char *)arg;                                                             \
		va_start(ap, arg);                                                                 \
		for (size_t i = 1; i <= n + (more); i++)                                           \
			argv[i] = va_arg(ap, char *);                                              \
		va_end(ap);                                                                        \
	} while (0)

int execl(const char *path, const char *arg, ...)
{
	char **argv;

	end_child(NF_FN_execl);
	COLLECT(argv, arg, 0);
	return nf_real.execv(path, argv);
}

int execlp(const char *file, const char *arg, ...)
{
	char **argv;

	end_child(NF_FN_execlp);
	COLLECT(argv, arg, 0);
	return nf_real.execvp(file, argv);
}

int execle(const char *path, const char *arg, ...)
{
	char **argv, **end;

	end_child(NF_FN_execle);
	COLLECT(argv, arg, 1);
	for (end = argv; *end;)
		end++;
	return nf_real.execve(path, argv, (char **)end[1]);
}
