"""Why a percent removes less than it says."""

import numpy as np

from yoloslim.compress.pruning.held import Hold, shortfall
from yoloslim.compress.pruning.methods import METHODS, PruneSettings, Ranking, choose, rank
from yoloslim.graph.from_cfg import parse_cfg

NET = "[net]\nwidth=16\nheight=16\nchannels=3\n"


def conv(filters: int, *more: str) -> str:
    return "\n".join(["[convolutional]", "batch_normalize=1", f"filters={filters}", *more, ""])


def ranked(text: str, gammas: dict[str, list[float]], **settings: object) -> Ranking:
    scores = {name: np.array(values) for name, values in gammas.items()}
    return rank(parse_cfg(NET + text), METHODS["slim"], PruneSettings(**settings), scores)  # type: ignore[arg-type]


FIRST, SECOND, THIRD = "000_convolutional", "001_convolutional", "002_convolutional"


def test_a_percent_that_does_what_it_says_has_no_shortfall() -> None:
    ranking = ranked(conv(4) + conv(4), {FIRST: [0.1, 0.2, 0.8, 0.9], SECOND: [0.3, 0.4, 0.5, 0.6]})
    assert shortfall(ranking, 0.5) is None


def test_a_floor_that_holds_is_named_with_its_layer() -> None:
    ranking = ranked(conv(4) + conv(4), {FIRST: [0.1, 0.15, 0.2, 0.25], SECOND: [0.3, 0.4, 0.5, 0.6]}, min_keep=0.5)

    found = shortfall(ranking, 0.5)

    assert found is not None
    assert (found.asked, found.removed) == (4, 2)
    assert found.holds == (Hold("at least 50% of a layer and one channel", FIRST, 2),)
    assert found.works < 0.5
    assert shortfall(ranking, found.works) is None
    assert found.most == 0.5


def test_equal_parts_that_hold_are_named() -> None:
    text = conv(4) + "[route]\nlayers=-1\ngroups=2\n" + conv(4)
    ranking = ranked(text, {FIRST: [0.1, 0.7, 0.8, 0.9], THIRD: [0.3, 0.4, 0.5, 0.6]})
    found = shortfall(ranking, 0.125)
    assert found is not None
    assert (found.asked, found.removed) == (1, 0)
    assert found.holds == (Hold("equal parts of a grouped layer", FIRST, 1),)


def test_rounding_is_named_and_left_out_of_what_works() -> None:
    gammas = {FIRST: (np.arange(16) / 100).tolist(), SECOND: (0.5 + np.arange(16) / 100).tolist()}
    ranking = ranked(conv(16) + conv(16), gammas, round_to=8)
    found = shortfall(ranking, 0.3)
    assert found is not None
    assert found.holds[0] == Hold("a multiple of 8 channels", FIRST, 2)
    assert found.works == 0.3


def test_the_three_largest_holds_are_given() -> None:
    text = "".join(conv(16) for _ in range(5))
    gammas = {f"{i:03d}_convolutional": (np.arange(16) / 100 + i).tolist() for i in range(5)}
    ranking = ranked(text, gammas, round_to=8, min_keep=0.1)
    found = shortfall(ranking, 0.95)
    assert found is not None
    assert len(found.holds) == 3
    assert [hold.lanes for hold in found.holds] == sorted((hold.lanes for hold in found.holds), reverse=True)


def test_each_step_of_a_choice_only_adds() -> None:
    text = conv(16) + "[route]\nlayers=-1\ngroups=2\n" + conv(16)
    rng = np.random.default_rng(0)
    ranking = ranked(text, {FIRST: rng.random(16).tolist(), THIRD: rng.random(16).tolist()}, round_to=4, min_keep=0.3)
    for percent in np.linspace(0, 1, 11):
        choice = choose(ranking, float(percent))
        assert (choice.selected <= choice.floored).all()
        assert (choice.floored <= choice.balanced).all()
        assert (choice.balanced <= choice.rounded).all()
