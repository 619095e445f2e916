"""``plan diff``: two plans for one network, compared."""

from __future__ import annotations

from typing import Any


def test_the_difference_of_two_plans_is_told(run: Any, tiny: tuple[object, ...]) -> None:
    run("prune", *tiny, "--percent", 0.2, "--out", "a")
    run("prune", *tiny, "--percent", 0.5, "--out", "b")

    outcome = run("plan", "diff", "a", "b/plan.json")

    record = outcome.json
    assert record["lanes"]["only_first"] > 0
    assert record["lanes"]["only_second"] == 0
    assert record["options"] == {"percent": [0.2, 0.5]}
    assert record["dropped_blocks"] == {"only_first": [], "only_second": []}
    assert "lanes kept  by both" in outcome.out
    assert all(name in outcome.out for name in record["nodes"])


def test_plans_of_other_networks_and_missing_ones_are_refused(run: Any, refused: Any, tiny: tuple[object, ...]) -> None:
    run("prune", *tiny, "--percent", 0.2, "--out", "a")
    run("prune", *tiny, "--percent", 0.2, "--classes", "keep=1", "--out", "b")
    assert "were made for different cfgs" in refused("plan", "diff", "a", "b")
    assert "gone/plan.json" in refused("plan", "diff", "a", "gone/plan.json")


def test_plan_alone_shows_what_it_can_do(capfd: Any) -> None:
    from yoloslim.cli import main

    assert main(["plan"]) == 0
    assert "diff" in capfd.readouterr().out
