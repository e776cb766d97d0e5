#!/bin/bash
# The cases of nfs.sh, run in the virtual machine. The arrays are on NFS, the catalog is on a local
# disk of host a. After each case `verify` must find that catalog and disk agree.
set -u
form=${1:-short}
kills=6 restarts=2
[[ $form == full ]] && kills=60 restarts=12
base=/mnt/a/runs
checks=0 failed=0

d() { on a /payload/dalsegno --base "$base" "$@" </dev/null; }
check() {
    local what=$1
    shift
    checks=$((checks + 1))
    if "$@" >/tmp/said 2>&1; then
        echo "ok $checks: $what"
    else
        failed=$((failed + 1))
        echo "FAILED: $what"
        tail -n 12 /tmp/said
    fi
}
not() { ! "$@"; }
# array RUN ITERATION [FILES]: writes a prediction from host a.
array() {
    local folder="$base/$1/validation.zarr/$2/crop/prediction" file
    mkdir -p "$folder"
    printf '{"zarr_format": 2, "shape": [9], "chunks": [1], "dtype": "<u1", "fill_value": 0, ' \
        >"$folder/.zarray"
    printf '"order": "C", "filters": null, "compressor": null}' >>"$folder/.zarray"
    for ((file = 0; file < ${3:-9}; file++)); do echo "$1 $2 $file" >"$folder/$file"; done
}
path() { echo "$1/validation.zarr/$2/crop/prediction"; }
sums() { (cd "$base" && find "$1" -type f ! -name '.nfs*' -exec sha256sum {} + | sort); }
agree() { d verify --measure; }
is_removed() { [[ ! -e $base/$1 && -z $(d list --no-refresh --json "${@:2}" | grep '"path"') ]]; }
trash_is_empty() { [[ -z $(ls -A "$base/.dalsegno/trash" 2>/dev/null) ]]; }
restart_server() {
    rpc.nfsd 0
    rpc.nfsd --no-nfs-version 3 -G 10 2
}

mkdir -p "$base" /local/a
check "both mounts are NFS" test "$(stat -f -c %T /mnt/a) $(stat -f -c %T /mnt/b)" = "nfs nfs"
check "a catalog on NFS is refused" not d init
check "a catalog on a local disk is made" d init --catalog /local/a/runs.sqlite3
check "doctor runs" d doctor
d doctor | grep -i 'nfs' >/tmp/doctor
check "doctor says that it is NFS" grep -q 'network (NFS' /tmp/doctor

for iteration in 1 2 3 4 5 6; do array one "$iteration"; done
mkdir -p "$base/one/checkpoints/iterations"
echo weights >"$base/one/checkpoints/iterations/1"
check "scan adds what is there" d scan
check "checkpoints are added" d scan --kind checkpoint
check "arrays are sealed with a hash" d seal --run one --kind prediction --hash
check "catalog and disk agree" agree

before=$(sums one)
check "rm moves an array into the trash" d rm --yes --trash "$(path one 1)"
check "it is gone for host b" not test -e "/mnt/b/runs/$(path one 1)"
check "restore brings it back" d restore "$(path one 1)"
check "with the same bytes (I3)" test "$before" = "$(sums one)"
check "rm takes a checkpoint" d rm --yes --trash one/checkpoints/iterations/1
check "restore brings the checkpoint back" d restore one/checkpoints/iterations/1
check "the checkpoint has the same bytes (I3)" test "$before" = "$(sums one)"
check "the checkpoint has one name" test "$(stat -c %h "$base/one/checkpoints/iterations/1")" = 1
check "catalog and disk agree after restores" agree

d rm --yes --trash "$(path one 1)" one/checkpoints/iterations/1 >/dev/null 2>&1
on b sh -c "mkdir -p /mnt/b/runs/$(path one 1) && echo new >/mnt/b/runs/$(path one 1)/0"
on b sh -c "echo new >/mnt/b/runs/one/checkpoints/iterations/1"
check "restore onto data of host b is refused" not d restore "$(path one 1)"
check "so is a checkpoint" not d restore one/checkpoints/iterations/1
check "host b's array stays" test "$(cat "/mnt/b/runs/$(path one 1)/0")" = new
check "host b's checkpoint stays" test "$(cat /mnt/b/runs/one/checkpoints/iterations/1)" = new
on b rm -rf "/mnt/b/runs/$(path one 1)" /mnt/b/runs/one/checkpoints/iterations/1
check "restore brings back what waited" d restore "$(path one 1)" one/checkpoints/iterations/1
check "with the same bytes after the detour (I3)" test "$before" = "$(sums one)"

check "rm removes and unlinks" d rm --yes "$(path one 2)"
check "row and data are gone (I1)" is_removed "$(path one 2)" --run one --iteration 2
check "nothing is left in the trash" trash_is_empty
touch -d '3 days ago' "$base"/one/validation.zarr/*/crop/prediction{,/*,/.zarray}
check "gc plans" d gc --run one --kind prediction --keep-last 1
check "catalog and disk agree after rm" agree

# A process of host a holds a file open: NFS renames it to .nfs… instead of unlinking it.
mkfifo /tmp/hold
on a bash -c 'exec 5<"$0"; echo held; read -r <"$1"' "$base/$(path one 3)/0" /tmp/hold >/tmp/held &
holder=$!
until grep -q held /tmp/held 2>/dev/null; do :; done
d rm --yes "$(path one 3)" >/tmp/purge 2>&1
check "a purge names the .nfs file that is held open" grep -q '\.nfs' /tmp/purge
check "the artifact is gone all the same (I1)" is_removed "$(path one 3)" --run one --iteration 3
echo >/tmp/hold
wait $holder
check "the next purge goes on" d trash empty --yes
check "and leaves nothing" trash_is_empty

# Host b holds a file open, lists, writes, and deletes the same array by hand.
on b bash -c 'exec 5<"$0"; echo held; read -r <"$1"' "/mnt/b/runs/$(path one 4)/0" /tmp/hold \
    >/tmp/held2 &
holder=$!
until grep -q held /tmp/held2 2>/dev/null; do :; done
check "an array that host b reads is removed" d rm --yes "$(path one 4)"
echo >/tmp/hold
wait $holder
d trash empty --yes >/dev/null 2>&1
check "nothing of it is left" trash_is_empty
ls "$base/$(path one 5)" >/dev/null
on b rm -rf "/mnt/b/runs/$(path one 5)"
check "an array that host b deleted is removed: its row goes" d rm --yes "$(path one 5)"
check "no row is left of it" is_removed "$(path one 5)" --run one --iteration 5

array two 1 300
d scan >/dev/null 2>&1
on b rm -rf "/mnt/b/runs/$(path two 1)" &
d rm --yes "$(path two 1)" >/tmp/race 2>&1
wait $!
d trash empty --yes >/dev/null 2>&1
check "two that delete one array leave nothing" is_removed "$(path two 1)" --run two
rm -rf "$base/two"
array three 1 100
d scan >/dev/null 2>&1
on b sh -c "echo more >/mnt/b/runs/three/validation.zarr/1/other"
(while [[ ! -e /tmp/stop ]]; do on b sh -c "ls -R /mnt/b/runs >/dev/null; echo more \
    >/mnt/b/runs/three/validation.zarr/1/other" 2>/dev/null; done) &
writer=$!
check "an array is removed while host b lists and writes beside it" d rm --yes "$(path three 1)"
touch /tmp/stop
wait $writer
check "what host b wrote beside it stays" test -e "$base/three/validation.zarr/1/other"
rm -rf "$base/three"
check "catalog and disk agree after the other host" agree

# kill -9 in the middle of a removal and of a restore, at calls that differ.
for ((n = 0; n < kills; n++)); do
    array kill "$n" 20
    mkdir -p "$base/kill/checkpoints/iterations"
    echo "weights $n" >"$base/kill/checkpoints/iterations/$n"
    d scan >/dev/null 2>&1
    d scan --kind checkpoint >/dev/null 2>&1
    before=$(sums kill)
    targets=("$(path kill "$n")" "kill/checkpoints/iterations/$n")
    calls=(renameat linkat unlinkat fsync pwrite64 renameat2)
    call=${calls[n % 6]} when=$((n / 6 + 1))
    on a strace -f -qq -o /dev/null -e "inject=$call:signal=SIGKILL:when=$when" \
        /payload/dalsegno --base "$base" rm --yes --trash "${targets[@]}" >/dev/null 2>&1 </dev/null
    check "kill of rm at $call $when: the next open for writing settles" d scan
    check "kill of rm at $call $when: catalog and disk agree (I5)" agree
    [[ -e $base/${targets[0]} ]] || on a strace -f -qq -o /dev/null \
        -e "inject=$call:signal=SIGKILL:when=$when" /payload/dalsegno --base "$base" \
        restore "${targets[@]}" >/dev/null 2>&1 </dev/null
    d scan >/dev/null 2>&1
    check "kill of restore at $call $when: catalog and disk agree (I5)" agree
    [[ -e $base/${targets[0]} ]] || d restore "${targets[0]}" >/dev/null 2>&1
    [[ -e $base/${targets[1]} ]] || d restore "${targets[1]}" >/dev/null 2>&1
    check "kill at $call $when: the same bytes are back (I3)" test "$before" = "$(sums kill)"
done

# The server is restarted in the middle of a purge.
for ((n = 0; n < restarts; n++)); do
    array restart "$n" 400
    d scan >/dev/null 2>&1
    d rm --yes "$(path restart "$n")" >/tmp/restart 2>&1 &
    purge=$!
    # Begun when the array has left its place.
    while [[ -e /export/runs/$(path restart "$n") ]] && kill -0 $purge 2>/dev/null; do :; done
    restart_server
    wait $purge
    d trash empty --yes >/dev/null 2>&1
    check "a purge goes on after the server restarted" is_removed "$(path restart "$n")" --run restart
    check "and leaves nothing in the trash" trash_is_empty
done
check "catalog and disk agree in the end" agree
check "the history holds" d history verify

echo "$checks checks on NFS, $failed failed"
((failed == 0))
