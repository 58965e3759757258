"""libstampede_weights.so beside numpy: the same numbers, and what becomes of a push without it."""

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from cli import BIN

from stampede import deltas, digest, library, native, snapshot
from stampede.weights import DtypePlan

VARIABLE = "STAMPEDE_WEIGHTS_LIBRARY"
pytestmark = pytest.mark.skipif("address" in BIN or "thread" in BIN,
                                reason="Python does not load a library of the sanitizers")


@pytest.fixture(autouse=True)
def anew():
    native.library.cache_clear()
    yield
    native.library.cache_clear()


def both_ways(monkeypatch, make):
    """What make() gives with the library, and in numpy."""
    monkeypatch.delenv(VARIABLE, raising=False)
    native.library.cache_clear()
    assert native.library() is not None, "it is not built"
    by_library = make()
    monkeypatch.setenv(VARIABLE, "")
    native.library.cache_clear()
    assert native.library() is None
    return by_library, make()


@pytest.mark.parametrize("dtype", ["<u2", "<u4"])
@pytest.mark.parametrize("n", [0, 1, 31, 100, 70001])
def test_digests(monkeypatch, n, dtype):
    rng = np.random.default_rng(n)
    bits = rng.integers(0, 1 << 8 * np.dtype(dtype).itemsize, n, np.uint64).astype(dtype)
    at = np.sort(rng.choice(1 << 32, n, replace=False)).astype(np.uint32) if n < 1000 else \
        np.arange(n, dtype=np.uint32) * 61000
    hashed = digest.name_hash("x")
    for make in (lambda: digest.of_range(hashed, 0, bits),
                 lambda: digest.of_range(7, 1 << 33, bits),
                 lambda: digest.of_range(hashed, 5, bits[::2]),
                 lambda: digest.of_positions(hashed, at, bits),
                 lambda: digest.of_positions(hashed, at.astype(np.int64), bits)):
        one, other = both_ways(monkeypatch, make)
        assert one == other and 0 <= one < 1 << 64


@pytest.mark.parametrize("dtype", ["<u2", "<u4", "<u8"])
@pytest.mark.parametrize("share", [0, 0.0001, 0.01, 0.2, 1])
@pytest.mark.parametrize("n", [0, 1, 33, 5000, 70001])
def test_what_differs_and_its_codes(monkeypatch, n, share, dtype):
    rng = np.random.default_rng(n)
    old = rng.integers(0, 1 << 16, n).astype(dtype)
    new = old ^ (rng.random(n) < share).astype(dtype)

    def make():
        blocks = [deltas.differing(old[i:i + 3000], new[i:i + 3000], i) for i in range(0, n, 3000)]
        codes = deltas.encode([block.positions for block in blocks])
        held = old.copy()
        former = [deltas.replace(held, block) for block in blocks]
        assert (held == new).all()
        for block in former:
            deltas.replace(held, block)
        assert (held == old).all()
        return [*(part for block in blocks + former for part in block[:2]), codes,
                deltas._anchors(codes)]

    if n:
        one, other = both_ways(monkeypatch, make)
        assert len(one) == len(other)
        for a, b in zip(one, other):
            assert a.dtype == b.dtype and a.tolist() == b.tolist()


def test_what_is_found_stays_as_it_is():
    """The next tensor is compared in the same memory."""
    old, new = np.zeros(1000, "<u2"), np.ones(1000, "<u2")
    block = deltas.differing(old, new, 0)
    deltas.differing(new, old, 5000)
    assert block.positions.tolist() == list(range(1000)) and set(block.bits.tolist()) == {1}


@pytest.mark.parametrize("held, dtype", [("bf16", torch.bfloat16), ("f32", torch.float32),
                                         ("f16", torch.float16), ("bf16", torch.float64)])
@pytest.mark.parametrize("share", [0.001, 0.2, 0.7])
def test_pushes(monkeypatch, held, dtype, share):
    """All that a push makes, byte for byte; of a trainer whose own type no library knows, too."""
    plan, n = DtypePlan(held, (), False), 300000

    def make():
        generator = torch.Generator().manual_seed(3)
        store, state = snapshot.Snapshot(), {"x": torch.randn(n, generator=generator).to(dtype)}
        store.prepare(1, state, [plan])
        where = torch.rand(n, generator=generator) < share
        new = {"x": torch.where(where, state["x"] * 2, state["x"])}
        prepared = store.prepare(2, new, [plan])
        (change,) = prepared.changes[plan]
        parts = [bytes(part.read(0, part.n_bytes)) for part in change.parts]
        assert torch.equal(store._tensors["x"], new["x"])
        store.revert(prepared)
        assert torch.equal(store._tensors["x"], state["x"])
        return change._replace(parts=()), parts

    one, other = both_ways(monkeypatch, make)
    assert one == other


# --- finding it ---


def test_a_file_that_is_named_has_to_be_one_of_ours(monkeypatch, tmp_path):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "none.so"))
    with pytest.raises(library.LibraryError, match="No libstampede_weights.so"):
        native.library()
    (tmp_path / "text.so").write_text("no library")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "text.so"))
    with pytest.raises(library.LibraryError, match="text.so cannot be used"):
        native.library()


@pytest.mark.parametrize("code, words", [
    ("int stampede_weights_abi(void) { return 99; }", "functions of kind 99, expected 1"),
    ("int stampede_weights_abi(void) { return 1; }", "stampede_digest_range")])
def test_another_version_is_not_called(monkeypatch, tmp_path, caplog, code, words):
    """One that lies where ours is looked for: numpy does it, and a warning says so."""
    (tmp_path / "other.c").write_text(code)
    subprocess.run(["cc", "-shared", "-o", tmp_path / "other.so", tmp_path / "other.c"], check=True)
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(native, "find", lambda name, variable: tmp_path / "other.so")
    with caplog.at_level(logging.WARNING, "stampede"):
        assert native.library() is None
    assert words in caplog.text and "prepared in numpy" in caplog.text
    assert digest.of_range(1, 0, np.zeros(3, "<u2")) > 0


def test_the_tool_that_measures_it():
    tool = Path(__file__).resolve().parents[1] / "tools" / "bench_weights_pack.py"
    done = subprocess.run([sys.executable, tool, "--values", "20000", "--rounds", "1", "--shares",
                           "1,100"], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
    assert [row[:2] for row in rows] == [[f"| {dtype}", share] for dtype in ("bf16", "f32")
                                         for share in ("1%", "100%")]
