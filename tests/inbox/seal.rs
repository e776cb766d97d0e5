//! Sealing on a host without the catalog.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use dalsegno::model::content::ContentHash;
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::layout;
use dalsegno::model::note::Note;
use dalsegno::model::progress::Silent;
use dalsegno::{Inbox, Registry, SealOptions, Target};

use crate::{base, file, operations, prediction, record, refused, rows, waiting};

/// Writes an array of two chunks, of which the second is left out unless it is `whole`.
fn write(base: &Path, key: &Key, whole: bool) {
    let folder = base.join(layout::locate(key).path());
    fs::create_dir_all(&folder).unwrap();
    let metadata = r#"{"zarr_format":2,"shape":[4],"chunks":[2],"dtype":"|u1"}"#;
    fs::write(folder.join(".zarray"), metadata).unwrap();
    fs::write(folder.join("0"), [1; 2]).unwrap();
    if whole {
        fs::write(folder.join("1"), [2; 2]).unwrap();
    }
}

fn seal(base: &Path, keys: &[Key], options: SealOptions) -> dalsegno::Result<usize> {
    let inbox = Inbox::open(base)?;
    Ok(inbox.seal(keys, options, &Silent)?.len())
}

/// Bytes and files, content hash, and whether it is sealed.
type SealedRow = (Option<(u64, u64)>, Option<ContentHash>, bool);

/// Size, hash and whether it is sealed, of every row.
fn sealed(base: &Path) -> Vec<SealedRow> {
    let seen = |row: &dalsegno::model::artifact::Artifact| {
        let size = row.size.map(|size| (size.bytes.0, size.files));
        (size, row.content_hash, row.sealed_at.is_some())
    };
    rows(base).iter().map(seen).collect()
}

#[test]
fn a_noted_seal_is_the_seal_that_the_catalog_would_have_had() {
    let (noted, direct) = (base(), base());
    for base in [&noted, &direct] {
        write(base.path(), &prediction(1), true);
        write(base.path(), &prediction(2), false);
    }
    let keys = [prediction(1), prediction(2)];
    let hashed = SealOptions::new().hash(true);
    assert_eq!(seal(noted.path(), &keys, hashed).unwrap(), 2);
    // Two notes, and one write.
    let text = fs::read_to_string(file(noted.path())).unwrap();
    assert_eq!(text.lines().count(), 2);
    let registry = Registry::open(direct.path()).unwrap();
    let recorded = registry.record_many(&keys).unwrap();
    let recorded: Vec<_> = recorded.into_iter().map(|one| one.artifact).collect();
    registry.seal_many(&recorded, hashed, &Silent).unwrap();
    drop(registry);
    let found = sealed(noted.path());
    assert_eq!(found, sealed(direct.path()));
    assert!(
        found.iter().all(|row| row.1.is_some() && row.2),
        "{found:?}"
    );
    assert!(waiting(noted.path()).is_empty() && refused(noted.path()).is_empty());
    let operations = operations(noted.path());
    assert_eq!(operations[0].agent.actor.pid, std::process::id());
}

#[test]
fn what_cannot_be_sealed_leaves_no_note() {
    let base = base();
    write(base.path(), &prediction(1), true);
    write(base.path(), &prediction(2), false);
    let all = [prediction(1), prediction(2)];
    let code = |options, keys: &[Key]| seal(base.path(), keys, options).unwrap_err().code();
    let complete = SealOptions::new().complete(true);
    assert_eq!(code(complete, &all), "chunks-missing");
    let lost = [prediction(1), prediction(3)];
    assert_eq!(code(SealOptions::new(), &lost), "nothing-written");
    assert!(waiting(base.path()).is_empty());
    assert_eq!(seal(base.path(), &all[..1], complete).unwrap(), 1);
}

#[test]
fn a_seal_of_data_that_was_written_since_is_refused() {
    let base = base();
    write(base.path(), &prediction(1), true);
    seal(base.path(), &[prediction(1)], SealOptions::new()).unwrap();
    let metadata = layout::locate(&prediction(1)).path() + "/.zarray";
    let later = SystemTime::now() + Duration::from_secs(5);
    let metadata = fs::File::open(base.path().join(metadata)).unwrap();
    metadata.set_modified(later).unwrap();
    assert!(sealed(base.path()).iter().all(|row| !row.2));
    assert_eq!(refused(base.path()).len(), 1);
}

#[test]
fn a_path_has_the_key_of_its_note_else_that_of_the_layout() {
    let base = base();
    let inbox = Inbox::open(base.path()).unwrap();
    let path = layout::locate(&prediction(1)).path();
    assert_eq!(inbox.key_at(&path).unwrap(), prediction(1));
    let absolute = base.path().join(&path);
    assert_eq!(inbox.key_at(absolute).unwrap(), prediction(1));
    assert_eq!(
        inbox.key_at("/elsewhere").unwrap_err().code(),
        "outside-base"
    );
    // The layout reads another key from this path than the one that it is recorded under.
    let best = Key::Best {
        run: "r".parse().unwrap(),
        criterion: "voi".parse().unwrap(),
        index: None,
    };
    let path = layout::locate(&best).path();
    let read = inbox.key_at(&path).unwrap();
    inbox.note(record(&best)).unwrap();
    assert_eq!(inbox.key_at(&path).unwrap(), best);
    assert!(read == best || read.kind() != Kind::Best);
}

#[test]
fn many_notes_go_into_files_of_bounded_size() {
    let base = base();
    let notes = 60_000;
    let inbox = Inbox::open(base.path()).unwrap();
    let keys = (0..notes).map(|number| Note::Record(prediction(number)));
    inbox.note_many(keys).unwrap();
    let names = waiting(base.path());
    assert!(names.len() > 1, "{names:?}");
    let lines: usize = names
        .iter()
        .map(|name| {
            let text = fs::read_to_string(base.path().join(crate::INBOX).join(name)).unwrap();
            assert!(text.len() <= 8 << 20 && text.ends_with('\n'));
            text.lines().count()
        })
        .sum();
    assert_eq!(i64::try_from(lines).unwrap(), notes);
}

#[test]
fn the_key_to_note_for_a_row_is_its_own() {
    let base = base();
    let registry = Registry::open(base.path()).unwrap();
    let id = registry.record(&prediction(1)).unwrap().artifact.id;
    let inbox = Inbox::open(base.path()).unwrap();
    let key = |target: Target| registry.key_to_note(&inbox, &target);
    assert_eq!(key(Target::Id(id)).unwrap(), prediction(1));
    assert_eq!(key(Target::Key(prediction(2))).unwrap(), prediction(2));
    let path = layout::locate(&prediction(3)).path();
    assert_eq!(key(Target::Path(path.into())).unwrap(), prediction(3));
    let gone = dalsegno::model::artifact::ArtifactId(99);
    assert_eq!(key(Target::Id(gone)).unwrap_err().code(), "not-recorded");
}
