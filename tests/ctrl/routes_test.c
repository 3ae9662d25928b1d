/* SPDX-License-Identifier: BSD-2-Clause */
/* Routes are kept short without changing where a packet goes; spaces become plain matches. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "flow.h"
#include "match.h"
#include "routes.h"

static struct nf_space *space(const char *text)
{
	struct nf_space *s = NULL;
	char why[256];

	ck_assert_msg(nf_space_parse(text, &s, why, sizeof(why)) == 0, "%s: %s", text, why);
	return s;
}

static bool covers(const char *a, const char *b)
{
	struct nf_space *x = space(a), *y = space(b);
	bool yes = nf_space_covers(x, y);

	nf_space_free(x);
	nf_space_free(y);
	return yes;
}

START_TEST(cover)
{
	ck_assert(covers("all", "net 10.0.0.0/8"));
	ck_assert(!covers("net 0.0.0.0/0", "all"));
	ck_assert(covers("net 10.0.0.0/8", "host 10.1.2.3"));
	ck_assert(covers("net 10.0.0.0/8", "src host 10.1.2.3 and tcp port 80"));
	ck_assert(!covers("src net 10.0.0.0/8", "host 11.0.0.1"));
	ck_assert(covers("src net 10.0.0.0/8", "dst net 10.1.0.0/16")); /* the other direction */
	ck_assert(
		!covers("src host 10.0.0.1 and src port 80", "src host 10.0.0.1 and dst port 80"));
	ck_assert(covers("net 10.0.0.0/9 or net 10.128.0.0/9", "net 10.3.0.0/16"));
	ck_assert(!covers("net 10.0.0.0/9", "net 10.0.0.0/8"));
	ck_assert(!covers("ip", "net 10.0.0.0/8")); /* ARP */
	ck_assert(!covers("net 10.0.0.0/8", "net 2001:db8::/32"));
}
END_TEST

static void set(struct nf_routes *l, const char *text, const char *to)
{
	struct nf_space *s = space(text);

	ck_assert_int_eq(nf_routes_set(l, s, to, "a"), 0);
	nf_space_free(s);
}

START_TEST(back_and_forth)
{
	struct nf_routes l = {0};

	for (int i = 0; i < 20; i++) {
		set(&l, "net 10.20.0.0/21", i % 2 ? "a" : "b");
		ck_assert_uint_eq(l.n, i % 2 ? 0 : 1);
	}
	set(&l, "net 10.20.0.0/21", "b");
	set(&l, "host 10.20.0.1", "a"); /* a hole in the route to b */
	ck_assert_uint_eq(l.n, 2);
	set(&l, "host 10.20.0.1", "b"); /* the hole is closed */
	ck_assert_uint_eq(l.n, 1);
	set(&l, "net 10.0.0.0/8", "c"); /* hides the older one */
	ck_assert_uint_eq(l.n, 1);
	ck_assert_str_eq(l.r[0].instance, "c");
	set(&l, "all", "b");
	ck_assert_uint_eq(l.n, 1);
	set(&l, "all", "a");
	ck_assert_uint_eq(l.n, 0);
	nf_routes_clear(&l);
}
END_TEST

/* Where does @f go? */
static const char *where(const struct nf_routes *l, const struct nfshim_flow *f)
{
	for (unsigned i = 0; i < l->n; i++)
		if (nf_space_has_flow(l->r[i].space, f))
			return l->r[i].instance;
	return "a";
}

static struct nfshim_flow random_flow(void)
{
	struct nfshim_flow f;

	memset(&f, 0, sizeof(f));
	f.ethertype = rand() % 8 ? 0x0800 : 0x0806;
	for (int i = 0; i < 2; i++) {
		f.addr[i][0] = 10;
		f.addr[i][3] = (uint8_t)(rand() % 8);
		f.port[i] = f.ethertype == 0x0800 ? (uint16_t)(80 + rand() % 3) : 0;
	}
	f.proto = f.ethertype == 0x0800 ? (rand() % 2 ? 6 : 17) : 0;
	nf_flow_canon(&f);
	return f;
}

static void random_space(char *text, size_t n)
{
	static const char *const proto[] = {"", "tcp ", "udp "}, *const side[] = {"", "src ",
										  "dst "};
	int bits = 28 + rand() % 5;

	switch (rand() % 5) {
	case 0:
		snprintf(text, n, "all");
		break;
	case 1:
		snprintf(text, n, "%s%sport %d", proto[rand() % 3], side[rand() % 3],
			 80 + rand() % 3);
		break;
	default:
		snprintf(text, n, "%snet 10.0.0.%d/%d%s", side[rand() % 3],
			 rand() % 8 & (0xff << (32 - bits)), bits, rand() % 3 ? "" : " and tcp");
	}
}

/* Against a list that is never pruned. */
START_TEST(pruning_changes_nothing)
{
	static const char *const to[] = {"a", "b", "c"};

	srand(7);
	for (int run = 0; run < 200; run++) {
		struct nf_routes pruned = {0}, full = {0};

		for (int i = 0; i < 12; i++) {
			const char *inst = to[rand() % 3];
			char text[80];

			random_space(text, sizeof(text));
			set(&pruned, text, inst);
			ck_assert_int_eq(nf_routes_append(&full, inst, space(text)), 0);
			for (int j = 0; j < 200; j++) {
				struct nfshim_flow f = random_flow();
				const char *want = "a";
				unsigned k = full.n;

				while (k-- > 0)
					if (nf_space_has_flow(full.r[k].space, &f)) {
						want = full.r[k].instance;
						break;
					}
				ck_assert_str_eq(where(&pruned, &f), want);
			}
		}
		ck_assert_uint_le(pruned.n, full.n);
		nf_routes_clear(&pruned);
		nf_routes_clear(&full);
	}
}
END_TEST

static int expand(const char *text)
{
	struct nf_space *s = space(text);
	struct nf_match *m;
	unsigned n = 0;
	int err = nf_match_expand(s, &m, &n);

	if (!err)
		free(m);
	nf_space_free(s);
	return err ? err : (int)n;
}

START_TEST(matches)
{
	ck_assert_int_eq(expand("net 10.20.0.0/21"), 4);	/* IP, ARP × either side */
	ck_assert_int_eq(expand("src net 10.20.0.0/21"), 4);	/* both directions */
	ck_assert_int_eq(expand("ip and net 10.20.0.0/21"), 2); /* no ARP */
	ck_assert_int_eq(expand("net 2001:db8::/32"), 2);
	ck_assert_int_eq(expand("tcp"), 1);
	ck_assert_int_eq(expand("port 53"), 6); /* tcp, udp, sctp × either side */
	ck_assert_int_eq(expand("tcp and udp"), 0);
	ck_assert_int_eq(expand("icmp and port 3"), 0);
	ck_assert_int_eq(expand("host 10.0.0.1 and host 10.0.0.2"), 4);
	ck_assert_int_eq(expand("net 10.0.0.0/8 and src host 10.0.0.2 and udp port 5"), 8);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("routes");
	TCase *t = tcase_create("routes");
	SRunner *r;
	int failed;

	tcase_set_timeout(t, 60);
	tcase_add_test(t, cover);
	tcase_add_test(t, back_and_forth);
	tcase_add_test(t, pruning_changes_nothing);
	tcase_add_test(t, matches);
	suite_add_tcase(s, t);
	r = srunner_create(s);
	srunner_run_all(r, CK_NORMAL);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed != 0;
}
