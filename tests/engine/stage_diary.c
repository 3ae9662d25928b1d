/* SPDX-License-Identifier: BSD-2-Clause */
/* What the NF did, from its diary and its output. */
#include "stage_in.h"

#include <stdio.h>

int diary_find(enum play_event event, unsigned flow, unsigned from)
{
	unsigned n = atomic_load(&play->used);

	for (unsigned i = from; i < n; i++)
		if (play->diary[i].event == event && play->diary[i].flow == flow)
			return (int)i;
	return -1;
}

unsigned diary_of(enum play_event event, unsigned flow)
{
	unsigned n = 0;

	for (int i = -1; (i = diary_find(event, flow, (unsigned)(i + 1))) >= 0;)
		n++;
	return n;
}

unsigned diary_count(enum play_event event)
{
	unsigned n = 0;

	for (unsigned i = 0; i < PLAY_FLOWS; i++)
		n += diary_of(event, i);
	return n;
}

void all_given(unsigned first, unsigned last)
{
	int64_t before[PLAY_FLOWS];
	unsigned times[TRACE_MAX] = {0};

	for (unsigned i = 0; i < PLAY_FLOWS; i++)
		before[i] = -1;
	for (unsigned i = 0; i < atomic_load(&play->used); i++) {
		const struct play_entry *e = &play->diary[i];

		if (e->event != PLAY_PACKET)
			continue;
		ck_assert_int_lt(e->n, trace_len());
		if (e->n <= before[e->flow])
			ck_abort_msg("flow %u: packet %d came behind %d", e->flow, (int)e->n,
				     (int)before[e->flow]);
		before[e->flow] = e->n;
		times[e->n]++;
	}
	for (unsigned i = first; i <= last; i++)
		if (times[i] != !trace_is_mark(i))
			ck_abort_msg("packet %u was given %u times", i, times[i]);
}

void output_is_whole(void)
{
	FILE *f = fopen(stage_path("output"), "re");
	unsigned flow, number;

	ck_assert_ptr_nonnull(f);
	for (unsigned i = 0; i < atomic_load(&play->used); i++) {
		const struct play_entry *e = &play->diary[i];

		if (e->event != PLAY_PACKET)
			continue;
		ck_assert_int_eq(fscanf(f, "%u %u", &flow, &number), 2);
		ck_assert_uint_eq(flow, e->flow);
		ck_assert_uint_eq(number, e->n);
	}
	ck_assert_int_eq(fscanf(f, "%u", &flow), EOF);
	fclose(f);
}
