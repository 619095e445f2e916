"""What is done to weights before and after they are rounded: equalisation, bias correction, learned rounding."""

from collections.abc import Callable

import pytest
import torch

from yoloslim.compress.quantization.adaround import with_learned_rounding
from yoloslim.compress.quantization.balance import balanced
from yoloslim.compress.quantization.calibrate import calibrated
from yoloslim.compress.quantization.correct_bias import sum_means, with_corrected_biases
from yoloslim.compress.quantization.equalize import equalized, free_stretches
from yoloslim.compress.quantization.errors import layer_sqnr
from yoloslim.compress.quantization.fold_norms import with_folded_norms
from yoloslim.compress.quantization.mixed import bits_within
from yoloslim.compress.quantization.observers import OBSERVERS
from yoloslim.compress.quantization.place import Placement, place
from yoloslim.compress.quantization.sensitivity import fewest_in_float
from yoloslim.compress.quantization.spec import QuantSpec
from yoloslim.compress.quantization.statistics import Extremes, Histogram
from yoloslim.errors import RecipeError
from yoloslim.graph.graph import Graph
from yoloslim.nn.network import Network
from yoloslim.recipes.quantize import quantize
from yoloslim.recipes.schema import QuantizeTable
from yoloslim.zoo.catalog import find, networks

CONVOLUTION = "[convolutional]\nfilters=8\nsize=3\npad=1\nbatch_normalize=1\nactivation={}"
LEAKY, RELU, MISH = (CONVOLUTION.format(name) for name in ("leaky", "relu", "mish"))
DEPTHWISE = "[depthwise]\nsize=3\npad=1\nbatch_normalize=1\nactivation=relu"
LINEAR = CONVOLUTION.format("linear")
FOUR = Placement(weights=QuantSpec(4, symmetric=True))


def noise(graph: Graph, count: int = 4) -> torch.Tensor:
    return torch.rand(count, *graph.input_shape, generator=torch.Generator().manual_seed(5))


def uneven(network: Network) -> Network:
    """The network with channels of very different ranges, which it compensates where it reads them."""
    state = network.state_dict()
    factors = torch.logspace(-2, 1, 8)
    for key in ("weight", "bias"):
        state[f"000_convolutional.norm.{key}"].mul_(factors)
    state["001_convolutional.conv.weight"].div_(factors.view(1, -1, 1, 1))
    return network


@torch.no_grad()
def difference(found: Network, expected: Network) -> float:
    images = noise(found.graph)
    pairs = zip(found(images), expected(images), strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


@pytest.mark.parametrize("name", networks())
def test_equalisation_and_balance_change_no_head_map(random_network: Callable[..., Network], name: str) -> None:
    network = with_folded_norms(random_network(find(name, classes=3, size=(64, 64), width=0.125))).double()
    images, before = noise(network.graph, 2).double(), place(network.graph, Placement()).before

    made = equalized(network), balanced(network, before, images)

    with torch.no_grad():
        expected = network(images)
        for found in made:
            pairs = zip(found(images), expected, strict=True)
            assert max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs) < 1e-9


def test_equalisation_brings_rows_and_columns_to_one_range(tiny: Callable[..., Graph], random_network) -> None:
    made = equalized(with_folded_norms(uneven(random_network(tiny(LEAKY, LEAKY)))))

    first, second = (made.get_submodule(f"00{i}_convolutional").conv.weight.detach() for i in (0, 1))
    rows, columns = first.abs().amax((1, 2, 3)), second.abs().amax((0, 2, 3))
    ratios = rows / columns
    assert float(ratios.max() / ratios.min()) < 1.01


def test_the_sides_of_a_depthwise_convolution_have_factors_of_their_own(tiny: Callable[..., Graph]) -> None:
    stretches = list(free_stretches(tiny(LEAKY, DEPTHWISE, LEAKY)))

    found = [(stretch.writers, [name for name, _ in stretch.readers]) for stretch in stretches]
    assert found == [
        (("000_convolutional",), ["001_depthwise"]),
        (("001_depthwise",), ["002_convolutional"]),
        (("002_convolutional",), ["003_convolutional"]),
    ]


def test_what_a_shortcut_adds_has_one_factor(tiny: Callable[..., Graph]) -> None:
    first, *_ = free_stretches(tiny(RELU, LINEAR, "[shortcut]\nfrom=-2", RELU))

    assert first.writers == ("000_convolutional", "001_convolutional")


def test_no_factor_passes_an_activation_that_bends(tiny: Callable[..., Graph]) -> None:
    stretches = list(free_stretches(tiny(MISH, LEAKY, "[se]\nreduction=2", LEAKY)))

    assert [stretch.writers for stretch in stretches] == [("003_convolutional",)]


def test_equalised_networks_lose_less_with_one_scale_a_layer(tiny: Callable[..., Graph], random_network) -> None:
    network = with_folded_norms(uneven(random_network(tiny(LEAKY, LEAKY))))
    asked = Placement(weights=QuantSpec(symmetric=True))

    errors = [
        difference(calibrated(exact, place(exact.graph, asked), [noise(exact.graph)]), network)
        for exact in (network, equalized(network))
    ]

    assert errors[1] < errors[0] / 2


def test_balanced_networks_lose_less_where_one_channel_is_wide(tiny: Callable[..., Graph], random_network) -> None:
    made = equalized(with_folded_norms(random_network(tiny(LEAKY, LEAKY))))
    made.get_submodule("000_convolutional").conv.bias.data[3] += 30.0
    made.get_submodule("001_convolutional").conv.weight.data[:, 3] /= 30.0
    plan, images = place(made.graph, Placement()), noise(made.graph)

    even, uneven_still = (
        difference(calibrated(exact, plan, [images]), made) for exact in (balanced(made, plan.before, images), made)
    )

    assert even < 0.5 * uneven_still


@pytest.mark.parametrize(("layers", "balances"), [((LEAKY, LEAKY), False), ((LEAKY, DEPTHWISE, LEAKY), True)])
def test_networks_with_depthwise_layers_are_balanced_by_themselves(
    tiny: Callable[..., Graph], random_network, layers: tuple[str, ...], balances: bool
) -> None:
    network = random_network(tiny(*layers))

    found = quantize(network, QuantizeTable(), [noise(network.graph)]).exact.state_dict()

    expected = equalized(with_folded_norms(network)).state_dict()
    assert all(torch.equal(found[key], expected[key]) for key in found) != balances


def test_balance_bears_channels_that_give_nothing(tiny: Callable[..., Graph], random_network) -> None:
    network = with_folded_norms(random_network(tiny(RELU, RELU)))
    first = network.get_submodule("000_convolutional").conv
    first.weight.data[2], first.bias.data[2] = 0.0, 0.0

    assert difference(balanced(network, (), noise(network.graph)), network) < 1e-5


def test_corrected_biases_give_the_means_of_float(tiny: Callable[..., Graph], random_network) -> None:
    exact = with_folded_norms(random_network(tiny(LEAKY, RELU)))
    images = noise(exact.graph)
    network = calibrated(exact, place(exact.graph, FOUR), [images])
    names = list(network.plan.kernels)
    wanted = sum_means(exact, names, images)

    def gap(made) -> float:
        found: dict[str, torch.Tensor] = {}
        for name, conv in made.folded_convs().items():
            conv.sums.register_forward_hook(lambda m, i, sums, name=name: found.update({name: sums.mean((0, 2, 3))}))
        with torch.no_grad():
            made(images)
        return max(float((found[name] - wanted[name]).abs().max()) for name in names)

    before, after = gap(network), gap(with_corrected_biases(network, exact, images))

    assert after < before / 10


def test_learned_rounding_is_nearer_to_float_than_the_nearest_codes(tiny: Callable[..., Graph], random_network) -> None:
    exact = with_folded_norms(random_network(tiny(LEAKY, RELU)))
    images = noise(exact.graph)
    network = calibrated(exact, place(exact.graph, FOUR), [images])

    made = with_learned_rounding(network, exact, images, 200)

    before, after = (layer_sqnr(n, exact, [images])["002_convolutional"] for n in (network, made))
    assert after > before + 1
    codes = [n.folded_convs()["001_convolutional"].kernel().weight.integers for n in (network, made)]
    assert int((codes[0] - codes[1]).abs().max()) == 1  # up instead of down, or down instead of up


def test_errors_of_layers_are_those_of_their_bits(tiny: Callable[..., Graph], random_network) -> None:
    exact = with_folded_norms(random_network(tiny(LEAKY, RELU)))
    images = noise(exact.graph)
    plans = [place(exact.graph, Placement(weights=QuantSpec(bits, symmetric=True))) for bits in (8, 6, 4)]

    found = [layer_sqnr(calibrated(exact, plan, [images]), exact, [images])["000_convolutional"] for plan in plans]

    assert found == sorted(found, reverse=True)
    assert 8 < found[0] - found[2] < 32  # 6 dB a bit, less what the picture's own codes cost


def test_layers_go_to_four_bits_until_the_weights_fit(tiny: Callable[..., Graph], random_network) -> None:
    state = random_network(tiny(LEAKY, RELU)).state_dict()
    weights = {name.split(".")[0]: tensor for name, tensor in state.items() if name.endswith("conv.weight")}
    spec = QuantSpec(symmetric=True, axis=0)

    found = [bits_within(weights, spec, share) for share in (0.25, 0.2, 0.125)]

    assert [len(chosen) for chosen in found] == [0, 1, 3]
    assert list(found[1]) == ["001_convolutional"]  # most bytes for its error
    with pytest.raises(RecipeError, match=r"4 bits everywhere take 0\.125 of the float weights, asked for 0\.1"):
        bits_within(weights, spec, 0.1)


def test_the_most_sensitive_layer_goes_to_float_first(tiny: Callable[..., Graph], random_network) -> None:
    exact = with_folded_norms(random_network(tiny(LEAKY, RELU)))
    network = calibrated(exact, place(exact.graph, FOUR), [noise(exact.graph)])

    def accuracy(made: Network) -> float:
        """Loses .1 for every rounded layer, .4 for the second."""
        kernels = {name for name, _ in made.named_modules() if name.endswith("rounded_weight")}
        return 1 - 0.1 * len(kernels) - 0.3 * ("001_convolutional.rounded_weight" in kernels)

    def remade(names: tuple[str, ...]):
        plan = place(exact.graph, Placement(keep_float=names))
        return calibrated(exact, plan, [noise(exact.graph)])

    found = fewest_in_float(network, exact, accuracy, 0.25, remade)

    assert found.kept == ("001_convolutional",)
    assert found.sensitivity["001_convolutional"] == pytest.approx(0.8)
    assert fewest_in_float(network, exact, accuracy, 0.7, remade).kept == ()


def test_few_codes_are_for_the_least_squared_error_and_many_for_nearly_all_values() -> None:
    extremes = Extremes()
    values = torch.randn(20000, generator=torch.Generator().manual_seed(0))
    extremes.add(values)
    histogram = Histogram(extremes)
    histogram.add(values)
    seen = histogram.statistics("linear")

    for bits, name in ((8, "percentile"), (7, "mse"), (2, "mse")):
        spec = QuantSpec(bits)
        assert OBSERVERS["auto"](seen, spec) == OBSERVERS[name](seen, spec)
    assert OBSERVERS["auto"](seen, QuantSpec(2)).high < OBSERVERS["percentile"](seen, QuantSpec(2)).high
