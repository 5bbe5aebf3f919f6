# SPDX-License-Identifier: Apache-2.0
"""The few building blocks of Grafana's dashboard JSON (schema 36: Grafana 9.0 and newer) that the boards use."""

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}
GREEN, YELLOW, RED, BLUE = "green", "yellow", "red", "blue"
COLUMNS = 24


def query(expr, legend="", *, instant=False, form="time_series"):
    return {
        "datasource": DATASOURCE,
        "expr": expr,
        "legendFormat": legend,
        "instant": instant,
        "range": not instant,
        "format": form,
    }


def steps(*pairs):
    """Thresholds: the first colour counts below the first value."""
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in pairs]}


def mapping(table):
    """{value: (text, color)}"""
    options = {str(value): {"text": text, "color": color, "index": i} for i, (value, (text, color)) in enumerate(table.items())}
    return [{"type": "value", "options": options}]


def override(name, *properties):
    """For the series called `name`: pairs of property and value."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": key, "value": value} for key, value in properties],
    }


def _panel(kind, title, description, queries, unit, width, height, defaults, options, overrides=()):
    targets = [{"refId": chr(ord("A") + i), **target} for i, target in enumerate(queries)]
    return {
        "type": kind,
        "title": title,
        "description": description,
        "datasource": DATASOURCE,
        "targets": targets,
        "gridPos": {"h": height, "w": width},
        "fieldConfig": {"defaults": {"unit": unit, **defaults}, "overrides": list(overrides)},
        "options": options,
    }


def timeseries(
    title,
    description,
    queries,
    unit,
    *,
    width=8,
    height=8,
    thresholds=None,
    low=0,
    high=None,
    bars=False,
    stack=False,
    overrides=(),
):
    """With `thresholds` the area beyond them is coloured."""
    custom = {
        "drawStyle": "bars" if bars else "line",
        "fillOpacity": 40 if bars else 8,
        "lineWidth": 1,
        "showPoints": "auto",
        "spanNulls": False,
        "stacking": {"mode": "normal" if stack else "none", "group": "A"},
        "thresholdsStyle": {"mode": "line+area" if thresholds else "off"},
    }
    defaults = {"custom": custom, "color": {"mode": "palette-classic"}, "thresholds": thresholds or steps((GREEN, None))}
    if low is not None:
        defaults["min"] = low
    if high is not None:
        defaults["max"] = high
    options = {
        "legend": {"displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"], "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return _panel("timeseries", title, description, queries, unit, width, height, defaults, options, overrides)


def stat(title, description, queries, unit, *, width=4, height=5, thresholds=None, mappings=(), decimals=None, no_value="–"):
    defaults = {
        "color": {"mode": "thresholds"},
        "thresholds": thresholds or steps((BLUE, None)),
        "mappings": list(mappings),
        "noValue": no_value,
    }
    if decimals is not None:
        defaults["decimals"] = decimals
    options = {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "background",
        "graphMode": "none",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    }
    return _panel("stat", title, description, queries, unit, width, height, defaults, options)


def states(title, description, queries, values, *, width=24, height=6):
    """Bands of colour over time. `values`: {number: (text, color)}"""
    defaults = {
        "custom": {"fillOpacity": 80, "lineWidth": 0},
        "color": {"mode": "thresholds"},
        "thresholds": steps((GREEN, None)),
        "mappings": mapping(values),
    }
    options = {
        "mergeValues": True,
        "showValue": "auto",
        "alignValue": "left",
        "rowHeight": 0.8,
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": False},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return _panel("state-timeline", title, description, queries, "none", width, height, defaults, options)


def heatmap(title, description, expr, *, width=8, height=8):
    """Of a histogram in seconds: `expr` gives its increase by le."""
    options = {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64, "reverse": False, "exponent": 0.5, "fill": "orange"},
        "yAxis": {"unit": "s", "axisPlacement": "left"},
        "cellGap": 1,
        "cellValues": {"unit": "short"},
        "filterValues": {"le": 1e-9},
        "legend": {"show": True},
        "tooltip": {"show": True, "yHistogram": False},
        "exemplars": {"color": RED},
        "rowsFrame": {"layout": "auto"},
    }
    return _panel("heatmap", title, description, [query(expr, "{{le}}", form="heatmap")], "s", width, height, {}, options)


def table(title, description, queries, unit, columns, *, width=12, height=8, overrides=()):
    """Instant queries side by side, joined by their labels; __name__ would keep them apart, so each must aggregate.
    `columns`: {field: heading}, in order; all else is hidden."""
    panel = _panel(
        "table",
        title,
        description,
        [{**target, "instant": True, "range": False, "format": "table"} for target in queries],
        unit,
        width,
        height,
        {"custom": {"align": "auto", "filterable": True}, "thresholds": steps((GREEN, None))},
        {"showHeader": True, "footer": {"show": False, "reducer": ["sum"], "fields": ""}},
        overrides,
    )
    panel["transformations"] = [
        {"id": "merge", "options": {}},
        {"id": "filterFieldsByName", "options": {"include": {"names": list(columns)}}},
        {
            "id": "organize",
            "options": {
                "indexByName": {field: i for i, field in enumerate(columns)},
                "renameByName": columns,
                "excludeByName": {},
            },
        },
    ]
    return panel


def variable(name, label, metric, matchers=""):
    """A choice of label values, All by default. All is sent as the list of what exists: process_* of others stays out."""
    definition = f"label_values({metric}{{{matchers}}}, {name})" if matchers else f"label_values({metric}, {name})"
    return {
        "name": name,
        "label": label,
        "type": "query",
        "datasource": DATASOURCE,
        "definition": definition,
        "query": {"query": definition, "refId": f"variable-{name}"},
        "refresh": 2,
        "regex": "",
        "sort": 1,
        "hide": 0,
        "skipUrlSync": False,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": ["All"], "value": ["$__all"]},
        "options": [],
    }


def annotation(name, color, expr, title, text):
    return {
        "name": name,
        "datasource": DATASOURCE,
        "enable": True,
        "hide": False,
        "iconColor": color,
        "expr": expr,
        "step": "30s",
        "titleFormat": title,
        "textFormat": text,
        "tagKeys": "instance,module",
        "useValueForTime": False,
    }


def _lay_out(rows):
    """Panels from left to right, each row under its heading. Gives ids and positions."""
    placed, top = [], 0
    for heading, panels in rows:
        placed.append(
            {
                "type": "row",
                "title": heading,
                "collapsed": False,
                "panels": [],
                "gridPos": {"h": 1, "w": COLUMNS, "x": 0, "y": top},
            }
        )
        top, left, height = top + 1, 0, 0
        for panel in panels:
            size = panel["gridPos"]
            if left + size["w"] > COLUMNS:
                top, left, height = top + height, 0, 0
            placed.append({**panel, "gridPos": {**size, "x": left, "y": top}})
            left, height = left + size["w"], max(height, size["h"])
        top += height
    return [{"id": i, **panel} for i, panel in enumerate(placed, 1)]


def dashboard(uid, title, description, variables, rows, annotations=()):
    datasource = {
        "name": "datasource",
        "label": "Data source",
        "type": "datasource",
        "query": "prometheus",
        "refresh": 1,
        "regex": "",
        "hide": 0,
        "skipUrlSync": False,
        "multi": False,
        "includeAll": False,
        "current": {"selected": False, "text": "default", "value": "default"},
        "options": [],
    }
    return {
        "id": None,
        "uid": uid,
        "title": title,
        "description": description,
        "tags": ["mapshift"],
        "schemaVersion": 36,
        "version": 1,
        "editable": False,
        "fiscalYearStartMonth": 0,
        "graphTooltip": 1,
        "liveNow": False,
        "refresh": "10s",
        "style": "dark",
        "timezone": "browser",
        "weekStart": "",
        "time": {"from": "now-1h", "to": "now"},
        "timepicker": {},
        "links": [
            {
                "type": "dashboards",
                "title": "mapshift",
                "tags": ["mapshift"],
                "asDropdown": True,
                "icon": "external link",
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "",
                "url": "",
            }
        ],
        "annotations": {"list": list(annotations)},
        "templating": {"list": [datasource, *variables]},
        "panels": _lay_out(rows),
    }
