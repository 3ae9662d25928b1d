/* SPDX-License-Identifier: BSD-2-Clause */
/* Reads listings of the nftables library. */
#include "nft_read.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "nft_rules.h"

/* Calls @cb with each object of @kind until it returns other than 0. */
static int each(const char *text, const char *kind, int (*cb)(void *arg, json_t *o), void *arg)
{
	json_t *root = json_loads(text, 0, NULL), *item, *o;
	int rc = root ? 0 : -EPROTO;
	size_t i;

	json_array_foreach(json_object_get(root, "nftables"), i, item)
	{
		o = json_object_get(item, kind);
		if (o && !rc)
			rc = cb(arg, o);
	}
	json_decref(root);
	return rc;
}

static const char *str(json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static bool is_input(const struct nf_switch_conf *c, const char *dev)
{
	for (unsigned i = 0; dev && i < c->inputs; i++)
		if (!strcmp(c->input[i], dev))
			return true;
	return false;
}

static int check_hook(void *arg, json_t *o)
{
	const struct nf_switch_conf *c = arg;
	json_t *dev = json_object_get(o, "dev"), *d;
	size_t i;

	if (strcmp(str(o, "name"), "classify"))
		return 0;
	if (json_is_string(dev))
		return c->inputs == 1 && is_input(c, json_string_value(dev));
	if (json_array_size(dev) != c->inputs)
		return 0;
	json_array_foreach(dev, i, d) if (!is_input(c, json_string_value(d))) return 0;
	return c->inputs > 0;
}

bool nf_nft_read_hooked(const char *json, const struct nf_switch_conf *c)
{
	return each(json, "chain", check_hook, (void *)(uintptr_t)c) == 1;
}

static int is_named(void *arg, json_t *o)
{
	return !strcmp(str(o, "name"), arg);
}

bool nf_nft_read_has_counter(const char *json, const char *name)
{
	return each(json, "counter", is_named, (void *)(uintptr_t)name) == 1;
}

/* ---- routes ---- */

struct reader {
	struct nf_routes *out;
	char instance[NF_NAME_MAX]; /* of the route being read, "" if none */
	char text[NF_SPACE_TEXT];
};

static int finish_route(struct reader *r)
{
	struct nf_space *s;
	char err[256];
	int rc;

	if (!r->instance[0])
		return 0;
	rc = nf_space_parse(r->text, &s, err, sizeof(err));
	if (rc)
		return rc == -ENOMEM ? rc : -EPROTO;
	rc = nf_routes_append(r->out, r->instance, s);
	if (rc)
		nf_space_free(s);
	r->instance[0] = r->text[0] = 0;
	return rc;
}

static int read_text(struct reader *r, const char *chunk)
{
	size_t have = strlen(r->text), n = strlen(chunk);

	if (!n || chunk[n - 1] != '|' || have + n > sizeof(r->text) || !r->instance[0])
		return -EPROTO;
	memcpy(r->text + have, chunk, n - 1);
	r->text[have + n - 1] = 0;
	return 0;
}

static int read_comment(void *arg, json_t *o)
{
	const char *c = str(o, "comment");
	struct reader *r = arg;
	char *end;
	int err;

	if (strcmp(str(o, "chain"), "routes"))
		return 0;
	if (!strncmp(c, "gen ", 4)) {
		r->out->gen = strtoull(c + 4, &end, 10);
		return *end ? -EPROTO : 0;
	}
	if (!strncmp(c, "= ", 2))
		return read_text(r, c + 2);
	if (strncmp(c, "to ", 3) || strlen(c + 3) >= sizeof(r->instance))
		return -EPROTO;
	err = finish_route(r);
	if (!err)
		strcpy(r->instance, c + 3);
	return err;
}

int nf_nft_read_routes(const char *json, struct nf_routes *out)
{
	struct reader r = {.out = out};
	int err;

	*out = (struct nf_routes){0};
	err = each(json, "rule", read_comment, &r);
	if (!err)
		err = finish_route(&r);
	if (err)
		nf_routes_clear(out);
	return err;
}

/* ---- counters ---- */

struct counting {
	nf_switch_count_cb cb;
	void *arg;
};

static int read_counter(void *arg, json_t *o)
{
	const size_t port = strlen(NF_NFT_COUNTER_PORT);
	const struct counting *c = arg;
	const char *name = str(o, "name");

	c->cb(c->arg, strncmp(name, NF_NFT_COUNTER_PORT, port) ? name : name + port,
	      (uint64_t)json_integer_value(json_object_get(o, "packets")),
	      (uint64_t)json_integer_value(json_object_get(o, "bytes")));
	return 0;
}

int nf_nft_read_counters(const char *json, nf_switch_count_cb cb, void *arg)
{
	struct counting c = {cb, arg};

	return each(json, "counter", read_counter, &c);
}
