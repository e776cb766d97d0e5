//! Full disks in memory: queries answer, what frees space works, and hints name what does.

use crate::mounts;
use crate::world::World;

/// Begins with a base directory on a small disk, whose catalog is at `$2` if that is given.
const BASE: &str = r#"
set -e
mkdir disk; mount -t tmpfs -o size=12m tmpfs disk
for iteration in 1 2 3; do
    array=disk/base/r/validation.zarr/$iteration/crop/prediction
    mkdir -p $array
    echo '{"zarr_format":3,"node_type":"array"}' >$array/zarr.json
    head -c 400000 /dev/zero >$array/c0
done
dalsegno="$1 --base $PWD/disk/base"
$dalsegno init --here -q ${2:+--catalog $2}
$dalsegno scan -q
fills=0
fill() {
    cat /dev/zero >disk/fill-$fills 2>/dev/null || true
    fills=$((fills + 1))
    while echo x >disk/fill-$fills 2>/dev/null; do fills=$((fills + 1)); done
}
ask() { fill; code=0; $dalsegno "$@" >out 2>err || code=$?; echo "$1: exit $code"; cat err; }
"#;

const CATALOG: &str = r#"
ask pin kept --run r --reason test
for query in list runs iterations du history doctor 'trash list' verify 'gc --keep-last 1' \
    'list --no-refresh' 'pin --list' 'show r/validation.zarr/1/crop/prediction' \
    'rm --run r --dry-run' 'list --json'; do
    ask $query; tr -s ' \n' ' ' <out | grep -o 'the disk of the [a-z ]* is full' || true
    grep -q r/validation out && echo rows
done
ask pin kept --run r --reason test
ask rm r/validation.zarr/1/crop/prediction --trash --yes
ask pin kept --run r --reason test
ask trash empty --yes
ask rm r/validation.zarr/2/crop/prediction --yes
ls disk/base/r/validation.zarr
"#;

/// Runs a script; gives what was said, in parts that begin with a command and its exit code.
fn run(script: &str, arguments: &[&str]) -> Option<String> {
    let world = World::new();
    let mut program = world.program();
    program.env_remove("DALSEGNO_BASE");
    let folder = tempfile::tempdir().unwrap();
    let script = format!("{BASE}{script}");
    let output = mounts::run("full disks", &script, &program, arguments, folder.path())?;
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{said}");
    Some(said)
}

#[test]
fn queries_answer_on_a_full_disk_and_removals_free_it() {
    let Some(said) = run(
        &CATALOG.replace("&& echo rows", "&& echo rows || true"),
        &[],
    ) else {
        return;
    };
    let parts: Vec<&str> = said.split(": exit ").collect();
    // First a change, which leaves an index of the log behind, then questions.
    assert!(parts[1].starts_with("1\nerror[catalog-full]"), "{said}");
    for (number, part) in (2..).zip(&parts[2..16]) {
        // The report is the seventh, and has findings.
        let code = if number == 7 { "4\n" } else { "0\n" };
        assert!(part.starts_with(code), "{part}\n{said}");
    }
    for disk in ["catalog", "base directory"] {
        let named = format!("the disk of the {disk} is full");
        assert!(parts[7].contains(&named), "{said}");
        assert_eq!(said.matches(&named).count(), 1, "{said}");
    }
    assert_eq!(said.matches("\nrows").count(), 7, "{said}");
    // What a preview shows, the reserve lets a removal do.
    assert!(!said.contains("cannot write to the base"), "{said}");
    // Only what is there to be freed is named.
    let hints = [parts[1], parts[16], parts[18]];
    let names = |part: &str, what: &str| part.contains(&format!("base {what}"));
    assert!(hints.iter().all(|part| names(part, "rm")), "{said}");
    let of_trash = hints.map(|part| names(part, "trash empty"));
    assert_eq!(of_trash, [false, false, true], "{said}");
    for part in [parts[17], parts[19], parts[20]] {
        assert!(part.starts_with("0\n"), "{part}\n{said}");
    }
    assert!(
        said.ends_with("\n3\nzarr.json\n") || said.ends_with("\n3\n"),
        "{said}"
    );
}

const PUBLISHED: &str = r#"
ask publish
ask pin kept --run r --reason test
ask publish
ask rm --run r --force-pinned --trash --yes
ask publish
ask trash empty --yes
fill() { :; }
ask publish
"#;

#[test]
fn a_copy_without_room_is_said_once_and_the_hint_frees_it() {
    let catalog = tempfile::tempdir().unwrap();
    let catalog = catalog.path().join("catalog.sqlite3");
    let Some(said) = run(PUBLISHED, &[catalog.to_str().unwrap()]) else {
        return;
    };
    let parts: Vec<&str> = said.split(": exit ").collect();
    for (at, trash) in [(1, false), (3, false), (5, true)] {
        let part = parts[at];
        assert!(
            part.starts_with("1\nerror[catalog-io]: publishing"),
            "{said}"
        );
        assert_eq!(part.matches("No space left").count(), 1, "{said}");
        assert_eq!(
            part.matches("next: free space in the base").count(),
            1,
            "{said}"
        );
        assert_eq!(part.contains("trash empty"), trash, "{said}");
    }
    assert!(parts[7].starts_with("0\n"), "{said}");
}

/// A registry on a disk that is too small for a reserve, and a removal on one that is too small for
/// a backup beside it.
const SMALL: &str = r#"
mkdir small larger
mount -t tmpfs -o size=3m tmpfs small
mount -t tmpfs -o size=7m tmpfs larger
"$1" --base small init --here 2>&1
mkdir -p larger/r/validation.zarr/1/a/prediction
echo '{"zarr_format":3,"node_type":"array"}' >larger/r/validation.zarr/1/a/prediction/zarr.json
"$1" --base larger init 2>&1
"$1" --base larger scan -q
"$1" --base larger rm --run r --trash --yes 2>&1
"#;

#[test]
fn that_there_is_no_reserve_or_no_room_for_a_backup_is_said_with_its_cause() {
    let world = World::new();
    let mut program = world.program();
    program.env_remove("DALSEGNO_BASE");
    let folder = tempfile::tempdir().unwrap();
    let Some(output) = mounts::run("small disks", SMALL, &program, &[], folder.path()) else {
        return;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(
        said.matches("too small, or too full, for a reserve")
            .count(),
        1,
        "{said}"
    );
    assert!(
        said.contains("it would leave less than 8.0 MiB of the"),
        "{said}"
    );
    assert!(!said.contains("No space left"), "{said}");
    assert!(said.contains("removed 1 artifact"), "{said}");
}
