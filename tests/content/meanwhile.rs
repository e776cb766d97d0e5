//! What cannot be read, and what changes while it is read: nothing is sealed then.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use dalsegno::model::progress::{Monitor, Phase, Progress};

use super::*;

/// Does something once, when reading has begun or ended.
struct Meddler<F> {
    when: When,
    meddle: F,
    reading: AtomicBool,
    done: AtomicBool,
}

#[derive(Clone, Copy, PartialEq)]
enum When {
    /// Before the first file is opened.
    First,
    /// Amid the first large file.
    Amid,
    /// When all is read, and not counted yet.
    Last,
}

impl<F: Fn()> Meddler<F> {
    fn new(when: When, meddle: F) -> Self {
        Self {
            when,
            meddle,
            reading: AtomicBool::new(false),
            done: AtomicBool::new(false),
        }
    }

    fn now(&self) {
        if !self.done.swap(true, Ordering::SeqCst) {
            (self.meddle)();
        }
    }
}

impl<F: Fn() + Send + Sync> Monitor for Meddler<F> {
    fn begin(&self, phase: Phase, _items: Option<u64>) {
        self.reading.store(phase == Phase::Read, Ordering::SeqCst);
        match (phase, self.when) {
            (Phase::Read, When::First) | (Phase::Measure, When::Last) => self.now(),
            _ => {}
        }
    }

    fn advance(&self, progress: Progress) {
        let is_reading = self.reading.load(Ordering::SeqCst);
        if self.when == When::Amid && is_reading && progress.bytes > 1000 {
            self.now();
        }
    }
}

/// Seals an array with a large file and many small ones, and changes its data meanwhile.
fn meddled(when: When, meddle: fn(PathBuf)) -> &'static str {
    let (_folder, registry) = base();
    let row = write(&registry, ARRAY);
    let path = row.path();
    fs::write(path.join("0.0"), vec![1; 20 << 20]).unwrap();
    for chunk in 1..100 {
        fs::write(path.join(format!("0.{chunk}")), "chunk").unwrap();
    }
    let before = get(&registry, ARRAY);
    let array = path.clone();
    let meddler = Meddler::new(when, move || meddle(array.clone()));
    let options = SealOptions::new().hash(true).threads(Some(2));
    let result = registry.seal_many(&[row], options, &meddler);
    assert!(meddler.done.into_inner());
    let after = get(&registry, ARRAY);
    assert_eq!(result.is_err(), after == before);
    if result.is_ok() {
        assert_eq!(after.content_hash, Some(by_definition(&path)));
    }
    code(result)
}

#[test]
fn what_changes_while_it_is_read_is_not_sealed() {
    let changed = "changed-meanwhile";
    // Amid a file: written in place, cut, longer, replaced, gone.
    assert_eq!(
        meddled(When::Amid, |path| {
            use std::os::unix::fs::FileExt;
            let file = fs::File::options().write(true).open(path.join("0.0"));
            file.unwrap().write_all_at(b"x", 0).unwrap();
        }),
        changed
    );
    assert_eq!(
        meddled(When::Amid, |path| {
            let file = fs::File::options().write(true).open(path.join("0.0"));
            file.unwrap().set_len(1 << 20).unwrap();
        }),
        changed
    );
    assert_eq!(
        meddled(When::Amid, |path| {
            let file = fs::File::options().write(true).open(path.join("0.0"));
            file.unwrap().set_len(21 << 20).unwrap();
        }),
        changed
    );
    assert_eq!(
        meddled(When::Amid, |path| {
            fs::write(path.join("new"), vec![1; 20 << 20]).unwrap();
            fs::rename(path.join("new"), path.join("0.0")).unwrap();
        }),
        changed
    );
    assert_eq!(
        meddled(When::Amid, |path| fs::remove_file(path.join("0.0"))
            .unwrap()),
        changed
    );
    assert_eq!(
        meddled(When::Amid, |path| fs::remove_dir_all(path).unwrap()),
        changed
    );
    // After everything is read: one more, one less, metadata rewritten, all gone.
    assert_eq!(
        meddled(When::Last, |path| fs::write(path.join("0.100"), "x")
            .unwrap()),
        changed
    );
    assert_eq!(
        meddled(When::Last, |path| fs::remove_file(path.join("0.50"))
            .unwrap()),
        changed
    );
    assert_eq!(
        meddled(When::Last, |path| {
            let file = fs::File::options().append(true).open(path.join(".zarray"));
            let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
            file.unwrap().set_times(times).unwrap();
        }),
        changed
    );
    assert_eq!(
        meddled(When::Last, |path| fs::remove_dir_all(path).unwrap()),
        "nothing-written"
    );
}

#[test]
fn what_changed_before_it_was_read_is_sealed_as_it_is() {
    assert_eq!(
        meddled(When::First, |path| fs::write(path.join("0.0"), "other")
            .unwrap()),
        "ok"
    );
    assert_eq!(
        meddled(When::First, |path| fs::remove_dir_all(path).unwrap()),
        "changed-meanwhile"
    );
}

#[test]
fn what_has_no_content_is_an_error_that_names_it() {
    let (_folder, registry) = base();
    let row = write(&registry, ARRAY);
    let pipe = row.path().join("0/pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let before = get(&registry, ARRAY);
    let error = seal(&registry, ARRAY, HASHED).unwrap_err();
    assert_eq!(error.code(), "unreadable");
    let text = error.to_string();
    assert!(text.contains(pipe.to_str().unwrap()), "{text}");
    assert!(text.contains("a pipe, socket or device"), "{text}");
    assert_eq!(get(&registry, ARRAY), before);
    // A seal without a hash counts it.
    assert_eq!(
        registry.seal(&target(ARRAY)).unwrap().size.unwrap().files,
        4
    );
    fs::remove_file(&pipe).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(&pipe).unwrap();
    assert_eq!(code(seal(&registry, ARRAY, HASHED)), "unreadable");
}

#[test]
fn one_of_many_that_cannot_be_read_stops_all() {
    let (_folder, registry) = base();
    let other = "r/validation.zarr/2/a/prediction";
    let row = write(&registry, ARRAY);
    write(&registry, other);
    let pipe = row.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    let rows = [get(&registry, other), get(&registry, ARRAY)];
    assert_eq!(
        code(registry.seal_many(&rows, HASHED, &Silent)),
        "unreadable"
    );
    assert_eq!(get(&registry, other), rows[0]);
    let unwritten = "r/validation.zarr/3/a/prediction";
    registry.record(&key(unwritten)).unwrap();
    let rows = [get(&registry, other), get(&registry, unwritten)];
    assert_eq!(
        code(registry.seal_many(&rows, HASHED, &Silent)),
        "nothing-written"
    );
    assert_eq!(get(&registry, other), rows[0]);
}

#[test]
fn an_array_behind_a_link_is_not_hashed() {
    let (folder, registry) = base();
    let row = registry.record(&key(ARRAY)).unwrap().artifact;
    let aside = folder.path().join("aside");
    common::write_array(&aside);
    fs::create_dir_all(row.path().parent().unwrap()).unwrap();
    symlink(&aside, row.path()).unwrap();
    assert_eq!(code(seal(&registry, ARRAY, HASHED)), "unreadable");
    assert_eq!(get(&registry, ARRAY), row);
}
