//! An array of one member that holds a folder in which no other member may write: others remove it,
//! restore it and empty the trash.

use crate::mounts;
use crate::world::World;

/// Caro's array, whose folder `0` the others of the group may not write in. `$2`: what is done.
const NESTED: &str = r#"
set -e
umask 002
cp "$1" dalsegno; chmod 755 . dalsegno
cp /etc/passwd passwd
printf 'ann:x:61001:61001::/:/bin/sh\ncaro:x:61002:61002::/:/bin/sh\n' >>passwd
mount --bind passwd /etc/passwd
cp /etc/group group; echo "lab:x:61003:ann,caro" >>group; mount --bind group /etc/group
as() { user=$1; shift; setpriv --reuid=$user --regid=$user --groups=$user,61003 "$@"; }
mkdir base; chgrp 61003 base; chmod 2775 base
array=base/nest/validation.zarr/1/a/prediction
write() {
    as 61002 mkdir -p $array/0/0
    echo '{"zarr_format":2,"shape":[1,1],"chunks":[1,1],"dtype":"|u1"}' |
        as 61002 tee $array/.zarray >/dev/null
    echo chunk | as 61002 tee $array/0/0/0 >/dev/null
    as 61002 chmod 755 $array/0
}
write
dalsegno="$PWD/dalsegno --base $PWD/base"
as 61001 $dalsegno init --here --shared -q
as 61001 $dalsegno scan -q
ann() { code=0; as 61001 $dalsegno "$@" >out 2>&1 || code=$?; echo "ann $*: exit $code"; sed 's/^/  /' out; }
caro() { code=0; as 61002 $dalsegno "$@" >out 2>&1 || code=$?; echo "caro $*: exit $code"; sed 's/^/  /' out; }
typed() { as 61002 sh -c "$(sed -n 's/.* with: \(chmod[^;]*\).*/\1/p' out | head -1)"; }
eval "$2"
"#;

/// What each command says.
fn nested(what: &str) -> Option<(String, Vec<String>)> {
    let world = World::new();
    let mut program = world.program();
    program.env_remove("DALSEGNO_BASE");
    let folder = tempfile::tempdir().unwrap();
    let name = "a closed folder in an array";
    let output = mounts::run(name, NESTED, &program, &[what], folder.path())?;
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    let said = String::from_utf8(output.stdout).unwrap();
    let said = said.replace(folder.path().to_str().unwrap(), "");
    let parts: Vec<String> = said.split(": exit ").skip(1).map(str::to_owned).collect();
    Some((format!("{said}{errors}"), parts))
}

#[test]
fn what_could_not_be_unlinked_whole_is_not_removed_and_its_owner_is_named() {
    let calls = "ann rm --run nest --dataset a --dry-run
        ann rm --run nest --dataset a --yes
        ann rm --run nest --dataset a --keep-going --yes
        ann rm base/nest/validation.zarr --yes
        find base/nest -type f | sort
        ann rm --run nest --dataset a --yes; typed; ann rm --run nest --dataset a --yes
        find base/nest -type f; ls base/.dalsegno/trash";
    let Some((said, parts)) = nested(calls) else {
        return;
    };
    let owner = "/base/nest/validation.zarr/1/a/prediction/0 in it belongs to caro, group lab, \
                 mode rwxr-sr-x, and this user may not write in that";
    let typed = "chmod -R g+rwX /base/nest";
    for part in &parts[..5] {
        assert!(part.contains(owner), "{owner}\n{said}");
    }
    for part in [&parts[1], &parts[3]] {
        assert!(part.starts_with("1\n") && part.contains(typed), "{said}");
    }
    assert!(parts[3].contains("prediction/0/0/0"), "{said}");
    assert!(parts[3].contains("prediction/.zarray"), "{said}");
    // Once it is given to the group, it goes, and nothing is left.
    let last = parts.last().unwrap();
    assert!(last.starts_with("0\n"), "{said}");
    assert!(last.contains("removed 1 artifact"), "{said}");
    assert!(
        !last.contains("base/") && !last.contains("restore"),
        "{said}"
    );
}

#[test]
fn what_a_member_may_not_unlink_stays_in_the_trash_until_its_owner_gives_it_to_the_group() {
    let calls = "ann rm --run nest --dataset a --trash --yes
        ann trash empty --yes
        caro trash empty --yes
        ann restore --run nest -q
        ann rm --run nest --dataset a --trash --yes
        caro trash empty --yes; typed; caro trash empty --yes
        ls base/.dalsegno/trash";
    let Some((said, parts)) = nested(calls) else {
        return;
    };
    for part in [&parts[1], &parts[2], &parts[5]] {
        assert!(part.starts_with("3\n"), "{said}");
        assert!(
            part.contains("belongs to caro, group lab, mode rwxr-sr-x"),
            "{said}"
        );
        assert!(
            part.contains("with: chmod -R g+rwX /base/.dalsegno/trash/"),
            "{said}"
        );
    }
    assert!(
        parts[2].contains("user 61001, who may have put it there, may not write in"),
        "{said}"
    );
    assert!(parts[3].starts_with("0\n"), "{said}");
    let last = parts.last().unwrap();
    assert!(
        last.starts_with("0\n") && last.contains("purged 1 removal"),
        "{said}"
    );
}

#[test]
fn a_removal_of_which_nothing_can_be_unlinked_is_kept_in_the_trash() {
    // Files in a sticky folder: who may move the folder may not unlink them.
    let calls = "as 61002 rm -r $array/0; echo chunk | as 61002 tee $array/0 >/dev/null
        as 61002 chmod 3775 $array
        ann rm --run nest --dataset a --yes
        ann trash list --json
        ann restore --run nest
        ls $array";
    let Some((said, parts)) = nested(calls) else {
        return;
    };
    assert!(parts[0].starts_with("3\n"), "{said}");
    assert!(parts[0].contains("could not be unlinked"), "{said}");
    assert!(
        parts[0].contains("nothing of it was unlinked, so it is in the trash"),
        "{said}"
    );
    assert!(parts[1].contains("\"state\":\"kept\""), "{said}");
    assert!(
        parts[2].starts_with("0\n") && parts[2].ends_with("0\n"),
        "{said}"
    );
    assert!(parts[2].contains("restored 1 artifact"), "{said}");
}

#[test]
fn what_is_due_or_cannot_go_back_is_named_with_its_owner() {
    let calls = "ann rm --run nest --dataset a --trash-for 1ms --yes
        ann trash list
        ann doctor
        as 61002 mkdir -p base/nest/validation.zarr/1/a; as 61002 chmod 755 base/nest/validation.zarr/1/a
        ann restore --run nest --dry-run
        ann restore --run nest
        typed
        ann restore --run nest";
    let Some((said, parts)) = nested(calls) else {
        return;
    };
    let owner = "belongs to caro, group lab, mode rwxr-sr-x";
    for part in &parts[1..3] {
        // The report is wrapped.
        let part = part.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            part.contains("cannot be unlinked:") && part.contains(owner),
            "{said}"
        );
        assert!(
            part.contains("with: chmod -R g+rwX /base/.dalsegno/trash/"),
            "{said}"
        );
        assert!(!part.contains("finish the unlinking with"), "{said}");
    }
    for part in &parts[3..5] {
        assert!(
            part.starts_with("1\n") && part.contains("error[not-movable]"),
            "{said}"
        );
        let above =
            format!("/base/nest/validation.zarr/1/a {owner}, and this user may not write there");
        assert!(
            part.contains(&above) && !part.contains("--keep-going"),
            "{said}"
        );
    }
    assert!(parts[5].starts_with("0\n"), "{said}");
}
