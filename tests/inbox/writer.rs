//! Leaving notes.

use std::fs;
use std::sync::atomic::{AtomicI64, Ordering};

use dalsegno::{Inbox, Registry};

use crate::{INBOX, base, file, prediction, record, rows, waiting};

#[test]
fn a_note_needs_the_registrys_folder_and_makes_none() {
    let base = tempfile::tempdir().unwrap();
    let inbox = Inbox::open(base.path()).unwrap();
    assert!(inbox.note(record(&prediction(1))).is_err());
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 0);
    drop(Registry::create(base.path()).unwrap());
    inbox.note(record(&prediction(1))).unwrap();
    assert_eq!(rows(base.path()).len(), 1);
}

#[test]
fn a_file_that_vanishes_with_the_inbox_is_made_again() {
    let base = base();
    let inbox = Inbox::open(base.path()).unwrap();
    inbox.note(record(&prediction(1))).unwrap();
    fs::remove_dir_all(base.path().join(INBOX)).unwrap();
    inbox.note(record(&prediction(2))).unwrap();
    assert_eq!(rows(base.path()).len(), 1);
}

#[test]
fn threads_share_a_file_line_by_line() {
    let base = base();
    let inbox = Inbox::open(base.path()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let inbox = &inbox;
            scope.spawn(move || {
                for number in 0..25 {
                    inbox
                        .note(record(&prediction(thread * 100 + number)))
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(
        fs::read_to_string(file(base.path()))
            .unwrap()
            .lines()
            .count(),
        100
    );
    assert_eq!(rows(base.path()).len(), 100);
}

#[test]
fn writers_and_folds_at_once_lose_nothing_and_fold_nothing_twice() {
    let base = base();
    let (writers, notes) = (4, 100);
    let done = AtomicI64::new(0);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let (base, done) = (base.path(), &done);
            scope.spawn(move || {
                let inbox = Inbox::open(base).unwrap();
                for number in 0..notes {
                    inbox
                        .note(record(&prediction(writer * 1000 + number)))
                        .unwrap();
                }
                done.fetch_add(1, Ordering::SeqCst);
            });
        }
        for _ in 0..2 {
            scope.spawn(|| {
                while done.load(Ordering::SeqCst) < writers {
                    drop(Registry::open(base.path()).unwrap());
                }
            });
        }
    });
    let count = usize::try_from(writers * notes).unwrap();
    assert_eq!(rows(base.path()).len(), count);
    assert_eq!(crate::operations(base.path()).len(), count);
    assert!(waiting(base.path()).is_empty() && crate::refused(base.path()).is_empty());
}

#[test]
fn files_take_mode_and_group_from_the_registrys_folder() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    let base = base();
    let folder = base.path().join(".dalsegno");
    if rustix::process::getuid().is_root() {
        std::os::unix::fs::chown(&folder, None, Some(54_321)).unwrap();
    }
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o2770)).unwrap();
    Inbox::open(base.path())
        .unwrap()
        .note(record(&prediction(1)))
        .unwrap();
    let (of, inbox) = (folder.metadata().unwrap(), folder.join("inbox"));
    let (inbox, file) = (inbox.metadata().unwrap(), file(base.path()));
    let file = file.metadata().unwrap();
    // The owner alone writes it: a note is of the owner of its file.
    assert_eq!((inbox.mode(), inbox.gid()), (of.mode(), of.gid()));
    assert_eq!((file.mode() & 0o7777, file.gid()), (0o640, of.gid()));
}
