# SPDX-License-Identifier: Apache-2.0
"""A linter that finds nothing proves nothing: each rule must find what it is for."""

import copy
import http.server
import json
import pathlib
import subprocess
import sys
import tempfile
import threading
import unittest

import boards
import lint_dashboards
import metrics
import promql
import run_queries

HERE = pathlib.Path(__file__).resolve().parent
DASHBOARDS = HERE.parents[1] / "dashboards"


class Promql(unittest.TestCase):
    def test_names_series_and_matchers_only(self):
        expr = """sum by (job, le) (rate(a_bucket{le="0.001", x=~"b{c}"}[1h])) / on (job) group_left (y) (sum(foo) > 0)
            and time() - up < 3 or a:b{z!="(q"} offset 5m"""
        self.assertEqual(promql.selectors(expr), [("a_bucket", ["le", "x"]), ("foo", []), ("up", []), ("a:b", ["z"])])
        self.assertEqual(promql.label_lists(expr), {"job", "le", "y"})

    def test_finds_what_does_not_exist(self):
        known = {"foo": {"job"}}
        self.assertEqual(promql.problems("foo + bar", known), ["there is no metric bar"])
        self.assertEqual(promql.problems('foo{map="x"}', known), ["foo has no label map"])
        self.assertEqual(promql.problems("sum by (map) (foo)", known), ["no metric here has the label map"])


class NamesHeader(unittest.TestCase):
    def check(self, text):
        with tempfile.TemporaryDirectory() as folder:
            file = pathlib.Path(folder) / "names.h"
            file.write_text(text)
            return metrics.check(file)

    def test_compares(self):
        entry = '{Id::kA, "mapshift_map_entries", Kind::%s, "Help, with \\"quotes\\".",\n {"module", "map"}},'
        self.assertEqual(self.check(entry % "kGauge"), [])
        self.assertIn("mapshift_map_entries is", self.check(entry % "kCounter")[0])
        self.assertIn("not laid out", self.check('{Id::kA, name_of("x")},')[0])
        self.assertIn("no bucket", self.check("kLatencyBuckets = std::to_array<double>({0.01, 0.1});")[0])


class Linter(unittest.TestCase):
    def setUp(self):
        self.board = copy.deepcopy(boards.load(DASHBOARDS)["updates.json"])
        self.panel = next(panel for panel in self.board["panels"] if panel["title"] == "Progress")

    def expect(self, text):
        found = list(lint_dashboards.lint(self.board))
        self.assertTrue(any(text in problem for problem in found), f"{text!r} is not in {found}")

    def test_accepts(self):
        self.assertEqual(list(lint_dashboards.lint(self.board)), [])

    def test_finds_faults_of_the_board(self):
        faults = (
            ("uid", None, "uid"),
            ("id", 7, "database"),
            ("schemaVersion", 30, "older"),
            ("__inputs", [], "__inputs"),
            ("title", "", "no title"),
        )
        for member, value, text in faults:
            with self.subTest(member):
                before = dict(self.board)
                self.board[member] = value
                self.expect(text)
                self.board = before

    def test_finds_a_hard_coded_data_source(self):
        self.panel["targets"][0]["datasource"] = {"type": "prometheus", "uid": "abc"}
        self.expect("hard-coded")

    def test_finds_variables_that_are_wrong(self):
        self.board["templating"]["list"][-1]["name"] = "modul"
        self.expect("$module is not defined")
        self.expect("modul is never used")

    def test_finds_faults_of_a_panel(self):
        faults = (
            ("description", "", "description"),
            ("title", "Staleness", "used twice"),
            ("type", "graph", "type graph"),
            ("id", 1, "used twice"),
            ("gridPos", {"x": 20, "y": 0, "w": 8, "h": 1}, "not on the grid"),
            ("gridPos", {"x": 0, "y": 1, "w": 8, "h": 1}, "lies over"),
            ("targets", [], "no queries"),
            ("fieldConfig", {"defaults": {"unit": "parsecs"}}, "no unit"),
        )
        for member, value, text in faults:
            with self.subTest(member=member, text=text):
                before = self.panel[member]
                self.panel[member] = value
                self.expect(text)
                self.panel[member] = before

    def test_finds_faults_of_a_query(self):
        agent = 'job=~"$job",instance=~"$instance"'
        faults = (
            (f"rate(mapshift_map_entries{{{agent}}}[5m])", "[5m] is fixed"),
            (f"mapshift_nothing{{{agent}}}", "no metric"),
            ('mapshift_map_entries{job=~"$job"}', "not limited"),
            ("mapshift_map_entries", "no matchers"),
            (f'mapshift_update_latency_seconds_count{{{agent},module="x"}}', "no label module"),
        )
        for expr, text in faults:
            with self.subTest(text):
                self.panel["targets"][0]["expr"] = expr
                self.expect(text)
        self.panel["targets"][0]["legendFormat"] = "{{colour}}"
        self.expect("legend names colour")


class Answers(http.server.BaseHTTPRequestHandler):
    status, body = 200, b""

    def do_GET(self):
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_):
        pass


class RunQueries(unittest.TestCase):
    def setUp(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def tearDown(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def answer(self, status, body):
        Answers.status, Answers.body = status, body if isinstance(body, bytes) else json.dumps(body).encode()

    def run_tool(self, wanted):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.write(wanted)
            file.flush()
            command = [sys.executable, "-B", HERE / "run_queries.py", "--prometheus", self.url, "--must-have-data", file.name]
            return subprocess.run(command, capture_output=True, text=True, timeout=60)

    def test_empty_is_a_failure_only_where_data_must_be(self):
        self.answer(200, {"status": "success", "data": {"resultType": "vector", "result": []}})
        self.assertEqual(self.run_tool("# none\n").returncode, 0)
        done = self.run_tool("mapshift-updates / Progress  # with a comment\nexpr / up\n")
        self.assertEqual(done.returncode, 1)
        self.assertIn("EMPTY mapshift-updates / Progress / A", done.stdout)
        self.assertIn("EMPTY expr / up", done.stdout)

    def test_nan_is_no_data(self):
        self.assertFalse(run_queries.has_data([{"value": [0, "NaN"]}, {"values": [[0, "NaN"], [1, "NaN"]]}]))
        self.assertTrue(run_queries.has_data([{"values": [[0, "NaN"], [1, "0"]]}]))

    def test_a_line_that_fits_nothing_is_a_failure(self):
        self.answer(200, {"status": "success", "data": {"result": [{"value": [0, "1"]}]}})
        self.assertIn("UNKNOWN mapshift-updates / Progres", self.run_tool("mapshift-updates / Progres\n").stdout)

    def test_bad_answers_are_failures(self):
        success = {"status": "success", "data": 1}
        bad = ((400, {"status": "error"}), (500, b"<html>"), (200, b"<html>"), (200, b""), (200, [1]), (200, success))
        for status, body in bad:
            with self.subTest(body):
                self.answer(status, body)
                self.assertIsInstance(run_queries.ask(self.url, "query", {}, 5), str)

    def test_nobody_there(self):
        self.assertIn("no usable answer", run_queries.ask("http://127.0.0.1:1", "query", {}, 5))


if __name__ == "__main__":
    unittest.main()
