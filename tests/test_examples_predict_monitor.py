"""The demo's traffic: each attack triggers its detector, an ordinary hour none; else, the demo says so and fails."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from examples.predict_api import report
from examples.predict_api.hostile import ATTACKS
from examples.predict_api.report import ABOUT
from examples.predict_api.watching import Part, Watched, watch
from flask_rampart.monitor import DETECTORS


@pytest.fixture(scope="module")
def watched() -> Watched:
    return watch()


def test_each_detector_is_triggered_by_its_attack_and_an_ordinary_hour_triggers_none(watched: Watched) -> None:
    assert watched.wrong == []
    assert set(watched.attacks) == {detector.name for detector in DETECTORS}
    assert [part.findings for part in watched.ordinary] == [(), ()]
    for name in watched.attacks:
        found = watched.found(name)
        assert found is not None and found.count >= found.threshold


def test_the_ordinary_hour_is_busy_and_has_all_that_goes_wrong_in_one(watched: Watched) -> None:
    _, hour = watched.ordinary
    assert hour.answers.total() > 2500
    # Mistyped and expired, gone, wrong, too often, deployed anew.
    assert all(hour.answers[status] >= 10 for status in (401, 404, 422, 429, 503))
    assert hour.answers[200] > hour.answers.total() / 2


def test_the_demo_fails_where_a_detector_says_nothing_or_speaks_of_ordinary_traffic(watched: Watched) -> None:
    scan = watched.attacks["path_scanning"]
    silent = replace(watched, attacks={**watched.attacks, "path_scanning": replace(scan, findings=())})
    assert silent.wrong == ["the monitor did not find path_scanning"]
    forgotten = {name: part for name, part in watched.attacks.items() if name != "scraping"}
    assert replace(watched, attacks=forgotten).wrong == ["no attack is for the detector scraping"]
    alarmed = replace(watched, ordinary=(Part("An hour", Counter(), scan.findings),))
    assert alarmed.wrong == ["An hour raised path_scanning"]
    # Somebody else was named.
    other = tuple(replace(finding, subject="192.0.2.99") for finding in scan.findings)
    named = replace(watched, attacks={**watched.attacks, "path_scanning": replace(scan, findings=other)})
    assert named.wrong == ["the monitor did not find path_scanning"]
    both = replace(watched, attacks={**watched.attacks, "scraping": replace(scan, findings=(*scan.findings,))})
    assert both.wrong == [
        "the monitor did not find scraping",
        "the monitor found path_scanning where there was scraping",
    ]


def test_the_table_has_a_row_for_each_detector_and_fits_its_columns(
    watched: Watched, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    report.watched(watched)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= report.WIDTH for line in lines)
    for name in watched.attacks:
        assert sum(line.startswith(f"  ✓ {name} ") for line in lines) == 1
    assert all(0 < len(attack.about) <= ABOUT for attack in ATTACKS.values())
