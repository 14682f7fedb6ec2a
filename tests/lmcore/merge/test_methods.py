"""Every method on numbers that a reader can check by hand, and the promises of its paper."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from lmcore.merge.methods import methods
from lmcore.merge.settings import MethodPart

METHODS = ("linear", "slerp", "task_arithmetic", "ties", "dare_ties")
SHARES = ("linear", "task_arithmetic", "ties")  # that weigh each parent and draw nothing

numbers = st.floats(-100, 100, width=32)
vectors = st.lists(numbers, min_size=1, max_size=40)
eighths = st.integers(-800, 800).map(lambda number: number / 8)  # whose sums are exact in any order


def merge(method: str, base, *parents, name: str = "weight", **dials) -> Tensor:
    return methods[method](
        None if base is None else as_tensor(base), [as_tensor(parent) for parent in parents], name, **dials
    )


def as_tensor(values) -> Tensor:
    return torch.as_tensor(values, dtype=torch.float32)


def random_tensor(*shape: int, seed: int) -> Tensor:
    return torch.from_numpy(np.random.RandomState(seed).standard_normal(shape).astype(np.float32))


def test_linear_averages_by_normalized_weights():
    assert merge("linear", None, [2.0, 0.0], [6.0, -8.0]).tolist() == [4.0, -4.0]
    assert merge("linear", None, [2.0, 0.0], [6.0, -8.0], weights=(3, 1)).tolist() == [3.0, -2.0]


def test_linear_without_normalizing_is_a_weighted_sum():
    assert merge("linear", None, [2.0], [6.0], weights=(3, 1), normalize=False).tolist() == [12.0]


def test_linear_leaves_the_base_out():
    assert merge("linear", [100.0], [2.0], [6.0]).tolist() == [4.0]


def test_weights_that_sum_to_nothing_are_refused():
    with pytest.raises(ValueError, match=r"weights \[1, -1\] sum to 0; give others"):
        merge("linear", None, [2.0], [6.0], weights=(1, -1))


@pytest.mark.parametrize("number", [1, 2, 3, 7])
def test_a_soup_of_one_model_is_that_model_to_the_bit(number):
    model = random_tensor(1000, seed=0) * 1e-3
    weights = tuple(np.random.RandomState(1).uniform(0.1, 3, size=number))
    assert torch.equal(merge("linear", None, *[model] * number), model)
    assert torch.equal(merge("linear", None, *[model] * number, weights=weights), model)


@given(st.lists(eighths, min_size=1, max_size=40), st.data())
def test_the_order_of_the_parents_does_not_matter_when_their_weights_move_along(first, data):
    method = data.draw(st.sampled_from(SHARES))
    dials = {"density": data.draw(st.floats(0.05, 1))} if method == "ties" else {}
    same = st.lists(eighths, min_size=len(first), max_size=len(first))
    base, *parents = [first, *(data.draw(same) for _ in range(3))]
    weights = data.draw(st.lists(st.integers(1, 32).map(lambda n: n / 8), min_size=3, max_size=3))
    order = data.draw(st.permutations(range(3)))
    straight = merge(method, base, *parents, weights=tuple(weights), **dials)
    shuffled = merge(
        method, base, *(parents[i] for i in order), weights=tuple(weights[i] for i in order), **dials
    )
    torch.testing.assert_close(straight, shuffled, rtol=1e-6, atol=1e-6)


def test_slerp_ends_at_its_parents_to_the_bit():
    first, second = random_tensor(3, 50, seed=0), random_tensor(3, 50, seed=1)
    assert torch.equal(merge("slerp", None, first, second, t=0), first)
    assert torch.equal(merge("slerp", None, first, second, t=1), second)


def test_slerp_halfway_between_two_axes_is_the_diagonal():
    assert merge("slerp", None, [1.0, 0.0], [0.0, 1.0]).tolist() == pytest.approx([math.sqrt(0.5)] * 2)
    third = merge("slerp", None, [1.0, 0.0], [0.0, 1.0], t=1 / 3)
    assert third.tolist() == pytest.approx([math.cos(math.pi / 6), math.sin(math.pi / 6)])


@given(vectors, vectors, st.floats(0, 1))
def test_slerp_keeps_the_length_of_unit_vectors(first, second, t):
    length = max(len(first), len(second), 2)
    one, other = (torch.tensor(v + [0.5] * (length - len(v))).double() for v in (first, second))
    one, other = ((v / v.norm()).float() if v.norm() > 1e-3 else None for v in (one, other))
    if one is None or other is None or one.double() @ other.double() < -0.9995:
        return  # opposite vectors have no arc between them
    # A line between nearly parallel ones cuts the corner by at most (1 - 0.9995) / 4.
    assert merge("slerp", None, one, other, t=t).norm().item() == pytest.approx(1, abs=2e-4)


def test_slerp_looks_the_same_from_both_ends():
    first, second = random_tensor(100, seed=0), random_tensor(100, seed=1)
    for t in (0.5, 0.2):
        torch.testing.assert_close(
            merge("slerp", None, first, second, t=t), merge("slerp", None, second, first, t=1 - t)
        )


@pytest.mark.parametrize(
    ("first", "second", "halfway"),
    [
        ([1.0, 2.0], [2.0, 4.0], [1.5, 3.0]),
        ([1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]),
        ([0.0, 0.0], [2.0, 4.0], [1.0, 2.0]),
        ([0.0, 0.0], [0.0, 0.0], [0.0, 0.0]),
    ],
)
def test_slerp_takes_the_straight_line_where_there_is_no_arc(first, second, halfway):
    assert merge("slerp", None, first, second).tolist() == halfway


@pytest.mark.parametrize("number", [1, 3])
def test_slerp_takes_two_models(number):
    with pytest.raises(ValueError, match=f"got {number} parents; expected exactly 2"):
        merge("slerp", None, *[[1.0]] * number)


def test_task_arithmetic_adds_up_changes():
    base, first, second = [1.0, 1.0], [3.0, 1.0], [1.0, 5.0]
    assert merge("task_arithmetic", base, first, second).tolist() == [3.0, 5.0]
    assert merge("task_arithmetic", base, first, second, weights=(0.5, -1), scale=2).tolist() == [3.0, -7.0]


@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "dare_ties"])
def test_nothing_of_the_changes_is_the_base_and_all_of_one_is_its_parent(method):
    base, parent = random_tensor(5000, seed=0), random_tensor(5000, seed=1)
    whole = {} if method == "task_arithmetic" else {"density": 1.0}
    assert torch.equal(merge(method, base, parent, scale=0, **whole), base)
    assert torch.equal(merge(method, base, parent, **whole), parent)


@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "dare_ties"])
def test_a_negative_weight_turns_a_change_around(method):
    whole = {} if method == "task_arithmetic" else {"density": 1.0}
    assert merge(method, [1.0, 1.0], [3.0, 0.5], weights=(-1,), **whole).tolist() == [-1.0, 1.5]


@pytest.mark.parametrize("method", ["task_arithmetic", "ties", "dare_ties"])
def test_a_method_of_changes_needs_a_base(method):
    with pytest.raises(ValueError, match="needs a base, got none"):
        merge(method, None, [1.0])


@pytest.mark.parametrize("method", ["linear", "task_arithmetic", "ties", "dare_ties"])
def test_weights_are_one_for_each_parent(method):
    with pytest.raises(ValueError, match="got 3 weights for 2 parents; give one for each"):
        merge(method, [0.0], [1.0], [2.0], weights=(1, 1, 1))


def test_ties_of_three_models_by_hand():
    base = [1.0, 1.0, 1.0, 1.0, 1.0]
    changes = [
        [4.0, -3.0, 0.5, 0.0, 2.0],  # the three largest: 4, -3, 2
        [2.0, 5.0, -1.0, 0.2, 0.3],  # 2, 5, -1
        [-1.0, -4.0, 3.0, 0.1, -0.5],  # -1, -4, 3
    ]
    parents = [(np.array(base) + change).tolist() for change in changes]
    merged = merge("ties", base, *parents, density=0.6)
    # 4 and 2 outvote -1; -3 and -4 outvote 5; 3 outvotes -1; nobody; 2 alone
    assert merged.tolist() == pytest.approx([1 + 3, 1 - 3.5, 1 + 3, 1, 1 + 2], abs=1e-6)


def test_ties_ignores_the_model_that_loses_the_sign_vote():
    assert merge("ties", [0.0], [4.0], [-1.0], density=1).tolist() == [4.0]
    assert merge("ties", [0.0], [4.0], [-1.0], density=1, weights=(1, 8)).tolist() == [-1.0]


def test_a_tied_vote_goes_to_the_plus():
    assert merge("ties", [0.0], [4.0], [-4.0], density=1).tolist() == [4.0]
    assert merge("ties", [0.0], [-4.0], [4.0], density=1).tolist() == [4.0]


def test_ties_weighs_those_that_agree():
    dials = {"density": 1, "weights": (1, 3, 2)}
    assert merge("ties", [0.0], [4.0], [8.0], [-1.0], **dials).tolist() == [(4 + 3 * 8) / 4]
    assert merge("ties", [0.0], [4.0], [8.0], [-1.0], normalize=False, **dials).tolist() == [4 + 3 * 8]


def test_ties_of_all_changes_that_agree_is_their_mean():
    base = random_tensor(200, seed=0)
    changes = [random_tensor(200, seed=seed).abs() for seed in (1, 2, 3)]
    mean = merge("ties", base, *(base + change for change in changes), density=1)
    torch.testing.assert_close(mean, base + sum(changes) / 3, rtol=1e-5, atol=1e-6)


def keep_the_slow_way(change: np.ndarray, number: int) -> np.ndarray:
    kept = np.zeros_like(change)
    for place in sorted(range(len(change)), key=lambda place: (-abs(change[place]), place))[:number]:
        kept[place] = change[place]
    return kept


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=60), st.integers(1, 100))
def test_trimming_keeps_exactly_the_largest_and_of_equals_the_first(change, percent):
    number = max(1, percent * len(change) // 100)
    merged = merge("ties", [0.0] * len(change), change, density=percent / 100)
    assert merged.tolist() == keep_the_slow_way(np.array(change, dtype=float), number).tolist()


@pytest.mark.parametrize("kind", ["normal", "coarse", "sorted", "mostly_zero", "periodic"])
@pytest.mark.parametrize("density", [0.00001, 0.01, 0.2, 0.5, 0.999])
def test_trimming_a_large_tensor_keeps_exactly_the_largest(kind, density):
    random = np.random.RandomState(3)
    change = random.standard_normal(300_000).astype(np.float32)
    if kind == "coarse":
        change = np.round(change, 1)
    if kind == "sorted":
        change.sort()
    if kind == "mostly_zero":
        change *= random.random_sample(len(change)) < 0.01
    if kind == "periodic":  # so that every sampled place is 0
        change[::10] = 0
    number = max(1, int(density * len(change)))
    order = np.lexsort((np.arange(len(change)), -np.abs(change)))
    expected = np.zeros_like(change)
    expected[order[:number]] = change[order[:number]]
    merged = merge("ties", np.zeros_like(change), change, density=density)
    assert np.array_equal(merged.numpy(), expected)


def test_trimming_says_when_a_weight_is_not_a_number():
    with pytest.raises(ValueError, match="not a number"):
        merge("ties", [0.0, 0.0], [math.nan, math.nan], density=0.5)


def test_dare_keeps_the_share_asked_for_and_enlarges_it():
    change = random_tensor(40_000, seed=0)
    merged = merge("dare_ties", torch.zeros(40_000), change, density=0.3)
    kept = merged != 0
    # 4 standard deviations of a binomial share
    assert kept.float().mean().item() == pytest.approx(0.3, abs=4 * math.sqrt(0.3 * 0.7 / 40_000))
    torch.testing.assert_close(merged[kept], change[kept] / 0.3)
    plain = merge("dare_ties", torch.zeros(40_000), change, density=0.3, rescale=False)
    assert torch.equal(plain[kept], change[kept])


def test_dare_expects_the_whole_change_over_seeds():
    base, parent = random_tensor(50, seed=0), random_tensor(50, seed=1)
    merged = [merge("dare_ties", base, parent, density=0.5, seed=seed) for seed in range(4000)]
    change = (parent - base).abs()
    # The mean of 4000 draws of change / 0.5 or 0 has a standard deviation of change / sqrt(4000).
    assert ((torch.stack(merged).mean(dim=0) - parent).abs() < 5 * change / math.sqrt(4000)).all()


def test_dare_draws_by_seed_name_and_parent_alone():
    base, parent = torch.zeros(999), torch.ones(999)
    draw = {"density": 0.5, "seed": 1}
    first = merge("dare_ties", base, parent, name="a", **draw)
    assert torch.equal(first, merge("dare_ties", base, parent, name="a", **draw))
    assert not torch.equal(first, merge("dare_ties", base, parent, name="b", **draw))
    assert not torch.equal(first, merge("dare_ties", base, parent, name="a", density=0.5, seed=2))
    both = merge("dare_ties", base, parent, parent, name="a", **draw)
    assert sorted(set(both.tolist())) == [0.0, 2.0, 4.0]  # the second parent drew for itself
    longer = merge("dare_ties", torch.zeros(200_000), torch.ones(200_000), name="a", **draw)
    assert torch.equal(longer[:999], first)


def test_dare_elects_signs_among_those_that_stayed():
    base, up, down = torch.zeros(2000), torch.full((2000,), 4.0), torch.full((2000,), -1.0)
    merged = merge("dare_ties", base, up, down, density=0.5)
    assert sorted(set(merged.tolist())) == [-2.0, 0.0, 8.0]


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=20)
@given(vectors)
def test_models_that_agree_are_left_as_they_are(method, model):
    dials = {"density": 1.0} if "ties" in method else {}
    assert torch.equal(merge(method, model, model, model, **dials), as_tensor(model))


@pytest.mark.parametrize("method", METHODS)
def test_any_shape_and_dtype_gives_float32_of_that_shape(method):
    for shape in ((), (0,), (3, 0), (2, 3, 4)):
        tensors = [torch.ones(shape, dtype=torch.bfloat16) * number for number in (1, 2, 3)]
        merged = methods[method](tensors[0], tensors[1:], "weight")
        assert (merged.dtype, merged.shape) == (torch.float32, shape)
    matrix = random_tensor(6, 4, seed=0)
    turned = matrix.T.contiguous().T  # the same numbers, laid out otherwise
    assert torch.equal(merge(method, matrix, turned, turned), merge(method, matrix, matrix, matrix))


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"type": "ties", "density": 0}, "'density' is 0; input should be greater than 0"),
        ({"type": "ties", "densty": 0.5}, "unknown setting 'densty'. Did you mean 'density'"),
        ({"type": "slerp", "t": 1.5}, "'t' is 1.5; input should be less than or equal to 1"),
        ({"type": "soup"}, "no merge method named 'soup'"),
    ],
)
def test_a_wrong_setting_is_told_by_name(given, complaint):
    with pytest.raises(ValueError, match=complaint):
        MethodPart.model_validate(given)


def test_a_plan_reads_the_dials_without_torch():
    import subprocess
    import sys

    script = (
        "import sys; from lmcore.merge.settings import MergeConfig\n"
        "from lmcore.merge.methods import methods\n"
        "for name in methods.names(): MergeConfig(method=name)\n"
        "print(methods.names(), {'torch', 'numpy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{sorted(METHODS)} set()\n"
