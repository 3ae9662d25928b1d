/* SPDX-License-Identifier: BSD-2-Clause */
/* What comes before the shim's constructor finds the real functions, too. */
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

extern int early_file, early_results;

int main(void)
{
	struct stat st;

	check_preloaded();
	CHECK(early_results == 4);
	CHECK(fstat(early_file, &st) == 0 && st.st_size == 20);
	nfshim_test_window(1);
	CHECK(write(early_file, "inside\n", 7) == 7);
	nfshim_test_window(0);
	CHECK(fstat(early_file, &st) == 0 && st.st_size == 20);
	return failures != 0;
}
