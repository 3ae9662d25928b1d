#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-2-Clause
"""The comparisons must object: to lost, doubled, changed and reordered lines, each alone."""
import os
import subprocess
import sys
import tempfile
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))

CX = "%d|2026-01-01 10:00:0%d|2026-01-01 10:00:0%d|1|6|10.0.0.%d|1000|10.1.0.1|80|%d|50|1|60|26|26|[%s]"
NEW1 = CX % (1, 1, 1, 1, 1, "New")
NEW2 = CX % (2, 2, 2, 2, 1, "New")
END1 = CX % (1, 1, 5, 1, 9, "ended")
END2 = CX % (2, 2, 6, 2, 7, "expired")


class Oracle(unittest.TestCase):
    def run_on(self, program, ref, *outs, args=()):
        with tempfile.TemporaryDirectory() as d:
            paths = []
            for i, lines in enumerate((ref,) + outs):
                paths.append(os.path.join(d, str(i)))
                with open(paths[-1], "w", encoding="latin-1", newline="\n") as f:
                    f.write("".join(line + "\n" for line in lines))
            return subprocess.run([sys.executable, os.path.join(HERE, program), *args, *paths],
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    def prads(self, *files, live=True, distinct=False):
        args = ("--live",) * live + ("--distinct",) * distinct
        return self.run_on("compare_prads.py", *files, args=args)

    def seqhash(self, *files):
        return self.run_on("compare_seqhash.py", *files)

    def test_connections_equal(self):
        self.assertEqual(self.prads([NEW1, NEW2, END1, END2], [NEW1, END1], [NEW2, END2]), 0)

    def test_connection_id_is_a_counter(self):
        self.assertEqual(self.prads([NEW1], ["9" + NEW1]), 0)

    def test_connections_bite(self):
        ref = [NEW1, NEW2, END1, END2]
        changed = END1.replace("|9|", "|8|")
        for what, out in (("lost new", [NEW2, END1, END2]), ("lost final", [NEW1, NEW2, END2]),
                          ("doubled", ref + [NEW1]), ("doubled final", ref + [END2]),
                          ("changed", [NEW1, NEW2, changed, END2]), ("empty", [])):
            with self.subTest(what):
                self.assertEqual(self.prads(ref, out), 1)

    def test_lines_that_are_not_whole(self):
        ref = [NEW1, END1]
        self.assertEqual(self.prads(ref, ["[*] prads 0.3.3"] + ref), 0)
        for torn in (END1[:-4], END1[20:], END1 + END1, END1.replace("10:00:05", "10:00")):
            with self.subTest(torn):
                self.assertEqual(self.prads(ref, ref + [torn]), 1)
                self.assertEqual(self.prads(ref + [torn], ref), 2)

    def test_extra_final_only_where_the_reference_has_none(self):
        self.assertEqual(self.prads([NEW1, NEW2, END1], [NEW1, NEW2, END1, END2]), 0)
        self.assertEqual(self.prads([NEW1, NEW2, END1], [NEW1, NEW2, END1, END2], live=False), 1)
        self.assertEqual(self.prads([NEW1, NEW2, END1], [NEW1, NEW2, END1, END2, END2]), 1)
        # The reference has a final line for it, with other counts.
        self.assertEqual(self.prads([NEW1, END1], [NEW1, END1, END1.replace("|9|", "|8|")]), 1)
        # Nor may the union lack one, whoever forgot it.
        self.assertEqual(self.prads([NEW1, NEW2, END1, END2], [NEW1, NEW2, END1]), 1)
        # A second connection of the same ports, of which the reference forgot the end.
        again = END1.replace("|9|", "|3|")
        self.assertEqual(self.prads([NEW1, END1, NEW1], [NEW1, END1, NEW1, again]), 0)
        self.assertEqual(self.prads([NEW1, END1, NEW1], [NEW1, END1, NEW1, again, again]), 1)

    def test_nothing_is_accepted_if_no_bucket_is_shared(self):
        ref = [NEW1, NEW2, END1, END2]
        self.assertEqual(self.prads(ref, [NEW1, END1], [NEW2, END2], distinct=True), 0)
        self.assertEqual(self.prads([NEW1, END1], [NEW1, END1.replace("10:00:05", "10:00:06")], distinct=True), 0)
        self.assertEqual(self.prads(ref[:3], ref), 0)
        self.assertEqual(self.prads(ref[:3], ref, distinct=True), 1)
        self.assertEqual(self.prads(ref, ref[:3], distinct=True), 1)
        self.assertEqual(self.prads(ref, ref + [END2], distinct=True), 1)

    def test_times_differ_by_a_second_in_live_runs_only(self):
        near = END1.replace("10:00:05", "10:00:06")
        far = END1.replace("10:00:05", "10:00:07")
        self.assertEqual(self.prads([NEW1, END1], [NEW1, near]), 0)
        self.assertEqual(self.prads([NEW1, END1], [NEW1, near], live=False), 1)
        self.assertEqual(self.prads([NEW1, END1], [NEW1, far]), 1)
        # Over midnight at the end of a month, too.
        late = END1.replace("2026-01-01 10:00:05", "2026-01-31 23:59:59")
        next_day = END1.replace("2026-01-01 10:00:05", "2026-02-01 00:00:00")
        self.assertEqual(self.prads([NEW1, late], [NEW1, next_day]), 0)

    def test_each_line_finds_its_own_before_its_neighbour(self):
        first, second, third = (NEW1.replace("10:00:01", "10:00:0%d" % i) for i in (1, 2, 3))
        self.assertEqual(self.prads([second, first], [first, third]), 0)
        self.assertEqual(self.prads([second, first], [third, third]), 1)

    def test_assets(self):
        head, a, b = "asset,vlan,port", "10.0.0.1,0,80,6,SERVER,[http],0,17", "10.0.0.2,0,1,6,SYN,[x:uptime:3hrs],0,17"
        other_time = b[:-2] + "99"
        self.assertEqual(self.prads([head, a, b], [head, a], [head, other_time]), 0)
        self.assertEqual(self.prads([head, a, b], [head, a]), 1)
        self.assertEqual(self.prads([head, a, b], [head, a, b, b]), 1)

    def test_bytes_that_are_no_text(self):
        head, a = "asset,vlan,port", "10.0.0.1,0,80,6,SERVER,[\x81],0,17"
        self.assertEqual(self.prads([head, a], [head, a]), 0)
        self.assertEqual(self.prads([head, a], [head, a.replace("\x81", "\x82")]), 1)
        self.assertEqual(self.prads([head, a], [head, a + "\r"]), 1)

    def test_nothing_to_compare_is_no_success(self):
        self.assertEqual(self.prads([], []), 2)
        self.assertEqual(self.seqhash([], []), 2)

    def test_seqhash(self):
        ref = ["tcp a-b %d %016x" % (i, i * 77) for i in range(1, 6)]
        self.assertEqual(self.seqhash(ref, ref[:2], ref[2:]), 0)
        for what, outs in (("lost", [ref[:2], ref[3:]]), ("doubled", [ref[:3], ref[2:]]),
                           ("reordered", [[ref[1], ref[0]] + ref[2:]]),
                           ("changed", [ref[:4] + [ref[4][:-1] + "f"]]),
                           ("torn", [ref[:4] + [ref[4][:-1]]]), ("empty", [[]])):
            with self.subTest(what):
                self.assertEqual(self.seqhash(ref, *outs), 1)

    def test_seqhash_flows_that_end_begin_anew(self):
        lines = ["tcp a-b %s%d %016x" % (w, n, h) for w, n, h in
                 (("", 1, 7), ("", 2, 8), ("expired ", 2, 8), ("", 1, 9), ("expired ", 1, 9))]
        self.assertEqual(self.seqhash(lines, lines), 0)
        self.assertEqual(self.seqhash(lines, lines[:2], lines[2:]), 0)
        self.assertEqual(self.seqhash(lines, lines + lines[2:3]), 1)
        self.assertEqual(self.seqhash(lines, lines[:1] + lines[2:3] + lines[1:2] + lines[3:]), 1)
        self.assertEqual(self.seqhash(lines, lines[:2] + lines[3:4] + lines[2:3] + lines[4:]), 1)


if __name__ == "__main__":
    unittest.main()
