#!/bin/bash
# Runs the groups of cases of nfs.sh in the virtual machine: cases.sh FORM [GROUP]...
set -u
cd "$(dirname "$0")" || exit
form=$1
shift
: >/tmp/results
# Two at once, for the machine has two processors; the longest first.
side_by_side=(kills hosts containers group elsewhere keeper one)
# These count requests, or stop the server.
alone=(calls server)
(($#)) && side_by_side=("$@") alone=()
printf '%s\n' "${side_by_side[@]}" | xargs -P 2 -I '{}' bash 'cases/{}.sh' "$form"
for group in "${alone[@]}"; do bash "cases/$group.sh" "$form"; done
expected=$((${#side_by_side[@]} + ${#alone[@]}))
awk -v expected=$expected '{
    printf "%-10s %3d checks, %d failed, %3d s\n", $4, $1, $2, $3
    checks += $1; failed += $2
} END {
    printf "%d checks on NFS, %d failed\n", checks, failed
    if (NR != expected) print "FAILED: only " NR " of " expected " groups came to their end"
    exit failed > 0 || NR != expected
}' /tmp/results
