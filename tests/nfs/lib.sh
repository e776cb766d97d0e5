# What the cases on NFS share. Each file in cases/ is a group of them with a base directory and a
# catalog of its own: the arrays are on NFS, the catalog is on a local disk of host a, the keeper.
set -u
form=${1:-short}
group=$(basename "$0" .sh)
base=/mnt/a${share:-}/$group/runs
there=/mnt/b${base#/mnt/a}
local=/local/a/$group
tmp=/tmp/$group
# On the server, because root may write nothing on some of its exports.
mkdir -p "/export${base#/mnt/a}" "$local" "$tmp"
checks=0 failed=0

# d ARGUMENTS: the program on host a, the keeper. at HOST ARGUMENTS: on that one.
d() { on a /payload/dalsegno --base "$base" "$@" </dev/null; }
at() { on "$1" ${trace:-} /payload/dalsegno --base "/mnt/$1${base#/mnt/a}" "${@:2}" </dev/null; }
check() {
    local what=$1
    shift
    checks=$((checks + 1))
    if "$@" >"$tmp/said" 2>&1; then
        echo "ok $group $checks: $what"
    else
        failed=$((failed + 1))
        printf 'FAILED: %s: %s\n%s\n' "$group" "$what" "$(tail -n 12 "$tmp/said")"
    fi
}
not() { ! "$@"; }
# exits STATUS COMMAND: it ends with this status.
exits() {
    local status=0
    "${@:2}" || status=$?
    echo "exit code $status"
    ((status == $1))
}
path() { echo "$1/validation.zarr/$2/crop/prediction"; }
metadata='{"zarr_format": 2, "shape": [9], "chunks": [1], "dtype": "|u1", "fill_value": 0,
"order": "C", "filters": null, "compressor": null}'
# array RUN ITERATION [FILES]: writes a prediction from host a.
array() {
    local folder file
    folder="$base/$(path "$1" "$2")"
    mkdir -p "$folder"
    echo "$metadata" >"$folder/.zarray"
    for ((file = 0; file < ${3:-9}; file++)); do echo "$1 $2 $file" >"$folder/$file"; done
}
# age RUN: what was written of it was written three days ago.
age() { find "$base/$1" -exec touch -h -d '3 days ago' {} +; }
sums() { (cd "$base" && find "$1" -type f ! -name '.nfs*' ! -name lock -exec sha256sum {} + | sort); }
# seen PATH: host b asks the server what is in the folders above it, instead of its cache.
seen() {
    local rest=$1/ folder=$there
    while [[ -n $rest ]]; do
        on b ls -A "$folder" >/dev/null 2>&1
        folder+=/${rest%%/*}
        rest=${rest#*/}
    done
}
agree() { d verify --measure; }
# Whether a name is gone for a client, once what it had in its cache is over.
gone() {
    local n
    for ((n = 0; n < 90; n++)); do
        [[ -e $1 ]] || return 0
        sleep 1
    done
    return 1
}
is_removed() { [[ ! -e $base/$1 && -z $(d list --no-refresh --json "${@:2}" | grep '"path"') ]]; }
trash_is_empty() { [[ -z $(ls -A "$base/.dalsegno/trash" 2>/dev/null) ]]; }
init() { check "a catalog on a local disk is made" d init --here --catalog "$local/runs.sqlite3"; }
# hold HOST FILE: a process of that host holds the file open until `release`.
hold() {
    mkfifo "$tmp/held" "$tmp/release"
    on "$1" bash -c 'exec 5<"$0"; echo held >"$1"; read -r <"$2"' \
        "$2" "$tmp/held" "$tmp/release" &
    holder=$!
    read -r <"$tmp/held"
}
release() {
    echo >"$tmp/release"
    wait "$holder"
    rm "$tmp/held" "$tmp/release"
}
# dies HOST CALL WHEN ARGUMENTS: the program on that host, killed at that call of that number.
dies() {
    local trace="strace -f -qq -o /dev/null -e inject=$2:signal=SIGKILL:when=$3"
    # In a shell of its own, which alone says that it was killed.
    (at "$1" "${@:4}"; exit 0) >/dev/null 2>&1
}
restart_server() {
    rpc.nfsd 0
    rpc.nfsd --no-nfs-version 3 -G 10 2
}
# end: the last line of each group.
end() {
    check "catalog and disk agree in the end" agree
    check "the history holds" d history verify
    echo "$checks $failed $SECONDS $group" >>/tmp/results
}
