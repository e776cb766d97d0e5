#!/bin/bash
# How many requests a command sends to the server, compared with rm and find.
. ./lib.sh
init
chunks=1000
# requests: those of host a's mount so far, `KIND NUMBER` a line.
requests() {
    awk '$1 == "device" {ours = $5 == "/mnt/a"} /per-op/ {next}
        ours && $1 ~ /^[A-Z_]+:$/ {sub(":", "", $1); print $1, $2}' /proc/self/mountstats
}
# count COMMAND: sets `count` to the number of its requests, with an empty cache; prints the kinds.
count() {
    sync
    echo 3 >/proc/sys/vm/drop_caches
    requests >"$tmp/before"
    "${@:2}" >"$tmp/said" 2>&1 || { echo "FAILED: $*"; tail -n 5 "$tmp/said"; failed=$((failed + 1)); }
    requests >"$tmp/after"
    count=$(awk 'NR == FNR {old[$1] = $2; next} {n += $2 - old[$1]} END {print n}' \
        "$tmp/before" "$tmp/after")
    printf '%-34s %5d requests:%s\n' "$1" "$count" "$(awk 'NR == FNR {old[$1] = $2; next}
        $2 > old[$1] {printf " %d %s", $2 - old[$1], $1}' "$tmp/before" "$tmp/after")"
}
# ratio WHAT MOST: `count` is at most that many hundredths of `plain`.
ratio() {
    echo "$1: $((count * 100 / plain)) % of $plain"
    check "$1 sends at most $2 % of the requests" test $((count * 100)) -le $((plain * $2))
}
# On the server, so that no cache of host a has them.
served() { (base=/export/$group/runs && array "$@"); }
for iteration in 1 2 3 4 5; do served one $iteration $chunks; done
count "an empty command" true
count "scan" d scan
scan=$count
count "scan --measure" d scan --measure
measured=$count
count "find" find "$base" -size +1
plain=$count
count=$scan
ratio "scan against find" 30
count=$measured
ratio "scan --measure against find -size" 130
count "rm -rf" rm -rf "${base:?}/$(path one 1)"
plain=$count
count "a first rm, with the day's backup" d rm --yes "$(path one 2)"
count "rm" d rm --yes "$(path one 3)"
ratio "rm against rm -rf" 130
count "rm --trash" d rm --yes --trash "$(path one 4)"
count "trash empty" d trash empty --yes
ratio "trash empty against rm -rf" 130
count "rm --no-count" d rm --yes --no-count "$(path one 5)"
ratio "rm --no-count against rm -rf" 130
d scan >/dev/null 2>&1
d refresh >/dev/null 2>&1
d rm --run one --yes >/dev/null 2>&1
end
