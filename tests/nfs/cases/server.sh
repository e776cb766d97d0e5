#!/bin/bash
# The server is restarted in the middle of a purge, a scan and a removal.
. ./lib.sh
restarts=1
[[ $form == full ]] && restarts=12
init
for ((n = 0; n < restarts; n++)); do
    array restart "$n" 400
    d scan >/dev/null 2>&1
    d rm --yes "$(path restart "$n")" >/dev/null 2>&1 &
    purge=$!
    # Begun when the array has left its place.
    while [[ -e /export/$group/runs/$(path restart "$n") ]] && kill -0 $purge 2>/dev/null; do
        :
    done
    restart_server
    wait $purge
    d trash empty --yes >/dev/null 2>&1
    check "a purge goes on after the server restarted" \
        is_removed "$(path restart "$n")" --run restart
    check "and leaves nothing in the trash" trash_is_empty
done

for ((n = 0; n < 6; n++)); do array kept "$n" 20; done
d scan --measure >"$tmp/scan" 2>&1 &
scan=$!
[[ $form == full ]] && restart_server
wait $scan
check "a scan is done, in the full form beside a restart" grep -q '6 new' "$tmp/scan"
before=$(sums kept)
d rm --run kept --yes --trash >/dev/null 2>&1 &
removal=$!
restart_server
wait $removal
check "a removal is done after the server restarted" is_removed "$(path kept 0)" --run kept
d restore --run kept >/dev/null 2>&1 &
restore=$!
restart_server
wait $restore
check "a restore after the server restarted gives the same bytes (I3)" test \
    "$before" = "$(sums kept)"
end
