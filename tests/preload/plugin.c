/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin MODULE: a C program whose plugin brings libstdc++ with it, later than the shim and for
 * itself only. */
#include <dlfcn.h>
#include <string.h>
#include <unistd.h>

#include "check.h"

static void *symbol(void *module, const char *name)
{
	void *p = dlsym(module, name);

	if (!p) {
		fprintf(stderr, "%s: not in the module\n", name);
		exit(2);
	}
	return p;
}

static bool holds(const char *path, const char *text)
{
	char got[64] = "";
	FILE *f = fopen(path, "r");

	if (f) {
		(void)!fread(got, 1, sizeof(got) - 1, f);
		fclose(f);
	}
	return !strcmp(got, text);
}

int main(int argc, char **argv)
{
	char path[] = "plugin.XXXXXX";
	void *module = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
	void (*open_)(const char *), (*say)(const char *), (*close_)(void);

	check_preloaded();
	if (!module || mkstemp(path) < 0) {
		fprintf(stderr, "no module: %s\n", dlerror());
		return 2;
	}
	open_ = (void (*)(const char *))symbol(module, "plugin_open");
	say = (void (*)(const char *))symbol(module, "plugin_say");
	close_ = (void (*)(void))symbol(module, "plugin_close");
	open_(path);
	say("before");
	nfshim_test_window(1);
	say("inside");
	nfshim_test_window(0);
	say("after");
	close_();
	CHECK(holds(path, "before\nafter\n"));
	unlink(path);
	return failures != 0;
}
