# SPDX-License-Identifier: Apache-2.0
"""What the boards share: matchers, variables, annotations, the target."""

from grafana import BLUE, RED, annotation, variable

AGENT = 'job=~"$job",instance=~"$instance"'
MODULE = AGENT + ',module=~"$module"'
MAP = MODULE + ',map=~"$map"'
PROCESS = AGENT + ',process=~"$process"'

# Of update_latency_p9999 in seconds; as in alerts/mapshift.rules.yml, it must be a bucket of the histogram.
LATENCY_TARGET = 0.001

AGENT_VARIABLES = [
    variable("job", "Job", "mapshift_build_info"),
    variable("instance", "Agent", "mapshift_build_info", 'job=~"$job"'),
]
MODULE_VARIABLE = variable("module", "Module", "mapshift_module_info", AGENT)

# A generation is new when its info series was not there a minute ago.
GENERATIONS = annotation(
    "Generation changes",
    BLUE,
    f"mapshift_module_info{{{MODULE}}} unless mapshift_module_info{{{MODULE}}} offset 1m",
    "{{module}} on {{instance}}: generation {{generation}}",
    "version {{version}}, update {{update_id}}, digest {{digest}}",
)
ROLLBACKS = annotation(
    "Rollbacks",
    RED,
    f"increase(mapshift_rollbacks_total{{{MODULE}}}[1m]) > 0",
    "{{module}} on {{instance}}: rolled back",
    "asked for by: {{trigger}}",
)


def quantile(q, metric, matchers, by=""):
    """Of a histogram over the panel's own interval. Without observations the quotient is NaN: drawn as a gap."""
    labels = f"{by}, le" if by else "le"
    return f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{{{matchers}}}[$__rate_interval])))"


def rate(metric, matchers, by):
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"
