#!/usr/bin/env bash
# Removal, restore and purge on a real NFS server with two clients, in a virtual machine.
#
#   nfs.sh            the short form: each case once, a few kills
#   nfs.sh --full     many kills at moments that differ, and more restarts of the server
#
# DALSEGNO_BIN is the program (target/debug/dalsegno, which is built if it is not given). The image
# of the machine is kept below the target folder. Needs root, qemu-system-x86 and debootstrap; exit
# status 77 if it cannot run here.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
target="${CARGO_TARGET_DIR:-target}"
form=short
[[ ${1:-} == --full ]] && form=full

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
cp tests/nfs/cases.sh "$payload/cases.sh"
bash tests/nfs/vm.sh run "$image" "$payload" "bash cases.sh $form"
