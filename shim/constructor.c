/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Start: before main(), and so before any privilege drop. Whatever goes wrong
 * here leaves the NF alone and says why.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "evlog.h"
#include "link.h"
#include "log.h"
#include "msg.h"
#include "pause.h"
#include "real.h"
#include "trace.h"
#include "verdict.h"

#define DEFAULT_DIR "/run/nfshim"

static char who[NF_NAME_MAX + 8];
static char name[NF_NAME_MAX];

static bool name_is_good(const char *s)
{
	return *s && strlen(s) < NF_NAME_MAX && *s != '.' &&
	       s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")] ==
		       0;
}

static char later[256]; /* to be said if this process turns out to be a network function */

void nf_inert_tell(void)
{
	if (*later)
		nf_err("inert: %s", later);
	*later = 0;
}

static pid_t parent_of(pid_t pid)
{
	char path[32], text[256] = "";
	const char *end;
	FILE *f;
	int parent = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (fgets(text, sizeof(text), f) && (end = strrchr(text, ')'))) /* of the program's name */
		sscanf(end, ") %*c %d", &parent);
	fclose(f);
	return parent;
}

static bool was_started_by(pid_t ancestor)
{
	pid_t pid = getppid();

	while (pid > 1 && pid != ancestor)
		pid = parent_of(pid);
	return pid > 1;
}

static void inert(const char *why)
{
	nf_inert = true;
	nf_err("inert: %s", why);
}

/* A policy that cannot be had in full is none: the shim then takes part in nothing. */
static bool set_up_output(void)
{
	const char *policy = getenv("NFSHIM_OUTPUT"), *trace = getenv("NFSHIM_TRACE_DROPS");
	char err[512];
	int rc;

	if (policy && nf_verdict_init(policy, err, sizeof(err))) {
		inert(err);
		return false;
	}
	rc = trace ? nf_trace_init(trace) : 0;
	if (rc)
		nf_warn("no trace of dropped output: %s: %s (set NFSHIM_TRACE_DROPS)", trace,
			strerror(-rc));
	return true;
}

__attribute__((constructor)) static void start(void)
{
	const char *dir = getenv("NFSHIM_DIR");
	const char *n = getenv("NFSHIM_NAME");
	char text[256];
	int err;

	if (getenv("NFSHIM_OFF")) {
		nf_inert = true;
		return;
	}
	if (n)
		snprintf(name, sizeof(name), "%s", n);
	else
		snprintf(name, sizeof(name), "%.40s.%d", program_invocation_short_name, getpid());
	snprintf(who, sizeof(who), "nfshim[%s]", name);
	nf_log_init(who);
	nf_log_write = nf_real.write; /* also in the window */
	if (!name_is_good(name)) {
		inert("NFSHIM_NAME may hold letters, digits, '.', '_' and '-' only, and must not "
		      "start with a dot");
		return;
	}
	if (!set_up_output())
		return;
	snprintf(text, sizeof(text), "shim.%s", name);
	nf_pause_init(text);
	err = nf_evlog_open(name);
	if (err)
		nf_warn("no event log: %s", strerror(-err));
	nf_engine_init(name);
	/* Children and wrappers inherit LD_PRELOAD; the name belongs to one process. */
	err = nf_rendezvous_start(dir ? dir : DEFAULT_DIR, name);
	if (err == -EADDRINUSE && was_started_by(nf_rendezvous_taken())) {
		nf_inert = true;
		snprintf(later, sizeof(later),
			 "process %d, which started this one, has the name %s already: give this "
			 "one an NFSHIM_NAME of its own, or start it without the other",
			 (int)nf_rendezvous_taken(), name);
	} else if (err) {
		snprintf(text, sizeof(text),
			 "cannot open the control socket %.100s/%s.sock: %s (set NFSHIM_DIR)",
			 dir ? dir : DEFAULT_DIR, name, strerror(-err));
		inert(text);
	}
}
