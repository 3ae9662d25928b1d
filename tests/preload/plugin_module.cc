// SPDX-License-Identifier: BSD-2-Clause
// A plugin in C++ for a program that is not.
#include <fstream>

namespace
{

std::ofstream *out;

} // namespace

extern "C" {
__attribute__((visibility("default"))) void plugin_open(const char *path)
{
	out = new std::ofstream(path);
}

__attribute__((visibility("default"))) void plugin_say(const char *text)
{
	*out << text;
	out->put('\n');
}

__attribute__((visibility("default"))) void plugin_close()
{
	delete out;
}
}
