/* SPDX-License-Identifier: BSD-2-Clause */
/* nfctl: what a person sees. */
#ifndef NFCTL_H
#define NFCTL_H

#include <jansson.h>
#include <stdbool.h>

/* The policy of @file, NULL: what is built in, as JSON; NULL with a sentence in @err. */
json_t *nfctl_policy(const char *file, char *err, size_t n);
void nfctl_print_policy(const json_t *r);

/* Print the answer to @cmd, without the names of the protocol ("event", "ok"). */
void nfctl_print(const char *cmd, const json_t *result);
void nfctl_print_accepted(const json_t *o);
void nfctl_print_progress(const json_t *o); /* decides itself how often */
void nfctl_print_end(void);		    /* of the progress line, if there is one */

#endif
