// SPDX-License-Identifier: BSD-2-Clause
// C++ streams: files, std::cout and kin with and without stdio below, wide ones, with every way to
// put a character: by a call, by the inlined path into the put area, by an iterator.
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <iterator>
#include <memory>
#include <sstream>
#include <string>
#include <syncstream>

#include <fcntl.h>
#include <unistd.h>

#include <ext/stdio_filebuf.h>
#include <ext/stdio_sync_filebuf.h>

extern "C" {
#include "emit.h"
}

namespace
{

// Makes the protected members callable.
template <class C> struct open_filebuf : std::basic_filebuf<C> {
	using std::basic_filebuf<C>::overflow;
	using std::basic_filebuf<C>::xsputn;
};

struct variant {
	const char *name;
	bool stdio; // std::cout is on top of stdio
	bool set;   // a buffer of one's own
	int size;   // and its size; 0: unbuffered
};

// Without stdio below there is no way back.
const variant variants[] = {{"stdio", true, false, 0},
			    {"small", true, true, 16},
			    {"none", true, true, 0},
			    {"own", false, false, 0}};

char room[16], moved_room[16];
wchar_t wide_room[16];

std::ofstream f, m;
std::wofstream wf;
open_filebuf<char> direct;
open_filebuf<wchar_t> wide_direct;
std::unique_ptr<__gnu_cxx::stdio_filebuf<char>> on_fd;
std::FILE *wide_file;
std::unique_ptr<__gnu_cxx::stdio_sync_filebuf<wchar_t>> on_wide_file;

std::string path(const char *what, const variant &v)
{
	return std::string(what) + '.' + v.name;
}

std::wstring wide(const char *t)
{
	return std::wstring(t, t + std::strlen(t));
}

long length(const char *t)
{
	return static_cast<long>(std::strlen(t));
}

long insert(const char *t)
{
	f << t;
	return f.good();
}

long insert_char(const char *t)
{
	for (; *t; t++)
		f << *t;
	return f.good();
}

long numbers(const char *t)
{
	f << t << 42 << ' ' << 1.5 << ' ' << std::hex << std::setw(8) << 255u << std::dec << true
	  << '\n';
	return f.good();
}

long put(const char *t)
{
	for (; *t; t++)
		f.put(*t);
	return f.good();
}

long write_(const char *t)
{
	f.write(t, length(t));
	return f.good();
}

long write_long(const char *t)
{
	std::string s(20000, '.');

	s += t;
	f.write(s.data(), static_cast<std::streamsize>(s.size()));
	return f.good();
}

long endl_(const char *t)
{
	f << std::string(t, std::strlen(t) - 1) << std::endl;
	return f.good();
}

long put_endl(const char *t)
{
	for (; t[1]; t++)
		f.put(*t);
	f << std::endl;
	return f.good();
}

long put_flush(const char *t)
{
	for (; *t; t++)
		f.put(*t);
	f.flush();
	for (const char *more = "more\n"; *more; more++)
		f.put(*more);
	return f.good();
}

long unitbuf_(const char *t)
{
	f << std::unitbuf << t << 7 << '\n' << std::nounitbuf;
	return f.good();
}

long half_line(const char *t)
{
	if (*t != 'i')
		f << "half ";
	f.put('-');
	f << t;
	return f.good();
}

long sputc_(const char *t)
{
	for (; *t; t++)
		f.rdbuf()->sputc(*t);
	return f.rdbuf()->sputc('\xe9');
}

long sputn_(const char *t)
{
	return f.rdbuf()->sputn(t, length(t));
}

long iterator(const char *t)
{
	std::copy(t, t + std::strlen(t), std::ostreambuf_iterator<char>(f));
	return f.good();
}

// Where the NF is in its file, as far as it can know: at the end.
long seek(const char *t)
{
	put(t);
	f.seekp(0, std::ios::end);
	f << t;
	return f.good();
}

long from_streambuf(const char *t)
{
	std::istringstream in(t);

	f << in.rdbuf();
	return f.good();
}

long synchronised(const char *t)
{
	std::osyncstream(f) << t << 1 << '\n';
	return f.good();
}

// Own memory is not output.
long memory(const char *t)
{
	std::ostringstream s;

	s << t << 42 << std::endl;
	f << t;
	return static_cast<long>(s.str().size());
}

long own_file(const char *t)
{
	std::ofstream own("opened", std::ios::app);

	own << t;
	own.put('\n');
	own.close();
	return own.good();
}

// An object that dies open, and another where it was.
long short_lived(const char *t)
{
	for (int i = 0; i < 2; i++) {
		std::ofstream own("short-lived", std::ios::app);

		own << t;
		own.put('\n');
	}
	return 0;
}

long on_heap(const char *t)
{
	auto own = std::make_unique<std::ofstream>("heap", std::ios::app);

	*own << t;
	own->put('\n');
	return own->good();
}

long reopened(const char *t)
{
	static std::ofstream own;

	own.open("reopened", std::ios::app);
	own << t;
	own.close();
	own.open("reopened", std::ios::app);
	for (; *t; t++)
		own.put(*t);
	own.close();
	return own.good();
}

long moved(const char *t)
{
	std::ofstream other = std::move(m);

	for (; *t; t++)
		other.put(*t);
	m = std::move(other);
	for (const char *more = "more\n"; *more; more++)
		m.put(*more);
	return m.good();
}

long swapped(const char *t)
{
	std::ofstream other;

	other.swap(m);
	for (; *t; t++)
		other.put(*t);
	m.swap(other);
	m.put('\n');
	return m.good();
}

long filebuf_moved(const char *t)
{
	std::filebuf other(std::move(*m.rdbuf()));

	for (; *t; t++)
		other.sputc(*t);
	*m.rdbuf() = std::move(other);
	return m.rdbuf()->sputc('\n');
}

long wide_filebuf_moved(const char *t)
{
	std::wfilebuf other(std::move(*wf.rdbuf()));

	for (; *t; t++)
		other.sputc(static_cast<wchar_t>(*t));
	*wf.rdbuf() = std::move(other);
	other.swap(*wf.rdbuf());
	other.swap(*wf.rdbuf());
	return static_cast<long>(wf.rdbuf()->sputc(L'\n'));
}

long members(const char *t)
{
	std::streamsize n = direct.xsputn(t, length(t));

	return n * 1000 + direct.overflow('\n') + 100000 * direct.overflow(0xe9);
}

long wide_members(const char *t)
{
	std::streamsize n = wide_direct.xsputn(wide(t).data(), length(t));

	return n * 1000 + static_cast<long>(wide_direct.overflow(L'\n'));
}

long descriptor(const char *t)
{
	std::ostream out(on_fd.get());

	out << t << 42;
	out.put('\n');
	return out.good();
}

long wide_insert(const char *t)
{
	wf << wide(t) << 42 << L' ' << 1.5 << L'\n';
	return wf.good();
}

long wide_put(const char *t)
{
	for (; *t; t++)
		wf.put(static_cast<wchar_t>(*t));
	return wf.good();
}

long wide_endl(const char *t)
{
	wf.put(L'-');
	wf << wide(t) << std::endl;
	wf.put(L'-');
	return wf.good();
}

long wide_stdio(const char *t)
{
	std::wostream out(on_wide_file.get());

	out << wide(t) << 42;
	out.put(L'\n');
	return out.good();
}

long cout_(const char *t)
{
	std::cout << t << 42;
	std::cout.put('\n');
	return std::cout.good();
}

long cout_endl(const char *t)
{
	for (; *t; t++)
		std::cout.put(*t);
	std::cout << std::endl;
	return std::cout.good();
}

long cerr_(const char *t)
{
	std::cerr << t << 42;
	std::cerr.put('\n');
	return std::cerr.good();
}

long clog_(const char *t)
{
	std::clog << t << 42;
	std::clog.put('\n');
	return std::clog.good();
}

void close_all()
{
	f.close();
	m.close();
	wf.close();
	direct.close();
	wide_direct.close();
	on_fd.reset();
	on_wide_file.reset();
	std::fclose(wide_file);
	std::cout.flush();
	std::clog.flush();
	std::fflush(stdout);
	std::fflush(stderr);
}

} // namespace

const unsigned emit_variants = sizeof(variants) / sizeof(variants[0]);

void emit_setup(unsigned i)
{
	const variant &v = variants[i];

	if (!v.stdio)
		std::ios::sync_with_stdio(false);
	if (!std::freopen(path("stdout", v).c_str(), "w", stdout) ||
	    !std::freopen(path("stderr", v).c_str(), "w", stderr))
		emit_die("cannot open the results");
	if (v.set) {
		f.rdbuf()->pubsetbuf(v.size ? room : nullptr, v.size);
		m.rdbuf()->pubsetbuf(v.size ? moved_room : nullptr, v.size);
		wf.rdbuf()->pubsetbuf(v.size ? wide_room : nullptr, v.size);
	}
	f.open(path("file", v));
	m.open(path("moved", v));
	wf.open(path("wide", v));
	direct.open(path("direct", v), std::ios::out);
	wide_direct.open(path("wide-direct", v), std::ios::out);
	on_fd.reset(new __gnu_cxx::stdio_filebuf<char>(
		open(path("descriptor", v).c_str(), O_WRONLY | O_CREAT, 0600), std::ios::out));
	wide_file = std::fopen(path("wide-stdio", v).c_str(), "w");
	on_wide_file.reset(new __gnu_cxx::stdio_sync_filebuf<wchar_t>(wide_file));
	if (!f || !m || !wf || !direct.is_open() || !wide_direct.is_open() || !on_fd->is_open())
		emit_die("cannot open the results");
}

void emit_settle()
{
}

void emit_finish()
{
	close_all();
}

#define OP(name)                                                                                   \
	{                                                                                          \
#name, name                                                                        \
	}

const struct emit_op emit_ops[] = {OP(insert),	      OP(insert_char),
				   OP(numbers),	      OP(put),
				   OP(write_),	      OP(write_long),
				   OP(endl_),	      OP(put_endl),
				   OP(put_flush),     OP(unitbuf_),
				   OP(half_line),     OP(sputc_),
				   OP(sputn_),	      OP(iterator),
				   OP(seek),	      OP(from_streambuf),
				   OP(synchronised),  OP(memory),
				   OP(own_file),      OP(short_lived),
				   OP(on_heap),	      OP(reopened),
				   OP(moved),	      OP(swapped),
				   OP(filebuf_moved), OP(wide_filebuf_moved),
				   OP(members),	      OP(wide_members),
				   OP(descriptor),    OP(wide_insert),
				   OP(wide_put),      OP(wide_endl),
				   OP(wide_stdio),    OP(cout_),
				   OP(cout_endl),     OP(cerr_),
				   OP(clog_),	      {nullptr, nullptr}};
