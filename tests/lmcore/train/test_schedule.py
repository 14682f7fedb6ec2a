import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.train.schedule import learning_rate
from lmcore.train.settings import TrainConfig

CONFIG = TrainConfig(steps=100, warmup_steps=10, peak_learning_rate=1.0, min_learning_rate_share=0.1)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 0.9997266), (54, 0.55), (99, 0.1)]
)
def test_the_rate_at_named_steps(step: int, rate: float):
    assert learning_rate(step, CONFIG) == pytest.approx(rate, abs=1e-6)


@given(st.integers(1, 500), st.data())
def test_it_rises_then_falls_and_ends_at_its_share(steps: int, data: st.DataObject):
    warmup = data.draw(st.integers(0, steps - 1))
    config = TrainConfig(
        steps=steps, warmup_steps=warmup, peak_learning_rate=2.0, min_learning_rate_share=0.25
    )
    rates = [learning_rate(step, config) for step in range(steps)]
    top = max(warmup - 1, 0)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top] == pytest.approx(2.0)
    if top < steps - 1:
        assert rates[-1] == pytest.approx(0.5)


def test_no_warm_up_starts_at_the_peak():
    assert learning_rate(0, TrainConfig(steps=10, warmup_steps=0, peak_learning_rate=3.0)) == 3.0
