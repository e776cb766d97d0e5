//! Contents compared with their hashes: changes that sizes and times do not show.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};

use dalsegno::SealOptions;
use dalsegno::model::progress::{Monitor, Phase, Progress};

use super::*;

const READ: VerifyOptions = VerifyOptions::new().read_data(true);

/// A world whose sealed array has a hash.
fn hashed() -> World {
    let world = World::new();
    seal(&world, &[SEALED]);
    world
}

fn seal(world: &World, paths: &[&str]) {
    let row = |path: &&str| world.registry.get(&Target::Path(path.into())).unwrap();
    let rows: Vec<_> = paths.iter().map(|path| row(path).unwrap()).collect();
    let options = SealOptions::new().hash(true);
    world.registry.seal_many(&rows, options, &Silent).unwrap();
}

fn read(world: &World) -> VerifyReport {
    world.verify_with(&Filter::default(), READ)
}

/// Rewrites a file with the same size and time.
fn replace(path: &Path, text: &[u8]) {
    let stat = path.metadata().unwrap();
    assert_eq!(stat.len(), text.len() as u64);
    fs::write(path, text).unwrap();
    let times = fs::FileTimes::new().set_modified(stat.modified().unwrap());
    let file = fs::File::options().append(true).open(path).unwrap();
    file.set_times(times).unwrap();
    assert_eq!(path.metadata().unwrap().mtime_nsec(), stat.mtime_nsec());
}

/// Replaces a file by another with one flipped bit, as programs that write and rename do.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[2] ^= 0x10;
    let aside = path.with_file_name("aside");
    fs::write(&aside, bytes).unwrap();
    let file = fs::File::options().append(true).open(&aside).unwrap();
    let times = fs::FileTimes::new().set_modified(path.metadata().unwrap().modified().unwrap());
    file.set_times(times).unwrap();
    fs::rename(&aside, path).unwrap();
}

#[test]
fn sealed_contents_that_are_as_they_were_are_no_finding() {
    let world = hashed();
    let report = read(&world);
    assert_eq!(report.findings, []);
    assert_eq!((report.read, report.unhashed, report.measured), (1, 0, 1));
    let other = "a/snapshot.zarr/raw";
    world.registry.seal(&Target::Path(other.into())).unwrap();
    let report = read(&world);
    assert_eq!((report.read, report.unhashed, report.measured), (1, 1, 2));
    // Without the option nothing is read or reported, and a quick verify reads nothing.
    for options in [VerifyOptions::default(), READ.quick(true)] {
        let report = world.verify_with(&Filter::default(), options);
        assert_eq!(report.read, 0);
        assert_eq!(report.findings, []);
    }
}

#[test]
fn a_replaced_chunk_is_found_by_reading_and_only_by_it() {
    for change in [
        |path: &Path| replace(path, b"CHUNK"),
        |path: &Path| replace(path, b"\0\0\0\0\0"),
        flip,
    ] {
        let world = hashed();
        change(&world.path(SEALED).join("0.3"));
        let all = VerifyOptions::new().measure(true).indices(true);
        assert_eq!(world.verify().findings, []);
        assert_eq!(world.verify_with(&Filter::default(), all).findings, []);
        let report = read(&world);
        assert_eq!(
            lines(&report.findings),
            [format!("changed-content {SEALED} [note-anew]")]
        );
        assert!(report.is_complete);
        assert_eq!(report.read, 1);
        let row = world.registry.get(&Target::Path(SEALED.into())).unwrap();
        let sealed = row.unwrap().content_hash.unwrap().to_string();
        let detail = &report.findings[0].detail;
        assert!(
            detail.contains(&format!("with the contents {sealed}; now")),
            "{detail}"
        );
    }
}

#[test]
fn chunks_that_change_places_are_found() {
    let world = hashed();
    let array = world.path(SEALED);
    fs::write(array.join("0.0"), "other").unwrap();
    seal(&world, &[SEALED]);
    fs::rename(array.join("0.0"), array.join("aside")).unwrap();
    fs::rename(array.join("0.1"), array.join("0.0")).unwrap();
    fs::rename(array.join("aside"), array.join("0.1")).unwrap();
    assert_eq!(world.verify().findings, []);
    assert_eq!(read(&world).findings[0].class, VerifyClass::ChangedContent);
}

#[test]
fn checkpoints_are_compared_too() {
    let world = World::new();
    // Checkpoints are verified only if they are named.
    let all = Filter::default().kinds(Kind::ALL);
    let read = || world.verify_with(&all, READ);
    let checkpoint = "a/checkpoints/iterations/7";
    fs::create_dir_all(world.path("a/checkpoints/iterations")).unwrap();
    fs::write(world.path(checkpoint), "weights").unwrap();
    let key = dalsegno::model::layout::parse(checkpoint).unwrap();
    world.registry.record(&key).unwrap();
    seal(&world, &[SEALED, checkpoint]);
    let report = read();
    assert_eq!((report.findings.len(), report.read), (0, 2));
    replace(&world.path(checkpoint), b"WEIGHTS");
    assert_eq!(world.verify().findings, []);
    assert_eq!(
        lines(&read().findings),
        [format!("changed-content {checkpoint} [note-anew]")]
    );
}

#[test]
fn what_counts_show_is_found_without_reading() {
    for (damage, class) in [
        (
            (|array: &Path| fs::remove_file(array.join("0.1")).unwrap()) as fn(&Path),
            VerifyClass::ChangedFiles,
        ),
        (
            |array| fs::write(array.join("0.5"), "chunk").unwrap(),
            VerifyClass::ChangedFiles,
        ),
        (
            |array| fs::write(array.join("0.1"), "longer chunk").unwrap(),
            VerifyClass::ChangedSize,
        ),
        (
            |array| {
                let file = fs::File::options().append(true).open(array.join(".zarray"));
                let times = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
                file.unwrap().set_times(times).unwrap();
            },
            VerifyClass::Rewritten,
        ),
        (
            |array| fs::remove_dir_all(array).unwrap(),
            VerifyClass::RowWithoutData,
        ),
    ] {
        let world = hashed();
        damage(&world.path(SEALED));
        let report = read(&world);
        let classes: Vec<_> = report.findings.iter().map(|found| found.class).collect();
        assert_eq!(classes, [class]);
        assert_eq!(report.read, 0);
    }
}

#[test]
fn a_repair_voids_seal_and_hash_though_size_and_time_are_as_they_were() {
    let world = hashed();
    replace(&world.path(SEALED).join("0.3"), b"CHUNK");
    let target = Target::Path(SEALED.into());
    let before = world.registry.get(&target).unwrap().unwrap();
    let report = read(&world);
    let repaired = world.repair(&report.findings);
    assert_eq!((repaired.repaired.len(), repaired.left.len()), (1, 0));
    let after = world.registry.get(&target).unwrap().unwrap();
    assert_eq!((after.sealed_at, after.content_hash), (None, None));
    assert_eq!(
        (after.size, after.written_at),
        (before.size, before.written_at)
    );
    assert_eq!(read(&world).findings, []);
    // The history keeps the hash. A second repair changes nothing.
    let (id, _) = world.registry.history_head().unwrap();
    let (_, images) = world.registry.operation(id).unwrap();
    assert_eq!(images[0].artifact, before);
    let operations = world.operations();
    let again = world.repair(&report.findings);
    assert_eq!(again.left.len(), 0);
    assert_eq!(world.operations(), operations);
}

#[test]
fn a_repair_looks_again_before_it_voids_a_seal() {
    let world = hashed();
    let chunk = world.path(SEALED).join("0.3");
    replace(&chunk, b"CHUNK");
    let report = read(&world);
    let target = Target::Path(SEALED.into());
    let before = world.registry.get(&target).unwrap().unwrap();
    // The chunk was restored from a copy.
    replace(&chunk, b"chunk");
    let repaired = world.repair(&report.findings);
    assert_eq!((repaired.repaired.len(), repaired.left.len()), (1, 0));
    assert_eq!(world.registry.get(&target).unwrap(), Some(before.clone()));
    // Something unreadable is in its place.
    replace(&chunk, b"CHUNK");
    let report = read(&world);
    fs::remove_file(&chunk).unwrap();
    fifo(&chunk);
    fs::write(world.path(SEALED).join("0.4"), "ten bytes!").unwrap();
    let repaired = world.repair(&report.findings);
    assert_eq!((repaired.repaired.len(), repaired.left.len()), (0, 1));
    assert_eq!(world.registry.get(&target).unwrap(), Some(before));
    // Sealed again in the meantime: the finding is fixed.
    fs::remove_file(&chunk).unwrap();
    fs::write(&chunk, "CHUNK").unwrap();
    fs::write(world.path(SEALED).join("0.4"), "chunk").unwrap();
    seal(&world, &[SEALED]);
    let sealed = world.registry.get(&target).unwrap();
    assert_eq!(world.repair(&report.findings).left, []);
    assert_eq!(world.registry.get(&target).unwrap(), sealed);
}

fn fifo(path: &Path) {
    let made = std::process::Command::new("mkfifo").arg(path).status();
    assert!(made.unwrap().success());
}

#[test]
fn what_cannot_be_read_is_a_finding_and_not_judged() {
    let world = World::new();
    let array = world.path(SEALED);
    fs::write(array.join("0.5"), "").unwrap();
    seal(&world, &[SEALED]);
    // The same number of files and bytes, but one file is empty.
    fs::remove_file(array.join("0.5")).unwrap();
    fifo(&array.join("0.5"));
    let report = read(&world);
    assert_eq!(
        lines(&report.findings),
        [format!("unreadable {SEALED}/0.5 [-]")]
    );
    assert!(!report.is_complete);
    assert_eq!(report.read, 0);
    assert_eq!(world.verify().findings, []);
}

/// Writes into a file whenever it is read, or only the first time.
struct Writer {
    path: PathBuf,
    left: AtomicU64,
}

impl Monitor for Writer {
    fn begin(&self, phase: Phase, items: Option<u64>) {
        assert!(phase != Phase::Read || items == Some(1));
    }

    fn advance(&self, progress: Progress) {
        // The bytes of a file are reported while it is open.
        let is_amid = progress.bytes == 5 && progress.files == 0;
        let take = |left: u64| left.checked_sub(1);
        if is_amid
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                .is_ok()
        {
            for chunk in 0..5 {
                replace(&self.path.join(format!("0.{chunk}")), b"chunk");
            }
        }
    }
}

#[test]
fn what_changes_while_it_is_read_is_read_again_and_then_not_judged() {
    let world = hashed();
    let options = READ.threads(Some(1));
    let verify = |times| {
        let writer = Writer {
            path: world.path(SEALED),
            left: AtomicU64::new(times),
        };
        let verified = world.registry.verify(&Filter::default(), options, &writer);
        verified.unwrap()
    };
    // The same contents are written: only the times of the inode show it.
    let report = verify(1);
    assert_eq!(report.findings, []);
    assert!(report.is_complete);
    let report = verify(u64::MAX);
    assert_eq!(report.findings.len(), 1, "{report:?}");
    assert_eq!(report.findings[0].class, VerifyClass::Unreadable);
    assert_eq!(
        report.findings[0].detail,
        "it changed while it was read, twice"
    );
    assert!(!report.is_complete);
}
