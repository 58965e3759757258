"""What make cuda-check says of what ptxas said (tests/cudasim/ptxas.py), on logs of one kernel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).resolve().parents[1] / "cudasim" / "ptxas.py"
LINE = "k.cu sums sm_90a 64 256\n"


def log(registers: int = 64, shared: int = 256, frame: str = "0, 0, 0", inner: str = "0, 0, 0"
        ) -> str:
    line = "    {} bytes stack frame, {} bytes spill stores, {} bytes spill loads\n"
    of_kernel, of_call = (line.format(*x.split(", ")) for x in (frame, inner))
    return (f"""ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'sums' for 'sm_90a'
ptxas info    : Function properties for sums
{of_kernel}ptxas info    : Used {registers} registers, used 1 barriers, {shared} bytes smem
ptxas info    : Compile time = 12.0 ms
ptxas info    : Function properties for log_of
{of_call}""")


def check(folder: Path, text: str, *flags: str, table: str = LINE) -> subprocess.CompletedProcess:
    here = folder / "tests" / "cudasim"
    here.mkdir(parents=True)
    (here / "ptxas.txt").write_text(table)
    (folder / "k.sm_90a.log").write_text(text)
    (folder / "k.sm_90a.ptx").write_text("")
    return subprocess.run([sys.executable, CHECK, *flags, ".", "k.sm_90a.log"], cwd=folder,
                          capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("text, words", [
    (log(frame="8, 4, 12"), "sums for sm_90a has 8 bytes of stack and 16 spilled; expected none."),
    (log(frame="40, 0, 0"), "sums for sm_90a has 40 bytes of stack and 0 spilled; expected none."),
    (log(inner="0, 8, 8"), "sums for sm_90a has 0 bytes of stack and 16 spilled; expected none."),
    (log(registers=65), "sums for sm_90a uses 65 registers; 64 is its line."),
    (log(shared=0), "sums for sm_90a has 0 bytes shared, not 256."),
    (log() + "ptxas info : (C7510) Potential Performance Loss: wgmma in function 'sums'\n",
     "ptxas says of sums for sm_90a, 1 times: (C7510)"),
])
def test_findings(text: str, words: str, tmp_path: Path) -> None:
    done = check(tmp_path, text)
    assert done.returncode == 1 and words in done.stdout, done
    assert done.stdout.count("\n") == 1, done.stdout


def test_a_kernel_as_its_line_says(tmp_path: Path) -> None:
    done = check(tmp_path, log())
    assert (done.returncode, done.stdout) == (0, "cuda-check: 1 kernels as the table says\n"), done


def test_lines_without_a_kernel_and_kernels_without_a_line(tmp_path: Path) -> None:
    done = check(tmp_path, log(), table=LINE.replace("sums", "other"))
    assert done.returncode == 1
    assert "k.cu: sums for sm_90a is not in the table" in done.stdout
    assert "k.cu: the table has other for sm_90a, which is not there any more." in done.stdout


def test_the_table_is_written_without_spills_alone(tmp_path: Path) -> None:
    table = tmp_path / "good" / "tests" / "cudasim" / "ptxas.txt"
    assert check(tmp_path / "good", log(registers=70), "--write", table="").returncode == 0
    assert table.read_text().endswith("shared\nk.cu sums sm_90a 70 256\n")
    done = check(tmp_path / "bad", log(frame="8, 4, 4"), "--write")
    assert done.returncode == 1 and "8 bytes of stack and 8 spilled" in done.stdout
    assert (tmp_path / "bad" / "tests" / "cudasim" / "ptxas.txt").read_text() == LINE
