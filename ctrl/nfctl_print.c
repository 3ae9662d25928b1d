/* SPDX-License-Identifier: BSD-2-Clause */
/* Tables, one line of progress, one line at the end. Results on stdout, the rest on stderr. */
#include "nfctl.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define COLUMNS 8
#define NAMED	20 /* flows that a person is shown */

static bool live; /* a progress line stands on the terminal */

static const char *str(const json_t *o, const char *key)
{
	const char *s = json_string_value(json_object_get(o, key));

	return s ? s : "";
}

static long long num(const json_t *o, const char *key)
{
	return json_integer_value(json_object_get(o, key));
}

static double real(const json_t *o, const char *key)
{
	return json_number_value(json_object_get(o, key));
}

static const char *dash(const char *s)
{
	return *s ? s : "-";
}

/* "52.1 KB"; a few at a time in one call of printf. */
static const char *bytes(long long n)
{
	static const char *const unit[] = {"B", "KB", "MB", "GB", "TB"};
	static char buf[4][24];
	static unsigned at;
	double v = (double)n;
	unsigned u = 0;

	for (; v >= 1000 && u < 4; u++)
		v /= 1000;
	at = (at + 1) % 4;
	snprintf(buf[at], sizeof(buf[at]), u ? "%.1f %s" : "%.0f %s", v, unit[u]);
	return buf[at];
}

static const char *span(double ms)
{
	static char buf[24];

	snprintf(buf, sizeof(buf), ms >= 1000 ? "%.2f s" : "%.0f ms", ms >= 1000 ? ms / 1000 : ms);
	return buf;
}

/* ---- tables ---- */

typedef void (*row_fn)(const json_t *o, char cell[COLUMNS][256]);

static void print_cell(const char *text, size_t width, bool last)
{
	if (last)
		printf("%s\n", text);
	else
		printf("%-*s  ", (int)width, text);
}

static void table(const char *const *head, unsigned cols, const json_t *rows, row_fn fill)
{
	size_t width[COLUMNS], i;
	char cell[COLUMNS][256];
	json_t *o;

	for (unsigned c = 0; c < cols; c++)
		width[c] = strlen(head[c]);
	json_array_foreach(rows, i, o)
	{
		fill(o, cell);
		for (unsigned c = 0; c < cols; c++)
			if (strlen(cell[c]) > width[c])
				width[c] = strlen(cell[c]);
	}
	for (unsigned c = 0; c < cols; c++)
		print_cell(head[c], width[c], c + 1 == cols);
	json_array_foreach(rows, i, o)
	{
		fill(o, cell);
		for (unsigned c = 0; c < cols; c++)
			print_cell(cell[c], width[c], c + 1 == cols);
	}
}

#define CELL(c, ...) snprintf(cell[c], sizeof(cell[c]), __VA_ARGS__)

static void instance_row(const json_t *o, char cell[COLUMNS][256])
{
	bool ready = json_is_true(json_object_get(o, "ready"));

	CELL(0, "%s%s", str(o, "name"), json_is_true(json_object_get(o, "default")) ? "*" : "");
	CELL(1, "%s", dash(str(o, "port")));
	CELL(2, "%s", dash(str(o, "program")));
	if (num(o, "pid"))
		CELL(3, "%lld", num(o, "pid"));
	else
		CELL(3, "-");
	CELL(4, "%s", dash(str(o, "adapter")));
	if (num(o, "move"))
		CELL(5, "%lld %s", num(o, "move"), str(o, "stage"));
	else
		CELL(5, "-");
	CELL(6, "%.250s", ready ? "ready" : str(o, "reason"));
}

static void print_instances(const json_t *r)
{
	static const char *const head[] = {"NAME", "PORT", "NF", "PID", "ADAPTER", "MOVE", "STATE"};

	table(head, 7, json_object_get(r, "instances"), instance_row);
}

static void flow_row(const json_t *o, char cell[COLUMNS][256])
{
	CELL(0, "%s", str(o, "flow"));
	if (num(o, "packets"))
		CELL(1, "%lld", num(o, "packets"));
	else
		CELL(1, "-");
}

static void print_flows(const json_t *r)
{
	static const char *const head[] = {"FLOW", "PACKETS"};

	if (num(r, "count"))
		table(head, 2, json_object_get(r, "flows"), flow_row);
	printf("%lld flow%s at %s\n", num(r, "count"), num(r, "count") == 1 ? "" : "s",
	       str(r, "instance"));
}

static void route_row(const json_t *o, char cell[COLUMNS][256])
{
	CELL(0, "%s", str(o, "to"));
	CELL(1, "%.250s", str(o, "space"));
}

static void print_routes(const json_t *r)
{
	static const char *const head[] = {"TO", "SPACE"};
	const char *name;
	json_t *o;

	table(head, 2, json_object_get(r, "routes"), route_row);
	printf("%s gets the rest (generation %lld)\n", str(r, "default"), num(r, "generation"));
	json_object_foreach(json_object_get(r, "counters"), name, o)
		printf("%s: %lld packets, %s\n", name, num(o, "packets"), bytes(num(o, "bytes")));
}

static void move_row(const json_t *o, char cell[COLUMNS][256])
{
	CELL(0, "%lld", num(o, "id"));
	CELL(1, "%s", str(o, "src"));
	CELL(2, "%s", str(o, "dst"));
	if (!strcmp(str(o, "stage"), "over"))
		CELL(3, "%s", str(o, "state"));
	else
		CELL(3, "%s (%s)", str(o, "state"), str(o, "stage"));
	CELL(4, "%lld", num(o, "flows") + num(o, "new_flows"));
	CELL(5, "%s", span(real(o, "total_ms")));
	CELL(6, "%.250s", str(o, "space"));
}

static void print_moves(const json_t *r)
{
	static const char *const head[] = {"ID", "FROM", "TO", "STATE", "FLOWS", "TIME", "SPACE"};

	if (json_array_size(json_object_get(r, "moves")))
		table(head, 7, json_object_get(r, "moves"), move_row);
	else
		printf("no moves yet\n");
}

/* ---- one move ---- */

static void warnings(const json_t *r)
{
	json_t *w;
	size_t i;

	json_array_foreach(json_object_get(r, "warnings"), i, w)
		fprintf(stderr, "nfctl: warning: %s\n", json_string_value(w));
}

static void unfinished(const json_t *r)
{
	const json_t *a = json_object_get(r, "unfinished");
	long long all = num(r, "unfinished_count");
	json_t *f;
	size_t i;

	json_array_foreach(a, i, f)
	{
		if (i == NAMED)
			break;
		printf("not fully caught up: %s\n", json_string_value(f));
	}
	if (all > (long long)i)
		printf("not fully caught up: %lld more; 'nfctl --json show %lld' names them\n",
		       all - (long long)i, num(r, "id"));
}

/* The one line at the end. */
static void summary(const json_t *r)
{
	const char *state = str(r, "state");

	printf("move %lld %s: '%s' from %s to %s", num(r, "id"), state, str(r, "space"),
	       str(r, "src"), str(r, "dst"));
	if (!strcmp(state, "done"))
		printf(" in %s: %lld flows", span(real(r, "total_ms")), num(r, "flows"));
	else
		printf(" after %s: %s (%lld flows", span(real(r, "total_ms")), str(r, "reason"),
		       num(r, "flows"));
	printf(", %lld records (%s)", num(r, "records"), bytes(num(r, "state_bytes")));
	printf(", %lld clones (%s)", num(r, "clones"), bytes(num(r, "clone_bytes")));
	if (num(r, "new_flows"))
		printf(", %lld new flows", num(r, "new_flows"));
	printf(", at most %lld packets held and %lld buffered", num(r, "held_max"),
	       num(r, "buffered_max"));
	if (num(r, "shared"))
		printf(", %lld records shared with flows that stayed", num(r, "shared"));
	if (num(r, "exported_again"))
		printf(", %lld flows exported again (%s) for want of room",
		       num(r, "exported_again"), bytes(num(r, "exported_again_bytes")));
	if (num(r, "downgraded"))
		printf(", %lld flows out of order", num(r, "downgraded"));
	if (num(r, "kernel_drops"))
		printf(", %lld packets DROPPED BY THE KERNEL", num(r, "kernel_drops"));
	puts(strcmp(state, "done") ? ")" : "");
}

static void print_move(const json_t *r)
{
	if (!json_object_get(r, "phases")) { /* not waited for */
		printf("move %lld started; 'nfctl show %lld' tells how it gets on\n", num(r, "id"),
		       num(r, "id"));
		return;
	}
	warnings(r);
	summary(r);
	unfinished(r);
}

static void print_show(const json_t *r)
{
	const json_t *p = json_object_get(r, "phases");

	print_move(r);
	printf("state %s, stage %s%s%s\n", str(r, "state"), str(r, "stage"),
	       *str(r, "reason") ? ", reason: " : "", str(r, "reason"));
	printf("phases: begin %.1f ms, export %.1f, prepare %.1f, route %.1f, mark %.1f, commit "
	       "%.1f\n",
	       real(p, "begin_ms"), real(p, "export_ms"), real(p, "prepare_ms"),
	       real(p, "route_ms"), real(p, "mark_ms"), real(p, "commit_ms"));
	printf("state: %lld flows, %lld records (%lld shared), %s\n", num(r, "flows"),
	       num(r, "records"), num(r, "shared"), bytes(num(r, "state_bytes")));
	printf("packets: %lld clones (%s), %lld new flows, %lld forwarded late, %lld discarded\n",
	       num(r, "clones"), bytes(num(r, "clone_bytes")), num(r, "new_flows"), num(r, "fwd"),
	       num(r, "discarded"));
	printf("at most: %lld held (%s), %lld buffered (%s), %s in reserve, slice %.0f us\n",
	       num(r, "held_max"), bytes(num(r, "held_bytes_max")), num(r, "buffered_max"),
	       bytes(num(r, "buffered_bytes_max")), bytes(num(r, "reserve_max")),
	       real(r, "slice_max_us"));
	printf("overflow: %lld clones dropped at the destination, %lld found no room at the "
	       "source, %lld flows exported again (%s)\n",
	       num(r, "dropped"), num(r, "gaps"), num(r, "exported_again"),
	       bytes(num(r, "exported_again_bytes")));
	printf("input waited %.1f ms, kernel dropped %lld, out of order %lld flows\n",
	       real(r, "wait_ms"), num(r, "kernel_drops"), num(r, "downgraded"));
	if (!strcmp(str(r, "inject"), "veth"))
		printf("through the veth bridge: %lld frames sent again, %lld forged or replayed\n",
		       num(r, "resent"), num(r, "forged"));
}

/* ---- counters of output ---- */

static void stats_row(const json_t *o, char cell[COLUMNS][256])
{
	CELL(0, "%s", str(o, "name"));
	CELL(1, "%s", str(o, "family"));
	CELL(2, "%lld", num(o, "calls"));
	CELL(3, "%lld", num(o, "dropped"));
	CELL(4, "%lld", num(o, "bytes"));
}

static void print_stats(const json_t *r)
{
	static const char *const head[] = {"NAME", "FAMILY", "CALLS", "DROPPED", "BYTES"};
	json_t *rows = json_array(), *o, *f;
	size_t i, j;

	json_array_foreach(json_object_get(r, "instances"), i, o)
	{
		json_array_foreach(json_object_get(o, "families"), j, f)
		{
			json_object_set(f, "name", json_object_get(o, "name"));
			json_array_append(rows, f);
		}
	}
	if (json_array_size(rows))
		table(head, 5, rows, stats_row);
	json_array_foreach(json_object_get(r, "instances"), i, o)
	{
		if (*str(o, "reason"))
			printf("%s: %s\n", str(o, "name"), str(o, "reason"));
		else if (!json_is_true(json_object_get(o, "fresh")))
			printf("%s did not answer in time: these counts are older\n",
			       str(o, "name"));
	}
	json_decref(rows);
}

static void print_abort(const json_t *r)
{
	printf("move %lld is being aborted\n", num(r, "id"));
}

void nfctl_print(const char *cmd, const json_t *r)
{
	static const struct {
		const char *cmd;
		void (*print)(const json_t *r);
	} printers[] = {
		{"instances", print_instances}, {"flows", print_flows},
		{"routes", print_routes},	{"move", print_move},
		{"moves", print_moves},		{"show", print_show},
		{"abort", print_abort},		{"stats", print_stats},
		{"policy", nfctl_print_policy},
	};

	for (size_t i = 0; i < sizeof(printers) / sizeof(printers[0]); i++)
		if (!strcmp(printers[i].cmd, cmd))
			printers[i].print(r);
}

void nfctl_print_accepted(const json_t *o)
{
	warnings(o);
}

/* ---- progress ---- */

void nfctl_print_end(void)
{
	if (live)
		fputs("\r\033[K", stderr);
	live = false;
}

void nfctl_print_progress(const json_t *o)
{
	static double next_ms = 1000;
	bool tty = isatty(STDERR_FILENO);
	double ms = real(o, "ms");

	if (ms < 1000 || (!tty && ms < next_ms))
		return;
	while (next_ms <= ms)
		next_ms += 1000;
	fprintf(stderr, "%smove %lld: %s, %lld flows (%s), %lld clones, %.1f s%s",
		tty ? "\r\033[K" : "", num(o, "id"), str(o, "stage"), num(o, "flows"),
		bytes(num(o, "state_bytes")), num(o, "clones"), ms / 1000, tty ? "" : "\n");
	live = tty;
}
