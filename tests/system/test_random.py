# SPDX-License-Identifier: Apache-2.0
"""A few random modules; random_updates.py makes more of them."""

import unittest

from random_updates import drive

FIRST, COUNT = 1, 6


class Random(unittest.TestCase):
    def test_what_a_plan_calls_exact_is_exact(self):
        print(f"seeds {FIRST} to {FIRST + COUNT - 1}", flush=True)
        self.assertEqual(drive(range(FIRST, FIRST + COUNT)), {})
