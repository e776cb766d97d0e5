//! Which base directory, catalog and artifact is meant.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::assert_transcript;
use crate::world::{World, stdout};

/// The first line of a TSV listing is its heading.
fn rows(text: &str) -> usize {
    text.lines().count() - 1
}

#[test]
fn the_nearest_parent_with_a_registry_is_the_base_directory() {
    let world = World::scanned();
    let folder = world.base.join("mito/validation.zarr/1000");
    let text = stdout(world.program().current_dir(&folder).args(["list", "-q"]));
    assert_eq!(rows(&text), 12);
    let inner = world.base.join("mito");
    stdout(
        world
            .program()
            .current_dir(&inner)
            .args(["init", "-q", "--here"]),
    );
    let text = stdout(world.program().current_dir(&folder).args(["list", "-q"]));
    assert_eq!(rows(&text), 0);
}

#[test]
fn the_environment_names_base_directory_and_catalog() {
    let world = World::scanned();
    let elsewhere = World::new();
    let mut program = elsewhere.program();
    program.env("DALSEGNO_BASE", &world.base);
    assert_eq!(rows(&stdout(program.arg("list"))), 12);
    // What is given counts more.
    let mut program = elsewhere.program();
    program
        .env("DALSEGNO_BASE", &elsewhere.base)
        .arg("--base")
        .arg(&world.base);
    assert_eq!(rows(&stdout(program.arg("list"))), 12);

    let catalog = elsewhere.dir.join("catalogs.sqlite3");
    let mut program = elsewhere.program();
    program.env("DALSEGNO_CATALOG", &catalog);
    stdout(program.args(["init", "--here", "--quiet"]));
    assert!(catalog.is_file());
    assert!(!elsewhere.catalog().exists());
}

#[test]
fn a_catalog_elsewhere_is_remembered() {
    let world = World::runs();
    let text = world.transcript(
        "init --catalog ../catalog.sqlite3
        scan
        runs --table
        runs --table --catalog ../catalog.sqlite3
        runs --table --catalog ../other.sqlite3
        init --catalog ../other.sqlite3",
    );
    assert_transcript!("catalog_elsewhere", text);
    assert!(!world.dir.join("other.sqlite3").exists());
    assert!(!world.catalog().exists());
    fs::remove_file(world.dir.join("catalog.sqlite3")).unwrap();
    let text = world.transcript("runs\nscan\ninit");
    assert_eq!(text.matches("error[catalog-missing]").count(), 3, "{text}");
    assert!(!world.dir.join("catalog.sqlite3").exists());
}

#[test]
fn a_catalog_of_another_base_directory_is_refused() {
    let world = World::scanned();
    let other = World::new();
    other.transcript("init --here -q --catalog ../catalog.sqlite3");
    fs::copy(world.catalog(), other.dir.join("catalog.sqlite3")).unwrap();
    let text = other.transcript("list");
    assert!(text.contains("error[catalog-mismatch]"), "{text}");
    assert!(text.ends_with("exit 12\n"), "{text}");
}

/// The path that `show` gives for one that is typed in a folder.
fn shown(world: &World, folder: &Path, arguments: &[&str]) -> String {
    let mut program = world.program();
    let text = stdout(
        program
            .current_dir(folder)
            .arg("show")
            .args(arguments)
            .args(["--jsonl", "--quiet"]),
    );
    let artifact: serde_json::Value = serde_json::from_str(&text).unwrap();
    artifact["path"].as_str().unwrap().to_owned()
}

#[test]
fn a_path_is_understood_as_it_is_typed() {
    let world = World::scanned();
    symlink(&world.base, world.dir.join("link")).unwrap();
    let array = "mito/validation.zarr/1000/crop1/prediction";
    let expected = world.base.join(array).to_str().unwrap().to_owned();
    let absolute = expected.as_str();
    let slash = format!("{absolute}/");
    let through_link = format!("link/{array}");
    let base = world.base.as_path();
    let cases: [(&Path, &[&str]); 12] = [
        (base, &[array]),
        (base, &[absolute]),
        (base, &[&slash]),
        (base, &["./mito/validation.zarr/1000//crop1/./prediction"]),
        (
            &base.join("mito"),
            &["validation.zarr/1000/crop1/prediction"],
        ),
        (
            &base.join("er"),
            &["../mito/validation.zarr/1000/crop1/prediction"],
        ),
        (
            &base.join("mito/validation.zarr/1000/crop1"),
            &["prediction"],
        ),
        (
            &base.join("mito/validation.zarr/1000/crop1"),
            &["prediction/"],
        ),
        (&world.dir, &["--base", "base", array]),
        (
            &world.dir,
            &[
                "--base",
                "base",
                "./mito/validation.zarr/1000/crop1/prediction",
            ],
        ),
        (&world.dir, &["--base", "base", &format!("base/{array}")]),
        (&world.dir, &["--base", "base", &through_link]),
    ];
    for (folder, arguments) in cases {
        assert_eq!(shown(&world, folder, arguments), expected, "{arguments:?}");
    }
    // A base directory that is reached through a link keeps the name that it was given.
    let linked = world.dir.join("link").join(array);
    let linked = linked.to_str().unwrap();
    for arguments in [
        ["--base", "link", array],
        ["--base", "link", absolute],
        ["--base", "link", linked],
    ] {
        assert_eq!(
            shown(&world, &world.dir, &arguments),
            linked,
            "{arguments:?}"
        );
    }
}

#[test]
fn a_link_is_not_taken_for_the_array_that_it_points_to() {
    let world = World::scanned();
    let array = world.base.join("mito/extra.zarr/mesh");
    symlink(&array, world.dir.join("mesh.zarr")).unwrap();
    let text = world.transcript("show ../mesh.zarr");
    assert!(text.contains("error["), "{text}");
    assert!(text.ends_with("exit 1\n"), "{text}");
}

#[test]
fn names_with_spaces_and_brackets_select_themselves() {
    let world = World::new();
    let text = world.transcript(
        "init --here -q
        record output --run 'run [a]' --iteration 1 --dataset 'crop*' --parameters 't 0.5'
        record output --run 'run a' --iteration 1 --dataset crop1 --parameters 't 0.5'
        list --table --run 'run [a]'
        list --table --run 'run *'
        list --table --dataset 'crop*'
        list --table --parameters 't 0.5'",
    );
    assert_transcript!("odd_names", text);
}

#[test]
fn the_base_directory_may_be_moved() {
    let world = World::scanned();
    let moved = world.dir.join("moved");
    fs::rename(&world.base, &moved).unwrap();
    let text = stdout(
        world
            .program()
            .current_dir(&moved)
            .args(["list", "--state", "present", "-0"]),
    );
    assert_eq!(text.matches('\0').count(), 12);
    let inside = text
        .split_terminator('\0')
        .all(|path| Path::new(path).starts_with(&moved));
    assert!(inside, "{text}");
}

#[test]
fn scanning_twice_gives_the_same_catalog() {
    let world = World::scanned();
    let before = stdout(world.program().args(["list", "--jsonl"]));
    let text = world.transcript("scan");
    assert_eq!(
        text,
        "$ dalsegno scan\nerr| 12 arrays: 0 new, 0 updated, 0 notices\n"
    );
    assert_eq!(stdout(world.program().args(["list", "--jsonl"])), before);
}

#[test]
fn iterations_of_a_run_are_those_of_its_manifest() {
    let world = World::new();
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let archive = fs::File::open(data.join("head_zarr2.tar.gz")).unwrap();
    tar::Archive::new(flate2::read::GzDecoder::new(archive))
        .unpack(&world.base)
        .unwrap();
    let manifest = fs::read_to_string(data.join("head_zarr2.manifest.jsonl")).unwrap();
    let mut expected: Vec<i64> = manifest
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .filter(|row| row["run"] == "affs_run" && row["kind"] == "output")
        .map(|row| row["iteration"].as_i64().unwrap())
        .collect();
    expected.sort_unstable();
    expected.dedup();
    assert!(!expected.is_empty());
    let base = bases(&world.base);
    let run = |arguments: &[&str]| stdout(world.program().current_dir(&base).args(arguments));
    run(&["init", "--here", "-q"]);
    run(&["scan", "-q"]);
    let rows = run(&[
        "iterations",
        "--run",
        "affs_run",
        "--kind",
        "output",
        "--jsonl",
    ]);
    let found: Vec<i64> = rows
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|row| row["iteration"].as_i64().unwrap())
        .collect();
    assert_eq!(found, expected);
}

/// The folder of the unpacked tree that holds the runs.
fn bases(folder: &Path) -> std::path::PathBuf {
    if folder.join("affs_run").is_dir() {
        return folder.to_owned();
    }
    let mut inner = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    bases(&inner.find(|path| path.is_dir()).unwrap())
}

#[test]
fn a_path_that_is_not_utf_8_is_said_to_be_so() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let world = World::scanned();
    let name = OsStr::from_bytes(b"caf\xe9");
    fs::create_dir(world.base.join(name)).unwrap();
    let mut program = world.program();
    let text = world.say("rm", program.arg("rm").arg(name).arg("--yes"));
    assert!(
        text.contains(r#"error[name-not-unicode]: the path name "caf\xe9" is not UTF-8"#),
        "{text}"
    );
}

#[test]
fn no_container_has_the_name_of_a_registry() {
    let world = World::scanned();
    let text = world.transcript("record array --run mito --container .dalsegno --dataset a");
    assert!(
        text.contains("is reserved for the registry's own folder") && text.ends_with("exit 2\n"),
        "{text}"
    );
    let text = world.transcript("list --run mito --quiet");
    assert!(!text.contains(".dalsegno"), "{text}");
}
