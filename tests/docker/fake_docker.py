"""Stands in for docker: `docker build` with a Dockerfile, target and context that are there. What
they build is tests/docker/test_image.py's to see."""

import argparse
import re
import sys
from pathlib import Path

parser = argparse.ArgumentParser(prog="docker")
parser.add_argument("command", choices=["build"])
parser.add_argument("-f", "--file", default="Dockerfile")
parser.add_argument("-t", "--tag", required=True)
parser.add_argument("--target")
parser.add_argument("context")
args = parser.parse_args()
if not Path(args.file).is_file():
    sys.exit(f"docker: there is no {args.file}.")
targets = re.findall(r"^FROM \S+ AS (\S+)$", Path(args.file).read_text(), re.M)
if args.target and args.target not in targets:
    sys.exit(f"docker: {args.file} has no target {args.target}; it has {', '.join(targets)}.")
