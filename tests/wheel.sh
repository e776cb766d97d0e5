#!/usr/bin/env bash
# Installs the wheel in a folder that is for this machine into an empty virtual environment of each
# Python from 3.10 to 3.14 that is here, and uses it. Wheels that name a version of glibc must need
# no newer one.
#
# usage: tests/wheel.sh FOLDER
set -euo pipefail
folder="$(cd "${1:?usage: tests/wheel.sh FOLDER}" && pwd)"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
cd "$work"

for wheel in "$folder"/dalsegno-*.whl; do
    [[ $wheel =~ manylinux_2_([0-9]+)_ ]] || continue
    most="${BASH_REMATCH[1]}"
    rm -rf unpacked
    python3 -m zipfile -e "$wheel" unpacked
    newest="$(LC_ALL=C readelf --version-info --wide unpacked/dalsegno/_native*.so |
        grep -oE 'GLIBC_2\.[0-9]+' | sort -uV | tail -n 1)"
    echo "$(basename "$wheel"): needs $newest"
    if ((${newest#GLIBC_2.} > most)); then
        echo "it promises glibc 2.$most" >&2
        exit 1
    fi
done

wheels=("$folder"/dalsegno-*"$(uname -m)".whl)
if [[ ${#wheels[@]} != 1 || ! -e ${wheels[0]} ]]; then
    echo "no wheel for $(uname -m) in $folder"
    exit 0
fi
cat >use.py <<'P'
import pathlib
import sys

import dalsegno

base = pathlib.Path(sys.argv[1]).resolve()
array = base / "r/validation.zarr/1/v/prediction"
array.mkdir(parents=True)
(array / "zarr.json").write_text('{"zarr_format": 3, "node_type": "array"}')
registry = dalsegno.Registry(base, create=True)
registry.scan()
assert len(list(registry.list())) == 1, list(registry.list())
registry.remove(str(array))
assert not array.exists() and list(registry.list()) == []
P
used=0
for minor in 10 11 12 13 14; do
    python=""
    # Those that pyenv has are on no path.
    for candidate in "python3.$minor" "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python; do
        if "$candidate" -c 'import ensurepip, venv' 2>/dev/null; then
            python="$candidate"
            break
        fi
    done
    [[ -n $python ]] || continue
    used=$((used + 1))
    "$python" -m venv "environment$minor"
    environment="environment$minor/bin"
    # Nothing but the wheel: it needs no other package.
    "$environment/python" -m pip install --quiet --disable-pip-version-check --no-index "${wheels[0]}"
    "$environment/python" use.py "base$minor"
    "$environment/dalsegno" --base "base$minor" history --limit 1 >/dev/null
    echo "Python 3.$minor: $("$environment/dalsegno" --version)"
done
if ((used == 0)); then
    echo "there is no Python from 3.10 to 3.14 here" >&2
    exit 1
fi
