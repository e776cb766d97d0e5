//! What others put into the inbox.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::process::Command;

use dalsegno::model::operation::Action;
use dalsegno::{Inbox, Registry};

use crate::{INBOX, base, file, note, operations, prediction, record, refused, rows, waiting};

fn is_root() -> bool {
    rustix::process::getuid().is_root()
}

#[test]
fn the_owner_of_a_file_is_who_left_its_notes_whatever_they_say() {
    let base = base();
    note(base.path(), &[prediction(1)]);
    let path = file(base.path());
    let text = fs::read_to_string(&path).unwrap();
    let user = text.split("\"user\":\"").nth(1).unwrap();
    let user = user.split('"').next().unwrap();
    let forged = text.replace(&format!("\"user\":\"{user}\""), "\"user\":\"ada\"");
    assert_ne!(text, forged);
    fs::write(&path, &forged).unwrap();
    let owner = if is_root() {
        std::os::unix::fs::chown(&path, Some(54_321), None).unwrap();
        "54321"
    } else {
        user
    };
    let operations = operations(base.path());
    assert_eq!(operations[0].agent.actor.user, owner);
}

#[test]
fn a_word_about_data_of_another_user_is_refused() {
    if !is_root() {
        eprintln!("left out, because only root has two users");
        return;
    }
    let base = base();
    let registry = Registry::open(base.path()).unwrap();
    let path = registry.record(&prediction(1)).unwrap().artifact.path();
    crate::common::write_array(&path);
    registry
        .seal(&dalsegno::Target::Key(prediction(1)))
        .unwrap();
    drop(registry);
    for (owner, is_sealed) in [(54_321, true), (0, false)] {
        let inbox = Inbox::open(base.path()).unwrap();
        let failed = dalsegno::model::note::Note::Failed(prediction(1));
        inbox.note(failed).unwrap();
        std::os::unix::fs::chown(file(base.path()), Some(owner), None).unwrap();
        assert_eq!(rows(base.path())[0].sealed_at.is_some(), is_sealed);
        assert_eq!(refused(base.path()).len(), 1);
    }
}

#[test]
fn a_file_that_others_may_write_is_of_an_unknown_user_and_says_nothing_of_data() {
    let base = base();
    let registry = Registry::open(base.path()).unwrap();
    let path = registry.record(&prediction(1)).unwrap().artifact.path();
    crate::common::write_array(&path);
    registry
        .seal(&dalsegno::Target::Key(prediction(1)))
        .unwrap();
    drop(registry);
    let inbox = Inbox::open(base.path()).unwrap();
    inbox.note(record(&prediction(2))).unwrap();
    inbox
        .note(dalsegno::model::note::Note::Failed(prediction(1)))
        .unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o660);
    fs::set_permissions(file(base.path()), mode).unwrap();
    let operations = operations(base.path());
    assert_eq!(operations.last().unwrap().agent.actor.user, "unknown");
    assert_eq!(operations.last().unwrap().action, Action::Record);
    assert!(rows(base.path())[0].sealed_at.is_some());
    assert_eq!(refused(base.path()).len(), 1);
}

#[test]
fn lines_that_are_no_notes_are_refused_and_nothing_of_them_is_quoted() {
    let base = base();
    fs::create_dir(base.path().join(INBOX)).unwrap();
    let lines = [
        "a secret",
        "{}",
        "",
        "{\"v\":99}",
        "null",
        "[]",
        "\u{0}\u{0}",
        &"[".repeat(60_000),
        &"x".repeat(100_000),
    ];
    fs::write(
        base.path().join(INBOX).join("h-1-a.jsonl"),
        lines.join("\n") + "\n",
    )
    .unwrap();
    let registry = Registry::open(base.path()).unwrap();
    let problems = registry.recovery().problems.join("\n");
    assert!(problems.contains("and 8 more lines"), "{problems}");
    assert!(!problems.contains("secret"), "{problems}");
    drop(registry);
    assert_eq!(refused(base.path()), ["h-1-a.put-aside-1.jsonl"]);
    assert!(operations(base.path()).is_empty());
}

#[test]
fn links_pipes_devices_and_folders_are_neither_followed_nor_waited_for() {
    let outside = tempfile::tempdir().unwrap();
    let canary = outside.path().join("canary");
    let text = {
        let other = base();
        note(other.path(), &[prediction(7)]);
        fs::read(file(other.path())).unwrap()
    };
    fs::write(&canary, &text).unwrap();
    let before = canary.metadata().unwrap();
    let base = base();
    let inbox = base.path().join(INBOX);
    fs::create_dir(&inbox).unwrap();
    symlink(&canary, inbox.join("link-1-a.jsonl")).unwrap();
    symlink(outside.path().join("nowhere"), inbox.join("link-1-b.jsonl")).unwrap();
    fs::hard_link(&canary, inbox.join("hard-1-a.jsonl")).unwrap();
    fs::create_dir(inbox.join("folder-1-a.jsonl")).unwrap();
    let fifo = inbox.join("pipe-1-a.jsonl");
    assert!(
        Command::new("mkfifo")
            .arg(&fifo)
            .status()
            .unwrap()
            .success()
    );
    let large = fs::File::create(inbox.join("large-1-a.jsonl")).unwrap();
    large.set_len(3 << 30).unwrap();
    fs::write(inbox.join("stranger"), "").unwrap();
    assert!(rows(base.path()).is_empty());
    note(base.path(), &[prediction(1)]);
    assert_eq!(rows(base.path()).len(), 1);
    assert!(!outside.path().join("nowhere").exists());
    let after = canary.metadata().unwrap();
    assert_eq!(fs::read(&canary).unwrap(), text);
    assert_eq!(
        (before.mode(), before.mtime(), before.uid()),
        (after.mode(), after.mtime(), after.uid())
    );
    assert!(base.path().join(INBOX).join("stranger").exists());
    assert_eq!(waiting(base.path()), ["stranger"]);
}

#[test]
fn an_inbox_that_is_a_link_or_a_file_is_not_used() {
    let outside = tempfile::tempdir().unwrap();
    for is_link in [true, false] {
        let base = base();
        let inbox = base.path().join(INBOX);
        match is_link {
            true => symlink(outside.path(), &inbox).unwrap(),
            false => fs::write(&inbox, "").unwrap(),
        }
        let noted = Inbox::open(base.path())
            .unwrap()
            .note(record(&prediction(1)));
        let code = noted.unwrap_err().code();
        assert_eq!(code, if is_link { "symlink" } else { "not-a-folder" });
        let registry = Registry::open(base.path()).unwrap();
        assert_eq!(registry.recovery().problems.len(), 1);
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}

#[test]
fn what_cannot_be_set_aside_is_said_to_stay() {
    let outside = tempfile::tempdir().unwrap();
    for is_link in [true, false] {
        let base = base();
        note(base.path(), &[prediction(1)]);
        let path = file(base.path());
        fs::write(&path, "no note\n").unwrap();
        let inbox = base.path().join(INBOX);
        symlink(outside.path(), inbox.join("link-1-a.jsonl")).unwrap();
        let refused = inbox.join("refused");
        match is_link {
            true => symlink(outside.path(), &refused).unwrap(),
            false => assert!(
                Command::new("mkfifo")
                    .arg(&refused)
                    .status()
                    .unwrap()
                    .success()
            ),
        }
        for _ in 0..2 {
            let registry = Registry::open(base.path()).unwrap();
            let problems = &registry.recovery().problems;
            assert_eq!(problems.len(), 2, "{problems:?}");
            for problem in problems {
                assert!(problem.contains("cannot be set aside"), "{problem}");
                assert!(problem.contains("inbox/refused"), "{problem}");
                assert!(problem.contains("away"), "{problem}");
                assert!(!problem.contains("is now"), "{problem}");
            }
        }
        assert!(path.exists());
        assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_lock_that_another_process_keeps_costs_a_new_file_and_no_note() {
    let base = base();
    let inbox = Inbox::open(base.path()).unwrap();
    inbox.note(record(&prediction(1))).unwrap();
    let first = file(base.path());
    let held = fs::File::open(&first).unwrap();
    held.lock().unwrap();
    inbox.note(record(&prediction(2))).unwrap();
    assert_eq!(waiting(base.path()).len(), 2);
    // What is locked is folded, and stays until its lock is free.
    assert_eq!(rows(base.path()).len(), 2);
    assert!(first.exists());
    drop(held);
    assert_eq!(rows(base.path()).len(), 2);
    assert!(waiting(base.path()).is_empty());
    let recorded = operations(base.path());
    assert_eq!(recorded.len(), 2);
    assert!(recorded.iter().all(|one| one.action == Action::Record));
}

#[test]
fn many_files_are_folded_over_several_commands() {
    let base = base();
    for number in 0..30 {
        note(base.path(), &[prediction(number)]);
    }
    assert_eq!(waiting(base.path()).len(), 30);
    assert_eq!(rows(base.path()).len(), 30);
}
