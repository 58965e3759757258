"""What builds the image where no container engine is: the Dockerfile's words, what is copied."""

from __future__ import annotations

import subprocess

import pytest
import roots
import stages
from cli import ROOT

IGNORED = [line for line in (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
           if line]


def test_every_stage_and_word_is_known():
    arguments, found = stages.parse((ROOT / "docker" / "Dockerfile").read_text())
    assert arguments == {"BASE": "debian:bookworm-slim"}
    assert {"packages", "build", "packages-cuda", "build-cuda", "cpu", "cuda"} == set(found)
    assert found["cuda"].base == "cpu" and found["cpu"].base == "${BASE}"
    words = {word for stage in found.values() for word, _ in stage.steps}
    assert all(hasattr(stages.Builder, f"_{word.lower()}") for word in words), words
    assert all("\\" not in rest for stage in found.values() for _, rest in stage.steps)


def test_what_dockerignore_keeps_outside(tmp_path):
    files = ["Makefile", "README.md", "worker/main.c", "worker/README.md", ".git/config", "build/x",
             ".ci/deps", ".ci/run", "tests/faults/faults.mk", "tests/faults/checker.py",
             "protocol/python/stampede/__pycache__/x.pyc", "docker/sbom", "docker/README.md",
             "docker/kubernetes/base/job.yaml"]
    context, base = tmp_path / "context", tmp_path / "base"
    base.mkdir()
    for name in files:
        (context / name).parent.mkdir(parents=True, exist_ok=True)
        (context / name).write_text(name)
    builder = stages.Builder(tmp_path / "out", base, context,
                             "FROM x AS a\nCOPY . /src\nUSER 1:1\nFROM x AS b\n"
                             "COPY --from=a /src/worker/main.c /y/\nENV A=1 B=\"2 3\"\n", IGNORED)
    (tmp_path / "out").mkdir()
    root = builder.build("b")
    assert (root / "y" / "main.c").read_text() == "worker/main.c"
    assert builder.configs["a"] == {"USER": "1:1"}
    copied = {str(p.relative_to(tmp_path / "out" / "a" / "src"))
              for p in (tmp_path / "out" / "a" / "src").rglob("*") if p.is_file()}
    # A pattern without a slash is of the top folder alone, as docker reads it.
    assert copied == {"Makefile", "worker/main.c", "worker/README.md", ".ci/deps",
                      "tests/faults/faults.mk", "docker/sbom"}


@pytest.mark.skipif(roots.why_not_enter() is not None, reason="a root cannot be entered here")
def test_a_step_that_fails_fails(tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    for name in ("proc", "dev", "etc"):
        (base / name).mkdir()
    (tmp_path / "out").mkdir()
    builder = stages.Builder(tmp_path / "out", base, tmp_path, "FROM x AS a\nRUN true\n", [])
    with pytest.raises(AssertionError, match="RUN true"):
        builder.build("a")  # there is no sh in it
    assert subprocess.run(["mountpoint", "-q", tmp_path / "out" / "a"]).returncode != 0
