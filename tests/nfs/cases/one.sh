#!/bin/bash
# Arrays and checkpoints go and come back, and host b sees it.
. ./lib.sh

check "both mounts are NFS" test "$(stat -f -c %T /mnt/a) $(stat -f -c %T /mnt/b)" = "nfs nfs"
check "a catalog on NFS is refused" not d init --here
init
check "doctor runs" d doctor
d doctor | grep -i 'nfs' >"$tmp/doctor"
check "doctor says that it is NFS" grep -q 'network (NFS' "$tmp/doctor"

for iteration in 1 2 3 4; do array one "$iteration"; done
mkdir -p "$base/one/checkpoints/iterations"
echo weights >"$base/one/checkpoints/iterations/1"
check "scan adds what is there" d scan
check "checkpoints are added" d scan --kind checkpoint
check "arrays are sealed with a hash" d seal --run one --kind prediction --hash
check "catalog and disk agree" agree

before=$(sums one)
check "rm moves an array into the trash" d rm --yes --trash "$(path one 1)"
check "it is gone for host b" gone "$there/$(path one 1)"
check "restore brings it back" d restore "$(path one 1)"
check "with the same bytes (I3)" test "$before" = "$(sums one)"
check "rm takes a checkpoint" d rm --yes --trash one/checkpoints/iterations/1
check "restore brings the checkpoint back" d restore one/checkpoints/iterations/1
check "the checkpoint has the same bytes (I3)" test "$before" = "$(sums one)"
check "the checkpoint has one name" test "$(stat -c %h "$base/one/checkpoints/iterations/1")" = 1
check "catalog and disk agree after restores" agree

d rm --yes --trash "$(path one 1)" one/checkpoints/iterations/1 >/dev/null 2>&1
on b sh -c "mkdir -p $there/$(path one 1) && echo new >$there/$(path one 1)/0"
on b sh -c "echo new >$there/one/checkpoints/iterations/1"
check "restore onto data of host b is refused" not d restore "$(path one 1)"
check "so is a checkpoint" not d restore one/checkpoints/iterations/1
check "host b's array stays" test "$(cat "$there/$(path one 1)/0")" = new
check "host b's checkpoint stays" test "$(cat "$there/one/checkpoints/iterations/1")" = new
on b rm -rf "$there/$(path one 1)" "$there/one/checkpoints/iterations/1"
check "restore brings back what waited" d restore "$(path one 1)" one/checkpoints/iterations/1
check "with the same bytes after the detour (I3)" test "$before" = "$(sums one)"

check "rm removes and unlinks" d rm --yes "$(path one 2)"
check "row and data are gone (I1)" is_removed "$(path one 2)" --run one --iteration 2
check "nothing is left in the trash" trash_is_empty
d rm --yes --trash "$(path one 3)" one/checkpoints/iterations/1 >/dev/null 2>&1
check "trash empty unlinks what waits" d trash empty --yes
check "nothing waits any more" trash_is_empty
end
