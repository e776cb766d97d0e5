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
as 61001 $dalsegno init --shared -q
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

fn restore(ann: &str, members: &str) -> Option<(String, String)> {
    let world = World::new();
    let mut program = world.program();
    program.env_remove("DALSEGNO_BASE");
    let folder = tempfile::tempdir().unwrap();
    let what = "members of a group";
    let output = mounts::run(what, RESTORE, &program, &[ann, members], folder.path())?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Some((text(output.stdout), text(output.stderr)))
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
    assert!(said.ends_with("exit 1\n1\n"), "{said}{errors}");
    let words = "user 61001, who may have put it there, is not known to be allowed to write in";
    assert!(errors.contains(words), "{errors}");
    // A known user who is no member may not.
    let (_, errors) = restore(ANN, "ben").unwrap();
    let words = "user 61001, who may have put it there, may not write in";
    assert!(errors.contains(words), "{errors}");
}
