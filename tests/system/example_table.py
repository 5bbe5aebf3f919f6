# SPDX-License-Identifier: Apache-2.0
"""The example modules that can be driven."""

from example_balancer import Balancer
from example_conntrack import Conntrack
from example_flowagg import Flowagg
from example_policy import Policy
from example_tracer import Tracer

EXAMPLES = {example.name: example for example in (Balancer, Conntrack, Flowagg, Policy, Tracer)}
