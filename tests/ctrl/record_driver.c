/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A switch that only writes down what it was asked, to $NF_TEST_SWITCH. It
 * refuses spaces with host 192.0.2.99, and routes while $NF_TEST_SWITCH.fail exists.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "switch.h"

struct nf_switch {
	const struct nf_switch_conf *conf;
	struct nf_routes routes;
	char path[256];
};

static void note(struct nf_switch *sw, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static void note(struct nf_switch *sw, const char *fmt, ...)
{
	FILE *f = fopen(sw->path, "ae");
	va_list ap;

	if (!f)
		return;
	va_start(ap, fmt);
	vfprintf(f, fmt, ap);
	va_end(ap);
	fclose(f);
}

static int attach(const struct nf_switch_conf *conf, struct nf_switch **out, char *err)
{
	const char *path = getenv("NF_TEST_SWITCH");
	struct nf_switch *sw = calloc(1, sizeof(*sw));

	if (!sw || !path) {
		free(sw);
		snprintf(err, NF_SWITCH_ERR, "NF_TEST_SWITCH is not set");
		return -EINVAL;
	}
	sw->conf = conf;
	snprintf(sw->path, sizeof(sw->path), "%s", path);
	if (getenv("NF_TEST_GEN")) /* as after an earlier run */
		sw->routes.gen = strtoull(getenv("NF_TEST_GEN"), NULL, 10);
	*out = sw;
	return 0;
}

static int can_match(struct nf_switch *sw, const struct nf_space *s, unsigned *rules, char *err)
{
	(void)sw;
	*rules = strstr(s->text, "192.0.2.98") ? 1000 : 1;
	if (!strstr(s->text, "192.0.2.99"))
		return 0;
	snprintf(err, NF_SWITCH_ERR, "192.0.2.99 is beyond it");
	return -EINVAL;
}

static int set_route(struct nf_switch *sw, uint64_t gen, const struct nf_space *s,
		     const char *instance, char *err)
{
	char fail[300];

	if (gen <= sw->routes.gen)
		return 0;
	snprintf(fail, sizeof(fail), "%s.fail", sw->path);
	if (access(fail, F_OK) == 0) {
		snprintf(err, NF_SWITCH_ERR, "told to fail");
		return -EIO;
	}
	note(sw, "route %s to %s\n", s->text, instance);
	sw->routes.gen = gen;
	return nf_routes_set(&sw->routes, s, instance, sw->conf->fallback);
}

static int grace(struct nf_switch *sw, char *err)
{
	(void)err;
	note(sw, "grace\n");
	return 0;
}

static unsigned queues(const struct nf_switch *sw)
{
	(void)sw;
	return 2;
}

static int mark(struct nf_switch *sw, const char *instance, unsigned queue, const uint8_t *frame,
		size_t len)
{
	char hex[256];

	for (size_t i = 0; i < len && i < 120; i++)
		sprintf(hex + 2 * i, "%02x", frame[i]);
	note(sw, "mark %s %u %s\n", instance, queue, hex);
	return 0;
}

static int read_back(struct nf_switch *sw, struct nf_routes *out, char *err)
{
	(void)err;
	return nf_routes_copy(&sw->routes, out);
}

static int counters(struct nf_switch *sw, nf_switch_count_cb cb, void *arg, char *err)
{
	(void)sw;
	(void)err;
	cb(arg, "input", 7, 700);
	return 0;
}

static int detach(struct nf_switch *sw, char *err)
{
	(void)err;
	note(sw, "detach\n");
	return 0;
}

static void free_switch(struct nf_switch *sw)
{
	if (!sw)
		return;
	nf_routes_clear(&sw->routes);
	free(sw);
}

static const struct nf_switch_ops record = {
	"record", attach,    can_match, set_route, grace,	queues,
	mark,	  read_back, counters,	detach,	   free_switch,
};

const struct nf_switch_ops *nf_switch_find(const char *name)
{
	return strcmp(name, record.name) ? NULL : &record;
}
