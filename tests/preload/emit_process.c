/* SPDX-License-Identifier: BSD-2-Clause */
/* Programs that are started, and processes that become others. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "emit.h"

#define SHELL "/bin/sh"

static FILE *running; /* a program that runs all the time */
static int fd, shell;

const unsigned emit_variants = 1;

extern char **environ;
FILE *_IO_popen(const char *command, const char *type);

void emit_setup(unsigned v)
{
	(void)v;
	unsetenv("LD_PRELOAD"); /* for the shells */
	running = popen("exec cat >running", "w");
	fd = open("file", O_CREAT | O_WRONLY | O_APPEND, 0600);
	shell = open(SHELL, O_RDONLY);
	if (!running || fd < 0 || shell < 0)
		emit_die("cannot open the results");
}

void emit_settle(void)
{
}

void emit_finish(void)
{
	if (pclose(running) != 0)
		emit_die("the running program failed");
}

/* A command that puts @t out. */
static char *command(const char *t)
{
	static char line[256];

	snprintf(line, sizeof(line), "echo '%.*s' >>commands", (int)strlen(t) - 1, t);
	return line;
}

static long do_system(const char *t)
{
	return system(command(t));
}

static long do_system_asked(const char *t)
{
	return system(command(t)) * 100 + (system(NULL) != 0);
}

static long do_popen(const char *t)
{
	FILE *f = popen("cat >>piped", "w");

	fputs(t, f);
	return pclose(f);
}

static long do_popen_read(const char *t)
{
	FILE *f = popen(command(t), "re");
	char c;
	size_t n = fread(&c, 1, 1, f);

	return (long)n * 1000 + pclose(f);
}

static long do_IO_popen(const char *t)
{
	return pclose(_IO_popen(command(t), "r"));
}

static long do_running(const char *t)
{
	return fputs(t, running) * 100 + fflush(running);
}

static long do_running_unbuffered(const char *t)
{
	fflush(running);
	return write(fileno(running), t, strlen(t));
}

static long status_of(pid_t pid)
{
	int status = -1;

	if (pid <= 0 || waitpid(pid, &status, 0) != pid)
		emit_die("no child: %s", strerror(errno));
	return status;
}

static char *const *shell_argv(const char *t)
{
	static char *argv[] = {"sh", "-c", NULL, NULL};

	argv[2] = command(t);
	return argv;
}

static long do_posix_spawn(const char *t)
{
	pid_t pid = -1;
	int rc = posix_spawn(&pid, SHELL, NULL, NULL, shell_argv(t), environ);

	return rc * 100000 + status_of(pid);
}

static long do_posix_spawnp(const char *t)
{
	pid_t pid = -1;
	int rc = posix_spawnp(&pid, "sh", NULL, NULL, shell_argv(t), environ);

	return rc * 100000 + status_of(pid);
}

static long do_spawn_bad(const char *t)
{
	pid_t pid;
	int rc;

	if (system(command(t)) != 0)
		return -1;
	rc = posix_spawn(&pid, "/nowhere/at/all", NULL, NULL, shell_argv(t), environ);
	errno = 1234;
	if (rc != ENOENT)
		emit_die("a program that is not there is started");
	return rc;
}

static long do_fork(const char *t)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(write(fd, t, strlen(t)) == (ssize_t)strlen(t) ? 3 : 4);
	return status_of(pid);
}

/* The child of a child is in the window, too. */
static long do_fork_twice(const char *t)
{
	pid_t pid = fork();

	if (pid == 0) {
		pid = fork();
		if (pid == 0)
			execl(SHELL, "sh", "-c", command(t), NULL);
		_exit(status_of(pid) == 0 ? 0 : 5);
	}
	return status_of(pid);
}

static long do_vfork(const char *t)
{
	const char *line = command(t);
	pid_t pid = vfork();

	if (pid == 0) {
		execl(SHELL, "sh", "-c", line, NULL);
		_exit(6);
	}
	return status_of(pid);
}

#define EXEC(name, ...)                                                                            \
	static long do_##name(const char *t)                                                       \
	{                                                                                          \
		pid_t pid = fork();                                                                \
                                                                                                   \
		if (pid == 0) {                                                                    \
			name(__VA_ARGS__);                                                         \
			_exit(6);                                                                  \
		}                                                                                  \
		return status_of(pid);                                                             \
	}

static char *const with_own[] = {"own=1", NULL};

/* Whether the environment has come across. */
static char *checked(const char *t)
{
	static char line[300];

	snprintf(line, sizeof(line), "test \"$own\" = 1 && %s", command(t));
	return line;
}

static char *const *checked_argv(const char *t)
{
	static char *argv[] = {"sh", "-c", NULL, NULL};

	argv[2] = checked(t);
	return argv;
}

EXEC(execve, SHELL, checked_argv(t), with_own)
EXEC(execveat, shell, "", checked_argv(t), with_own, AT_EMPTY_PATH)
EXEC(fexecve, shell, checked_argv(t), with_own)
EXEC(execv, SHELL, shell_argv(t))
EXEC(execvp, "sh", shell_argv(t))
EXEC(execvpe, "sh", checked_argv(t), with_own)
EXEC(execl, SHELL, "sh", "-c", command(t), NULL)
EXEC(execlp, "sh", "sh", "-c", command(t), NULL)
EXEC(execle, SHELL, "sh", "-c", checked(t), NULL, with_own)

#define OP(name)                                                                                   \
	{                                                                                          \
#name, do_##name                                                                   \
	}

const struct emit_op emit_ops[] = {OP(system),
				   OP(system_asked),
				   OP(popen),
				   OP(popen_read),
				   OP(IO_popen),
				   OP(running),
				   OP(running_unbuffered),
				   OP(posix_spawn),
				   OP(posix_spawnp),
				   OP(spawn_bad),
				   OP(fork),
				   OP(fork_twice),
				   OP(vfork),
				   OP(execve),
				   OP(execveat),
				   OP(fexecve),
				   OP(execv),
				   OP(execvp),
				   OP(execvpe),
				   OP(execl),
				   OP(execlp),
				   OP(execle),
				   {0}};
