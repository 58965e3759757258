"""`--packed FILE`: weights as the products want them, kept, mapped and shared."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import List, Tuple

import pytest

from cli import BIN, DEVICE_FLAGS, TINY, run

pytestmark = pytest.mark.skipif(bool(DEVICE_FLAGS), reason="the CPU's products alone are packed")
LINE = json.dumps({"prompt_ids": [1, 5, 9], "n": 4, "sampling": {"max_new_tokens": 16}}).encode()


def rows_of(model: Path, packed: Path, *flags: str) -> Tuple[bytes, str]:
    done = run("generate", "--model", model, "--prompts", "-", "--output", "-", "--packed", packed,
               *flags, stdin=LINE)
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr.decode()


@pytest.fixture()
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(TINY, tmp_path / "model"))


def weights_files(model: Path) -> List[Path]:
    return sorted(model.glob("*.safetensors"))


@pytest.mark.parametrize("weights", ["as-is", "q8_0", "q4_0"])
def test_the_second_start_maps_what_the_first_kept(model: Path, tmp_path: Path,
                                                   weights: str) -> None:
    packed = tmp_path / "packed"
    flags = ("--weights", weights)
    plain = run("generate", "--model", model, "--prompts", "-", "--output", "-", *flags, stdin=LINE)
    first, log = rows_of(model, packed, *flags)
    assert first == plain.stdout and "loaded in" in log and "not" not in log
    assert [p.name for p in packed.parent.glob("packed*")] == ["packed"]
    kept = packed.read_bytes()
    second, log = rows_of(model, packed, *flags)
    assert second == plain.stdout and f"mapped from {packed}" in log
    assert packed.read_bytes() == kept


def test_another_checkpoint_or_type_makes_it_anew(model: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    first, _ = rows_of(model, packed)
    file, = weights_files(model)
    # The same bytes under the same name and time, but another file.
    copy = file.with_suffix(".copy")
    shutil.copy2(file, copy)
    copy.rename(file)
    again, log = rows_of(model, packed)
    assert again == first and "is not used: It was made from other files" in log
    assert "mapped from" in rows_of(model, packed)[1]
    _, log = rows_of(model, packed, "--weights", "q4_0")
    assert "is not used: It holds a model of another shape or with other resident types" in log
    assert "mapped from" in rows_of(model, packed, "--weights", "q4_0")[1]


def test_a_file_that_was_changed_in_place_is_seen(model: Path, tmp_path: Path) -> None:
    """Also where somebody has put its times back."""
    packed = tmp_path / "packed"
    first, _ = rows_of(model, packed)
    file, = weights_files(model)
    before = file.stat()
    with open(file, "r+b") as f:
        f.seek(before.st_size - 2)
        last = f.read(2)
        f.seek(before.st_size - 2)
        f.write(bytes(b ^ 0x3F for b in last))
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    _, log = rows_of(model, packed)
    assert "is not used: It was made from other files" in log


def test_damage_is_seen_and_mended(model: Path, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    first, _ = rows_of(model, packed)
    data = bytearray(packed.read_bytes())
    data[len(data) // 2] ^= 1
    packed.write_bytes(data)
    again, log = rows_of(model, packed)
    assert again == first and re.search(r"is not used: The \d+ bytes from \d+ on are damaged", log)
    assert "mapped from" in rows_of(model, packed)[1]


def test_a_place_that_cannot_be_written_costs_a_warning(model: Path, tmp_path: Path) -> None:
    rows, log = rows_of(model, tmp_path / "nowhere" / "packed")
    assert rows and "is not kept: " in log and "cannot be opened: No such file" in log


def test_synthetic_models_have_none() -> None:
    done = subprocess.run([BIN, "bench", "--synthetic", "tiny", "--packed", "x"],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "expected --model" in done.stderr
