#!/usr/bin/env bash
# Makes a new fuzz/seed/base.tar.gz and fuzz/corpus/plan/seed. Run it after a migration is added.
# In a namespace of its own, as root, so that the catalog names no machine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
cargo build --locked --example seed
program="$(cd "${CARGO_TARGET_DIR:-target}" && pwd)/debug/examples/seed"
# shellcheck disable=SC2016
unshare --uts bash -c 'hostname here && exec -a seed "$1"' seed "$program"
