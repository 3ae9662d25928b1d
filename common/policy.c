/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy file. inih splits it; here each line is checked, and nothing of a
 * file with an error is used. Lines come to inih by a reader of ours, which
 * knows their number and refuses what inih would cut in two.
 */
#include "policy.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <ini.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX_BYTES (256u << 10)

struct reader {
	const char *text, *end;
	unsigned line; /* that inih has now */
	unsigned bad;  /* the first with an error, 0: none */
	struct nf_policy *p;
	bool seen[NF_KINDS];
	char why[256];
};

static const char *const kinds[] = {
#define X(id, name, verdict, what) name,
	NF_KINDS_DO(X)
#undef X
};

static const char *const whats[] = {
#define X(id, name, verdict, what) what,
	NF_KINDS_DO(X)
#undef X
};

const char *nf_kind_name(enum nf_kind k)
{
	return kinds[k];
}

const char *nf_kind_what(enum nf_kind k)
{
	return whats[k];
}

const char *nf_verdict_name(enum nf_verdict v)
{
	return v == NF_DROP ? "drop" : v == NF_PASS ? "pass" : "";
}

/* ---- one line ---- */

static int wrong(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* What a handler of inih returns for an error. */
static int wrong(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (r->bad)
		return 0;
	r->bad = r->line;
	va_start(ap, fmt);
	vsnprintf(r->why, sizeof(r->why), fmt, ap);
	va_end(ap);
	return 0;
}

static int say(struct reader *r, uint8_t *slot, const char *what, enum nf_verdict v)
{
	if (*slot)
		return wrong(r, "'%.60s' is there twice: take one out", what);
	*slot = (uint8_t)v;
	return 1;
}

static int take_kind(struct reader *r, const char *what, enum nf_verdict v)
{
	for (unsigned k = 0; k < NF_KINDS; k++) {
		if (strcmp(kinds[k], what))
			continue;
		if (r->seen[k])
			return wrong(r, "'%s' is there twice: take one out", what);
		r->seen[k] = true;
		r->p->kind[k] = (uint8_t)v;
		return 1;
	}
	return wrong(r, "there is no kind '%.60s'; 'nfctl policy' prints those that there are",
		     what);
}

static int take_function(struct reader *r, const char *what, enum nf_verdict v)
{
	bool family = false, again = false;
	char name[NF_FAMILY_TEXT];

	for (unsigned f = 0; f < NF_FNS; f++) {
		if (!strcmp(nf_fn_name((enum nf_fn)f), what))
			return say(r, &r->p->own[f], what, v);
		if (!strcmp(nf_fn_family_text((enum nf_fn)f, name), what)) {
			again |= r->p->family[f] != NF_UNSAID;
			family = true;
			r->p->family[f] = (uint8_t)v;
		}
	}
	if (again)
		return wrong(r, "'%s' is there twice: take one out", what);
	if (!family)
		return wrong(r,
			     "'%.60s' is neither an output function nor a family of them; "
			     "'nfctl policy' lists the families",
			     what);
	return 1;
}

static int take_path(struct reader *r, const char *glob, enum nf_verdict v)
{
	struct nf_policy *p = r->p;

	if (*glob != '/' && *glob != '*')
		return wrong(r, "'%.60s' matches no path: start it with '/' or '*'", glob);
	for (unsigned i = 0; i < p->paths; i++)
		if (!strcmp(p->path[i].glob, glob))
			return wrong(r, "'%.60s' is there twice: take one out", glob);
	if (p->paths == NF_POLICY_PATHS)
		return wrong(r, "more than %d paths: join some with '*'", NF_POLICY_PATHS);
	if (!p->path)
		p->path = calloc(NF_POLICY_PATHS, sizeof(*p->path));
	if (!p->path || !(p->path[p->paths].glob = strdup(glob)))
		return wrong(r, "out of memory");
	p->path[p->paths++].verdict = v;
	return 1;
}

static int take(void *arg, const char *section, const char *what, const char *value)
{
	struct reader *r = arg;
	enum nf_verdict v = !strcmp(value, "drop") ? NF_DROP : NF_PASS;

	if (v == NF_PASS && strcmp(value, "pass"))
		return wrong(r,
			     "'%.60s' is neither drop nor pass: write 'what = drop' or 'what = "
			     "pass', with '?' for a ':' or '=' in a path",
			     value);
	if (!strcmp(section, "kind"))
		return take_kind(r, what, v);
	if (!strcmp(section, "path"))
		return take_path(r, what, v);
	if (!strcmp(section, "function"))
		return take_function(r, what, v);
	if (!*section)
		return wrong(r,
			     "'%.60s' stands in no section: write [kind], [path] or [function] "
			     "above it",
			     what);
	return wrong(r, "section [%.60s] is neither [kind] nor [path] nor [function]: rename it",
		     section);
}

/* ---- the whole ---- */

/* As fgets. */
static char *next_line(char *line, int room, void *arg)
{
	struct reader *r = arg;
	const char *end = memchr(r->text, '\n', (size_t)(r->end - r->text));
	size_t n = (size_t)((end ? end + 1 : r->end) - r->text);

	if (!n || r->bad)
		return NULL;
	r->line++;
	if (n >= (size_t)room) {
		wrong(r, "the line is longer than %d bytes: use '*' in it", room - 2);
		return NULL;
	}
	if (memchr(r->text, 0, n)) {
		wrong(r, "the line has a zero byte: this is no text file, take another");
		return NULL;
	}
	memcpy(line, r->text, n);
	line[n] = 0;
	r->text += n;
	return line;
}

static void clear(struct nf_policy *p)
{
	*p = (struct nf_policy)NF_POLICY_DEFAULT;
}

int nf_policy_parse(const char *text, size_t len, const char *file, struct nf_policy *p, char *err,
		    size_t n)
{
	struct reader r = {.text = text, .end = text + len, .p = p};
	int line;

	clear(p);
	line = ini_parse_stream(next_line, &r, take, &r);
	if (line <= 0 && !r.bad)
		return 0;
	if (!r.bad || (line > 0 && (unsigned)line < r.bad)) {
		r.bad = (unsigned)line;
		snprintf(r.why, sizeof(r.why),
			 "neither '[section]' nor 'what = drop' nor 'what = pass'; comments start "
			 "with ';' or '#'");
	}
	snprintf(err, n, "%s:%u: %s", file, r.bad, r.why);
	nf_policy_free(p);
	return -EINVAL;
}

/* The whole of @fd, allocated; NULL with errno. */
static char *read_all(int fd, size_t *len)
{
	char *text = malloc(FILE_MAX_BYTES + 1);
	ssize_t n = 1;

	*len = 0;
	while (text && n > 0 && *len <= FILE_MAX_BYTES) {
		n = read(fd, text + *len, FILE_MAX_BYTES + 1 - *len);
		*len += n > 0 ? (size_t)n : 0;
	}
	if (text && n >= 0 && *len <= FILE_MAX_BYTES)
		return text;
	if (text && n >= 0)
		errno = EFBIG;
	free(text);
	return NULL;
}

int nf_policy_read(const char *file, struct nf_policy *p, char *err, size_t n)
{
	/* A FIFO is not waited for. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;
	size_t len = 0;
	char *text = fd < 0 ? NULL : read_all(fd, &len);

	rc = text ? 0 : -errno;
	if (fd >= 0)
		close(fd);
	clear(p);
	if (rc)
		snprintf(err, n,
			 "cannot read the output policy %s: %s: name a file that can be read", file,
			 strerror(-rc));
	else
		rc = nf_policy_parse(text, len, file, p, err, n);
	free(text);
	return rc;
}

void nf_policy_free(struct nf_policy *p)
{
	for (unsigned i = 0; i < p->paths; i++)
		free(p->path[i].glob);
	free(p->path);
	clear(p);
}

enum nf_verdict nf_policy_of_fn(const struct nf_policy *p, enum nf_fn fn)
{
	return (enum nf_verdict)(p->own[fn] ? p->own[fn] : p->family[fn]);
}

enum nf_verdict nf_policy_of_path(const struct nf_policy *p, const char *path)
{
	for (unsigned i = 0; i < p->paths; i++)
		if (fnmatch(p->path[i].glob, path, 0) == 0)
			return p->path[i].verdict;
	return NF_UNSAID;
}
