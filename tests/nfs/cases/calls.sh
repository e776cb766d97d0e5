#!/bin/bash
# How many requests a command sends to the server, compared with rm and find.
. ./lib.sh
init
chunks=1000
# requests: those of host a's mount so far, `KIND NUMBER` a line; without those of its session,
# which the client sends when it likes.
requests() {
    awk '$1 == "device" {ours = $5 == "/mnt/a"} /per-op|SESSION|EXCHANGE_ID|LEASE|RECLAIM/ {next}
        ours && $1 ~ /^[A-Z_]+:$/ {sub(":", "", $1); print $1, $2}' /proc/self/mountstats
}
# count COMMAND: sets `count` to the number of its requests, with an empty cache; prints the kinds.
count() {
    sync
    echo 3 >/proc/sys/vm/drop_caches
    requests >"$tmp/before"
    check "$1 works" "${@:2}"
    requests >"$tmp/after"
    count=$(awk 'NR == FNR {old[$1] = $2; next} {n += $2 - old[$1]} END {print n}' \
        "$tmp/before" "$tmp/after")
    printf '%-34s %5d requests:%s\n' "$1" "$count" "$(awk 'NR == FNR {old[$1] = $2; next}
        $2 > old[$1] {printf " %d %s", $2 - old[$1], $1}' "$tmp/before" "$tmp/after")"
}
# ratio WHAT MOST: `count` is at most that many hundredths of `plain`, what other programs need.
ratio() {
    echo "$1: $((count * 100 / plain)) % of $plain requests"
    check "$1 sends at most $2 % of the requests" test $((count * 100)) -le $((plain * $2))
}
# On the server, so that no cache of host a has them.
served() { (base=/export/$group/runs && array "$@"); }
for ((iteration = 1; iteration <= 60; iteration++)); do served many $iteration 5; done
# What a scan must do: find each array, and read its metadata.
count "find, and cat of metadata" find "$base" -name .zarray -exec cat {} +
plain=$count
count "scan" d scan
ratio "scan" 160
count "scan --measure" d scan --measure
ratio "scan --measure" 130
d rm --whole-run many --yes >/dev/null 2>&1

for iteration in 1 2 3; do served one $iteration $chunks; done
d scan >/dev/null 2>&1
count "rm -rf" rm -rf "${base:?}/$(path one 1)"
plain=$count
count "rm" d rm --yes "$(path one 2)"
ratio "rm" 130
count "rm --trash" d rm --yes --trash "$(path one 3)"
count "trash empty" d trash empty --yes
ratio "trash empty" 130
d rm --run one --yes >/dev/null 2>&1
end
