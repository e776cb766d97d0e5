//! What one member of a group removed, another restores beside a training.

use crate::mounts;
use crate::world::World;

/// Ann removes a container, Ben's training writes a new one, Ben restores. `$2`: Ann's entry in the
/// database of users; `$3`: the members of the group.
const RESTORE: &str = r#"
set -e
umask 002
cp "$1" dalsegno; chmod 755 . dalsegno
cp /etc/passwd passwd; printf '%s' "$2" >>passwd; mount --bind passwd /etc/passwd
cp /etc/group group; echo "lab:x:61003:$3" >>group; mount --bind group /etc/group
as() { user=$1; shift; setpriv --reuid=$user --regid=$user --groups=$user,61003 "$@"; }
write() {
    as $1 mkdir -p base/r/validation.zarr/$2/crop/prediction
    echo '{"zarr_format":3,"node_type":"array"}' |
        as $1 tee base/r/validation.zarr/$2/crop/prediction/zarr.json >/dev/null
}
mkdir base; chgrp 61003 base; chmod 2775 base
write 61001 1; write 61001 2
dalsegno="$PWD/dalsegno --base $PWD/base"
as 61001 $dalsegno init --here --shared -q
as 61001 $dalsegno scan -q
as 61001 $dalsegno record validation-container --run r >/dev/null
as 61001 $dalsegno refresh -q
as 61001 $dalsegno rm base/r/validation.zarr --trash --yes -q
write 61002 1
as 61002 $dalsegno verify --table || true
code=0; as 61002 $dalsegno restore --run r || code=$?
echo "exit $code"
ls base/r/validation.zarr
"#;

/// What a script of several users prints and what its errors are, without the path of its folder;
/// `None` if it cannot run here.
fn played(what: &str, script: &str, arguments: &[&str]) -> Option<(String, String)> {
    let world = World::new();
    let mut program = world.program();
    program.env_remove("DALSEGNO_BASE");
    let folder = tempfile::tempdir().unwrap();
    let output = mounts::run(what, script, &program, arguments, folder.path())?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let said = text(output.stdout).replace(folder.path().to_str().unwrap(), "");
    Some((said, text(output.stderr)))
}

fn restore(ann: &str, members: &str) -> Option<(String, String)> {
    played("members of a group", RESTORE, &[ann, members])
}

const ANN: &str = "ann:x:61001:61001::/:/bin/sh\n";

#[test]
fn a_member_restores_what_another_removed() {
    let Some((said, errors)) = restore(ANN, "ann,ben") else {
        return;
    };
    // The rest is named, so not all is back.
    assert!(said.ends_with("exit 3\n1\n2\n"), "{said}{errors}");
    // The way is what verify says.
    let (_, next) = said.split_once("bring that back first with: ").unwrap();
    assert!(next.starts_with("dalsegno restore 2"), "{said}");
    assert!(!said.contains("move away"), "{said}");
}

#[test]
fn a_user_whose_groups_are_unknown_is_not_said_to_lack_a_right() {
    let Some((said, errors)) = restore("", "ben") else {
        return;
    };
    // The row of the container comes back, and no data.
    assert!(said.ends_with("exit 3\n1\n"), "{said}{errors}");
    let words = "user 61001, who may have put it there, is not known to be allowed to write in";
    assert!(errors.contains(words), "{errors}");
    // A known user who is no member may not.
    let (_, errors) = restore(ANN, "ben").unwrap();
    let words = "user 61001, who may have put it there, may not write in";
    assert!(errors.contains(words), "{errors}");
}

/// Ann puts folders into the trash that Ben may not read, and one that says nothing; Ben looks.
const UNREADABLE: &str = r#"
set -e
umask 002
cp "$1" dalsegno; chmod 755 . dalsegno
as() { user=$1; shift; setpriv --reuid=$user --regid=$user --groups=$user,61003 "$@"; }
mkdir base; chgrp 61003 base; chmod 2775 base
dalsegno="$PWD/dalsegno --base $PWD/base"
as 61001 $dalsegno init --here --shared -q
trash=base/.dalsegno/trash
as 61001 mkdir -p $trash/20260101-000001-aaaaaa/0 $trash/20260101-000002-aaaaaa/0 \
    $trash/20260101-000003-aaaaaa/0
as 61001 chmod 700 $trash/20260101-000001-aaaaaa
echo '{}' | as 61001 tee $trash/20260101-000002-aaaaaa/manifest.json >/dev/null
as 61001 chmod 600 $trash/20260101-000002-aaaaaa/manifest.json
for call in "doctor --json" "verify --json" "trash list" "refresh"; do
    code=0; as 61002 $dalsegno $call >out 2>err || code=$?
    # Lines of a table are not to hide the words.
    echo "$call: exit $code"; cat out err | sed 's/^/  /'
done
"#;

#[test]
fn a_folder_of_another_user_in_the_trash_stops_nothing_and_is_named_in_the_same_words() {
    let what = "a folder of another user";
    let Some((said, _)) = played(what, UNREADABLE, &[]) else {
        return;
    };
    let parts: Vec<&str> = said.split(": exit ").collect();
    assert_eq!(parts.len(), 5, "{said}");
    let (doctor, verify, list, refresh) = (parts[1], parts[2], parts[3], parts[4]);
    let trash = "/base/.dalsegno/trash/20260101-00000";
    let look = |number: u32| {
        format!(
            "check what it holds with: ls -lR {trash}{number}-aaaaaa; and move it away with: mv \
             {trash}{number}-aaaaaa FOLDER"
        )
    };
    let not_read = |what: &str, number| {
        format!(
            "{what} failed: Permission denied (os error 13), so it is left alone; its owner, or \
             root, can {}",
            look(number)
        )
    };
    let words = [
        not_read(&format!("opening {trash}1-aaaaaa"), 1),
        not_read(&format!("reading {trash}2-aaaaaa/manifest.json"), 2),
        format!(
            "{trash}3-aaaaaa has no manifest that can be read, so it is left alone; {}",
            look(3)
        ),
    ];
    for part in [doctor, verify, list] {
        for words in &words {
            assert!(part.contains(words.as_str()), "{words}\n{part}");
        }
        assert!(!part.contains("resolves"), "no command does: {part}");
    }
    let codes = parts[1..]
        .iter()
        .map(|part| part.split('\n').next().unwrap());
    assert_eq!(codes.collect::<Vec<_>>(), ["4", "4", "0", "0"], "{said}");
    assert!(refresh.contains("Permission denied"), "{refresh}");
}

/// Ben's registry, of group `$5`, has a folder, `$2`, of user `$3` and mode `$4`.
const CLOSED: &str = r#"
set -e
umask 022
cp "$1" dalsegno; chmod 755 . dalsegno
mkdir base; chown 61002:$5 base
as() { setpriv --reuid=61002 --regid=61002 --clear-groups "$@"; }
for run in a b; do for iteration in 1 2; do
    array=base/$run/validation.zarr/$iteration/crop/prediction
    as mkdir -p $array
    echo '{"zarr_format":3,"node_type":"array"}' | as tee $array/zarr.json >/dev/null
done; done
dalsegno="$PWD/dalsegno --base $PWD/base"
as $dalsegno init --here -q
as $dalsegno scan --measure -q
find base/a base/b -exec touch -d 2026-01-01 {} +
as $dalsegno scan -q
chown $3:$3 base/$2; chmod $4 base/$2
for call in "scan" "verify --table" "seal --run a" "rm --run a --dry-run" "rm --run a --yes" \
    "rm --whole-run a --yes" "gc --keep-last 1" "gc --keep-last 1 --apply --yes" \
    "rm --run ? --keep-going --yes"; do
    code=0; set -f; as $dalsegno $call >out 2>err || code=$?; set +f
    echo "$call: exit $code"; cat out err | sed 's/^/  /'
done
find base/b -name zarr.json
"#;

#[test]
fn a_folder_that_only_another_user_may_open_is_named_and_the_rest_goes() {
    for closed in ["a", "a/validation.zarr", "a/validation.zarr/1"] {
        let what = "a closed folder";
        let arguments = [closed, "61001", "700", "61002"];
        let Some((said, errors)) = played(what, CLOSED, &arguments) else {
            return;
        };
        let codes: Vec<&str> = said
            .split(": exit ")
            .skip(1)
            .map(|part| part.split('\n').next().unwrap())
            .collect();
        assert_eq!(
            codes,
            ["3", "3", "1", "0", "1", "1", "3", "3", "3"],
            "{closed}\n{said}{errors}"
        );
        assert!(!said.contains("storage-io"), "{closed}\n{said}");
        let owner = "belongs to 61001, group 61001, mode rwx------, and this user may not";
        // Each command names it, the preview of a removal too.
        for part in said.split(": exit ").skip(1) {
            assert!(part.contains(owner), "{closed}\n{part}");
        }
        assert!(
            said.contains("rm would refuse, because") && said.contains("must stay"),
            "{closed}\n{said}"
        );
        // What to type names the folder that is closed.
        let typed = format!("chmod -R g+rwX /base/{closed};");
        assert!(said.contains(&typed), "{closed}\n{said}");
        for part in said.split(": exit ").skip(1).take(2) {
            let typed = format!("chgrp -R 61002 /base/{closed} && chmod -R g+rwX /base/{closed}");
            assert!(part.contains(&typed), "{closed}\n{part}");
        }
        // Of the other run, gc took one iteration and the removal the other one.
        assert!(
            !said.contains("base/b/validation.zarr/1/crop/prediction/zarr.json"),
            "{said}"
        );
        assert!(!said.ends_with("zarr.json\n"), "{said}");
    }
}

#[test]
fn what_is_to_be_typed_for_a_closed_folder_would_open_it() {
    let own = "this user can change that with: chmod -R u+rwX /base/a";
    let both = "chgrp -R 61002 /base/a && chmod -R ug+rwX /base/a";
    for (owner, mode, group, typed) in [
        ("61002", "000", "61002", Some(own)),
        ("61001", "000", "61002", Some(both)),
        // Ben is not in the group of the base directory.
        ("61001", "700", "61009", None),
    ] {
        let arguments = ["a", owner, mode, group];
        let what = "a folder that its owner closed";
        let Some((said, _)) = played(what, CLOSED, &arguments) else {
            return;
        };
        for part in said.split(": exit ").skip(1).take(2) {
            assert!(part.contains("and this user may not read it"), "{part}");
            assert_eq!(part.contains("chmod"), typed.is_some(), "{part}");
            assert!(part.contains(typed.unwrap_or_default()), "{part}");
        }
    }
}

/// Ben's registry with folders in the trash: an empty one with a FIFO as manifest, of user `$2` and
/// mode `$3`, and `$4` that Ann forged.
const FORGED: &str = r#"
set -e
umask 002
cp "$1" dalsegno; chmod 755 . dalsegno
as() { user=$1; shift; setpriv --reuid=$user --regid=$user --groups=$user,61003 "$@"; }
mkdir base; chgrp 61003 base; chmod 2775 base
dalsegno="$PWD/dalsegno --base $PWD/base"
as 61002 $dalsegno init --here --shared -q
trash=base/.dalsegno/trash
as 61002 mkdir -p $trash; chmod 2775 $trash
if [ $2 != 0 ]; then
    folder=$trash/20260101-000000-aaaaaa
    as $2 mkdir $folder; as $2 mkfifo $folder/manifest.json; as $2 chmod $3 $folder
fi
number=0
while [ $number -lt $4 ]; do
    number=$((number + 1))
    as 61001 mkdir -p $trash/20260102-0000$((number + 10))-aaaaaa/0
done
for call in "list --no-refresh" "doctor" "doctor --json" "trash list" "record validation-container --run r" \
    "list --no-refresh" "doctor"; do
    code=0; as 61002 $dalsegno $call >out 2>err || code=$?
    echo "$call: exit $code"; cat out err | sed 's/^/  /'
done
"#;

/// What each call says.
fn forged(arguments: &[&str]) -> Option<Vec<String>> {
    let what = "forged folders in the trash";
    let (said, errors) = played(what, FORGED, arguments)?;
    let parts: Vec<String> = said.split(": exit ").skip(1).map(str::to_owned).collect();
    assert_eq!(parts.len(), 7, "{said}{errors}");
    Some(parts)
}

#[test]
fn an_empty_folder_in_the_trash_is_removed_or_left_to_its_owner_as_the_hint_says() {
    let resolves = "the next command that writes resolves";
    // One that Ben may remove.
    let Some(parts) = forged(&["61001", "2775", "0"]) else {
        return;
    };
    assert!(parts[0].contains(resolves), "{}", parts[0]);
    assert!(!parts[4].contains("are back"), "{}", parts[4]);
    for part in &parts[5..] {
        assert!(
            !part.contains("trash alone") && !part.contains(resolves),
            "{part}"
        );
    }
    // One that he may not.
    let parts = forged(&["61001", "2755", "0"]).unwrap();
    for part in [&parts[0], &parts[5]] {
        assert!(
            part.contains("recovery leaves 1 folder in the trash alone"),
            "{part}"
        );
        assert!(!part.contains(resolves), "{part}");
    }
    let typed = "its owner, or root, can, with: rm -r /base/.dalsegno/trash/20260101-000000-aaaaaa";
    assert!(parts[2].contains(typed), "{}", parts[2]);
}

#[test]
fn many_forged_folders_in_the_trash_are_counted_and_no_command_is_promised_to_settle_them() {
    let Some(parts) = forged(&["0", "0", "31"]) else {
        return;
    };
    for part in &parts {
        assert!(!part.contains("resolves"), "{part}");
        // The report itself has all of them.
        let verdict = part.split("  Pending").next().unwrap_or_default();
        let lines = verdict
            .lines()
            .filter(|line| line.contains("removal 20260102-"));
        let is_json = part.contains("\"left_alone\"");
        assert!(lines.count() <= if is_json { 16 } else { 5 }, "{part}");
    }
    let alone = "recovery leaves 31 folders in the trash alone";
    assert!(
        parts[0].contains(alone) && parts[5].contains(alone),
        "{}",
        parts[0]
    );
    for part in [&parts[1], &parts[3], &parts[4]] {
        let words: Vec<&str> = part.split_whitespace().collect();
        let part = words.join(" ");
        assert!(
            part.contains("more such lines; see each with: dalsegno"),
            "{part}"
        );
    }
}

/// Ann closes what she removed to the trash, and the catalog is lost; Ben rebuilds it with `$2`.
const CLOSED_TRASH: &str = r#"
set -e
umask 002
cp "$1" dalsegno; chmod 755 . dalsegno
as() { user=$1; shift; setpriv --reuid=$user --regid=$user --groups=$user,61003 "$@"; }
mkdir base; chgrp 61003 base; chmod 2775 base
for iteration in 1 2; do
    array=base/r/validation.zarr/$iteration/crop/prediction
    as 61001 mkdir -p $array
    echo '{"zarr_format":3,"node_type":"array"}' | as 61001 tee $array/zarr.json >/dev/null
done
dalsegno="$PWD/dalsegno --base $PWD/base"
as 61001 $dalsegno init --here --shared -q
as 61001 $dalsegno scan -q
as 61001 $dalsegno rm base/r/validation.zarr/1/crop/prediction --trash --yes -q
folder=$(echo base/.dalsegno/trash/*)
as 61001 mkdir -p base/.dalsegno/backups
as 61001 cp base/.dalsegno/catalog.sqlite3     base/.dalsegno/backups/$(date -u +%Y%m%dT%H%M%SZ).sqlite3
as 61001 chmod 000 $folder
rm base/.dalsegno/catalog.sqlite3*
code=0; as 61002 $dalsegno rebuild $2 >out 2>&1 || code=$?
echo "exit $code"; cat out
as 61001 sh -c "$(sed -n 's/.* with: \(chmod[^;]*\);.*/\1/p' out)"
as 61002 $dalsegno refresh 2>&1
ls base/r/validation.zarr/1/crop 2>/dev/null || {
    echo gone; as 61002 $dalsegno restore $(basename $folder) -q 2>&1
    ls base/r/validation.zarr/1/crop
}
"#;

#[test]
fn a_rebuild_goes_on_past_a_closed_folder_in_the_trash_and_says_what_opens_it() {
    for (from, words, end) in [
        (
            "--from-disk",
            "the new catalog lacks this removal, so the next command that writes and may open the \
             folder takes it for an interrupted one, and puts back what it can",
            "prediction\n",
        ),
        (
            "",
            "the new catalog has this removal as the backup has it",
            "gone\nprediction\n",
        ),
    ] {
        let what = "a closed folder in the trash";
        let Some((said, errors)) = played(what, CLOSED_TRASH, &[from]) else {
            return;
        };
        assert!(said.starts_with("exit 3\n"), "{said}{errors}");
        let (_, problem) = said.split_once("/base/.dalsegno/trash/").unwrap();
        let (id, problem) = problem.split_once(": ").unwrap();
        let opened = format!(
            "it belongs to 61001, group 61003, mode -----S---, and this user may not read it; its \
             owner, or root, can give it to the group with: chmod -R ug+rwX \
             /base/.dalsegno/trash/{id}; {words}"
        );
        assert!(problem.starts_with(&opened), "{opened}\n{said}");
        assert_eq!(said.matches(&format!("trash/{id}: ")).count(), 1, "{said}");
        assert!(said.ends_with(end), "{said}{errors}");
    }
}

/// `init --shared` in a folder of group `lab`, and what `doctor` says then.
const SHARED: &str = r#"
set -e
cp /etc/group group; echo "lab:x:61003:" >>group; mount --bind group /etc/group
mkdir base; chgrp 61003 base; chmod 2755 base
"$1" --base base init --here --shared 2>&1
"$1" --base base doctor | grep "shared.with"
"$1" --base base doctor --redact | grep "shared.with"
"#;

#[test]
fn with_which_group_a_registry_is_shared_is_said() {
    let what = "a group that shares a registry";
    let Some((said, errors)) = played(what, SHARED, &[]) else {
        return;
    };
    let lines: Vec<&str> = said.lines().collect();
    let [_, init, doctor, redacted] = lines[..] else {
        panic!("{said}{errors}");
    };
    let group = "group \"lab\" (gid 61003)";
    assert!(
        init.starts_with(&format!("it is shared with {group}: its members may")),
        "{init}"
    );
    assert!(doctor.ends_with(group), "{doctor}");
    assert!(!redacted.contains("lab"), "{redacted}");
}

/// Ann has her run to herself; Ben asks and scores a copy of it that root made.
const PRIVATE: &str = r#"
set -e
umask 002
cp "$1" dalsegno; chmod 755 . dalsegno
as() { user=$1; shift; setpriv --reuid=$user --regid=$user --groups=$user,61003 "$@"; }
mkdir base; chgrp 61003 base; chmod 2775 base
for iteration in 1 2; do
    as 61001 mkdir -p base/ann/validation.zarr/$iteration/crop/prediction
    echo '{"zarr_format":3,"node_type":"array"}' |
        as 61001 tee base/ann/validation.zarr/$iteration/crop/prediction/zarr.json >/dev/null
done
find base -exec touch -d 2026-11-20 {} +
dalsegno="$PWD/dalsegno --base $PWD/base"
as 61001 $dalsegno init --here --shared -q
cp -a base/ann base/copy; chgrp -R 61003 base/copy; chmod 700 base/ann
say() { code=0; "$@" >out 2>&1 || code=$?; echo "exit $code"; sed 's/^/  /' out; }
$dalsegno scan -q
$dalsegno rm --whole-run copy --trash --yes -q
$dalsegno restore --run copy -q
say as 61002 $dalsegno score --run copy --iteration 2 k=1
as 61001 $dalsegno rm --run ann --iteration 1 --trash --yes -q
say as 61002 $dalsegno verify --run copy --table
rm base/.dalsegno/trash/*/manifest.json
say as 61001 $dalsegno verify --run copy --table
"#;

#[test]
fn what_a_user_may_not_read_is_neither_gone_nor_taken() {
    let what = "a run that only its owner may read";
    let Some((said, errors)) = played(what, PRIVATE, &[]) else {
        return;
    };
    let parts: Vec<&str> = said.split("exit ").skip(1).collect();
    let [score, closed, no_manifest] = parts[..] else {
        panic!("{said}{errors}");
    };
    assert!(score.starts_with("0\n"), "{said}");
    assert!(closed.contains("its old place cannot be read: "), "{said}");
    assert!(!closed.contains("trash-occupied"), "{said}");
    assert!(
        no_manifest.contains("cannot be read: it is gone, or damaged"),
        "{said}"
    );
    assert!(!no_manifest.contains("its old place"), "{said}");
}

/// Ben makes the folder of backups his own; the catalog is damaged, and Ann rebuilds it.
const CLOSED_BACKUPS: &str = r#"
set -e
umask 002
cp "$1" dalsegno; chmod 755 . dalsegno
mkdir tmp; chmod 1777 tmp; export TMPDIR=$PWD/tmp
as() { user=$1; shift; setpriv --reuid=$user --regid=$user --groups=$user,61003 "$@"; }
mkdir base; chgrp 61003 base; chmod 2775 base
dalsegno="$PWD/dalsegno --base $PWD/base"
as 61001 $dalsegno init --here --shared -q
as 61002 mkdir -m 700 base/.dalsegno/backups
damage() { head -c $1 /dev/zero | dd of=base/.dalsegno/catalog.sqlite3 conv=notrunc status=none; }
say() { code=0; "$@" >out 2>&1 || code=$?; echo "exit $code"; sed 's/^/  /' out; }
damage 4096
say as 61001 $dalsegno rebuild
say as 61001 $dalsegno rebuild --from-disk
damage 100
say as 61001 $dalsegno rebuild
"#;

#[test]
fn a_rebuild_that_may_not_read_the_backups_says_how_to_do_without() {
    let what = "backups that only another user may read";
    let Some((said, errors)) = played(what, CLOSED_BACKUPS, &[]) else {
        return;
    };
    let parts: Vec<&str> = said.split("exit ").skip(1).collect();
    let [refused, from_disk, mended] = parts[..] else {
        panic!("{said}{errors}");
    };
    assert!(
        refused.starts_with("1\n") && refused.contains("rebuild --from-disk"),
        "{said}{errors}"
    );
    assert!(from_disk.starts_with("0\n"), "{said}{errors}");
    // The catalog itself has all, and no backup is needed.
    assert!(mended.starts_with("0\n"), "{said}{errors}");
}
