#!/bin/sh
# Usage: ./try.sh STAGE..., in the folder that pack.sh made, on a machine with a GPU. Results lie in
# $OUT (default: here). Stages, each of which goes on after a failure:
#   small   the tiny model on every path beside the CPU
#   tests   the backend's tests on every path
#   big     bench of 24b, both families
#   timed   the time of every kernel at 1, 64 and 1,024 rows
cd "$(dirname "$0")" || exit 1
out=${OUT:-$PWD}
paths="mma,launches,serial mma,launches mma wgmma,launches,serial wgmma"

say() {
    echo "=== $*"
    start=$(date +%s)
    LD_LIBRARY_PATH="$PWD/lib:$LD_LIBRARY_PATH" timeout "${limit:-120}" "$@"
    echo "--- status $?, $(($(date +%s) - start)) s"
}

small() {
    tiny="--model checkpoint --prompts prompts.jsonl --n 2 --max-new-tokens 16 --max-rows 8
        --weights bf16 --ignore-eos --routed-experts --prompt-logprobs --log-level warn
        --kv-memory 16M --suspend-memory 1M --prefill-chunk 64"
    say ./stampede generate $tiny --device cpu --output "$out/tiny.cpu"
    for path in $paths; do
        file=$out/tiny.$(echo $path | tr , -)
        say ./stampede generate $tiny --device cuda/$path --output "$file"
        [ -s "$file" ] && python3 ./compare.py "$out/tiny.cpu" "$file"
    done
    md5sum "$out"/tiny.*
}

tests() {
    for path in $paths; do
        STAMPEDE_DEVICE=cuda/$path say ./test_backend 2>&1 | grep -v '^\[ RUN'
    done
}

# Arguments: path, rows, further flags.
bench() {
    path=$1 rows=$2
    shift 2
    limit=280 say ./stampede bench --device cuda/$path --synthetic 24b --rows $rows \
        --max-rows 1024 --prompt 1024 --max-context 1216 --kv-type bf16 --kv-memory 24G \
        --suspend-memory 0 --prefill-chunk 2048 --log-level info "$@" 2>&1
}
big() {
    bench wgmma 1,16,64,256,1024 --new 64
    bench mma 1,16,64,256,1024 --new 64
}
timed() {
    for rows in 1 64 1024; do bench ${family:-wgmma},timed $rows --new 24; done
}

nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.max.sm,clocks.max.memory \
    --format=csv,noheader
for stage; do $stage; done
