#!/usr/bin/env bash
# Writes the manual pages of a program into a folder: one of the program, one of each command, and
# one of each command below a command, such as dalsegno-trash-empty.1.
#
# usage: scripts/man-pages.sh PROGRAM FOLDER
set -euo pipefail
program="${1:?usage: scripts/man-pages.sh PROGRAM FOLDER}"
folder="${2:?usage: scripts/man-pages.sh PROGRAM FOLDER}"
mkdir -p "$folder"

# The page of a command, and those of the commands below it. Names are read from the help, so that
# there is no list to forget.
pages() {
    local name command
    name="$(IFS=- && echo "dalsegno${*:+-$*}")"
    "$program" man "$@" >"$folder/$name.1"
    for command in $("$program" "$@" --help |
        sed -n '/^Commands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'); do
        [[ $command == help ]] || pages "$@" "$command"
    done
}
pages
