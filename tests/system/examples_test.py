# SPDX-License-Identifier: Apache-2.0
"""Each example module under full load: versions forward and back, a rollback before each, right to the last count after each."""

import unittest

from example_table import EXAMPLES
from examples import Lab

STEPS = 2


class Examples(unittest.TestCase):
    def drive(self, name):
        with Lab() as lab:
            example = EXAMPLES[name](lab)
            example.start()
            self.assertEqual(example.chain(STEPS), [], f"the agent's log ends with\n{lab.agent.log()[-3000:]}")


def _test(name):
    return lambda self: self.drive(name)


for _name in EXAMPLES:
    setattr(Examples, f"test_{_name}", _test(_name))
