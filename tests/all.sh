#!/usr/bin/env bash
# Runs every check of the project, from a clean clone on. Stops at the first that fails.
# Needs Rust with rustfmt and clippy; on Debian, as root, it installs the rest by itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
export INSTA_UPDATE=no
# The environment of the caller names no registry.
unset DALSEGNO_BASE DALSEGNO_CATALOG

target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target"
target="$(cd "$target" && pwd)"
# Of the crate in fuzz/ too, which shares what it can.
export CARGO_TARGET_DIR="$target"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
trap 'echo "FAILED: $step" >&2' ERR

step="start"
begin() {
    step="$1"
    printf '\n==> %s  [%d s]\n' "$step" "$SECONDS"
}

begin "tools that the tests call"
# A program, and the Debian package that has it.
missing=()
for pair in strace:strace sqlite3:sqlite3 python3:python3 cc:gcc unshare:util-linux; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
if ((${#missing[@]})); then
    if [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -qq
        apt-get install -y -qq --no-install-recommends "${missing[@]}"
    else
        echo "install these Debian packages first: ${missing[*]}" >&2
        false
    fi
else
    echo "all there"
fi

begin "cargo fmt"
cargo fmt --check

begin "cargo clippy"
cargo clippy --locked --all-targets --all-features -- -D warnings

begin "cargo clippy, the library without the command line"
cargo clippy --locked --no-default-features --lib -- -D warnings

begin "cargo clippy, the checks of the fuzz targets"
# What they check is run by cargo test, on the inputs that are kept; fuzz/run.sh looks for more.
cargo fmt --check --manifest-path fuzz/Cargo.toml
cargo clippy --locked --manifest-path fuzz/Cargo.toml --no-default-features --all-targets \
    -- -D warnings

begin "cargo test"
cargo test --locked --all-features --no-fail-fast

begin "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features

begin "cargo run -- demo"
cargo build --locked --release
demo="$work/demo"
cargo run --locked --release --quiet -- demo "$demo"

begin "zarr-python reads what the demonstration wrote"
venv="$target/venv"
if ! "$venv/bin/python" -c 'import zarr' 2>/dev/null; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check zarr
fi
"$target/release/dalsegno" --base "$demo" list --json >"$work/list.json"
"$venv/bin/python" tests/zarr_demo.py "$demo" "$work/list.json"

begin "cargo package"
# What is packed is compiled, too: nothing that it needs was left out.
cargo package --locked --allow-dirty --quiet

printf '\nall passed in %d s\n' "$SECONDS"
