#!/bin/sh
# Usage: kernels/cuda/pack.sh BUILD FOLDER: what a bare GPU machine needs to run stampede and the
# backend's test on device cuda: programs, libraries but libc's, the tiny checkpoint.
set -e
build=$1 to=$2
rm -rf "$to"
mkdir -p "$to/lib"
for file in stampede stampede_cuda.so tests/kernels/test_backend; do
    strip -g "$build/$file" -o "$to/${file##*/}"
done
for program in "$to/stampede" "$to/test_backend"; do
    ldd "$program" | awk '$3 ~ /^\// {print $3}'
done | sort -u | grep -vE '/(libc|libm|libpthread|libdl|librt|ld-linux[^/]*|libresolv)\.so' |
    while read -r library; do cp -L "$library" "$to/lib"; done
cp -r examples/tiny/checkpoint "$to/checkpoint"
printf '{"prompt": "What is 3 + 4?"}\n{"prompt": "Compute 12 - 5 ="}\n' >"$to/prompts.jsonl"
cp kernels/cuda/try.sh kernels/cuda/compare.py "$to"
du -sh "$to"
