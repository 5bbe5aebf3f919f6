# SPDX-License-Identifier: Apache-2.0
"""Every route of the API, with what is said about wrong requests."""

import json
import socket
import threading
import time

from lab import SystemTest


class Routes(SystemTest):
    def setUp(self):
        super().setUp()
        self.served = self.agent()

    def ask(self, status, method, path, body=None, headers=None, **more):
        answer = self.served.http(method, path, body, headers, **more)
        self.assertEqual(answer.status, status, f"{method} {path}: {answer.text}")
        if status >= 400:
            self.check_problem(answer, status)
        return answer

    def check_problem(self, answer, status):
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        document = answer.json
        self.assertEqual(document["status"], status)
        for member in ("type", "title", "detail"):
            self.assertTrue(document[member], member)
        for error in document["errors"]:
            self.assertEqual(set(error), {"code", "where", "message"})

    def load_meter(self):
        return self.ask(201, "POST", "/api/v1/modules", {"manifest": str(self.meter(1))})

    def update_meter(self, version=2, headers=None, status=202, **more):
        return self.ask(status, "POST", "/api/v1/updates", {"manifest": str(self.meter(version)), **more}, headers)

    def test_modules(self):
        loaded = self.load_meter()
        self.assertEqual(loaded.headers["ETag"], '"1"')
        self.assertEqual(loaded.json["name"], "meter")
        self.ask(409, "POST", "/api/v1/modules", {"manifest": str(self.meter(1))})
        shown = self.ask(200, "GET", "/api/v1/modules/meter")
        self.assertEqual((shown.headers["ETag"], shown.json["generation"]), ('"1"', 1))
        self.assertEqual([m["name"] for m in self.ask(200, "GET", "/api/v1/modules").json["modules"]], ["meter"])
        self.assertEqual(self.ask(200, "DELETE", "/api/v1/modules/meter").json["name"], "meter")
        self.ask(404, "GET", "/api/v1/modules/meter")
        self.ask(404, "DELETE", "/api/v1/modules/meter")

    def test_a_manifest_in_the_body(self):
        manifest = json.loads(self.meter(1).read_text())
        manifest["object"] = manifest["object"].rpartition("/")[2]
        folder = str(json.loads(self.meter(1).read_text())["object"]).rpartition("/")[0]
        del manifest["params"]
        self.ask(422, "POST", "/api/v1/modules", {"manifest": manifest, "dir": folder})
        self.ask(400, "POST", "/api/v1/modules", {"manifest": manifest, "set": {"IFACE": self.LINK}})
        self.ask(201, "POST", "/api/v1/modules", {"manifest": manifest, "dir": folder, "set": {"IFACE": self.LINK}})

    def test_plan_and_update(self):
        self.load_meter()
        plan = self.ask(200, "POST", "/api/v1/plans", {"manifest": str(self.meter(2))}).json
        self.assertEqual((plan["state"], plan["warnings"], plan["refusals"]), ("planned", plan["warnings"], []))
        answer = self.update_meter(bake="0s", allow_lossy=False)
        identity = answer.json["id"]
        self.assertEqual(answer.headers["Location"], f"/api/v1/updates/{identity}")
        self.assertEqual(answer.json["trigger"], "api")
        self.assertEqual(self.served.follow(identity)["state"], "committed")
        self.assertEqual(self.ask(200, "GET", "/api/v1/modules/meter").headers["ETag"], '"2"')
        second = self.update_meter(3, bake="0s").json["id"]
        self.served.follow(second)
        self.assertEqual([u["id"] for u in self.ask(200, "GET", "/api/v1/updates?module=meter").json["updates"]], [second, identity])
        self.assertEqual(self.ask(200, "GET", "/api/v1/updates?module=none").json, {"updates": []})
        self.assertEqual(len(self.ask(200, "GET", "/api/v1/updates").json["updates"]), 2)
        self.ask(404, "GET", "/api/v1/updates/u-999999")

    def test_preconditions(self):
        self.load_meter()
        self.update_meter(headers={"If-Match": '"2"'}, status=412)
        self.update_meter(headers={"If-Match": "2"}, status=400)
        self.update_meter(status=409 if self.update_meter(headers={"If-Match": '"1"'}, bake="60s") else 0)
        module = self.ask(200, "GET", "/api/v1/modules/meter").json
        self.assertEqual(module["running_update"]["id"], "u-000001")
        self.ask(409, "DELETE", "/api/v1/modules/meter")
        self.assertEqual(len(self.ask(200, "GET", "/api/v1/updates").json["updates"]), 1)

    def test_idempotency(self):
        self.load_meter()
        key = {"Idempotency-Key": "once"}
        first, second = (self.update_meter(headers=key, bake="60s") for _ in range(2))
        self.assertEqual(first.json["id"], second.json["id"])
        self.assertEqual(second.headers["Location"], first.headers["Location"])
        self.update_meter(3, headers=key, status=422, bake="60s")
        self.served.stop()
        self.served.start()
        again = self.update_meter(headers=key, bake="60s")
        self.assertEqual(again.json["id"], first.json["id"])
        self.assertEqual(len(self.ask(200, "GET", "/api/v1/updates").json["updates"]), 1)

    def test_ends(self):
        self.load_meter()
        for verb, state in (("rollback", "rolled_back"), ("abort", "rolled_back"), ("commit", "committed")):
            identity = self.update_meter(bake="60s").json["id"]
            self.served.follow(identity, ("baking",))
            self.ask(400, "POST", f"/api/v1/updates/{identity}/{verb}", {"reason": 5})
            self.ask(202, "POST", f"/api/v1/updates/{identity}/{verb}", {"reason": "a test"})
            record = self.served.follow(identity)
            self.assertEqual((record["state"], record["reason"], record["trigger"]), (state, "a test", "operator"))
            self.ask(409, "POST", f"/api/v1/updates/{identity}/{verb}")
        self.ask(404, "POST", "/api/v1/updates/u-999999/rollback")

    def test_long_poll(self):
        self.load_meter()
        identity = self.update_meter(bake="60s", manifest=str(self.meter(2, analysis={"interval": "60s"}))).json["id"]
        record = self.served.follow(identity, ("baking",))
        while True:  # the passes of the bake are news too: wait for quiet
            began = time.monotonic()
            later = self.served.update(identity, record["revision"], "700ms")
            if later["revision"] == record["revision"]:
                break
            record = later
        self.assertGreater(time.monotonic() - began, 0.6)
        threading.Timer(0.3, lambda: self.served.http("POST", f"/api/v1/updates/{identity}/rollback")).start()
        began = time.monotonic()
        news = self.served.update(identity, record["revision"], "30s")
        self.assertLess(time.monotonic() - began, 5)
        self.assertGreater(news["revision"], record["revision"])
        self.served.follow(identity)
        self.ask(400, "GET", f"/api/v1/updates/{identity}?since=x")
        self.ask(400, "GET", f"/api/v1/updates/{identity}?wait=long")

    def test_who_may(self):
        for path in ("/api/v1/modules", "/api/v1/updates", "/api/v1/nothing"):
            for token in (None, "wrong", self.served.token("rollback-token")):
                answer = self.ask(401, "GET", path, token=token)
                self.assertIn("Bearer", answer.headers["WWW-Authenticate"])
        self.ask(401, "POST", "/-/reload", token=None)
        self.ask(401, "POST", "/api/v1/modules", {"manifest": str(self.meter(1))}, token=None)

    def test_paths_and_methods(self):
        self.ask(404, "GET", "/api/v1/nothing")
        self.ask(404, "GET", "/api/v2/modules")
        self.ask(404, "GET", "/nothing", listener="metrics")
        for method, path, allowed in (("PUT", "/api/v1/modules", {"GET", "POST"}), ("DELETE", "/api/v1/updates", {"GET", "POST"}), ("GET", "/api/v1/plans", {"POST"}),
                                      ("GET", "/-/reload", {"POST"})):
            answer = self.ask(405, method, path)
            self.assertTrue(allowed <= {m.strip() for m in answer.headers["Allow"].split(",")}, answer.headers["Allow"])
        self.ask(405, "POST", "/metrics", "", listener="metrics")

    def test_bodies(self):
        self.ask(413, "POST", "/api/v1/plans", "x" * ((1 << 20) + 1))
        for body in ("", "{", "[]", '"x"', "null", '{"manifest": 5}', '{"manifest": "relative.json"}', '{"manifest": "/a", "manifest": "/b"}', "[" * 10000):
            self.ask(400, "POST", "/api/v1/plans", body)
        several = self.ask(400, "POST", "/api/v1/updates", {"manifest": "/x.json", "bake": "soon", "allow_lossy": "yes", "more": 1, "set": {"A": 1}}).json
        self.assertEqual({e["where"] for e in several["errors"]}, {"bake", "allow_lossy", "more", "set.A"})
        self.ask(422, "POST", "/api/v1/plans", {"manifest": "/nonexistent/module.json"})
        self.ask(404, "POST", "/api/v1/plans", {"manifest": str(self.meter(2))})
        self.ask(404, "POST", "/api/v1/updates", {"manifest": str(self.meter(2))})

    def test_metrics_listener(self):
        for path, kind in (("/metrics", "text/plain"), ("/-/healthy", "text/plain"), ("/-/ready", "text/plain"), ("/", "text/html")):
            answer = self.ask(200, "GET", path, listener="metrics")
            self.assertTrue(answer.headers["Content-Type"].startswith(kind), path)
            self.assertEqual(self.ask(200, "HEAD", path, listener="metrics").text, "")
        self.ask(404, "GET", "/api/v1/modules", listener="metrics")

    def test_a_slow_stranger_does_not_block_others(self):
        host, port = self.served.address["api"].split(":")
        slow = [socket.create_connection((host, int(port))) for _ in range(8)]
        try:
            for connection in slow:
                connection.send(b"GET /api/v1/mod")
            began = time.monotonic()
            self.ask(200, "GET", "/api/v1/modules")
            self.assertLess(time.monotonic() - began, 1)
        finally:
            for connection in slow:
                connection.close()

    def test_reload(self):
        self.ask(200, "POST", "/-/reload")
