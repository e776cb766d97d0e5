//! What cannot be read counts for no rule.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use dalsegno::Question;
use dalsegno::model::progress::Silent;

use crate::apply::{keep_last, removed};
use crate::scene::{base, days, prediction, scan, write_aged};

/// A user who is not root, whom permissions bind.
const USER: u32 = 65_534;

/// Gives a tree to the user.
fn give(path: &Path) {
    chown(path, Some(USER), None).unwrap();
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            give(&entry.unwrap().path());
        }
    }
}

fn lock(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_array_that_cannot_be_read_is_not_the_newest() {
    let (folder, registry) = base();
    for (iteration, age) in [(1, 9), (2, 8), (3, 7)] {
        write_aged(folder.path(), &prediction(iteration), days(age));
    }
    scan(&registry);
    // SAFETY: neither touches memory.
    if unsafe { libc::geteuid() } == 0 {
        give(folder.path());
        // SAFETY: as above; of this thread, and of those that it starts, for files alone.
        unsafe { libc::setfsuid(USER) };
    }
    let newest = folder.path().join(prediction(3));
    for (locked, mode) in [
        (newest.join(".zarray"), 0o644),
        (newest.clone(), 0o755),
        (newest.parent().unwrap().to_path_buf(), 0o755),
    ] {
        lock(&locked, 0);
        let request = keep_last(1);
        let report = registry
            .refresh_for(Question::Gc(&request), &Silent)
            .unwrap();
        assert!(!report.notices.is_empty(), "{}", locked.display());
        let plan = registry.plan_gc(&request.unread(&report.notices)).unwrap();
        assert_eq!(removed(&plan), [prediction(1)], "{}", locked.display());
        lock(&locked, mode);
    }
    // Once it can be read, it counts.
    let request = keep_last(1);
    let report = registry
        .refresh_for(Question::Gc(&request), &Silent)
        .unwrap();
    assert_eq!(report.notices, []);
    let plan = registry.plan_gc(&request.unread(&report.notices)).unwrap();
    assert_eq!(removed(&plan), [prediction(1), prediction(2)]);
}
