// SPDX-License-Identifier: BSD-2-Clause
// An NF that prints by C++ streams: a file whose lines are flushed, one that is not, one character
// by character, a wide one, and std::cout.
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>

#include <pcap/pcap.h>

namespace
{

std::ofstream flushed("flushed"), buffered("buffered"), inlined("inlined");
std::wofstream wide("wide");

std::string describe(const pcap_pkthdr *h, const u_char *data)
{
	std::ostringstream line;

	line << h->ts.tv_sec << ' ' << h->ts.tv_usec;
	for (int i = 26; i < 30; i++)
		line << (i == 26 ? ' ' : '.') << static_cast<int>(data[i]);
	return line.str();
}

void on_packet(u_char *, const pcap_pkthdr *h, const u_char *data)
{
	if (h->caplen < 30 || data[12] != 8 || data[13] != 0)
		return;
	std::string line = describe(h, data);
	for (std::ostream *out : {static_cast<std::ostream *>(&flushed),
				  static_cast<std::ostream *>(&buffered), &std::cout}) {
		*out << line << ' ' << h->len;
		out->put('\n');
	}
	flushed.flush();
	std::copy(line.begin(), line.end(), std::ostreambuf_iterator<char>(inlined));
	inlined.put('\n');
	wide << std::wstring(line.begin(), line.end()) << L' ' << h->len;
	wide.put(L'\n');
}

} // namespace

int main(int argc, char **argv)
{
	char err[PCAP_ERRBUF_SIZE];
	pcap_t *p = argc == 2 ? pcap_open_offline(argv[1], err) : nullptr;

	if (!p)
		return 1;
	pcap_loop(p, -1, on_packet, nullptr);
	pcap_close(p);
	return 0;
}
