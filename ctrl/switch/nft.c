/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Switch driver for nftables: a netdev table at the inputs' ingress.
 *
 * Theory of operation. A change regenerates the whole chain in one transaction;
 * the kernel picks the old or the new rules once, at a packet's first rule, so
 * none meets both or neither. A packet that met the old rules is handled under
 * RCU until it stands in the port's peer queue, so membarrier, which waits for
 * an RCU grace period, is the barrier; a MARK sent from each CPU afterwards is
 * queued behind all of that CPU's packets.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/membarrier.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "match.h"
#include "netns.h"
#include "nft_read.h"
#include "nft_rules.h"
#include "switch.h"

struct nf_switch {
	const struct nf_switch_conf *conf;
	struct nf_netns ns;
	struct nft_ctx *nft;
	int raw; /* AF_PACKET, for MARK */
	cpu_set_t all;
	int cpu[NF_MARK_MAX]; /* of each queue */
	unsigned cpus;
	struct nf_routes routes;
};

static int fail(int err, char *out, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

static int fail(int err, char *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(out, NF_SWITCH_ERR, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- commands ---- */

static void close_nft(struct nf_switch *sw)
{
	if (sw->nft)
		nft_ctx_free(sw->nft);
	sw->nft = NULL;
}

static struct nft_ctx *open_nft(void)
{
	struct nft_ctx *n = nft_ctx_new(NFT_CTX_DEFAULT);

	if (!n)
		return NULL;
	nft_ctx_buffer_error(n);
	nft_ctx_buffer_output(n);
	nft_ctx_output_set_flags(n, NFT_CTX_OUTPUT_JSON);
	return n;
}

/* A fresh context each time: the library remembers interfaces by name. */
static int run(struct nf_switch *sw, const char *text, char *err)
{
	int rc = nf_netns_enter(&sw->ns);

	if (rc)
		return fail(rc, err, "cannot enter the switch's network namespace: %s",
			    strerror(-rc));
	close_nft(sw);
	sw->nft = open_nft();
	if (!sw->nft)
		rc = fail(-ENOMEM, err, "libnftables cannot start");
	else if (nft_run_cmd_from_buffer(sw->nft, text))
		rc = fail(-EIO, err, "nftables refused: %.400s", nft_ctx_get_error_buffer(sw->nft));
	nf_netns_leave(&sw->ns);
	if (rc == -EIO)
		for (char *c = err; *c; c++) /* one line is enough */
			if (*c == '\n') {
				*c = 0;
				break;
			}
	return rc;
}

static int list_table(struct nf_switch *sw, const char **json, char *err)
{
	char cmd[80];
	int rc;

	snprintf(cmd, sizeof(cmd), "list table netdev %s", sw->conf->table);
	rc = run(sw, cmd, err);
	if (!rc)
		*json = nft_ctx_get_output_buffer(sw->nft);
	return rc;
}

/* @anew: the table too, and not only the rules. */
static int apply(struct nf_switch *sw, const struct nf_routes *routes, bool anew,
		 const char *before, char *err)
{
	size_t len = 0;
	char *text = NULL;
	FILE *f = open_memstream(&text, &len);
	int rc;

	if (!f)
		return fail(-ENOMEM, err, "out of memory");
	if (anew) {
		char name[NF_NAME_MAX + 8];

		nf_nft_write_table(f, sw->conf);
		for (unsigned i = 0; i < sw->conf->ports; i++) {
			snprintf(name, sizeof(name), NF_NFT_COUNTER_PORT "%s",
				 sw->conf->port[i].name);
			nf_nft_write_counter(f, sw->conf, name);
		}
	} else if (before) {
		fputs(before, f);
	}
	rc = nf_nft_write_routes(f, sw->conf, routes);
	if (fclose(f) && !rc)
		rc = -ENOMEM;
	if (rc)
		fail(rc, err, "cannot write the rules: %s", strerror(-rc));
	else
		rc = run(sw, text, err);
	free(text);
	return rc;
}

/* ---- attach ---- */

static int choose_cpus(struct nf_switch *sw, char *err)
{
	const struct nf_switch_conf *c = sw->conf;

	if (sched_getaffinity(0, sizeof(sw->all), &sw->all) < 0)
		return fail(-errno, err, "cannot ask for the CPUs: %s", strerror(errno));
	for (unsigned i = 0; i < c->cpus; i++) {
		if (!CPU_ISSET((size_t)c->cpu[i], &sw->all))
			return fail(-EINVAL, err, "CPU %d of the configuration is not there",
				    c->cpu[i]);
		sw->cpu[sw->cpus++] = c->cpu[i];
	}
	if (c->cpus)
		return 0;
	if (CPU_COUNT(&sw->all) > NF_MARK_MAX)
		return fail(-E2BIG, err,
			    "%d CPUs are more than the %d that a move can mark: name "
			    "those that serve the path's devices with 'cpus ='",
			    CPU_COUNT(&sw->all), NF_MARK_MAX);
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET((size_t)i, &sw->all))
			sw->cpu[sw->cpus++] = i;
	return 0;
}

static int check_dev(const char *dev, char *err)
{
	if (if_nametoindex(dev))
		return 0;
	return fail(-ENODEV, err,
		    "the switch has no device '%s': make it, or correct the "
		    "configuration",
		    dev);
}

static int open_in_namespace(struct nf_switch *sw, char *err)
{
	const struct nf_switch_conf *c = sw->conf;
	int rc = nf_netns_enter(&sw->ns);

	if (rc)
		return fail(rc, err, "cannot enter network namespace '%s': %s", c->netns,
			    strerror(-rc));
	for (unsigned i = 0; i < c->inputs && !rc; i++)
		rc = check_dev(c->input[i], err);
	for (unsigned i = 0; i < c->ports && !rc; i++)
		rc = check_dev(c->port[i].dev, err);
	if (!rc && c->reference[0])
		rc = check_dev(c->reference, err);
	if (!rc) {
		sw->raw = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
		if (sw->raw < 0)
			rc = fail(-errno, err, "cannot open a packet socket: %s (root is needed)",
				  strerror(errno));
	}
	nf_netns_leave(&sw->ns);
	return rc;
}

/* Routes to instances that the configuration does not know any more go to the default. */
static void drop_unknown(struct nf_switch *sw)
{
	struct nf_routes *l = &sw->routes, kept = {.gen = l->gen};

	for (unsigned i = 0; i < l->n; i++) {
		struct nf_route *r = &l->r[i];

		if (nf_switch_port(sw->conf, r->instance) &&
		    !nf_routes_append(&kept, r->instance, r->space)) {
			r->space = NULL;
			continue;
		}
		nf_warn("the switch had a route for '%s' to '%s', which has no port now: it goes "
			"to %s",
			r->space->text, r->instance, sw->conf->fallback);
	}
	nf_routes_clear(l);
	*l = kept;
}

static void write_missing_counters(struct nf_switch *sw, const char *json, FILE *f)
{
	char name[NF_NAME_MAX + 8];

	for (unsigned i = 0; i < sw->conf->ports; i++) {
		snprintf(name, sizeof(name), NF_NFT_COUNTER_PORT "%s", sw->conf->port[i].name);
		if (!nf_nft_read_has_counter(json, name))
			nf_nft_write_counter(f, sw->conf, name);
	}
}

static int take_over(struct nf_switch *sw, const char *json, char *err)
{
	bool hooked = nf_nft_read_hooked(json, sw->conf);
	char *before = NULL;
	size_t len = 0;
	FILE *f;
	int rc;

	if (nf_nft_read_routes(json, &sw->routes))
		return fail(-EEXIST, err,
			    "table netdev %s is there and was not made by nfctrld: "
			    "delete it, or choose another name with 'table ='",
			    sw->conf->table);
	f = open_memstream(&before, &len);
	if (!f)
		return fail(-ENOMEM, err, "out of memory");
	write_missing_counters(sw, json, f);
	if (fclose(f))
		return fail(-ENOMEM, err, "out of memory");
	drop_unknown(sw);
	if (sw->routes.n)
		nf_info("the switch keeps %u route%s of an earlier run", sw->routes.n,
			sw->routes.n == 1 ? "" : "s");
	rc = apply(sw, &sw->routes, !hooked, before, err);
	free(before);
	return rc;
}

static bool table_exists(const char *json, const char *table)
{
	char name[48];

	snprintf(name, sizeof(name), "\"name\": \"%s\"", table);
	return json && strstr(json, name);
}

static int attach_table(struct nf_switch *sw, char *err)
{
	const char *json = NULL;
	int rc = run(sw, "list tables netdev", err);

	if (rc)
		return rc;
	if (!table_exists(nft_ctx_get_output_buffer(sw->nft), sw->conf->table))
		return apply(sw, &sw->routes, true, NULL, err);
	rc = list_table(sw, &json, err);
	return rc ? rc : take_over(sw, json, err);
}

static void nft_free(struct nf_switch *sw)
{
	if (!sw)
		return;
	close_nft(sw);
	if (sw->raw >= 0)
		close(sw->raw);
	nf_netns_close(&sw->ns);
	nf_routes_clear(&sw->routes);
	free(sw);
}

static int nft_attach(const struct nf_switch_conf *conf, struct nf_switch **out, char *err)
{
	struct nf_switch *sw = calloc(1, sizeof(*sw));
	int rc;

	if (!sw)
		return fail(-ENOMEM, err, "out of memory");
	sw->conf = conf;
	sw->raw = -1;
	rc = nf_netns_open(&sw->ns, conf->netns);
	if (rc)
		fail(rc, err,
		     "cannot open network namespace '%s': %s: correct 'netns' of "
		     "[switch], or make it",
		     conf->netns, strerror(-rc));
	if (!rc)
		rc = choose_cpus(sw, err);
	if (!rc)
		rc = open_in_namespace(sw, err);
	if (!rc)
		rc = attach_table(sw, err);
	if (rc)
		nft_free(sw);
	else
		*out = sw;
	return rc;
}

/* ---- routes ---- */

static int nft_can_match(struct nf_switch *sw, const struct nf_space *s, unsigned *rules, char *err)
{
	struct nf_match *m = NULL;
	unsigned n = 0;
	int rc = 0;

	(void)sw;
	*rules = 1;
	if (s->all)
		return 0;
	rc = nf_match_expand(s, &m, &n);
	free(m);
	if (rc == -E2BIG)
		return fail(rc, err,
			    "the flow space would become more than %d rules in the "
			    "switch: split the move",
			    NF_MATCH_MAX);
	if (rc)
		return fail(rc, err, "out of memory");
	if (!n)
		return fail(-EINVAL, err,
			    "no packet can be in the flow space: its parts exclude "
			    "each other");
	*rules = n;
	return 0;
}

static int nft_set_route(struct nf_switch *sw, uint64_t gen, const struct nf_space *s,
			 const char *instance, char *err)
{
	struct nf_routes next;
	int rc;

	if (gen <= sw->routes.gen)
		return 0;
	if (!nf_switch_port(sw->conf, instance))
		return fail(-ENOENT, err, "the switch has no port for '%s'", instance);
	rc = nf_routes_copy(&sw->routes, &next);
	if (!rc)
		rc = nf_routes_set(&next, s, instance, sw->conf->fallback);
	if (rc) {
		nf_routes_clear(&next);
		return fail(rc, err, "out of memory");
	}
	next.gen = gen;
	rc = apply(sw, &next, false, NULL, err);
	if (rc) {
		nf_routes_clear(&next);
		return rc;
	}
	nf_routes_clear(&sw->routes);
	sw->routes = next;
	return 0;
}

static int nft_read_back(struct nf_switch *sw, struct nf_routes *out, char *err)
{
	const char *json = NULL;
	int rc = list_table(sw, &json, err);

	if (rc)
		return rc;
	rc = nf_nft_read_routes(json, out);
	return rc ? fail(rc, err, "the table's notes are damaged") : 0;
}

static int nft_counters(struct nf_switch *sw, nf_switch_count_cb cb, void *arg, char *err)
{
	char cmd[80];
	int rc;

	snprintf(cmd, sizeof(cmd), "list counters table netdev %s", sw->conf->table);
	rc = run(sw, cmd, err);
	if (!rc)
		rc = nf_nft_read_counters(nft_ctx_get_output_buffer(sw->nft), cb, arg);
	return rc;
}

static int nft_detach(struct nf_switch *sw, char *err)
{
	char cmd[80];

	snprintf(cmd, sizeof(cmd), "delete table netdev %s", sw->conf->table);
	return run(sw, cmd, err);
}

/* ---- grace and MARK ---- */

static int nft_grace(struct nf_switch *sw, char *err)
{
	(void)sw;
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0)
		return 0;
	return fail(-errno, err, "membarrier does not work on this kernel: %s", strerror(errno));
}

static unsigned nft_queues(const struct nf_switch *sw)
{
	return sw->cpus;
}

static int on_cpu(int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET((size_t)cpu, &one);
	return sched_setaffinity(0, sizeof(one), &one) < 0 ? -errno : 0;
}

static int send_frame(struct nf_switch *sw, const char *dev, const uint8_t *frame, size_t len)
{
	struct sockaddr_ll to = {.sll_family = AF_PACKET, .sll_halen = 6};
	int rc = nf_netns_enter(&sw->ns);

	if (rc)
		return rc;
	to.sll_ifindex = (int)if_nametoindex(dev);
	to.sll_protocol = htons(ETH_P_802_EX1);
	nf_netns_leave(&sw->ns);
	memcpy(to.sll_addr, frame, 6);
	if (!to.sll_ifindex)
		return -ENODEV;
	if (sendto(sw->raw, frame, len, 0, (struct sockaddr *)&to, sizeof(to)) < 0)
		return -errno;
	return 0;
}

static int nft_mark(struct nf_switch *sw, const char *instance, unsigned queue,
		    const uint8_t *frame, size_t len)
{
	const struct nf_switch_port *p = nf_switch_port(sw->conf, instance);
	int rc;

	if (!p || queue >= sw->cpus)
		return -ENOENT;
	rc = on_cpu(sw->cpu[queue]);
	if (!rc)
		rc = send_frame(sw, p->dev, frame, len);
	sched_setaffinity(0, sizeof(sw->all), &sw->all);
	return rc;
}

const struct nf_switch_ops nf_switch_nft = {
	.name = "nft",
	.attach = nft_attach,
	.can_match = nft_can_match,
	.set_route = nft_set_route,
	.grace = nft_grace,
	.queues = nft_queues,
	.mark = nft_mark,
	.read_back = nft_read_back,
	.counters = nft_counters,
	.detach = nft_detach,
	.free = nft_free,
};
