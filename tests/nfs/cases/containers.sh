#!/bin/bash
# Containers and runs as a whole, beside a training of host b; consolidated metadata; renamed runs.
. ./lib.sh
init
zarr="$base/one/validation.zarr"
group_metadata='{"zarr_format": 2}'
# consolidate CONTAINER: a .zmetadata that lists its arrays.
consolidate() {
    local name
    {
        echo '{"zarr_consolidated_format": 1, "metadata": {".zgroup": {"zarr_format": 2}'
        (cd "$1" && find . -name .zarray | sort) | while read -r name; do
            echo ", \"${name#./}\": $(cat "$1/$name")"
        done
        echo '}}'
    } >"$1/.zmetadata"
}
listed() { python3 -c 'import json, sys; print(*sorted(json.load(open(sys.argv[1]))["metadata"]))' \
    "$1/.zmetadata"; }
for iteration in 1 2 3; do array one "$iteration"; done
echo "$group_metadata" >"$zarr/.zgroup"
d scan >/dev/null 2>&1
before=$(sums one)

check "a container goes as a whole" d rm --yes --trash one/validation.zarr
check "it is gone for host b" gone "$there/one/validation.zarr"
check "no row is left" is_removed one/validation.zarr --run one
check "it comes back as a whole" d restore one/validation.zarr
check "with the same bytes (I3)" test "$before" = "$(sums one)"
check "catalog and disk agree after it came back" agree

# A training of host b goes on: it writes a new container at the same place.
d rm --yes --trash one/validation.zarr >/dev/null 2>&1
new="$there/$(path one 1)"
on b sh -c "mkdir -p $new $there/$(path one 4) && echo new >$new/0 && cp /dev/stdin $new/.zarray \
    && cp $new/.zarray $new/0 $there/$(path one 4)/" <<<"$metadata"
on b sh -c "echo '$group_metadata' >$there/one/validation.zarr/.zgroup"
fresh=$(sums one)
(while [[ ! -e $tmp/stop ]]; do on b sh -c "ls -R $there/one >/dev/null; echo 1 >$new/1"; done) &
writer=$!
check "restore beside it names what is taken" exits 3 d restore one/validation.zarr
touch "$tmp/stop"
wait $writer
rm "$base/$(path one 1)/1"
for iteration in 2 3; do
    check "iteration $iteration came back with its bytes (I3)" test \
        "$(sums "$(path one $iteration)")" = "$(grep " $(path one $iteration)" <<<"$before")"
done
check "what host b wrote stays" test "$fresh" = "$(sums one | grep -v '/[23]/crop')"
check "what is taken waits in the trash" not trash_is_empty
d scan >/dev/null 2>&1
check "verify finds nothing but what waits" grep -q '1 finding: 1 trash-occupied' \
    <(d verify --measure 2>&1)
on b rm -rf "$new"
d refresh --run one >/dev/null 2>&1
d rm --yes "$(path one 1)" >/dev/null 2>&1
check "the rest comes back when its place is free" d restore "$(path one 1)"
check "with its bytes (I3)" test \
    "$(sums "$(path one 1)")" = "$(grep " $(path one 1)" <<<"$before")"
d trash empty --yes >/dev/null 2>&1

# Consolidated metadata: host b never reads half a file, and sees what is there.
consolidate "$zarr"
all=$(listed "$zarr")
chmod 664 "$zarr/.zmetadata"
(while [[ ! -e $tmp/stop2 ]]; do
    listed "$there/one/validation.zarr" >/dev/null || touch "$tmp/torn"
done) 2>"$tmp/torn-why" &
reader=$!
check "an array that a group lists goes" d rm --yes --trash "$(path one 2)"
seen one/validation.zarr/.zmetadata
check "host b reads a list without it" test \
    "$(listed "$there/one/validation.zarr")" = "${all/ 2\/crop\/prediction\/.zarray/}"
check "it comes back" d restore "$(path one 2)"
touch "$tmp/stop2"
wait $reader
seen one/validation.zarr/.zmetadata
check "the list names it again" test "$(listed "$there/one/validation.zarr")" = "$all"
check "host b never read half a list" test ! -e "$tmp/torn"
check "the list has its mode" test "$(stat -c %a "$there/one/validation.zarr/.zmetadata")" = 664
check "nothing else is in the container" test \
    "$(ls -A "$zarr" | tr '\n' ' ')" = ".zgroup .zmetadata 1 2 3 4 "
check "catalog, lists and disk agree" agree

# mv
before=$(sums one | sed 's:  one/:  renamed/:')
on b mkdir -p "$there/taken"
check "mv onto a run of host b is refused" not d mv one taken --yes
check "both stay" test -e "$base/one" -a -e "$base/taken"
on b rmdir "$there/taken"
hold b "$there/$(path one 3)/0"
check "mv renames a run that host b reads" d mv one renamed --yes
release
check "host b sees the new name" test "$before" = "$(cd "$there" && find renamed -type f \
    -exec sha256sum {} + | sort)"
check "and not the old one" gone "$there/one"
check "rows followed" test "$(d list --run renamed --no-refresh --json | grep -c '"path"')" = 4
check "catalog and disk agree after mv" agree
calls=(renameat renameat2 fsync pwrite64)
for ((n = 0; n < 2; n++)); do
    dies a "${calls[n]}" 1 mv renamed again --yes
    d scan >/dev/null 2>&1
    check "kill of mv at ${calls[n]}: catalog and disk agree (I5)" agree
    [[ -e $base/renamed ]] || d mv again renamed --yes >/dev/null 2>&1
    check "kill of mv at ${calls[n]}: the same bytes are there" test "$before" = "$(sums renamed)"
done

# A run as a whole.
echo log >"$base/renamed/train.log"
before=$(sums renamed)
check "a run goes as a whole" d rm --whole-run renamed --trash --yes
check "its folder is gone for host b" gone "$there/renamed"
check "it comes back with everything in it" d restore --run renamed
check "a run has the same bytes (I3)" test "$before" = "$(sums renamed)"
end
