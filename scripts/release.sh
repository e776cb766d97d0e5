#!/usr/bin/env bash
# Builds what a release hands out, into a folder that must be empty or absent (dist/ if none is
# named):
#
#   dalsegno-VERSION-x86_64-linux.tar.gz    the program as one static file, with its manual pages,
#   dalsegno-VERSION-aarch64-linux.tar.gz   completions and licences
#   dalsegno-VERSION-*.whl                  the Python package for both, glibc 2.17 and newer
#   dalsegno-VERSION.tar.gz                 its source distribution
#   SHA256SUMS
#
# usage: scripts/release.sh [--profile PROFILE] [--only ARCHITECTURE] [FOLDER]
#
# Runs on Linux on x86-64, with Rust from rustup (it adds the targets). From clean it takes about
# 20 minutes on 2 cores and 3 GB below target/. Publishes nothing.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"

profile=dist
architectures=(x86_64 aarch64)
out=dist
usage() {
    sed -n 's/^# usage: /usage: /p' "${BASH_SOURCE[0]}" >&2
    exit 2
}
while (($#)); do
    case $1 in
        --profile) profile="${2:-}" && shift ;;
        --only) architectures=("${2:-}") && shift ;;
        -*) usage ;;
        *) out="$1" ;;
    esac
    shift || usage
done
[[ -n $profile && " x86_64 aarch64 " == *" ${architectures[0]} "* ]] || usage
if [[ $(uname -sm) != "Linux x86_64" ]]; then
    echo "a release is built on Linux on x86-64; this is $(uname -sm)" >&2
    exit 1
fi
if [[ -n $(ls -A "$out" 2>/dev/null) ]]; then
    echo "$out is not empty: name another folder, or remove what an earlier run built" >&2
    exit 1
fi

target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target" "$out"
target="$(cd "$target" && pwd)"
out="$(cd "$out" && pwd)"
export CARGO_TARGET_DIR="$target"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
version="$(cargo metadata --locked --no-deps --format-version 1 |
    python3 -c 'import json, sys; print(json.load(sys.stdin)["packages"][0]["version"])')"

echo "==> tools"
tools="$target/release-tools"
if ! cmp -s scripts/requirements-release.txt "$tools/requirements.txt"; then
    rm -rf "$tools"
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps --require-hashes \
        -r scripts/requirements-release.txt
    cp scripts/requirements-release.txt "$tools/requirements.txt"
fi
# Both call zig as a module of the Python that comes first.
export PATH="$tools/bin:$PATH" VIRTUAL_ENV="$tools"
missing=()
for architecture in "${architectures[@]}"; do
    for system in musl gnu; do
        rustup -q target add "$architecture-unknown-linux-$system" >"$work/rustup" 2>&1 ||
            missing+=("$architecture-unknown-linux-$system")
    done
done
if ((${#missing[@]})); then
    cat "$work/rustup" >&2
    echo "the standard library for ${missing[*]} cannot be installed here;" \
        "what can be built: --only ARCHITECTURE" >&2
    exit 1
fi

# The folder that cargo names after a profile.
folder="$profile"
[[ $profile != dev ]] || folder=debug
host=""
for architecture in "${architectures[@]}"; do
    echo "==> the program for $architecture"
    cargo zigbuild --quiet --locked --profile "$profile" --bin dalsegno \
        --target "$architecture-unknown-linux-musl"
    program="$target/$architecture-unknown-linux-musl/$folder/dalsegno"
    if LC_ALL=C readelf --dynamic "$program" | grep -E 'NEEDED'; then
        echo "$program is not static" >&2
        exit 1
    fi
    # Manual pages and completions are the same for all: the first program that runs here makes
    # them.
    if [[ -z $host ]]; then
        host="$program"
        "$host" --version >/dev/null || {
            host="$target/$folder/dalsegno"
            cargo build --quiet --locked --profile "$profile" --bin dalsegno
        }
        mkdir -p "$work/share/completions"
        bash scripts/man-pages.sh "$host" "$work/share/man"
        for shell in bash zsh fish; do
            "$host" completions "$shell" >"$work/share/completions/dalsegno.$shell"
        done
    fi
    name="dalsegno-$version-$architecture-linux"
    mkdir "$work/$name"
    cp -r "$work/share/." README.md CHANGELOG.md LICENSE LICENSE-APACHE LICENSE-MIT "$work/$name"
    install -m 755 "$program" "$work/$name/dalsegno"
    # The same sources give the same archive.
    tar -C "$work" --sort=name --owner=0 --group=0 --numeric-owner \
        --mtime="@$(git log -1 --format=%ct 2>/dev/null || echo 0)" -cf - "$name" |
        gzip -n9 >"$out/$name.tar.gz"
done

for architecture in "${architectures[@]}"; do
    echo "==> the Python package for $architecture"
    maturin build --quiet --locked --profile "$profile" --zig --compatibility manylinux_2_17 \
        --target "$architecture-unknown-linux-gnu" --manifest-path python/Cargo.toml --out "$out"
done
maturin sdist --manifest-path python/Cargo.toml --out "$out"

echo "==> the Python package, installed"
bash tests/wheel.sh "$out"

(cd "$out" && sha256sum -- * >SHA256SUMS)
printf '\n'
ls -l "$out"
