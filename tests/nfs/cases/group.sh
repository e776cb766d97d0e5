#!/bin/bash
# Two users of one group, on an export with root_squash: root is nobody there.
share=/squash
. ./lib.sh
chgrp lab "/export${base#/mnt/a}" "$local"
chmod 2775 "/export${base#/mnt/a}" "$local"
# by USER ARGUMENTS: the program on host a as that user. root: by root, who is nobody on the server.
by() { as "$1" 002 /payload/dalsegno --base "$base" "${@:2}" </dev/null; }
as() {
    on a setpriv --reuid="$1" --regid="$1" --init-groups \
        bash -c 'umask "$0"; exec "$@"' "${@:2}"
}
# write USER UMASK RUN ITERATION
write() {
    as "$1" "$2" bash -c "$(declare -f array path); base=$base metadata='$metadata'
        array $3 $4"
}
root() { on a /payload/dalsegno --base "$base" "$@" </dev/null; }
d() { by u1 "$@"; }
init
check "its folder belongs to the group, whatever the umask" test \
    "$(stat -c '%a %G' "$base/.dalsegno")" = "2775 lab"

for iteration in 1 2 3; do write u1 002 ours $iteration; done
check "u2 scans what u1 wrote" by u2 scan
before=$(sums ours)
check "u2 removes what u1 wrote" by u2 rm --yes --trash "$(path ours 1)"
check "u1 restores what u2 removed" by u1 restore "$(path ours 1)"
check "with the same bytes (I3)" test "$before" = "$(sums ours)"
check "u1 removes it again" by u1 rm --yes --trash "$(path ours 1)"
check "u2 restores it" by u2 restore "$(path ours 1)"
check "with the same bytes again (I3)" test "$before" = "$(sums ours)"
check "u2 removes and unlinks" by u2 rm --yes "$(path ours 1)"
check "row and data are gone (I1)" is_removed "$(path ours 1)" --run ours --iteration 1
check "u1 removes once more" by u1 rm --yes --trash "$(path ours 2)"
check "u2 empties the trash" by u2 trash empty --yes
check "nothing is left in it" trash_is_empty

# What u1 wrote with umask 022 is u1's.
for iteration in 1 3 4; do write u1 002 mixed $iteration; done
write u1 022 mixed 2
age_by() { as u1 002 find "$base/$1" -exec touch -h -d '3 days ago' {} +; }
age_by mixed
by u1 scan >/dev/null 2>&1
before=$(sums mixed)
check "what u2 may not move stops a removal" exits 1 by u2 rm --run mixed --yes
check "and nothing has moved" test "$before" = "$(sums mixed)"
check "gc --apply skips it" exits 3 by u2 gc --run mixed --kind prediction --keep-last 1 \
    --apply --yes
check "one that was planned went" is_removed "$(path mixed 1)" --run mixed --iteration 1
check "and the other" is_removed "$(path mixed 3)" --run mixed --iteration 3
check "what u2 may not move is there" test -e "$base/$(path mixed 2)/0"
check "--keep-going skips it too" exits 3 by u2 rm --run mixed --yes --trash --keep-going
check "the rest went" is_removed "$(path mixed 4)" --run mixed --iteration 4
kept=$(sums mixed)
check "it is still there" test -n "$kept"
check "u1 may move it" by u1 rm --yes --trash "$(path mixed 2)"
check "u2 may not purge it" not by u2 trash empty --yes
check "it is kept all the same: u1 restores it" by u1 restore "$(path mixed 2)"
check "with its bytes (I3)" test "$kept" = "$(sums mixed)"
check "u1 takes the trash out" by u1 trash empty --yes

# root, who is nobody on the server.
before=$(sums .)
check "root lists" root list
check "root may not remove" not root rm --yes "$(path ours 3)"
check "nor rename" not root mv ours theirs --yes
check "everything is as before" test "$before" = "$(sums .)"
check "u2 removes after that" by u2 rm --yes "$(path ours 3)"
end
