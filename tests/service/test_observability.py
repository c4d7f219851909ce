"""Dashboard and alerts speak of metrics that the service has."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DASHBOARD: dict[str, Any] = json.loads((DEPLOY / "grafana" / "dashboards" / "atttrack.json").read_text())
PROMETHEUS: dict[str, Any] = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
RULES: list[dict[str, Any]] = [
    rule
    for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
]
EXPRESSIONS = {
    **{f"{panel['title']} {t['refId']}": t["expr"] for panel in DASHBOARD["panels"] for t in panel.get("targets", [])},
    **{rule["alert"]: rule["expr"] for rule in RULES},
}
LABELS = {"instance", "job", "stream", "kind", "stage", "code", "reason", "version", "verdict", "le"}
SUFFIXES = {
    "counter": ("_total",),
    "histogram": ("_bucket", "_sum", "_count"),
    "gauge": ("",),
    "info": ("_info",),
}


@pytest.fixture(scope="module")
def names(service: Any) -> set[str]:
    """Of all samples that the service may give."""
    with service.http as http:
        families = list(text_string_to_metric_families(http.get("/metrics").text))
    return {"up", *(family.name + suffix for family in families for suffix in SUFFIXES[family.type])}


@pytest.mark.parametrize("title", EXPRESSIONS)
def test_every_expression_names_metrics_and_labels_that_exist(title: str, names: set[str]) -> None:
    expression = EXPRESSIONS[title]
    found = set(re.findall(r"\b(?:atttrack|process)_\w+|\bup\b", expression))
    assert found, expression
    assert found <= names
    grouped = re.findall(r"\bby \(([\w, ]+)\)", expression)
    matched = re.findall(r"(\w+)\s*=~?\s*\"", expression)
    assert {label.strip() for group in grouped for label in group.split(",")} | set(matched) <= LABELS
    for opening, closing in ("()", "{}", "[]"):
        assert expression.count(opening) == expression.count(closing)


def test_the_dashboard_shows_every_metric_of_ours(names: set[str]) -> None:
    shown = " ".join(EXPRESSIONS.values())
    stems = {re.sub(r"_(bucket|sum|count)$", "", name) for name in names if name.startswith("atttrack_")}
    assert not {stem for stem in stems if stem not in shown}


def test_panels_have_titles_descriptions_and_places_of_their_own() -> None:
    panels = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert len({panel["title"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert all(panel["description"] for panel in panels)
    assert {panel["datasource"]["uid"] for panel in panels} == {datasource()["uid"]}


def datasource() -> dict[str, Any]:
    provisioned = yaml.safe_load((DEPLOY / "grafana/provisioning/datasources/prometheus.yml").read_text())
    (one,) = provisioned["datasources"]
    return one  # type: ignore[no-any-return]


def test_grafana_finds_prometheus_and_the_dashboard_where_compose_puts_them() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    listen = next(word for word in services["prometheus"]["command"] if "listen-address" in word)
    assert datasource()["url"] == f"http://{listen.partition('=')[2]}"
    provider = yaml.safe_load((DEPLOY / "grafana/provisioning/dashboards/atttrack.yml").read_text())["providers"][0]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in services["grafana"]["volumes"]
    assert services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].startswith(
        provider["options"]["path"]
    )


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_how_bad_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
    assert re.fullmatch(r"[A-Z][A-Za-z]+", rule["alert"])
    assert re.fullmatch(r"\d+[smh]", rule.get("for", "0s"))
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description"}
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= LABELS
        assert text.count("{{") == text.count("}}")
    assert rule["alert"] in (ROOT / "docs" / "OPERATIONS.md").read_text()


def test_prometheus_asks_the_service_and_knows_the_alerts() -> None:
    assert all((DEPLOY / "prometheus" / name).is_file() for name in PROMETHEUS["rule_files"])
    (job,) = PROMETHEUS["scrape_configs"]
    assert job["job_name"] == "atttrack"
    assert job["static_configs"] == [{"targets": ["127.0.0.1:8000"]}]
    assert "metrics_path" not in job  # /metrics is what Prometheus takes without being told


def test_metrics_are_where_prometheus_looks(client: httpx.Client) -> None:
    assert client.get("/metrics").status_code == 200
