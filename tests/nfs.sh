#!/usr/bin/env bash
# Removal, restore and purge on a real NFS server with two clients, in a virtual machine.
#
#   nfs.sh                  the short form: each case once, a few kills
#   nfs.sh --full           many kills at moments that differ, and more restarts of the server
#   nfs.sh [--full] GROUP   only these groups of cases: the names in nfs/cases/
#
# DALSEGNO_BIN is the program, DALSEGNO_PACKAGE the folder of the Python package with its native
# module; what is not given is built. The image of the machine is kept below the target folder.
# Needs root, qemu-system-x86 and debootstrap; exit status 77 if it cannot run here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target="${CARGO_TARGET_DIR:-target}"
form=short
# Where the machine is emulated, not virtual, the full form takes an hour or more.
[[ ${1:-} == --full ]] && form=full && export VM_SECONDS="${VM_SECONDS:-7200}" && shift

missing=()
for pair in qemu-system-x86_64:qemu-system-x86 debootstrap:debootstrap mke2fs:e2fsprogs; do
    command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [[ $(id -u) != 0 || $(uname -m) != x86_64 ]]; then
    echo "NFS is tested by root on x86_64 only" >&2
    exit 77
fi
if ((${#missing[@]})); then
    export DEBIAN_FRONTEND=noninteractive
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends "${missing[@]}"; } \
        || { echo "these packages cannot be installed here: ${missing[*]}" >&2 && exit 77; }
fi

image="$target/nfs-vm"
# By the script that makes it: a changed machine is made again.
if ! cmp -s tests/nfs/vm.sh "$image/made-by"; then
    rm -f "$image/made-by"
    bash tests/nfs/vm.sh build "$image" \
        || { tail -n 5 "$image/debootstrap.log" >&2; exit 77; }
    cp tests/nfs/vm.sh "$image/made-by"
fi
if [[ -z ${DALSEGNO_BIN:-} ]]; then
    cargo build --locked --all-features --bin dalsegno
    DALSEGNO_BIN="$target/debug/dalsegno"
fi
payload="$(mktemp -d)"
trap 'rm -rf "$payload"' EXIT
cp "$DALSEGNO_BIN" "$payload/dalsegno"
strip --strip-debug "$payload/dalsegno" 2>/dev/null || true
cp -r tests/nfs/cases.sh tests/nfs/lib.sh tests/nfs/cases "$payload/"
# Python's side, for the store of a training; its stand-in for DaCapo, with paths of a local disk.
mkdir "$payload/python"
if [[ -n ${DALSEGNO_PACKAGE:-} ]]; then
    cp -r "$DALSEGNO_PACKAGE" "$payload/python/dalsegno"
else
    cargo build --locked -p dalsegno-python
    cp -r python/package/dalsegno "$payload/python/"
    cp "$target/debug/lib_native.so" "$payload/python/dalsegno/_native.abi3.so"
fi
cp -r python/tests/standin/dacapo "$payload/python/"
echo 'from pathlib import PosixPath as UPath' >"$payload/python/upath.py"
strip --strip-debug "$payload/python/dalsegno/_native.abi3.so" 2>/dev/null || true
# Two users run it, too.
chmod -R a+rX "$payload"
bash tests/nfs/vm.sh run "$image" "$payload" "bash cases.sh $form $*"
