"""make install, make wheel, and the client that finds what they laid down."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import roots
from cli import BIN, ROOT, TINY

pytestmark = pytest.mark.skipif(Path(BIN).resolve() != ROOT / "build" / "stampede",
                                reason="make install and make wheel take the usual build")
VERSION = next(line.split('"')[1] for line in
               (ROOT / "protocol" / "python" / "pyproject.toml").read_text().splitlines()
               if line.startswith("version"))
GRADES = r"""
#include <stdio.h>
#include <string.h>
#include "verifiers/library.h"
#include "verifiers/verify.h"

int main(void) {
    char message[STAMPEDE_MESSAGE_BYTES];
    enum reward_status status;
    if (!reward_status_parse(slice_of("no_answer"), &status)) return 2;
    printf("%d %s\n", stampede_equal("\\frac12", 7, "0.5", 3, "value", message),
           reward_status_name(status));
    return 0;
}
"""
DIFFERS = r"""
#include <stdio.h>
#include "kernels/diff/library.h"

int main(void) {
    const uint16_t old[] = {5, 6, 7, 8}, now[] = {5, 1, 7, 2};
    uint32_t at[4];
    uint16_t values[4];
    size_t n = stampede_differing(old, now, 4, 2, 100, at, values);
    printf("%d %zu %u %u\n", stampede_weights_abi(), n, at[1], values[1]);
    return 0;
}
"""
PROGRAMS = {"verify": (GRADES, "1 no_answer\n"), "weights": (DIFFERS, "1 2 103 2\n")}


def make(*words: str) -> None:
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", "--no-print-directory", f"PY={sys.executable}", *words],
                          cwd=ROOT, env=env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr


def python(env: dict, code: str) -> str:
    """What a program prints whose only stampede is the one of PYTHONPATH."""
    base = {k: v for k, v in os.environ.items()
            if k not in ("STAMPEDE_BIN", "STAMPEDE_LIBRARY", "STAMPEDE_WEIGHTS_LIBRARY",
                         "LD_LIBRARY_PATH", "PYTHONPATH")}
    done = subprocess.run([sys.executable, "-c", code], env=base | env, cwd="/",
                          capture_output=True, text=True, timeout=120)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prefix")
    make("install", f"PREFIX={folder}")
    return folder


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """The client by pip, without the checkout."""
    folder = tmp_path_factory.mktemp("client")
    source = folder / "source"
    shutil.copytree(ROOT / "protocol" / "python", source,
                    ignore=shutil.ignore_patterns("*.egg-info", "__pycache__", "build"))
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check",
                    "--no-deps", "--no-build-isolation", "--target", folder / "site", source],
                   check=True)
    return folder / "site"


def files(folder: Path) -> set:
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_install_lays_down_everything(prefix, tmp_path):
    expected = {"bin/stampede", "lib/libstampede_verify.so", "lib/pkgconfig/stampede_verify.pc",
                "lib/libstampede_weights.so", "lib/pkgconfig/stampede_weights.pc",
                "include/stampede/kernels/diff/library.h",
                "include/stampede/verifiers/library.h", "include/stampede/verifiers/verify.h"}
    expected |= {f"include/stampede/protocol/base/{x}.h" for x in ("buffer", "error", "slice")}
    if (ROOT / "build" / "stampede_cuda.so").exists():
        expected.add("lib/stampede_cuda.so")
    assert files(prefix) == expected
    make("install", "PREFIX=/opt/stampede", f"DESTDIR={tmp_path}")
    assert files(tmp_path / "opt" / "stampede") == expected
    pc = (tmp_path / "opt/stampede/lib/pkgconfig/stampede_verify.pc").read_text()
    assert "prefix=/opt/stampede\n" in pc and str(tmp_path) not in pc
    assert f"Version: {VERSION}\n" in pc


@pytest.mark.parametrize("under_destdir", [False, True])
@pytest.mark.parametrize("library", ["verify", "weights"])
def test_a_c_program_builds_by_pkg_config(prefix, tmp_path, library, under_destdir):
    lib = prefix / "lib"
    env = os.environ | {"PKG_CONFIG_PATH": str(lib / "pkgconfig")}
    if under_destdir:  # a package's build: the prefix will be, and the files lie elsewhere
        make("install", "PREFIX=/opt/stampede", f"DESTDIR={tmp_path}")
        lib = tmp_path / "opt" / "stampede" / "lib"
        env |= {"PKG_CONFIG_PATH": str(lib / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(tmp_path)}
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", f"stampede_{library}"], env=env,
                           capture_output=True, text=True, check=True).stdout.split()
    program, expected = PROGRAMS[library]
    (tmp_path / "p.c").write_text(program)
    subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", "-o", tmp_path / "p", tmp_path / "p.c",
                    *flags], check=True)
    out = subprocess.run([tmp_path / "p"], env=os.environ | {"LD_LIBRARY_PATH": str(lib)},
                         capture_output=True, text=True, check=True).stdout
    assert out == expected


GRADE = "import stampede; print(stampede.equal('1/2', '0.5'), stampede.__version__)"


@pytest.mark.parametrize("way", ["PATH", "LD_LIBRARY_PATH", "STAMPEDE_BIN", "STAMPEDE_LIBRARY"])
def test_a_client_by_pip_finds_the_installed_library(prefix, client, way):
    value = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": f"/nowhere:{prefix}/lib",
             "STAMPEDE_BIN": f"{prefix}/bin/stampede",
             "STAMPEDE_LIBRARY": f"{prefix}/lib/libstampede_verify.so"}[way]
    out = python({"PATH": "/usr/bin:/bin", "PYTHONPATH": str(client), way: value}, GRADE)
    assert out == f"True {VERSION}\n"


DIGEST = """
import numpy as np
from stampede import digest, native
print(native.library() is not None, digest.of_range(1, 0, np.zeros(5, "<u2")))
"""


@pytest.mark.parametrize("way", ["PATH", "LD_LIBRARY_PATH", "STAMPEDE_BIN",
                                 "STAMPEDE_WEIGHTS_LIBRARY", "none"])
def test_a_client_by_pip_finds_the_library_of_weights(prefix, client, way):
    value = {"PATH": f"{prefix}/bin:/usr/bin:/bin", "LD_LIBRARY_PATH": f"/nowhere:{prefix}/lib",
             "STAMPEDE_BIN": f"{prefix}/bin/stampede",
             "STAMPEDE_WEIGHTS_LIBRARY": f"{prefix}/lib/libstampede_weights.so", "none": ""}[way]
    out = python({"PATH": "/usr/bin:/bin", "PYTHONPATH": str(client), way: value}, DIGEST)
    assert out.splitlines()[0] == f"{way != 'none'} 7731984209845909479", out
    assert ("prepared in numpy" in out) == (way == "none")


def test_a_client_without_a_library_says_so(client):
    out = python({"PATH": "/usr/bin:/bin", "PYTHONPATH": str(client)}, GRADE)
    assert "LibraryError: No libstampede_verify.so: set STAMPEDE_LIBRARY or LD_LIBRARY_PATH" in out


def test_the_module_is_the_program(prefix, client):
    env = os.environ | {"PYTHONPATH": str(client), "PATH": f"{prefix}/bin:/usr/bin:/bin"}
    env.pop("STAMPEDE_BIN", None)
    run = [sys.executable, "-m", "stampede", "--version"]
    done = subprocess.run(run, env=env, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith(f"stampede {VERSION} (")
    done = subprocess.run([*run[:-1], "bake"], env=env, cwd="/", capture_output=True, text=True)
    assert done.returncode == 2 and "'bake' is not known" in done.stderr
    env["STAMPEDE_BIN"] = "/nowhere/stampede"
    done = subprocess.run(run, env=env, cwd="/", capture_output=True, text=True)
    assert done.returncode == 1 and "which is no program" in done.stderr


def test_the_images_first_stage_has_what_make_includes():
    """Packages are installed before the tree is copied, so that a change of code repeats little."""
    stage = (ROOT / "docker" / "Dockerfile").read_text()
    kept = (ROOT / "docker" / "Dockerfile.dockerignore").read_text().splitlines()
    included = re.findall(r"^include (.+)$", (ROOT / "Makefile").read_text(), re.M)
    assert len(included) > 2
    for path in included:
        assert f"COPY {path} /src/{path.rpartition('/')[0]}/\n" in stage, path
        assert not path.startswith("tests/") or f"!{path}" in kept, path


@pytest.fixture(scope="module")
def wheel():
    make("wheel")
    found = list((ROOT / "build" / "wheel").glob("*.whl"))
    assert len(found) == 1
    return found[0]


def test_the_wheel_holds_program_libraries_and_their_needs(wheel):
    assert wheel.name.startswith(f"stampede-{VERSION}-py3-none-manylinux_2_")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"stampede/bin/stampede", "stampede/lib/libstampede_verify.so",
            "stampede/lib/libstampede_weights.so"} <= set(names)
    for library in ("zmq", "sodium", "flint", "gmp", "pcre2-8", "zstd", "msgpackc", "xxhash"):
        assert any(n.startswith(f"stampede.libs/lib{library}") for n in names), library
    assert any(n.endswith("auditwheel.cdx.json") for n in names), "what is inside is listed"
    assert any(n.endswith("licenses/LICENSE") for n in names)


IN_ROOT = """
import stampede
with stampede.Trainer("tcp://127.0.0.1:0") as trainer:
    worker = stampede.launch(model="/tiny", connect=trainer.url, threads=1, max_rows=8)
    prompt = stampede.Prompt(messages=[{"role": "user", "content": "What is 2 + 2?"}],
                             reward=[stampede.math("4")])
    for group in trainer.generate([prompt], n=4, sampling=stampede.Sampling(max_new_tokens=8)):
        assert group.n == 4 and all(len(t) > 0 for t in group.tokens)
        assert group.status[0] in ("ok", "no_answer"), group.status
worker.terminate()
from stampede import native
assert native.library() is not None
print(worker.wait(30), stampede.score(["so \\\\boxed{\\\\frac{1}{2}}"], [stampede.math("0.5")])[0])
print(stampede.__version__)
"""


def test_the_wheel_alone_serves_a_rollout_and_a_score(wheel):
    if roots.why_not():
        pytest.skip(f"{roots.why_not()}.")
    root = roots.minimal("python", "python3-venv")
    assert not list(root.glob("usr/lib/**/libzmq*")) and not list(root.glob("usr/lib/**/libflint*"))
    folder = roots.FOLDER / "stampede-wheel"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(wheel, folder)
    mounts = {roots.wheels_of_dependencies(): "/mnt/wheels", folder: "/mnt/stampede", TINY: "/tiny"}
    script = f"""set -e
        python3 -m venv /tmp/venv
        /tmp/venv/bin/pip install -q --no-index --find-links /mnt/wheels \\
            --find-links /mnt/stampede stampede
        /tmp/venv/bin/stampede --version
        /tmp/venv/bin/python - <<'END'
{IN_ROOT}END"""
    out = roots.run(root, ["bash", "-c", script], mounts=mounts, tmp=["/tmp"]).splitlines()
    assert out[0].startswith(f"stampede {VERSION} (")
    assert out[1].startswith("75 {'value': 1.0, 'status': 'ok'")
    assert out[2] == VERSION
