#!/bin/bash
# The other host reads, writes, holds open and deletes what this one removes.
. ./lib.sh
init
for iteration in 1 2 3 4 5 6 7; do array one "$iteration"; done
d scan >/dev/null 2>&1

# A process of host a holds a file open: NFS renames it to .nfs… instead of unlinking it.
hold a "$base/$(path one 1)/0"
d rm --yes "$(path one 1)" >"$tmp/purge" 2>&1
check "a purge names the .nfs file that is held open" grep -q '\.nfs' "$tmp/purge"
check "the artifact is gone all the same (I1)" is_removed "$(path one 1)" --run one --iteration 1
release
check "the next purge goes on" d trash empty --yes
check "and leaves nothing" trash_is_empty

# The same with a removal that is kept first: it was kept, and cannot come back any more.
hold a "$base/$(path one 2)/0"
d rm --yes --trash "$(path one 2)" >/dev/null 2>&1
check "trash empty says what is held open" exits 3 d trash empty --yes
check "and what it began is not restored" not d restore "$(path one 2)"
release
check "the next trash empty goes on" d trash empty --yes
check "and leaves nothing in the trash" trash_is_empty

# An array with a .nfs… file: a chunk was unlinked while a process of host a read it.
d seal --run one --iteration 3 >/dev/null 2>&1
echo extra >"$base/$(path one 3)/extra"
hold a "$base/$(path one 3)/extra"
rm "$base/$(path one 3)/extra"
check "it has a .nfs file" test -n "$(ls -A "$base/$(path one 3)" | grep '^\.nfs')"
before=$(sums one)
check "verify does not count the .nfs file" agree
check "rm moves the array with it" d rm --yes --trash "$(path one 3)"
check "restore brings it back" d restore "$(path one 3)"
check "with the same bytes (I3)" test "$before" = "$(sums one)"
release
check "the .nfs file went when it was closed" \
    test -z "$(ls -A "$base/$(path one 3)" | grep '^\.nfs')"
check "catalog and disk agree without it" agree

# What was deleted by hand while a process read it leaves a folder with a .nfs… file at its place.
d rm --yes --trash "$(path one 3)" >/dev/null 2>&1
array one 3 1
hold a "$base/$(path one 3)/0"
rm -rf "${base:?}/$(path one 3)" 2>/dev/null
check "restore onto a .nfs file is refused" not d restore "$(path one 3)"
release
check "restore goes on after it was closed" d restore "$(path one 3)"
check "with the same bytes as before (I3)" test "$before" = "$(sums one)"

# Host b holds a file open, lists, writes, and deletes the same array by hand.
hold b "$there/$(path one 4)/0"
check "an array that host b reads is removed" d rm --yes "$(path one 4)"
release
d trash empty --yes >/dev/null 2>&1
check "nothing of it is left" trash_is_empty
ls "$base/$(path one 5)" >/dev/null
on b rm -rf "$there/$(path one 5)"
check "an array that host b deleted is removed: its row goes" d rm --yes "$(path one 5)"
check "no row is left of it" is_removed "$(path one 5)" --run one --iteration 5
d rm --yes --trash "$(path one 6)" >/dev/null 2>&1
on b sh -c "rm -rf $there/.dalsegno/trash/*/0/.zarray $there/.dalsegno/trash/*/0/[0-4]"
check "what host b deletes in the trash is no obstacle to a purge" d trash empty --yes
check "the trash is empty then" trash_is_empty

# Host b deletes an array while host a removes it, from moments on that differ.
rounds=3
[[ $form == full ]] && rounds=20
for ((n = 1; n <= rounds; n++)); do array two "$n" 200; done
d scan >/dev/null 2>&1
for ((n = 1; n <= rounds; n++)); do
    on b rm -rf "$there/$(path two "$n")" 2>/dev/null &
    # The other end of the race by and by.
    for ((look = 1; look < n; look++)); do d show "$(path two "$n")" >/dev/null 2>&1 || true; done
    check "an array that host b deletes meanwhile is removed" d rm --yes "$(path two "$n")"
    wait $! || true
    check "two that delete it leave nothing" \
        is_removed "$(path two "$n")" --run two --iteration "$n"
done
d trash empty --yes >/dev/null 2>&1 || true
check "nor in the trash" trash_is_empty
rm -rf "$base/two"

array three 1 100
d scan >/dev/null 2>&1
(while [[ ! -e $tmp/stop ]]; do on b sh -c "ls -R $there >/dev/null; echo more \
    >$there/three/validation.zarr/1/other" 2>/dev/null; done) &
writer=$!
check "an array is removed while host b lists and writes beside it" d rm --yes "$(path three 1)"
touch "$tmp/stop"
wait $writer
check "what host b wrote beside it stays" test -e "$base/three/validation.zarr/1/other"
check "verify reads while host b deletes beside it" exits 0 d verify --run one
rm -rf "$base/three"

# gc: what host b writes after the plan stays, though host a has its times in its cache.
for iteration in 1 2 3 4; do array gc "$iteration"; done
age gc
d scan >/dev/null 2>&1
rules=(--run gc --kind prediction --keep-last 1)
check "gc plans" d gc "${rules[@]}" --plan-out "$tmp/plan"
on b sh -c "echo again >$there/$(path gc 2)/0"
check "gc --apply skips what host b wrote since" exits 3 d gc --apply "$tmp/plan" --yes
check "that stays" test "$(cat "$there/$(path gc 2)/0")" = again
check "one that was planned went" is_removed "$(path gc 1)" --run gc --iteration 1
check "and the other" is_removed "$(path gc 3)" --run gc --iteration 3
check "what a rule keeps is there" test -e "$there/$(path gc 4)/0"
age gc
check "gc --apply by rules takes it when it is old" d gc "${rules[@]}" --apply --yes
check "it is gone" is_removed "$(path gc 2)" --run gc --iteration 2
check "what gc took is unlinked" trash_is_empty

# rm by age: the same, in one command.
array old 1
array old 2
age old
d scan >/dev/null 2>&1
ls -lR "$base/old" >/dev/null
on b sh -c "echo again >$there/$(path old 1)/0"
d rm --run old --older-than 1d --yes >/dev/null 2>&1
check "rm --older-than leaves what host b wrote just now" test -e "$base/$(path old 1)/0"
check "and takes what is old" is_removed "$(path old 2)" --run old --iteration 2

# Host b records in a loop, host a records and removes in a loop.
rounds=4
[[ $form == full ]] && rounds=40
(for ((n = 0; n < rounds; n++)); do
    at b record prediction --run loop --iteration $((1000 + n)) --dataset crop
done) >"$tmp/recorded" 2>"$tmp/record-errors" &
recorder=$!
for ((n = 0; n < rounds; n++)); do
    array loop "$n" 3
    d record prediction --run loop --iteration "$n" --dataset crop >/dev/null 2>&1
    d rm --yes "$(path loop "$n")" >/dev/null 2>&1 || echo "rm of $n" >>"$tmp/loop-failed"
done
wait $recorder
check "each removal beside records of host b is done" test ! -e "$tmp/loop-failed"
check "host b has all its paths" test "$(wc -l <"$tmp/recorded")" = "$rounds"
check "and no warning" test ! -s "$tmp/record-errors"
d refresh --run loop >/dev/null 2>&1
check "all that host b recorded is in the catalog, and nothing else" test \
    "$(d list --run loop --no-refresh --json | grep -c '"path"')" = "$rounds"
end
