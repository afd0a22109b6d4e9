"""A real Prometheus scrapes a real daemon that has done a bit of everything, and what is shipped for both is held
against it: the scrape, the rules, and every query of the dashboard."""

from __future__ import annotations

import asyncio
import json
import math
import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from prometheus import Prometheus
from shell import Daemon, Person
from vendors import vendors
from working import CLIENT_KEY, Working, configuration, signed_in

from vaultd.work.health.codes import FAULTS
from vaultd.work.metrics import hashed
from vaultd.work.metrics.document import page
from vaultd.work.metrics.series import EVERY, LABELS, PROCESS

ROOT = Path(__file__).parents[2]
MONITORING = ROOT / "monitoring"
PACE = "500ms"
DASHBOARD = json.loads((MONITORING / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [(panel["title"], target["expr"]) for panel in PANELS for target in panel["targets"]]
NAMES = {
    name
    for series in (*EVERY, *PROCESS)
    for name in (
        [f"{series.name}_{end}" for end in ("bucket", "count", "sum")] if series.kind == "histogram" else [series.name]
    )
}


@pytest.fixture(scope="module")
def working(tmp_path_factory: pytest.TempPathFactory, planted: Callable[[Path], Path]) -> Iterator[Working]:
    home = tmp_path_factory.mktemp("home")
    env = {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_STATE_HOME": str(home / ".local" / "state"),
        "XDG_RUNTIME_DIR": str(tmp_path_factory.mktemp("r", numbered=True)),
        "PATH": os.environ["PATH"],
    }
    Path(env["XDG_RUNTIME_DIR"]).chmod(0o700)
    person = Person(env)
    with ExitStack() as stack:
        sandbox = stack.enter_context(vendors())
        person.configures(json.dumps(configuration(sandbox)))
        planted(person.config)
        ids = asyncio.run(signed_in(env, sandbox))
        daemon = Daemon(person)
        stack.callback(daemon.ends)
        yield Working(daemon, sandbox, ids)


@pytest.fixture(scope="module")
def prometheus(
    working: Working,
    tool: Callable[[str], str],
    tmp_path_factory: pytest.TempPathFactory,
    planted: Callable[[Path], Path],
) -> Iterator[Prometheus]:
    """With the shipped configuration, but for address and pace; and two more jobs, with a right and a wrong key."""
    folder = tmp_path_factory.mktemp("prometheus")
    target = working.daemon.address.removeprefix("http://")
    shipped = (MONITORING / "prometheus.yml").read_text()
    assert shipped.count("127.0.0.1:8317") == 1
    paces = f"{{scrape_interval: {PACE}, evaluation_interval: {PACE}}}"
    shipped = shipped.replace("127.0.0.1:8317", target).replace("\n  scrape_interval: 30s", f" {paces}")
    for name, key in {"keyed": CLIENT_KEY, "wrong": "sk-CANARY-wrong"}.items():
        planted(folder / f"{name}.key").write_text(key)
        shipped += (
            f"  - {{job_name: {name}, authorization: {{credentials_file: {name}.key}}, "
            f"static_configs: [{{targets: ['{target}']}}]}}\n"
        )
    (folder / "prometheus.yml").write_text(shipped)
    (folder / "alerts.yml").write_text((MONITORING / "alerts.yml").read_text())
    one = Prometheus(tool("prometheus"), folder / "prometheus.yml")
    try:
        # Twice, a scrape between: what a rate is to be seen of has to rise between two. The first while Prometheus
        # takes its five seconds to look for what it is to scrape.
        for times in (1, 2):
            working.works()
            done = f'sum(vaultd_config_reloads_total{{job="vaultd"}}) >= {times * 2}'
            one.until(done, bool)
        one.until("vaultd_faults", bool)
        yield one
    finally:
        one.ends()


def filled(expr: str) -> str:
    """A query of the dashboard as Grafana sends it, every variable replaced."""
    for name, value in {"job": "vaultd", "instance": ".+", "__rate_interval": "1m"}.items():
        expr = expr.replace(f"${name}", value)
    assert "$" not in expr, expr
    return expr


@pytest.mark.parametrize(("title", "expr"), QUERIES, ids=[f"{title}: {n}" for n, (title, _) in enumerate(QUERIES)])
def test_each_query_of_the_dashboard_has_data(prometheus: Prometheus, title: str, expr: str) -> None:
    found = prometheus.query(filled(expr))
    values = [float(row["value"][1]) for row in found]
    assert values, f"{title}: no data"
    assert not all(math.isnan(value) for value in values), f"{title}: no number"


def test_the_variables_of_the_dashboard_find_the_daemon(prometheus: Prometheus) -> None:
    for name in ("job", "instance"):
        assert prometheus.query(f"group by ({name}) (vaultd_build_info)")
    kinds = {one["name"]: one["type"] for one in DASHBOARD["templating"]["list"]}
    assert kinds == {"datasource": "datasource", "job": "query", "instance": "query"}
    # "All" is what the variables found: as `.+` it would be every process that this Prometheus knows of.
    assert not any("allValue" in one for one in DASHBOARD["templating"]["list"])
    sources = {json.dumps(part["datasource"]) for panel in PANELS for part in (panel, *panel["targets"])}
    assert sources == {'{"type": "prometheus", "uid": "${datasource}"}'}, "a reader's own data source, everywhere"


def test_a_client_key_is_enough_for_a_scrape_and_a_wrong_one_is_not(prometheus: Prometheus) -> None:
    for job, up in (("vaultd", 1), ("keyed", 1), ("wrong", 0)):
        prometheus.until(f'up{{job="{job}"}} == {up}', bool)


def test_the_rules_see_the_dead_login(prometheus: Prometheus, working: Working) -> None:
    """Pending: no test waits out a `for`."""
    prometheus.until('ALERTS{alertname="VaultdLoginDead"}', bool)
    (alert,) = prometheus.query('ALERTS{alertname="VaultdLoginDead",job="vaultd"}')
    assert alert["metric"]["credential"] == hashed(working.ids["dead"])
    rules = [rule for group in prometheus.asks("rules")["groups"] for rule in group["rules"]]
    assert {rule["health"] for rule in rules} <= {"ok", "unknown"}


def test_the_exposition_is_as_promtool_wants_it_and_names_nobody(
    prometheus: Prometheus, working: Working, tool: Callable[[str], str]
) -> None:
    del prometheus  # the work is done
    text = working.daemon.asked("/metrics")[1]
    done = subprocess.run(
        [tool("promtool"), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    assert "@" not in text
    assert "CANARY" not in text
    told = set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))
    assert told == {series.name for series in (*EVERY, *PROCESS)}
    samples = set(re.findall(r"^([a-z_]+)[{ ]", text, re.MULTILINE))
    assert not NAMES - samples, "each has a value after such a day"
    labels = {label for series in EVERY for label in series.labels}
    assert labels == set(LABELS)
    assert set(re.findall(r"[{,](\w+)=", text)) == labels | {"le"}


def test_health_checks_and_scrapes_are_no_chat(prometheus: Prometheus) -> None:
    assert not prometheus.query('vaultd_requests_total{route=~"health|metrics",format!=""}')
    assert prometheus.query('vaultd_requests_total{route="metrics",format="",job="vaultd"}')


# --- what is shipped, by itself ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [("check", "config", "prometheus.yml"), ("check", "rules", "alerts.yml"), ("test", "rules", "alerts-test.yml")],
    ids=" ".join,
)
def test_promtool_passes_what_is_shipped(tool: Callable[[str], str], words: tuple[str, ...]) -> None:
    done = subprocess.run([tool("promtool"), *words], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _alerts() -> list[dict[str, Any]]:
    import yaml

    groups = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_name_that_is_used_is_a_series() -> None:
    used = {
        name
        for text in [*(expr for _, expr in QUERIES), *(rule["expr"] for rule in _alerts())]
        for name in re.findall(r"\b(?:vaultd|process)_\w+", text)
    }
    assert not used - NAMES
    assert len(used) > 30


def test_every_alert_says_what_to_do_and_is_told_in_the_rule_tests() -> None:
    tests = (MONITORING / "alerts-test.yml").read_text()
    for rule in _alerts():
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}, rule["alert"]
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["alert"] in tests, "a rule without a test"
        page_, _, code = rule["annotations"]["runbook_url"].partition("#")
        assert (ROOT / page_).is_file()
        assert code in {"alerts", "{{ $labels.code }}", *FAULTS}, rule["alert"]
        for pattern in re.findall(r'code=~?"([^"]+)"', rule["expr"]):
            for choice in pattern.split("|"):
                assert any(re.fullmatch(choice, code) for code in FAULTS), f"{rule['alert']}: no fault {choice}"


def test_whatever_wakes_somebody_is_told_by_a_rule() -> None:
    """By its code, or by a number that its heading is named at."""
    told = set()
    for rule in _alerts():
        patterns = re.findall(r'code=~?"([^"]+)"', rule["expr"])
        told |= {code for code in FAULTS for pattern in patterns if re.fullmatch(pattern, code)}
        if not patterns:
            told.add(rule["annotations"]["runbook_url"].partition("#")[2])
    assert {code for code, fault in FAULTS.items() if fault.wakes} <= told


def test_the_page_has_every_series() -> None:
    text = (ROOT / "docs" / "monitoring.md").read_text()
    assert page(text) == text, "run `make docs`"
    for rule in _alerts():
        assert rule["alert"] in text
