//! A base directory with the sticky bit, which members of a group share.

use crate::mounts;
use crate::world::World;

const STICKY: &str = r#"
set -e
umask 002
cp "$1" dalsegno; chmod 755 . dalsegno
cp /etc/passwd passwd
printf 'ann:x:61001:61001::/:/bin/sh\nben:x:61002:61002::/:/bin/sh\n' >>passwd
mount --bind passwd /etc/passwd
cp /etc/group group; echo "lab:x:61003:ann,ben" >>group; mount --bind group /etc/group
as() { user=$1; shift; setpriv --reuid=$user --regid=$user --groups=$user,61003 "$@"; }
mkdir base; chgrp 61003 base; chmod 3775 base
array=base/r/validation.zarr/1/crop/prediction
as 61001 mkdir -p $array
echo '{"zarr_format":3,"node_type":"array"}' | as 61001 tee $array/zarr.json >/dev/null
dalsegno="$PWD/dalsegno --base $PWD/base"
as 61001 $dalsegno init --here --shared -q
as 61001 $dalsegno scan -q
call() { user=$1; shift; code=0; as $user $dalsegno "$@" >out 2>&1 || code=$?; echo "$*: exit $code"; sed 's/^/  /' out; }
call 61002 rm --run r --trash --yes
call 61001 restore --run r
echo "sticky: exit $(find base/.dalsegno -perm -1000 | wc -l)"
chmod +t base/.dalsegno base/.dalsegno/trash
call 61002 rm --run r --trash --yes
chmod +t base/.dalsegno/trash/*
call 61001 restore --run r
call 61001 record prediction --run r --iteration 5 --dataset crop
call 61001 doctor --json
sh -c "$(sed -n 's/.* with: \(chmod -t .*\)/\1/p' out)"
call 61001 refresh
call 61001 doctor --json
"#;

#[test]
fn folders_of_the_registry_take_no_sticky_bit_and_one_that_has_it_is_named() {
    let world = World::new();
    let mut program = world.program();
    program.env_remove("DALSEGNO_BASE");
    let folder = tempfile::tempdir().unwrap();
    let name = "a sticky base directory";
    let Some(output) = mounts::run(name, STICKY, &program, &[], folder.path()) else {
        return;
    };
    let errors = String::from_utf8(output.stderr).unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said = said.replace(folder.path().to_str().unwrap(), "");
    assert!(output.status.success(), "{said}{errors}");
    let parts: Vec<&str> = said.split(": exit ").skip(1).collect();
    // What one member removed another restores, and no folder of the registry is sticky.
    assert!(
        parts[0].starts_with("0\n") && parts[1].starts_with("0\n"),
        "{said}"
    );
    assert!(parts[2].starts_with("0\n"), "{said}");
    let typed = "chmod -t /base/.dalsegno /base/.dalsegno/trash /base/.dalsegno/trash/";
    assert!(
        parts[6].starts_with("4\n") && parts[6].contains(typed),
        "{said}"
    );
    // The file that stays is said to stay because of the bit.
    let words = "has the sticky bit, so only the owner of a file in it may do this";
    assert!(parts[5].contains(words), "{said}");
    assert!(!parts[8].contains("sticky"), "{said}");
}
