#!/bin/bash
# A training of host b, whose catalog is on host a: inbox, folding, the published copy.
. ./lib.sh
init
array one 1
d scan >/dev/null 2>&1
check "the keeper publishes" d publish

at b record prediction --run one --iteration 2 --dataset crop >"$tmp/path" 2>"$tmp/errors"
check "host b gets the path" test "$(cat "$tmp/path")" = "$there/$(path one 2)"
check "without a warning" diff /dev/null "$tmp/errors"
check "its note is in the inbox" test -n "$(ls "$there/.dalsegno/inbox"/*.jsonl)"
at b list --json >"$tmp/list" 2>"$tmp/errors"
check "host b answers from the copy" grep -q "$(path one 1)" "$tmp/list"
check "and says on which host the catalog is" grep -q 'host host-a' "$tmp/errors"
at b rm --yes "$(path one 1)" >"$tmp/refused" 2>&1
check "host b removes nothing, and names the keeper" grep -q 'host-a' "$tmp/refused"
check "the array is there" test -e "$base/$(path one 1)/0"
check "host b makes no catalog of its own" not at b rebuild
check "nor with init" not at b init --catalog /local/b/runs.sqlite3
check "there is none" test ! -e /local/b/runs.sqlite3

on b sh -c "mkdir -p $there/$(path one 2) && cat >$there/$(path one 2)/.zarray && \
    echo 1 >$there/$(path one 2)/0" <<<"$metadata"
check "the keeper folds the note in" d refresh
check "the inbox is empty" test -z "$(ls "$base/.dalsegno/inbox"/*.jsonl 2>/dev/null)"
check "the array of host b is present" grep -q '"state": *"present"' \
    <(d list --run one --iteration 2 --no-refresh --json)
check "the history names host b" grep -q 'host-b' <(d history --action record --json)
check "the keeper publishes again" d publish
check "host b sees its array" grep -q "$(path one 2)" <(at b list --json 2>/dev/null)
check "the keeper removes it" d rm --yes --trash "$(path one 2)"
seen "$(path one 2)"
check "it is gone for host b" test ! -e "$there/$(path one 2)"
check "host b notes it again" at b record prediction --run one --iteration 2 --dataset crop
check "and the keeper restores it all the same" d restore "$(path one 2)"
seen "$(path one 2)/0"
check "with its data" test "$(cat "$there/$(path one 2)/0")" = 1

# Host b is killed while it notes.
for call in write fsync openat; do
    dies b "$call" 2 record prediction --run killed --iteration 1 --dataset crop
    check "host b notes after a kill at $call" \
        at b record prediction --run killed --iteration 2 --dataset crop
    check "the keeper folds what was noted" d refresh
done
check "it is one row" test \
    "$(d list --run killed --iteration 2 --no-refresh --json | grep -c '"path"')" = 1

# The drop-in store, in two processes of host b at once, while the keeper folds.
cat >"$tmp/training.py" <<'PY'
import logging, sys
sys.path.insert(0, "/payload/python")
logging.basicConfig(level=logging.WARNING)
import dacapo
import dalsegno.dacapo
from dacapo.store.create_store import create_array_store
base, run = sys.argv[1:]
dacapo.Options.instance = classmethod(lambda cls: type("O", (), {"runs_base_dir": base}))
# Processors that are emulated are slow.
dalsegno.dacapo.install(wait=120)
store = dalsegno.dacapo.ArrayStore(base)
for iteration in range(5):
    found = store.validation_prediction_array(run, iteration, "crop")
    print(f"{found.container}/{found.dataset}", flush=True)
PY
for run in first second; do
    on b python3 "$tmp/training.py" "$there" $run >"$tmp/$run" 2>"$tmp/$run-log" &
done
check "the keeper works beside trainings" d refresh
wait
for run in first second; do
    check "the drop-in store of run $run has its paths" test \
        "$(sed -n 5p "$tmp/$run")" = "$there/$(path $run 4)"
    check "and no warning" diff /dev/null <(grep -v TooLongError "$tmp/$run-log")
done
check "the keeper folds the rest" d refresh
check "all of it is in the catalog" test "$(d list --run first --no-refresh --json |
    grep -c '"path"') $(d list --run second --no-refresh --json | grep -c '"path"')" = "5 5"
check "verify finds nothing set aside" agree
end
