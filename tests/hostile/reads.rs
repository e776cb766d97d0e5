//! What commands open and read while a folder on the way to data is exchanged for a link.

use std::fs;
use std::os::unix::fs::symlink;

use super::exchanged::exchange;
use super::scene::{Scene, text};
use super::strace;

/// Shape and bytes of the arrays outside, by which they are told from those of the scene.
const SHAPE: u64 = 777;
const BYTES: usize = 54_321;

const CONTAINER: &str = "run/validation.zarr";
const ARRAY: &str = "run/validation.zarr/3/d/prediction";

/// Arrays beside the base directory at the same paths, and a link to them in the run.
fn with_secret() -> Scene {
    let scene = Scene::new();
    scene.succeeds(&["scan", "--measure"]);
    let secret = scene.base().with_file_name("secret");
    for iteration in 1..10 {
        let array = secret.join(format!("{iteration}/d/prediction"));
        fs::create_dir_all(&array).unwrap();
        let text = fs::read_to_string(scene.base().join(ARRAY).join(".zarray")).unwrap();
        let text = text.replace(r#""shape":[2]"#, &format!(r#""shape":[{SHAPE}]"#));
        fs::write(array.join(".zarray"), text).unwrap();
        fs::write(array.join("0"), vec![1; BYTES]).unwrap();
    }
    symlink(&secret, scene.base().join("run/link")).unwrap();
    scene
}

/// Checks that no row says anything of the arrays outside.
fn knows_nothing_of_the_secret(scene: &Scene, after: &str) {
    let output = scene.run(&["list", "--no-refresh", "--jsonl", "--quiet"]);
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let row: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_ne!(row["shape"], serde_json::json!([SHAPE]), "{after}: {row}");
        let bytes = row["bytes"].as_u64().unwrap_or_default();
        assert!(bytes < BYTES as u64, "{after}: {row}");
    }
}

fn exchange_container(walked: bool, commands: &[&[&str]]) {
    let mut scene = with_secret();
    scene.is_walked = walked;
    let link = scene.base().join("run/link");
    let container = scene.base().join(CONTAINER);
    exchange(
        &[link],
        || vec![container.clone()],
        |_| {
            for command in commands {
                scene.run(command);
                knows_nothing_of_the_secret(&scene, &command.join(" "));
            }
        },
    );
}

#[test]
fn looks_read_nothing_outside_while_a_container_is_exchanged() {
    let commands: [&[&str]; 2] = [&["refresh", "--all", "--measure"], &["verify", "--repair"]];
    exchange_container(false, &commands);
}

#[test]
fn scans_and_restores_read_nothing_outside_while_a_container_is_exchanged() {
    let commands: [&[&str]; 4] = [
        &["scan"],
        &["scan", "--measure"],
        &["rm", "--yes", "--trash", "--run", "run", "--iteration", "1"],
        &["restore", "--run", "run"],
    ];
    exchange_container(false, &commands);
}

#[test]
fn seals_hash_nothing_outside_while_a_container_is_exchanged() {
    exchange_container(false, &[&["seal", "--hash", ARRAY]]);
}

#[test]
fn without_openat2_nothing_outside_is_read_either() {
    let commands: [&[&str]; 4] = [
        &["refresh", "--all", "--measure"],
        &["seal", "--hash", ARRAY],
        &["verify", "--repair"],
        &["scan"],
    ];
    exchange_container(true, &commands);
}

/// The path that a system call is given.
fn path_of(call: &str) -> Option<&str> {
    call.split('"').nth(1)
}

#[test]
fn data_is_opened_by_single_names_or_without_links() {
    if !strace::works("opens of data are not looked at") {
        return;
    }
    let scene = with_secret();
    let base = scene.base();
    let commands: [&[&str]; 10] = [
        &["refresh", "--all", "--measure"],
        &["verify", "--repair"],
        &["scan", "--measure"],
        &["seal", "--hash", ARRAY],
        &["verify", "--read-data"],
        &["list"],
        &["du"],
        &["rm", "--yes", "--trash", "--run", "run", "--iteration", "1"],
        &["restore", "--run", "run"],
        &["rm", "--yes", "--no-trash", ARRAY],
    ];
    let mut opened_without_links = 0;
    for command in commands {
        for call in scene.opens(command) {
            let Some(path) = path_of(&call) else { continue };
            if call.contains("openat2(") {
                assert!(call.contains("RESOLVE_NO_SYMLINKS"), "{command:?}: {call}");
                opened_without_links += 1;
                continue;
            }
            // SQLite opens its files by path, in a thread that is kept in their folder.
            let below = path.strip_prefix(base.to_str().unwrap());
            let is_own =
                below.is_none_or(|below| below.is_empty() || below.starts_with("/.dalsegno"));
            let is_one_name = path.starts_with('/') || !path.contains('/');
            assert!(is_own && is_one_name, "{command:?}: {call}");
        }
    }
    assert!(opened_without_links > 0);
}

#[test]
fn what_is_behind_a_link_is_named_and_its_row_stays() {
    let scene = with_secret();
    let container = scene.base().join(CONTAINER);
    fs::rename(&container, scene.base().join("run/aside")).unwrap();
    fs::rename(scene.base().join("run/link"), &container).unwrap();
    let first = scene
        .run(&["list", "--no-refresh", "--jsonl", "--quiet"])
        .stdout;
    let said = text(&scene.run(&["refresh", "--all", "--measure"]));
    assert!(
        said.contains("a symbolic link leads there, which is not followed"),
        "{said}"
    );
    assert!(said.contains(ARRAY), "{said}");
    let second = scene
        .run(&["list", "--no-refresh", "--jsonl", "--quiet"])
        .stdout;
    assert_eq!(
        String::from_utf8(first).unwrap(),
        String::from_utf8(second).unwrap()
    );
    knows_nothing_of_the_secret(&scene, "refresh");
    let said = scene.fails(&["seal", "--hash", ARRAY]);
    assert!(said.contains(ARRAY), "{said}");
    knows_nothing_of_the_secret(&scene, "seal");
}
