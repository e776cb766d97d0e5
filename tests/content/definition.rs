//! The hash is what its definition says, for every shape of data and any number of threads.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use dalsegno::SealOptions;
use dalsegno::model::progress::{Monitor, Phase, Progress, Silent};
use dalsegno::testing::Base;
use dalsegno::testing::{Expected, Look, ReadError, hash};

use super::*;

/// A byte that depends on its place, so that parts that change places are noticed.
fn bytes(length: usize) -> Vec<u8> {
    let byte = |at: usize| (at.wrapping_mul(0x9E37_79B9) >> 13) as u8;
    (0..length).map(byte).collect()
}

/// Writes into the folder of an array.
type Shape = fn(&Path);

/// Shapes of arrays, by what is written into the folder of one.
const SHAPES: [(&str, Shape); 7] = [
    ("flat", |array| {
        for chunk in 0..300 {
            fs::write(array.join(format!("0.{chunk}")), format!("chunk {chunk}")).unwrap();
        }
    }),
    ("nested", |array| {
        for chunk in 0..150 {
            let folder = array.join(format!("{}/{}", chunk % 7, chunk % 5));
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join(chunk.to_string()), [chunk; 9]).unwrap();
        }
    }),
    ("names that sort otherwise as paths", |array| {
        for name in ["a/b", "a-b", "a0", "a.b", "ä", "a b", "A/b/c"] {
            let path = array.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
    }),
    ("names that are no text", |array| {
        let name = std::ffi::OsStr::from_bytes(b"\xff\n");
        fs::write(array.join(name), "x").unwrap();
    }),
    ("empty files and folders", |array| {
        fs::write(array.join("0.0"), "").unwrap();
        fs::create_dir_all(array.join("1/2")).unwrap();
    }),
    ("deep", |array| {
        let deep = (0..300).fold(array.to_owned(), |path, _| path.join("d"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("0"), "deep").unwrap();
    }),
    ("sparse shards", |array| {
        let shard = fs::File::create(array.join("c0")).unwrap();
        shard.set_len(3 << 20).unwrap();
        fs::write(array.join("c1"), bytes((1 << 20) + 1)).unwrap();
    }),
];

#[test]
fn the_hash_of_every_shape_is_that_of_the_definition() {
    let (_folder, registry) = base();
    let mut hashes = BTreeSet::new();
    for (name, shape) in SHAPES {
        let path = format!("r/validation.zarr/1/{}/prediction", hashes.len());
        let row = write(&registry, &path);
        shape(&row.path());
        let expected = by_definition(&row.path());
        for threads in [Some(1), Some(3), None] {
            let options = SealOptions::new().hash(true).threads(threads);
            let sealed = seal(&registry, &path, options).unwrap();
            assert_eq!(sealed.content_hash, Some(expected), "{name}, {threads:?}");
        }
        hashes.insert(expected.0);
    }
    assert_eq!(hashes.len(), SHAPES.len());
}

/// A large file is read in parts of 16 MiB, each the subtree of BLAKE3's tree that it is.
#[test]
fn a_large_file_has_the_hash_of_its_bytes() {
    let (folder, registry) = base();
    let path = "r/checkpoints/iterations/1";
    registry.record(&key(path)).unwrap();
    let file = folder.path().join(path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    const MIB: usize = 1 << 20;
    let data = bytes(50 * MIB);
    let lengths = [
        0,
        1,
        1024,
        1025,
        MIB,
        MIB + 1,
        16 * MIB - 1,
        16 * MIB,
        16 * MIB + 1,
        32 * MIB,
        32 * MIB + 1,
        48 * MIB + 1025,
        50 * MIB,
    ];
    for length in lengths {
        fs::write(&file, &data[..length]).unwrap();
        let mut entry = vec![b'f'];
        entry.extend([0; 8]);
        entry.extend(blake3::hash(&data[..length]).as_bytes());
        let expected = ContentHash(blake3::hash(&entry).into());
        assert_eq!(hashed(&registry, path), expected, "{length} bytes");
    }
}

#[test]
fn place_times_and_permissions_do_not_count() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, registry) = base();
    let one = write(&registry, ARRAY).path();
    let other = "q/other.zarr/x";
    let copy = write(&registry, other).path();
    fs::set_permissions(copy.join("0/0/0"), fs::Permissions::from_mode(0o600)).unwrap();
    let long_ago = fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH);
    let file = fs::File::options().append(true).open(copy.join(".zattrs"));
    file.unwrap().set_times(long_ago).unwrap();
    assert_ne!(one, copy);
    assert_eq!(hashed(&registry, ARRAY), hashed(&registry, other));
    fs::rename(copy.join("0/0/0"), copy.join("0/0/1")).unwrap();
    assert_ne!(hashed(&registry, ARRAY), hashed(&registry, other));
}

#[test]
fn many_arrays_are_hashed_together() {
    let (_folder, registry) = base();
    let paths: Vec<String> = (0..40)
        .map(|iteration| format!("r/validation.zarr/{iteration}/a/prediction"))
        .collect();
    for (number, path) in paths.iter().enumerate() {
        let row = write(&registry, path);
        fs::write(row.path().join("0.0"), bytes(number << 15)).unwrap();
    }
    let rows: Vec<Artifact> = paths.iter().map(|path| get(&registry, path)).collect();
    registry.seal_many(&rows, HASHED, &Silent).unwrap();
    for row in &rows {
        let path = row.path();
        let sealed = registry.get(&Target::Id(row.id)).unwrap().unwrap();
        assert_eq!(sealed.content_hash, Some(by_definition(&path)));
    }
}

/// Adds up what is reported to it, by phase.
#[derive(Default)]
struct Sums {
    phase: std::sync::Mutex<Option<Phase>>,
    items: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl Monitor for Sums {
    fn begin(&self, phase: Phase, items: Option<u64>) {
        *self.phase.lock().unwrap() = Some(phase);
        assert_eq!(items, Some(1));
    }

    fn advance(&self, progress: Progress) {
        if *self.phase.lock().unwrap() == Some(Phase::Read) {
            self.items.fetch_add(progress.items, Ordering::Relaxed);
            self.files.fetch_add(progress.files, Ordering::Relaxed);
            self.bytes.fetch_add(progress.bytes, Ordering::Relaxed);
        }
    }
}

#[test]
fn progress_counts_every_file_and_byte_once() {
    let (_folder, registry) = base();
    let row = write(&registry, ARRAY);
    fs::write(row.path().join("0.0"), bytes(33 << 20)).unwrap();
    let sums = Sums::default();
    registry.seal_many(&[row], HASHED, &sums).unwrap();
    let size = get(&registry, ARRAY).size.unwrap();
    assert_eq!(sums.items.into_inner(), 1);
    assert_eq!(sums.files.into_inner(), size.files);
    assert_eq!(sums.bytes.into_inner(), size.bytes.0);
}

#[test]
fn what_is_read_is_reported_by_number() {
    let folder = tempfile::tempdir().unwrap();
    let base = Base::open(folder.path()).unwrap();
    let looks: Vec<Look> = (0..200)
        .map(|id| {
            let path = format!("a{id}");
            common::write_array(&folder.path().join(&path));
            Look {
                id,
                path: path.into(),
                expected: Expected::Array,
            }
        })
        .collect();
    fs::remove_dir_all(folder.path().join("a7")).unwrap();
    fs::remove_dir_all(folder.path().join("a8")).unwrap();
    symlink("a9", folder.path().join("a8")).unwrap();
    let mut seen = BTreeSet::new();
    let expected = by_definition(&folder.path().join("a9"));
    let read = hash(&base, Some(4), &Silent, looks, |id, content| {
        match id {
            7 => assert_eq!(content, Err(ReadError::Changed("a7".into()))),
            8 => assert!(matches!(
                content,
                Err(ReadError::Unreadable(path, _)) if path == Path::new("a8")
            )),
            _ => assert_eq!(content.unwrap().hash, expected),
        }
        assert!(seen.insert(id));
        Ok::<_, dalsegno::Error>(())
    });
    read.unwrap();
    assert_eq!(seen.len(), 200);
}
