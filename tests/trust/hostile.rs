//! Things in the trash that are not files, are endless, or are too many: each command ends, soon
//! and with little memory, and reports them.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use crate::scene::{ID, MEMBER, ROOT, Scene, VICTIM, give};

/// Bytes that a command may take; reading a manifest of 3 GiB takes more than that many times.
const MOST: u64 = 200 << 20;

fn node(path: &Path, form: FileType, device: u64) {
    mknodat(CWD, path, form, Mode::from_raw_mode(0o666), device).unwrap();
}

type Plant = (&'static str, fn(&Path));

fn plants() -> Vec<Plant> {
    vec![
        ("a FIFO", |path| node(path, FileType::Fifo, 0)),
        ("an endless device", |path| {
            node(path, FileType::CharacterDevice, makedev(1, 5));
        }),
        ("a socket", |path| node(path, FileType::Socket, 0)),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("a link out", |path| symlink("/etc/passwd", path).unwrap()),
        ("a link to a terminal", |path| {
            symlink("/dev/tty", path).unwrap()
        }),
        ("3 GiB", |path| {
            fs::File::create(path).unwrap().set_len(3 << 30).unwrap();
        }),
        ("40 MB of items", |path| {
            let item = r#"{"item":0,"path":"","device":0,"inode":0},"#;
            let text = format!("{{\"items\":[{}", item.repeat(1_000_000));
            fs::write(path, text).unwrap();
        }),
    ]
}

fn assert_modest(scene: &Scene, what: &str) {
    for user in [ROOT, VICTIM] {
        let said = scene.run(user, "peak");
        let peak = said.last().and_then(|line| line.strip_prefix("peak "));
        let peak: u64 = peak
            .unwrap_or_else(|| panic!("{what}: {said:?}"))
            .parse()
            .unwrap();
        assert!(peak < MOST, "{what} by {user}: {peak}");
    }
}

#[test]
fn whatever_has_the_name_of_a_manifest_is_reported_and_nothing_waits_for_it() {
    for name in ["manifest.json", "purging.json"] {
        for (what, plant) in plants() {
            let Some(scene) = Scene::new() else { return };
            scene.forged_item(0);
            let path = scene.trash().join(ID).join(name);
            plant(&path);
            std::os::unix::fs::lchown(&path, Some(MEMBER), None).unwrap();
            let before = scene.data();
            assert_modest(&scene, what);
            let said = scene.run(ROOT, "open");
            assert!(
                said.iter().any(|line| line.contains(ID)),
                "{what}: {said:?}"
            );
            assert_eq!(said[0], "undone 0", "{what}: {said:?}");
            assert_eq!(scene.data(), before, "{what}");
            assert!(scene.trash().join(ID).join("0/.zarray").exists());
        }
    }
}

#[test]
fn whatever_has_the_name_of_a_note_is_not_waited_for_either() {
    for (what, plant) in plants() {
        let Some(scene) = Scene::new() else { return };
        let id = scene.run(VICTIM, "remove shared")[0].clone();
        let path = scene.trash().join(&id).join("restoring.json");
        plant(&path);
        std::os::unix::fs::lchown(&path, Some(MEMBER), None).unwrap();
        assert_modest(&scene, what);
        let said = scene.run(VICTIM, "open");
        assert!(
            said.iter().any(|line| line.contains(&id)) || !path.exists(),
            "{said:?}"
        );
        // Nor does it keep the data from coming back, unless it is a folder.
        if !path.is_dir() {
            let said = scene.run(VICTIM, &format!("restore {id}"));
            assert_eq!(said, ["ok 1"], "{what}");
        }
    }
}

#[test]
fn many_names_take_little_memory() {
    let Some(scene) = Scene::new() else { return };
    let item = scene.forged_item(0);
    for number in 0..20_000 {
        fs::hard_link(
            item.join(".zarray"),
            scene.trash().join(ID).join(format!("x{number}")),
        )
        .or_else(|_| fs::write(scene.trash().join(ID).join(format!("x{number}")), ""))
        .unwrap();
    }
    for number in 0..2_000 {
        let folder = scene.trash().join(format!("20261122-{:06}-3f9a2c", number));
        if fs::create_dir(&folder).is_ok() {
            give(&folder, MEMBER, 0o755);
        }
        fs::write(scene.trash().join(format!("stranger {number}")), "").unwrap();
    }
    let before = scene.data();
    assert_modest(&scene, "many names");
    let said = scene.run(ROOT, "open");
    let problems = said
        .iter()
        .filter(|line| line.starts_with("problem"))
        .count();
    assert!(problems < 100, "{problems}");
    assert_eq!(scene.data(), before);
}

#[test]
fn a_file_of_the_inbox_with_millions_of_lines_takes_little_memory() {
    for line in ["\n", "{}\n"] {
        let Some(scene) = Scene::new() else { return };
        let inbox = scene.trash().with_file_name("inbox");
        fs::create_dir_all(&inbox).unwrap();
        give(&inbox, MEMBER, 0o2775);
        let path = inbox.join("forger-10-0000000000000001.jsonl");
        fs::write(&path, line.repeat((8 << 20) / line.len())).unwrap();
        give(&path, MEMBER, 0o644);
        assert_modest(&scene, "lines that are no notes");
        assert_eq!(fs::read_dir(inbox.join("refused")).unwrap().count(), 1);
    }
}
