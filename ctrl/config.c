/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads the ini file and checks that it makes sense as a whole. */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct nf_switch_conf *c;
	char *err; /* "" while all is well */
	size_t errlen;
};

static int wrong(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int wrong(struct reader *r, const char *fmt, ...)
{
	va_list ap;

	if (r->err[0])
		return 0;
	va_start(ap, fmt);
	vsnprintf(r->err, r->errlen, fmt, ap);
	va_end(ap);
	return 0;
}

static bool good(const char *s, const char *extra, size_t size)
{
	if (!*s || strlen(s) >= size)
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char)*s) && !strchr(extra, *s))
			return false;
	return true;
}

static int take_text(struct reader *r, char *out, size_t size, const char *extra, const char *key,
		     const char *v)
{
	if (!good(v, extra, size))
		return wrong(r, "'%s' is no possible value of '%s'", v, key);
	strcpy(out, v);
	return 1;
}

static int take_dev(struct reader *r, char *out, const char *key, const char *v)
{
	return take_text(r, out, IFNAMSIZ, "._-@", key, v);
}

/* Calls @one for each item of a comma list. */
static int take_list(struct reader *r, const char *v, int (*one)(struct reader *r, const char *v))
{
	char *copy = strdup(v), *at, *save = NULL;
	int ok = copy != NULL;

	for (at = ok ? strtok_r(copy, ", \t", &save) : NULL; at && ok;
	     at = strtok_r(NULL, ", \t", &save))
		ok = one(r, at);
	free(copy);
	return ok;
}

static int take_input(struct reader *r, const char *v)
{
	struct nf_switch_conf *c = r->c;

	if (c->inputs == NF_SWITCH_INPUTS)
		return wrong(r, "more than %d inputs", NF_SWITCH_INPUTS);
	return take_dev(r, c->input[c->inputs++], "input", v);
}

static int take_cpu(struct reader *r, const char *v)
{
	struct nf_switch_conf *c = r->c;
	char *end;
	long n = strtol(v, &end, 10);

	if (*end || n < 0 || n > 1023)
		return wrong(r, "'%s' is not the number of a CPU", v);
	if (c->cpus == NF_MARK_MAX)
		return wrong(r, "more than %d CPUs", NF_MARK_MAX);
	c->cpu[c->cpus++] = (int)n;
	return 1;
}

static int take_switch(struct reader *r, const char *key, const char *v)
{
	struct nf_switch_conf *c = r->c;

	if (!strcmp(key, "driver"))
		return take_text(r, c->driver, sizeof(c->driver), "", key, v);
	if (!strcmp(key, "netns"))
		return take_text(r, c->netns, sizeof(c->netns), "._-/@:", key, v);
	if (!strcmp(key, "table"))
		return take_text(r, c->table, sizeof(c->table), "_", key, v);
	if (!strcmp(key, "default"))
		return take_text(r, c->fallback, sizeof(c->fallback), "._-", key, v);
	if (!strcmp(key, "reference"))
		return take_dev(r, c->reference, key, v);
	if (!strcmp(key, "input"))
		return take_list(r, v, take_input);
	if (!strcmp(key, "cpus"))
		return take_list(r, v, take_cpu);
	return wrong(r,
		     "[switch] knows no '%s': driver, netns, table, input, default, reference, "
		     "cpus",
		     key);
}

static int take_port(struct reader *r, const char *name, const char *key, const char *v)
{
	struct nf_switch_conf *c = r->c;
	struct nf_switch_port *p;

	if (strcmp(key, "dev"))
		return wrong(r, "[port %s] knows no '%s', only dev", name, key);
	if (nf_switch_port(c, name))
		return wrong(r, "[port %s] is there twice", name);
	if (c->ports == NF_SWITCH_PORTS)
		return wrong(r, "more than %d ports", NF_SWITCH_PORTS);
	p = &c->port[c->ports++];
	return take_text(r, p->name, sizeof(p->name), "._-", "port", name) &&
	       take_dev(r, p->dev, key, v);
}

static int take(void *arg, const char *section, const char *key, const char *value)
{
	struct reader *r = arg;

	if (!strcmp(section, "switch"))
		return take_switch(r, key, value);
	if (!strncmp(section, "port ", 5))
		return take_port(r, section + 5 + strspn(section + 5, " \t"), key, value);
	return wrong(r, "section [%s] is neither [switch] nor [port NAME]", section);
}

static void check(struct reader *r)
{
	struct nf_switch_conf *c = r->c;

	if (!c->driver[0])
		strcpy(c->driver, "nft");
	if (!c->table[0])
		strcpy(c->table, "nfshim");
	if (!c->inputs)
		wrong(r, "[switch] has no 'input': the devices whose traffic is to be sent on");
	else if (!c->ports)
		wrong(r, "there is no [port NAME]: one for each instance of the NF");
	else if (!c->fallback[0])
		wrong(r, "[switch] has no 'default': the instance that gets what no route names");
	else if (!nf_switch_port(c, c->fallback))
		wrong(r, "the default instance '%s' has no [port %s]", c->fallback, c->fallback);
}

int nf_config_read(const char *path, struct nf_switch_conf *out, char *err, size_t errlen)
{
	char why[256] = "";
	struct reader r = {out, why, sizeof(why)};
	FILE *f = fopen(path, "re");
	int line;

	if (!f) {
		snprintf(err, errlen, "cannot read %s: %s", path, strerror(errno));
		return -errno;
	}
	memset(out, 0, sizeof(*out));
	line = ini_parse_file(f, take, &r);
	fclose(f);
	if (line > 0) {
		snprintf(err, errlen, "%s:%d: %s", path, line, why[0] ? why : "not 'key = value'");
		return -EINVAL;
	}
	check(&r);
	if (why[0]) {
		snprintf(err, errlen, "%s: %s", path, why);
		return -EINVAL;
	}
	return 0;
}
