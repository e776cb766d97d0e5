#!/bin/bash
# Host b becomes the keeper while a program of host a has the registry open.
. ./lib.sh
init
array moved 1
array moved 2
d scan >/dev/null 2>&1
check "the keeper publishes" d publish
cat >"$tmp/open.py" <<'PY'
import sys
sys.path.insert(0, "/payload/python")
import dalsegno
base, path = sys.argv[1:]
registry = dalsegno.Registry(base)
print("open", flush=True)
sys.stdin.readline()
calls = [lambda: registry.remove(path), lambda: registry.pin("late", path)]
for call in calls:
    try:
        call()
    except dalsegno.Error as error:
        print(error.code, "host-b" in str(error), flush=True)
PY
mkfifo "$tmp/go"
on a python3 "$tmp/open.py" "$base" "$(path moved 1)" <"$tmp/go" >"$tmp/opened" 2>&1 &
opener=$!
exec 6>"$tmp/go"
until grep -q open "$tmp/opened" || ! kill -0 $opener 2>/dev/null; do sleep 0.1; done
check "a program of host a has it open" grep -q open "$tmp/opened"

catalog=/local/b/keeper/runs.sqlite3
on b mkdir -p /local/b/keeper
on b cp "$there/.dalsegno/published.sqlite3" $catalog
check "host b becomes the keeper" at b init --keeper --catalog $catalog
echo go >&6
exec 6>&-
wait $opener
check "what host a has open changes nothing, and names host b" \
    diff <(echo open; yes "catalog-elsewhere True" | head -n 2) "$tmp/opened"
check "a command of host a removes nothing" not d rm --yes "$(path moved 1)"
for iteration in 1 2; do
    check "array $iteration is there" test -e "$base/$(path moved $iteration)/0"
done
check "host a leaves a note from then on" \
    d record prediction --run moved --iteration 3 --dataset crop

# From here on, what was done on host a is done on host b.
d() { at b "$@"; }
check "host b takes it in" d refresh
check "as a row" grep -q "$(path moved 3)" <(d list --run moved --no-refresh --json)
check "host b removes" d rm --yes "$(path moved 1)"
check "the array is gone for host a" gone "$base/$(path moved 1)"
check "the other is there" test -e "$base/$(path moved 2)/0"
end
