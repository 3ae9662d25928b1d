// SPDX-License-Identifier: BSD-2-Clause
// C++ streams beyond what is put out: room that is given back, objects that die in the window,
// exceptions through the shim, other threads, plugins.
#include <cstring>
#include <fstream>
#include <iostream>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>

#include <unistd.h>

extern "C" {
#include "check.h"
}

namespace
{

std::string read_file(const char *path)
{
	std::ifstream in(path);
	std::stringstream s;

	s << in.rdbuf();
	return s.str();
}

void put(std::ostream &out, int n, char c)
{
	while (n-- > 0)
		out.put(c);
}

// The window leaves a stream's buffer as it was: no early flush.
void room_is_given_back()
{
	std::ofstream f("room");

	f << "before";
	for (int i = 0; i < 100; i++) {
		nfshim_test_window(1);
		f << "inside" << 42;
		f.put('i');
		nfshim_test_window(0);
		f.put('a');
	}
	CHECK(read_file("room").empty());
	f.flush();
	CHECK(read_file("room") == "before" + std::string(100, 'a'));
}

// Every fill level of a buffer before, in and after the window, by the inlined path.
void only_what_is_inside_is_dropped()
{
	enum { ROOM = 12 };

	for (int i = 0; i < ROOM * ROOM; i++) {
		int before = i % ROOM, inside = i / ROOM;
		char buffer[ROOM - 2];
		std::ofstream f;

		f.rdbuf()->pubsetbuf(buffer, sizeof(buffer));
		f.open("levels");
		put(f, before, 'b');
		nfshim_test_window(1);
		put(f, inside, 'i');
		nfshim_test_window(0);
		put(f, 3, 'a');
		f.close();
		CHECK(read_file("levels") == std::string(static_cast<size_t>(before), 'b') + "aaa");
	}
}

void drops_are_counted()
{
	std::ofstream f("counted");
	uint64_t calls, bytes;

	f << "before";
	nfshim_test_window(1);
	calls = nfshim_test_dropped();
	bytes = nfshim_test_dropped_bytes();
	f << "inside";
	f.put('i');
	calls = nfshim_test_dropped() - calls;
	bytes = nfshim_test_dropped_bytes() - bytes;
	nfshim_test_window(0);
	CHECK(calls == 2 && bytes == 7);
}

// What is older comes out of objects that die in the window, and their memory is left alone.
void objects_die_inside()
{
	auto f = std::make_unique<std::ofstream>("dies");
	unsigned char old[sizeof(std::ofstream)];

	*f << "before";
	nfshim_test_window(1);
	*f << "inside";
	f.reset();
	auto *memory = new unsigned char[sizeof(std::ofstream)];
	std::memset(memory, 0x5a, sizeof(old));
	std::memcpy(old, memory, sizeof(old));
	nfshim_test_window(0);
	CHECK(std::memcmp(old, memory, sizeof(old)) == 0);
	delete[] memory;
	CHECK(read_file("dies") == "before");
}

// Nothing but inlined puts after the move.
void moved_before_the_window()
{
	std::ofstream f("moved");

	f << "before";
	std::ofstream g = std::move(f);
	nfshim_test_window(1);
	put(g, 3, 'i');
	nfshim_test_window(0);
	put(g, 3, 'a');
	g.close();
	CHECK(read_file("moved") == "beforeaaa");
}

// Opened by one thread, used by another from then on.
void handed_over()
{
	std::ofstream f("handed");

	f << "before";
	std::thread([&] {
		f << "more";
		nfshim_test_window(1);
		put(f, 3, 'i');
		nfshim_test_window(0);
		put(f, 3, 'a');
	}).join();
	f.close();
	CHECK(read_file("handed") == "beforemoreaaa");
}

// A member of the shim's is on the stack when libstdc++ throws.
void exceptions_pass()
{
	std::wofstream f("throws");
	bool caught = false;

	f.exceptions(std::ios::badbit);
	f << L"before\n" << std::flush;
	try {
		f << L'\x20ac' << std::flush; // not in the classic locale
	} catch (const std::ios_base::failure &) {
		caught = true;
	}
	CHECK(caught && f.bad());
}

// A handler of a callback's exception finds the streams as ever.
void thrown_out_of_the_window()
{
	std::ofstream f("thrown");

	f << "before";
	try {
		nfshim_test_window(1);
		f << "inside";
		throw 1;
	} catch (int) {
		nfshim_test_window(0);
	}
	f << "after";
	f.close();
	CHECK(read_file("thrown") == "beforeafter");
}

// A log that two threads share: of each, what it prints outside its window.
void shared_by_threads()
{
	enum { LINES = 20000 };
	std::ofstream f("shared");
	std::mutex m;
	std::string want_mine, mine, line;
	auto say = [&](const char *who, int i) {
		std::lock_guard<std::mutex> hold(m);
		f << who << i;
		f.put('\n');
	};
	std::thread other([&] {
		for (int i = 0; i < LINES; i++)
			say("other ", i);
	});
	int others = 0;

	for (int i = 0; i < LINES; i++) {
		if (i % 2)
			nfshim_test_window(1);
		say("mine ", i);
		nfshim_test_window(0);
		if (i % 2 == 0)
			want_mine += "mine " + std::to_string(i) + '\n';
	}
	other.join();
	f.close();
	std::ifstream in("shared");
	while (std::getline(in, line)) {
		if (line == "other " + std::to_string(others))
			others++;
		else
			mine += line + '\n';
	}
	CHECK(others == LINES);
	CHECK(mine == want_mine);
}

} // namespace

int main()
{
	char dir[] = "cxx.XXXXXX";

	check_preloaded();
	if (!mkdtemp(dir) || chdir(dir) != 0)
		return 2;
	room_is_given_back();
	only_what_is_inside_is_dropped();
	drops_are_counted();
	objects_die_inside();
	moved_before_the_window();
	handed_over();
	exceptions_pass();
	thrown_out_of_the_window();
	shared_by_threads();
	for (const char *name :
	     {"room", "levels", "counted", "dies", "moved", "handed", "throws", "thrown", "shared"})
		unlink(name);
	if (chdir("..") == 0)
		rmdir(dir);
	return failures != 0;
}
