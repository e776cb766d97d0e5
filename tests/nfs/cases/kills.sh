#!/bin/bash
# kill -9 of the client in the middle of a removal, a restore and a purge, at calls that differ.
. ./lib.sh
kills=6
[[ $form == full ]] && kills=60
init
calls=(renameat linkat unlinkat fsync pwrite64 renameat2)
for ((n = 0; n < kills; n++)); do
    array kill "$n" 20
    mkdir -p "$base/kill/checkpoints/iterations"
    echo "weights $n" >"$base/kill/checkpoints/iterations/$n"
    d scan --kind prediction --kind checkpoint >/dev/null 2>&1
    before=$(sums kill)
    targets=("$(path kill "$n")" "kill/checkpoints/iterations/$n")
    call=${calls[n % 6]} when=$((n / 6 + 1))
    dies a "$call" "$when" rm --yes --trash "${targets[@]}"
    check "kill of rm at $call $when: the next open for writing settles" d scan
    check "kill of rm at $call $when: catalog and disk agree (I5)" agree
    [[ -e $base/${targets[0]} ]] || dies a "$call" "$when" restore "${targets[@]}"
    d scan >/dev/null 2>&1
    check "kill of restore at $call $when: catalog and disk agree (I5)" agree
    [[ -e $base/${targets[0]} ]] || d restore "${targets[0]}" >/dev/null 2>&1
    [[ -e $base/${targets[1]} ]] || d restore "${targets[1]}" >/dev/null 2>&1
    check "kill at $call $when: the same bytes are back (I3)" test "$before" = "$(sums kill)"
done

# The purge: what was unlinked is not restored, and the rest goes. The first calls come before it.
for ((n = 0; n < kills / 3; n++)); do
    array purge "$n" 60
    d scan >/dev/null 2>&1
    when=$((n * 17 % 50 + 12))
    dies a unlinkat "$when" rm --yes "$(path purge "$n")"
    check "kill of a purge at unlinkat $when: the next one goes on" d trash empty --yes
    check "kill of a purge at unlinkat $when: nothing is left" trash_is_empty
    check "kill of a purge at unlinkat $when: row and data are gone (I1)" \
        is_removed "$(path purge "$n")" --run purge --iteration "$n"
done
end
