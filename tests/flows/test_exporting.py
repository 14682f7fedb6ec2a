"""Token shards leave the workspace in the format of another trainer."""

import numpy as np


def test_shards_are_exported_by_name_and_slips_are_told(built, tmp_path):
    said = built("export-shards", "tiny", str(tmp_path / "out"))
    for side in ("train", "validation", "test"):
        assert f"{side}.bin and .idx: " in said.replace("\n", "")
        shard = built.workspace / "data" / "shards" / "tiny" / f"{side}-00000.bin"
        assert (tmp_path / "out" / f"{side}.bin").read_bytes() == shard.read_bytes()
        offsets = np.load(shard.with_name(f"{side}-offsets.npy"))
        assert (tmp_path / "out" / f"{side}.idx").stat().st_size == 34 + 12 * (len(offsets) - 1) + 8 * len(
            offsets
        )
    out = str(tmp_path / "other")
    assert "no shards named 'tin'. Did you mean 'tiny'?" in built("export-shards", "tin", out, code=2)
    assert "no format named 'mega'" in built("export-shards", "tiny", out, "--format", "mega", code=2)
    among = str(built.workspace / "data" / "shards" / "mine")
    assert "lies among the shards" in built("export-shards", "tiny", among, code=2)
    assert not (tmp_path / "other").exists()
