#!/usr/bin/env bash
# Runs every fuzz target for a while: bash fuzz/run.sh [SECONDS] [TARGET...], 60 seconds each.
# Starts from fuzz/corpus; new finds and crashes stay in the target folder. Fails if a target
# crashed. With MINIMIZE=1 it does not run them: it finds the smallest set of inputs with the same
# coverage, and puts the first 20 of it into fuzz/corpus. Inputs with a name are kept.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
seconds="${1:-60}"
targets=("${@:2}")
if ((${#targets[@]} == 0)); then
    targets=(names layout filter config plan scores manifest catalog)
fi
target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target"
target="$(cd "$target" && pwd)"
export CARGO_TARGET_DIR="$target"
finds="$target/fuzz-finds"
crashes="$target/fuzz-crashes"

if ! cargo fuzz --version >/dev/null 2>&1; then
    echo "cargo-fuzz is missing: it is installed now, by cargo install" >&2
    cargo install --locked cargo-fuzz
fi
# A nightly compiler has the address sanitizer; coverage is all that a stable one can give.
if cargo +nightly --version >/dev/null 2>&1; then
    fuzz=(cargo +nightly fuzz)
    options=(--sanitizer address)
    echo "compiler: nightly, with the address sanitizer" >&2
else
    fuzz=(cargo fuzz)
    options=(--sanitizer none)
    echo "compiler: stable, without a sanitizer" >&2
fi

# Base directories are made and synced many times a second: in memory, if there is some.
memory=/dev/shm
[[ -d $memory && -w $memory ]] || memory="$target"
work="$(mktemp -d "$memory/fuzz.XXXXXX")"
trap 'rm -rf "$work"' EXIT
export TMPDIR="$work"

# The longest input of a target, in bytes.
longest() {
    case "$1" in
        names) echo 600 ;;
        layout | filter) echo 400 ;;
        catalog | manifest) echo 256 ;;
        *) echo 4096 ;;
    esac
}

"${fuzz[@]}" build "${options[@]}" >&2

failed=0
rows=()
for name in "${targets[@]}"; do
    mkdir -p "$finds/$name" "$crashes/$name" "corpus/$name"
    if [[ -n ${MINIMIZE:-} ]]; then
        # Merged by coverage into an empty folder, which then takes the place of the old one.
        rm -rf "$work/least"
        mkdir "$work/least"
        "${fuzz[@]}" run "${options[@]}" "$name" "$work/least" "corpus/$name" "$finds/$name" -- \
            -set_cover_merge=1 -use_counters=0 -max_len="$(longest "$name")" >"$work/log" 2>&1 \
            || { tail -20 "$work/log" >&2; exit 1; }
        find "corpus/$name" -maxdepth 1 -type f -regextype posix-extended \
            -regex '.*/[0-9a-f]{40}' -delete
        # All of them are replayed by cargo test, in a few seconds.
        find "$work/least" -type f | sort | head -20 | xargs -r cp -t "corpus/$name"
        echo "$name: $(find "corpus/$name" -type f | wc -l) files"
        continue
    fi
    log="$target/fuzz-$name.log"
    words=()
    [[ ! -e dictionaries/$name.dict ]] || words=(-dict="dictionaries/$name.dict")
    result=none
    "${fuzz[@]}" run "${options[@]}" "$name" "$finds/$name" "corpus/$name" -- \
        -max_total_time="$seconds" -max_len="$(longest "$name")" "${words[@]}" -rss_limit_mb=2048 \
        -malloc_limit_mb=1024 -timeout=20 -print_final_stats=1 \
        -artifact_prefix="$crashes/$name/" >"$log" 2>&1 || result=crash
    executions="$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    coverage="$(sed -n 's/.* cov: \([0-9]*\) .*/\1/p' "$log" | tail -1)"
    if [[ $result == crash ]]; then
        failed=1
        input="$(sed -n 's/.*Test unit written to //p' "$log" | tail -1)"
        result="${input:-see $log}"
    fi
    rows+=("$(printf '%-10s %12s %9s  %s' "$name" "${executions:-?}" "${coverage:-?}" "$result")")
    echo "${rows[-1]}" >&2
done
[[ -z ${MINIMIZE:-} ]] || exit 0

printf '\n%-10s %12s %9s  %s\n' target executions coverage crashes
printf '%s\n' "${rows[@]}"
if ((failed)); then
    cat <<END

Run one again:  cd fuzz && ${fuzz[*]} run ${options[*]} TARGET FILE
or without cargo-fuzz: copy FILE to fuzz/corpus/TARGET, then cargo test --test fuzzed
END
    exit 1
fi
