#!/usr/bin/env python3
"""Holds what ptxas said of each kernel against tests/cudasim/ptxas.txt, its PTX against ptx.txt.

Usage: ptxas.py [--write] FOLDER LOG...   (make cuda-check, make cuda-table)
A log is FOLDER/SOURCE.sm_ARCH.log, with the PTX beside it. A kernel may use fewer registers than
its line says, never more; shared memory must be equal. A stack frame or spilled bytes, of a kernel
or of a function that it calls, are findings whatever the table says, and no table is written where
there are some. Notes about wgmma (C7510: products are serialized; C7517, C7519: waits and fences
that ptxas adds by itself) are findings. Prints "SOURCE: sentence" for each finding; the status is 1
when there is one.
"""
import re
import subprocess
import sys
from pathlib import Path

HERE = Path("tests/cudasim")
COLUMNS = "source kernel arch registers shared"


def demangle(names):
    done = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True)
    plain = done.stdout.split("\n") if done.returncode == 0 else names
    # Without the result and the arguments; spaces would end the column.
    return [re.sub(r"^void ", "", re.sub(r"\(.*", "", p)).replace(" ", "") for p in plain]


def read_log(text):
    """Of each entry function: (name, registers, static shared bytes, stack bytes, spill bytes), the
    last two with those of the functions that ptxas names behind it, which were not inlined."""
    parts = re.split(r"Compiling entry function '(\S+)' for '\S+'", text)[1:]
    rows = []
    for mangled, body in zip(parts[::2], parts[1::2]):
        def number(pattern):
            return sum(int(n) for n in re.findall(pattern, body))
        rows.append((mangled, number(r"Used (\d+) registers"), number(r"(\d+) bytes smem"),
                     number(r"(\d+) bytes stack frame"),
                     number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads")))
    names = demangle([row[0] for row in rows])
    return [(name, *row[1:]) for name, row in zip(names, rows)]


def read_notes(source, arch, text):
    """ptxas says them as "info", so that --warning-as-error lets them pass."""
    notes = {}
    for code, note in re.findall(r"\((C7\d+)\)\s*([^\n]*)", text):
        match = re.search(r"in (?:the )?function '(\w+)'", note)
        key = code, match.group(1) if match else "", re.sub(r"\s+in(?: \S+)* function.*", "", note)
        notes[key] = notes.get(key, 0) + 1
    for (code, name, note), n in sorted(notes.items()):
        kernel = demangle([name])[0] if name else "a kernel"
        yield f"{source}: ptxas says of {kernel} for {arch}, {n} times: ({code}) {note}."


def read_table(path):
    lines = path.read_text().split("\n") if path.exists() else []
    return [line.split() for line in lines if line.strip() and not line.startswith("#")]


def find_spills(source, arch, rows):
    for name, _, _, stack, spill in rows:
        if stack or spill:
            yield (f"{source}: {name} for {arch} has {stack} bytes of stack and {spill} spilled; "
                   "expected none.")


def compare(source, arch, rows, table):
    for name, registers, shared, _, _ in rows:
        known = table.get((source, name, arch))
        if known is None:
            yield f"{source}: {name} for {arch} is not in the table: make cuda-table."
            continue
        limits = [int(n) for n in known[:2]]
        if registers > limits[0]:
            yield (f"{source}: {name} for {arch} uses {registers} registers; {limits[0]} is its "
                   "line.")
        if shared != limits[1]:
            yield f"{source}: {name} for {arch} has {shared} bytes shared, not {limits[1]}."
    present = {(source, row[0], arch) for row in rows}
    for key in table:
        if key[0] == source and key[2] == arch and key not in present:
            yield f"{source}: the table has {key[1]} for {arch}, which is not there any more."


def kernel_ptx(text):
    """The PTX of each entry by its name."""
    parts = re.split(r"\.entry\s+(\w+)", text)[1:]
    return dict(zip(demangle(parts[::2]), parts[1::2]))


def check_ptx(source, arch, text, rules):
    """ptx.txt: SOURCE ARCH KERNEL INSTRUCTION [none]; each such kernel has the instruction."""
    bodies = kernel_ptx(text)
    for rule in rules:
        if rule[0] != source or rule[1] != arch:
            continue
        found = [name for name in bodies if re.fullmatch(rule[2], name)]
        if not found:
            yield f"{source}: no kernel is called {rule[2]}, which ptx.txt names."
        for name in found:
            if (rule[3] in bodies[name]) == (rule[4:] == ["none"]):
                word = "has" if rule[4:] else "lacks"
                yield f"{source}: {name} for {arch} {word} {rule[3]}."


def main():
    write = "--write" in sys.argv
    folder, *logs = [a for a in sys.argv[1:] if a != "--write"]
    rules = read_table(HERE / "ptx.txt")
    table = {tuple(row[:3]): row[3:] for row in read_table(HERE / "ptxas.txt")}
    lines, spills, findings, n = [], [], [], 0
    for log in sorted(logs):
        path = Path(log)
        source = str(path.relative_to(folder).with_suffix("").with_suffix(".cu"))
        arch = path.with_suffix("").suffix[1:]
        rows = read_log(path.read_text())
        n += len(rows)
        lines += [" ".join([source, row[0], arch, *map(str, row[1:3])]) for row in rows]
        spills += find_spills(source, arch, rows)
        findings += compare(source, arch, rows, table)
        findings += read_notes(source, arch, path.read_text())
        findings += check_ptx(source, arch, path.with_suffix(".ptx").read_text(), rules)
    findings += spills
    if write and spills:
        print("\n".join(spills))
        return 1
    if write:
        (HERE / "ptxas.txt").write_text(
            f"# What ptxas says, by make cuda-table. {COLUMNS}\n" + "\n".join(sorted(lines)) + "\n")
        return 0
    sources = {str(Path(log).relative_to(folder).with_suffix("").with_suffix(".cu"))
               for log in logs}
    for rule in rules:
        if rule[0] not in sources:
            findings.append(f"{rule[0]}: ptx.txt names it, but it was not compiled.")
    print("\n".join(findings) if findings else f"cuda-check: {n} kernels as the table says")
    return 1 if findings else 0


sys.exit(main())
