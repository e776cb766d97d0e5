#!/usr/bin/env bash
# Builds the benchmark suite and runs it: see benches/README.md.
#   bash benches/run.sh [quick|full] [--only ROW]… [--json FILE] [--data DIR] [--rounds N] [--files N]
#   bash benches/run.sh --list
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(cargo metadata --no-deps --format-version 1 | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
mode=quick
case "${1:-}" in
    quick | full)
        mode=$1
        shift
        ;;
esac

# The newest binary is the one that cargo names.
the_suite() {
    sed -n 's/.*"name":"suite".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1
}
suite=$(cargo bench --bench suite --no-run --message-format=json | the_suite)

# Tools that the suite compares with where they are installed: sqlite3, python3, find, du, rm, and
#   cargo install --root DIR rmz diskus du-dust; cargo install --root DIR --no-default-features dua-cli
# Where DIR is $DALSEGNO_BENCH_TOOLS, its programs are found.
export PATH="$PATH:${DALSEGNO_BENCH_TOOLS:-$target/bench-tools}/bin"

# The same suite without history, for the row that takes history's share. Building all of it again
# takes its time: `quick` does without, unless it is asked for that row.
wants_history() {
    local before='' only=''
    for word in "$@"; do
        [[ $word == --list ]] && return 1
        [[ $before == --only ]] && only+=" $word "
        before=$word
    done
    [[ $only == *" history "* || $mode == full && -z $only ]]
}
if wants_history "$@"; then
    DALSEGNO_BENCH_WITHOUT_HISTORY=$(
        RUSTFLAGS="${RUSTFLAGS:-} --cfg dalsegno_bench_without_history" CARGO_TARGET_DIR="$target/without-history" \
            cargo bench --bench suite --no-run --message-format=json | the_suite
    )
    export DALSEGNO_BENCH_WITHOUT_HISTORY
fi

data=(--data "$target/bench-data")
plot=()
for word in "$@"; do
    case "$word" in
        --data) data=() ;;
        --only) only=1 ;;
    esac
done
if [[ $mode == full && -z "${only:-}" ]]; then
    plot=(--plot benches/cost-by-size.svg)
fi
exec "$suite" "$mode" "${data[@]}" "${plot[@]}" "$@"
