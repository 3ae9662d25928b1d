/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The adapter for Debian's own prads, not rebuilt: per-flow state are its
 * connections, multi-flow state its assets. Nothing here prints, and nothing
 * calls into PRADS: records are made and freed as PRADS makes and frees them.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>

#include "adapters.h"
#include "prads.h"

static struct nf_prads prads;
static const struct nf_prads_map *map;

/* All three handlers run end_sessions, which expires connections. */
static const int sweeps[] = {SIGALRM, SIGUSR1, SIGHUP, 0};

/*
 * A signal that met PRADS inside a packet waits in intr_flag and is served by
 * the next packet, which may be one of a move, reprocessed without output. It
 * is raised anew instead: outside a packet its handler does the whole work, and
 * while a move is on the shim holds it back.
 */
static void raise_pending(void)
{
	static const int signals[] = {0, SIGTERM, 0, SIGALRM, SIGHUP};
	int flag = *prads.intr_flag;

	if (*prads.inpacket || flag < 1 || flag > 4 || !signals[flag])
		return;
	*prads.intr_flag = 0;
	raise(signals[flag]);
}

static int hook_list(void *nf, enum nfshim_scope scope, uint64_t *cursor, unsigned max,
		     nfshim_key_cb cb, void *arg)
{
	struct nf_prads *p = nf;

	if (!*cursor)
		raise_pending();
	if (scope == NFSHIM_PER_FLOW)
		return nf_prads_list(&nf_prads_conns, p->conns, cursor, max, cb, arg);
	if (scope == NFSHIM_MULTI_FLOW)
		return nf_prads_list(&nf_prads_assets, p->assets, cursor, max, cb, arg);
	return 0;
}

static bool hook_has(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key)
{
	if (scope == NFSHIM_PER_FLOW)
		return nf_prads_conn_has(nf, key);
	return scope == NFSHIM_MULTI_FLOW && nf_prads_asset_has(nf, key);
}

static ssize_t hook_get(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key, void *buf,
			size_t cap)
{
	if (scope == NFSHIM_PER_FLOW)
		return nf_prads_conn_get(nf, key, buf, cap);
	return scope == NFSHIM_MULTI_FLOW ? nf_prads_asset_get(nf, key, buf, cap) : -ENOENT;
}

static int hook_put(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key,
		    const void *blob, size_t len)
{
	if (scope == NFSHIM_PER_FLOW)
		return nf_prads_conn_put(nf, key, blob, len);
	return scope == NFSHIM_MULTI_FLOW ? nf_prads_asset_put(nf, key, blob, len) : -EINVAL;
}

static int hook_del(void *nf, enum nfshim_scope scope, const struct nfshim_flow *key)
{
	if (scope == NFSHIM_PER_FLOW)
		return nf_prads_conn_del(nf, key);
	return scope == NFSHIM_MULTI_FLOW ? nf_prads_asset_del(nf, key) : -ENOENT;
}

static void hook_key_of(void *nf, const struct nfshim_packet *pkt, struct nfshim_flow *key)
{
	(void)nf;
	nf_prads_key_of(pkt, key);
}

static unsigned hook_records_of(void *nf, const struct nfshim_flow *flow, struct nfshim_flow *keys,
				unsigned max)
{
	(void)nf;
	return nf_prads_records_of(flow, keys, max);
}

static int hook_check(void *nf, const void *callback, const void *handle, void *user, char *why,
		      size_t whylen)
{
	(void)user;
	return nf_prads_map_check(nf, map, callback, handle, why, whylen);
}

static int attach(const void *callback, const void *handle, void *user, char *why, size_t whylen)
{
	static const struct nfshim_hooks hooks = {
		.size = sizeof(hooks),
		.api = NFSHIM_API,
		.name = "prads 0.3.3",
		.list = hook_list,
		.has = hook_has,
		.get = hook_get,
		.put = hook_put,
		.del = hook_del,
		.key_of = hook_key_of,
		.records_of = hook_records_of,
		.sweep_signals = sweeps,
		.check = hook_check,
	};
	int err = nf_prads_map_find(&prads, &map, callback, why, whylen);

	(void)handle, (void)user;
	if (err)
		return err;
	err = nfshim_register(&hooks, &prads);
	if (err)
		snprintf(why, whylen, "the adapter for PRADS could not register: error %d", -err);
	return err;
}

const struct nf_adapter nf_adapter_prads = {
	.program = "prads",
	.attach = attach,
};
