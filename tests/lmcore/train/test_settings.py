import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from lmcore.train.settings import PretrainRequest, TrainConfig


def test_resolving_leaves_no_auto_and_settles_after_one_time():
    resolved = TrainConfig().resolved()
    assert "auto" not in (resolved.precision, resolved.device)
    assert resolved.resolved() == resolved


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"steps": 10, "warmup_steps": 10}, "lower it below 10"),
        ({"batch_size": 6, "micro_batch_size": 4}, r"choose one of \[1, 2, 3, 6\]"),
        ({"betas": (0.9, 1.0)}, "less than 1"),
        ({"steps": 0}, "greater than or equal to 1"),
        ({"step": 5}, "Extra inputs"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, object], complaint: str):
    with pytest.raises(ValidationError, match=complaint):
        TrainConfig(**settings)  # type: ignore[arg-type]


def test_a_request_survives_json():
    request = PretrainRequest.model_validate(
        {"model": {"width": 64}, "train": {"steps": 50}, "shards": "s", "tokenizer": "t", "out": "o"}
    )
    assert request.shards == Path("s")
    assert PretrainRequest.model_validate_json(request.model_dump_json()) == request


def test_settings_and_runtime_import_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import lmcore.train.settings, lmcore.generate.settings, lmcore.runtime\n"
        "assert 'numpy' not in sys.modules\n"
        "lmcore.train.settings.TrainConfig().resolved()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
