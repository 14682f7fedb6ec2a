import pytest
from hypothesis import given
from hypothesis import strategies as st

from lmcore.train.schedule import Schedule

SCHEDULE = Schedule(steps=100, warmup_steps=10, peak_rate=1.0, last_share=0.1)


@pytest.mark.parametrize(
    ("step", "rate"), [(0, 0.1), (4, 0.5), (9, 1.0), (10, 0.9997266), (54, 0.55), (99, 0.1)]
)
def test_the_rate_at_named_steps(step: int, rate: float):
    assert SCHEDULE.rate(step) == pytest.approx(rate, abs=1e-6)


@given(st.integers(1, 500), st.data())
def test_it_rises_then_falls_and_ends_at_its_share(steps: int, data: st.DataObject):
    warmup = data.draw(st.integers(0, steps - 1))
    schedule = Schedule(steps, warmup, peak_rate=2.0, last_share=0.25)
    rates = [schedule.rate(step) for step in range(steps)]
    top = max(warmup - 1, 0)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top] == pytest.approx(2.0)
    if top < steps - 1:
        assert rates[-1] == pytest.approx(0.5)


def test_no_warm_up_starts_at_the_peak():
    assert Schedule(steps=10, warmup_steps=0, peak_rate=3.0, last_share=0.0).rate(0) == 3.0
