//! A catalog outside the base directory: when it is used, on which host, and from what other hosts
//! answer. What a member of the group puts into `.dalsegno` changes nothing outside of it.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dalsegno::ArrayStore;
use dalsegno::model::clock::{Clock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::layout;
use dalsegno::model::pin::PinName;
use dalsegno::model::progress::Silent;
use dalsegno::{
    Hint, Inbox, Options, RebuildOptions, Registry, RemoveOptions, ScanOptions, Target,
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::child::{prediction, tree, write_array};
use super::{CONFIG, NOBODY, ask_as_nobody, code, folder, is_root, lock};

const PUBLISHED: &str = ".dalsegno/published.sqlite3";

/// A base directory whose catalog is in another folder, with one array that is recorded.
struct Scene {
    folder: TempDir,
    base: PathBuf,
    catalog: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let folder = folder();
        let (base, disk) = (folder.path().join("base"), folder.path().join("disk"));
        fs::create_dir(&base).unwrap();
        fs::create_dir(&disk).unwrap();
        let scene = Self {
            folder,
            base,
            catalog: disk.join("c.sqlite3"),
        };
        let key = prediction("run", 1);
        write_array(&scene.base, &key);
        let (registry, _) = scene.named().create(&scene.base).unwrap();
        registry.record(&key).unwrap();
        registry.publish().unwrap().unwrap();
        scene
    }

    /// Options of a user who names the catalog.
    fn named(&self) -> Options {
        Options::new().catalog(&self.catalog)
    }

    fn bound(&self) -> PathBuf {
        self.catalog.with_file_name("c.sqlite3.base")
    }

    fn config(&self) -> String {
        fs::read_to_string(self.base.join(CONFIG)).unwrap()
    }

    fn set_config(&self, from: &str, to: &str) {
        let text = self.config();
        assert!(text.contains(from), "{text}");
        fs::write(self.base.join(CONFIG), text.replace(from, to)).unwrap();
    }

    /// When the published copy was made.
    fn copied_at(&self) -> std::time::SystemTime {
        let copy = self.base.join(PUBLISHED).metadata().unwrap();
        copy.modified().unwrap()
    }

    /// Makes the catalog's host another one.
    fn leave_host(&self) {
        self.set_config(&format!("host = \"{}\"", host()), "host = \"node1\"");
    }

    /// Makes it what older versions made.
    fn make_old(&self) {
        self.set_config(&format!("host = \"{}\"\n", host()), "");
        fs::remove_file(self.bound()).unwrap();
        fs::remove_file(self.base.join(".dalsegno/catalog-place.toml")).unwrap();
    }

    fn rebuild(&self) -> dalsegno::Result<()> {
        let options = RebuildOptions::default();
        Options::new()
            .rebuild(&self.base, &options, &Silent)
            .map(drop)
    }
}

fn host() -> String {
    let name = rustix::system::uname();
    name.nodename().to_str().unwrap().to_owned()
}

fn rows(registry: &Registry) -> usize {
    registry.select(&Filter::default()).unwrap().len()
}

#[test]
fn a_base_directory_remembers_the_host_and_the_catalog_its_base() {
    let scene = Scene::new();
    let id = Registry::open(&scene.base).unwrap().id().unwrap();
    assert_eq!(
        scene.config(),
        format!(
            "[catalog]\npath = \"{}\"\nregistry = \"{id}\"\nhost = \"{}\"\n",
            scene.catalog.display(),
            host()
        )
    );
    let bound = fs::read_to_string(scene.bound()).unwrap();
    for name in [
        scene.base.to_str().unwrap(),
        &id,
        scene.catalog.to_str().unwrap(),
    ] {
        assert!(bound.contains(&format!(" = \"{name}\"\n")), "{bound}");
    }
    assert_eq!(scene.bound().metadata().unwrap().mode() & 0o777, 0o644);
}

/// A user who may write in `.dalsegno` names another file, and its right id.
#[test]
fn a_path_in_the_config_makes_nobody_use_or_make_a_file_elsewhere() {
    let (scene, other) = (Scene::new(), Scene::new());
    let inside = folder();
    let inner = inside.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let registry = Registry::create(&inner).unwrap();
    registry.record(&prediction("run", 1)).unwrap();
    let (inner_id, inner) = (
        registry.id().unwrap(),
        inner.join(".dalsegno/catalog.sqlite3"),
    );
    drop(registry);
    let other_id = Registry::open(&other.base).unwrap().id().unwrap();
    let own_id = Registry::open(&scene.base).unwrap().id().unwrap();
    let notes = inside.path().join("notes.txt");
    fs::write(&notes, "not a catalog, and dear to its owner\n".repeat(100)).unwrap();
    let database = inside.path().join("bookmarks.sqlite3");
    Connection::open(&database)
        .unwrap()
        .execute_batch("CREATE TABLE bookmarks (url TEXT)")
        .unwrap();
    let absent = inside.path().join("absent.sqlite3");
    let elsewhere = inside.path().join("nothing/c.sqlite3");
    let cases = [
        (&other.catalog, &other_id, "catalog-unbound"),
        (&inner, &inner_id, "catalog-unbound"),
        (&notes, &own_id, "catalog-unbound"),
        (&database, &own_id, "catalog-unbound"),
        (&absent, &own_id, "catalog-not-here"),
        (&elsewhere, &own_id, "catalog-not-here"),
    ];
    // As a group has it: others may write in the folder.
    let dir = scene.base.join(".dalsegno");
    fs::set_permissions(&dir, PermissionsExt::from_mode(0o2775)).unwrap();
    for host in [format!("host = \"{}\"\n", host()), String::new()] {
        for (path, id, expected) in cases {
            let text = format!(
                "[catalog]\npath = \"{}\"\nregistry = \"{id}\"\n{host}",
                path.display()
            );
            fs::write(scene.base.join(CONFIG), text).unwrap();
            let folders = [inside.path(), other.folder.path(), scene.folder.path()];
            let before = folders.map(tree);
            for result in [
                Registry::open(&scene.base),
                Registry::open_read_only(&scene.base),
                Registry::create(&scene.base),
            ] {
                assert_eq!(code(result), expected, "{}", path.display());
            }
            assert_eq!(code(scene.rebuild()), expected, "{}", path.display());
            assert!(before == folders.map(tree), "{}", path.display());
        }
    }
}

#[test]
fn nothing_that_is_not_a_catalog_is_set_aside_even_if_the_user_names_it() {
    let scene = Scene::new();
    fs::remove_file(scene.bound()).unwrap();
    fs::write(&scene.catalog, "a thesis".repeat(1000)).unwrap();
    let before = tree(scene.folder.path());
    for force in [false, true] {
        let options = RebuildOptions::default().force(force);
        let refused = scene.named().rebuild(&scene.base, &options, &Silent);
        assert_eq!(code(refused), "catalog-unbound");
    }
    assert_eq!(tree(scene.folder.path()), before);
    // Named and not there: a lost disk.
    fs::remove_file(&scene.catalog).unwrap();
    assert_eq!(code(scene.rebuild()), "catalog-not-here");
    let options = RebuildOptions::default();
    let (registry, _) = scene
        .named()
        .rebuild(&scene.base, &options, &Silent)
        .unwrap();
    assert_eq!(rows(&registry), 1);
    drop(registry);
    assert_eq!(rows(&Registry::open(&scene.base).unwrap()), 1);
}

#[test]
fn what_binds_a_catalog_must_be_a_file_of_a_trusted_user() {
    if !is_root("files of another user") {
        return;
    }
    let scene = Scene::new();
    let bound = scene.bound();
    let opens = |expected: &str| {
        let found = super::outcome(Registry::open_read_only(&scene.base));
        assert_eq!(found, expected);
    };
    let chown = |path: &Path, uid: u32, gid: u32| {
        std::os::unix::fs::chown(path, Some(uid), Some(gid)).unwrap();
    };
    opens("ok");
    chown(&bound, NOBODY, 0);
    opens("catalog-unbound");
    chown(&bound, 0, 0);
    fs::set_permissions(&bound, PermissionsExt::from_mode(0o664)).unwrap();
    opens("catalog-unbound");
    fs::set_permissions(&bound, PermissionsExt::from_mode(0o644)).unwrap();
    opens("ok");
    // The catalog of a stranger; of a member of the group, who rebuilt it.
    chown(&scene.catalog, NOBODY, 12345);
    opens("catalog-unbound");
    let dir = scene.base.join(".dalsegno");
    chown(&dir, 0, 12345);
    opens("catalog-unbound");
    fs::set_permissions(&dir, PermissionsExt::from_mode(0o775)).unwrap();
    opens("ok");
    // The owner of the base directory's registry is trusted by all who use it.
    chown(&dir, NOBODY, 0);
    chown(&bound, NOBODY, 0);
    opens("ok");
    chown(&dir, 0, 0);
    opens("catalog-unbound");
    // A link, a second name, a special file.
    chown(&bound, 0, 0);
    chown(&scene.catalog, 0, 0);
    opens("ok");
    let moved = scene.folder.path().join("moved");
    fs::hard_link(&bound, &moved).unwrap();
    opens("catalog-unbound");
    fs::remove_file(&bound).unwrap();
    symlink(&moved, &bound).unwrap();
    opens("catalog-unbound");
    fs::remove_file(&bound).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &bound,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    opens("catalog-unbound");
    fs::remove_file(&bound).unwrap();
    fs::rename(&moved, &bound).unwrap();
    fs::hard_link(&scene.catalog, &moved).unwrap();
    opens("catalog-unbound");
    fs::remove_file(&moved).unwrap();
    opens("ok");
}

#[test]
fn a_base_directory_of_an_older_version_opens_and_learns_its_host_at_the_next_change() {
    let scene = Scene::new();
    scene.make_old();
    let before = tree(scene.folder.path());
    assert_eq!(rows(&Registry::open_read_only(&scene.base).unwrap()), 1);
    assert_eq!(tree(scene.folder.path()), before);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let open = || {
        let heard = Arc::clone(&heard);
        let hear = move |notice: &str| heard.lock().unwrap().push(notice.to_owned());
        Options::new().on_notice(hear).open(&scene.base).unwrap()
    };
    drop(open());
    assert_eq!(heard.lock().unwrap().len(), 1);
    assert!(heard.lock().unwrap()[0].ends_with(&format!("on this host, {}", host())));
    assert!(scene.config().contains(&format!("host = \"{}\"", host())));
    assert!(scene.bound().exists());
    drop(open());
    assert_eq!(heard.lock().unwrap().len(), 1);
}

#[test]
fn an_older_base_directory_that_others_may_write_in_needs_the_word_of_its_owner() {
    let scene = Scene::new();
    scene.make_old();
    let dir = scene.base.join(".dalsegno");
    fs::set_permissions(&dir, PermissionsExt::from_mode(0o775)).unwrap();
    let error = Registry::open_read_only(&scene.base).err().unwrap();
    assert_eq!(error.code(), "catalog-unbound");
    assert_eq!(error.hint(), Some(Hint::BindCatalog));
    let (registry, made) = scene.named().create(&scene.base).unwrap();
    assert!(!made);
    assert_eq!(rows(&registry), 1);
    drop(registry);
    assert_eq!(rows(&Registry::open(&scene.base).unwrap()), 1);
    let before = tree(scene.folder.path());
    drop(scene.named().create(&scene.base).unwrap());
    assert_eq!(tree(scene.folder.path()), before);
}

#[test]
fn a_moved_base_directory_is_bound_again_by_its_owner_and_a_copy_stays_out() {
    let scene = Scene::new();
    let moved = scene.folder.path().join("moved");
    fs::rename(&scene.base, &moved).unwrap();
    let error = Registry::open(&moved).err().unwrap();
    assert_eq!(error.code(), "catalog-unbound");
    let base = scene.base.to_str().unwrap();
    assert!(error.to_string().contains(base), "{error}");
    drop(scene.named().create(&moved).unwrap());
    assert_eq!(rows(&Registry::open(&moved).unwrap()), 1);
    fs::create_dir_all(scene.base.join(".dalsegno")).unwrap();
    fs::copy(moved.join(CONFIG), scene.base.join(CONFIG)).unwrap();
    assert_eq!(code(Registry::open(&scene.base)), "catalog-unbound");
}

/// Every call that changes something says on which host to do it, and a rebuild refuses.
#[test]
fn on_another_host_queries_answer_from_the_copy_and_changes_name_the_keeper() {
    let scene = Scene::new();
    scene.leave_host();
    fs::rename(
        scene.folder.path().join("disk"),
        scene.folder.path().join("gone"),
    )
    .unwrap();
    let before = tree(scene.folder.path());
    for result in [Registry::open(&scene.base), Registry::create(&scene.base)] {
        let error = result.err().unwrap();
        assert_eq!(error.code(), "catalog-elsewhere");
        assert_eq!(error.hint(), Some(Hint::UseKeeper));
        assert!(error.to_string().contains("on host node1"), "{error}");
        assert_eq!(error.path(), Some(scene.catalog.as_path()));
    }
    assert_eq!(code(scene.rebuild()), "catalog-elsewhere");
    let force = RebuildOptions::default().force(true);
    let forced = scene.named().rebuild(&scene.base, &force, &Silent);
    assert_eq!(code(forced), "catalog-elsewhere");

    let registry = Registry::open_read_only(&scene.base).unwrap();
    assert_eq!(rows(&registry), 1);
    assert_eq!(registry.catalog_path(), scene.catalog);
    let published = registry.published().unwrap().unwrap();
    assert_eq!(published.host, "node1");
    assert_eq!(published.path, scene.base.join(PUBLISHED));
    let artifacts = registry.select(&Filter::default()).unwrap();
    let remove = RemoveOptions::default();
    let target = dalsegno::Target::Id(artifacts[0].id);
    let key = prediction("run", 5);
    for refused in [
        registry.record(&key).map(drop),
        registry
            .scan(dalsegno::ScanOptions::default(), &Silent)
            .map(drop),
        registry.remove_target(&target, &remove, &Silent).map(drop),
        registry.seal(&target).map(drop),
        registry.publish().map(drop),
    ] {
        assert_eq!(super::outcome(refused), "catalog-elsewhere");
    }
    assert_eq!(tree(scene.folder.path()), before);
    let inbox = Inbox::open(&scene.base).unwrap();
    inbox
        .note(dalsegno::model::note::Note::Record(key))
        .unwrap();
}

/// Another host becomes the keeper while the registry is open here: the old catalog gets no change.
#[test]
fn a_registry_that_is_open_changes_nothing_once_another_host_has_the_catalog() {
    let scene = Scene::new();
    let registry = Registry::open(&scene.base).unwrap();
    let store = dalsegno::RecordingStore::new(&scene.base).unwrap();
    let record = |iteration| store.validation_prediction_array("run", iteration, "crop");
    record(2).unwrap();
    let artifact = registry.select(&Filter::default()).unwrap().remove(0);
    let (rows_before, copied) = (rows(&registry), scene.copied_at());
    scene.leave_host();
    let target = Target::Id(artifact.id);
    let data = tree(&scene.base.join("run"));
    for refused in [
        registry.record(&prediction("run", 5)).map(drop),
        registry.record_many(&[prediction("run", 6)]).map(drop),
        registry.scan(ScanOptions::default(), &Silent).map(drop),
        registry
            .remove_target(&target, &RemoveOptions::default(), &Silent)
            .map(drop),
        registry.seal(&target).map(drop),
        registry.publish().map(drop),
    ] {
        assert_eq!(super::outcome(refused), "catalog-elsewhere");
    }
    assert_eq!(tree(&scene.base.join("run")), data);
    record(7).unwrap();
    assert_eq!(rows(&registry), rows_before);
    drop((registry, store));
    assert_eq!(scene.copied_at(), copied);
    // The note waits for the keeper, which is this host again.
    scene.set_config("host = \"node1\"", &format!("host = \"{}\"", host()));
    assert_eq!(rows(&Registry::open(&scene.base).unwrap()), rows_before + 1);
}

#[test]
fn without_a_copy_another_host_says_where_to_publish() {
    let scene = Scene::new();
    scene.leave_host();
    fs::remove_file(scene.base.join(PUBLISHED)).unwrap();
    let error = Registry::open_read_only(&scene.base).err().unwrap();
    assert_eq!(error.code(), "not-published");
    assert_eq!(error.hint(), Some(Hint::Publish));
    assert!(error.to_string().contains("on host node1"), "{error}");
}

#[test]
fn a_renamed_keeper_and_a_moved_catalog_are_said_by_hand() {
    let scene = Scene::new();
    scene.leave_host();
    let (registry, made) = Options::new().keeper(true).create(&scene.base).unwrap();
    assert!(!made && !registry.is_read_only());
    drop(registry);
    assert_eq!(rows(&Registry::open(&scene.base).unwrap()), 1);
    // The catalog went to another host, and to another path there.
    scene.leave_host();
    let moved = scene.folder.path().join("moved.sqlite3");
    let keeper = || {
        Options::new()
            .keeper(true)
            .catalog(&moved)
            .create(&scene.base)
    };
    assert_eq!(code(keeper()), "catalog-not-copied");
    fs::copy(&scene.catalog, &moved).unwrap();
    fs::remove_dir_all(scene.catalog.parent().unwrap()).unwrap();
    let other = Scene::new();
    let stranger = Options::new().keeper(true).catalog(&other.catalog);
    assert_eq!(code(stranger.create(&scene.base)), "catalog-mismatch");
    let (registry, _) = keeper().unwrap();
    assert_eq!(registry.catalog_path(), moved);
    drop(registry);
    assert_eq!(rows(&Registry::open(&scene.base).unwrap()), 1);
}

/// A copy that a member of the group forged: the answer is wrong or an error, and nothing is
/// written, followed or waited for.
#[test]
fn a_forged_copy_is_refused_or_answers_and_nothing_else() {
    let scene = Scene::new();
    scene.leave_host();
    let path = scene.base.join(PUBLISHED);
    let good = fs::read(&path).unwrap();
    let canary = scene.folder.path().join("canary");
    fs::write(&canary, &good).unwrap();
    let other = Scene::new();
    let refused = |expected: &str| {
        let before = tree(scene.folder.path());
        let error = Registry::open_read_only(&scene.base).err().unwrap();
        assert_eq!(error.code(), expected);
        assert_eq!(error.hint(), Some(Hint::Publish), "{error}");
        assert_eq!(tree(scene.folder.path()), before, "{expected}");
    };
    let sql = |batch: &str| {
        fs::write(&path, &good).unwrap();
        Connection::open(&path)
            .unwrap()
            .execute_batch(batch)
            .unwrap();
    };
    fs::write(&path, "x").unwrap();
    refused("catalog-damaged");
    fs::write(&path, "x".repeat(10_000)).unwrap();
    refused("catalog-damaged");
    fs::copy(&other.catalog, &path).unwrap();
    refused("catalog-mismatch");
    sql("PRAGMA user_version = 1000");
    refused("catalog-too-new");
    sql("PRAGMA application_id = 7");
    refused("catalog-foreign");
    sql("CREATE TRIGGER bomb AFTER INSERT ON artifact BEGIN SELECT 1; END");
    refused("catalog-damaged");
    sql(
        "ALTER TABLE registry RENAME TO kept; CREATE VIEW registry AS
         WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n)
         SELECT 1 AS only, id, id AS created_at FROM n",
    );
    refused("catalog-damaged");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    refused("catalog-not-a-file");
    fs::remove_dir(&path).unwrap();
    symlink(&canary, &path).unwrap();
    refused("catalog-not-a-file");
    fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &path,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_raw_mode(0o644),
        0,
    )
    .unwrap();
    assert_eq!(
        code(Registry::open_read_only(&scene.base)),
        "catalog-not-a-file"
    );
    fs::remove_file(&path).unwrap();
    fs::write(&path, &good).unwrap();
    assert_eq!(rows(&Registry::open_read_only(&scene.base).unwrap()), 1);
}

#[test]
fn an_open_registry_on_another_host_follows_newer_copies() {
    let scene = Scene::new();
    let writer = Registry::open(&scene.base).unwrap();
    scene.leave_host();
    let reader = Registry::open_read_only(&scene.base).unwrap();
    assert_eq!(rows(&reader), 1);
    // What the reader was opened on is another host; the writer is on the keeper.
    scene.set_config("host = \"node1\"", &format!("host = \"{}\"", host()));
    writer.record(&prediction("run", 2)).unwrap();
    assert_eq!(rows(&reader), 1);
    writer.publish().unwrap().unwrap();
    assert_eq!(rows(&reader), 2);
}

/// A clock that a test moves.
struct Hand(Arc<AtomicI64>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// A registry on a disk with a clock at the time of the last copy, and that clock.
fn at_the_last_copy(scene: &Scene) -> Arc<AtomicI64> {
    let copied = scene.copied_at();
    let since = copied.duration_since(std::time::UNIX_EPOCH).unwrap();
    let milliseconds = i64::try_from(since.as_millis()).unwrap();
    Arc::new(AtomicI64::new(milliseconds))
}

#[test]
fn the_end_of_a_command_leaves_a_copy_that_has_its_changes_and_no_change_makes_none() {
    let scene = Scene::new();
    let clock = at_the_last_copy(&scene);
    let open = || {
        let options = Options::new().clock(Hand(Arc::clone(&clock)));
        options.open(&scene.base).unwrap()
    };
    let first = scene.copied_at();
    for second in 1..4 {
        clock.fetch_add(1_000, Ordering::Relaxed);
        open().record(&prediction("run", 1 + second)).unwrap();
        assert_eq!(
            scene.copied_at(),
            first + Duration::from_secs(second as u64)
        );
    }
    let last = scene.copied_at();
    clock.fetch_add(600_000, Ordering::Relaxed);
    open().record(&prediction("run", 2)).unwrap();
    drop(open());
    drop(Registry::open_read_only(&scene.base).unwrap());
    assert_eq!(scene.copied_at(), last, "nothing has changed");
    scene.leave_host();
    assert_eq!(rows(&Registry::open_read_only(&scene.base).unwrap()), 4);
}

#[test]
fn of_a_large_catalog_small_changes_are_copied_once_a_minute_and_others_at_once() {
    let scene = Scene::new();
    // Free pages count: what they cost is copied all the same.
    Connection::open(&scene.catalog)
        .unwrap()
        .execute_batch(
            "CREATE TABLE filler (bytes); INSERT INTO filler VALUES (zeroblob(17 << 20));
             DROP TABLE filler;",
        )
        .unwrap();
    let clock = at_the_last_copy(&scene);
    let open = || {
        let options = Options::new().clock(Hand(Arc::clone(&clock)));
        options.open(&scene.base).unwrap()
    };
    let first = scene.copied_at();
    clock.fetch_add(59_000, Ordering::Relaxed);
    open().record(&prediction("run", 2)).unwrap();
    assert_eq!(scene.copied_at(), first, "a minute has not passed");
    clock.fetch_add(1_000, Ordering::Relaxed);
    // What the change of the command before left is published by the next one that could write.
    drop(open());
    assert_eq!(scene.copied_at(), first + Duration::from_secs(60));
    clock.fetch_add(1_000, Ordering::Relaxed);
    let path = layout::locate(&prediction("run", 1)).path();
    let target = Target::Path(scene.base.join(path));
    open().seal(&target).unwrap();
    assert_eq!(scene.copied_at(), first + Duration::from_secs(61));
    // A scan in a handle that stays open is seen when it ends.
    write_array(&scene.base, &prediction("run", 3));
    clock.fetch_add(1_000, Ordering::Relaxed);
    let registry = open();
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!(scene.copied_at(), first + Duration::from_secs(62));
}

/// A copy that began before a change does not have it.
#[test]
fn the_end_of_a_command_waits_for_another_process_that_is_publishing() {
    let scene = Scene::new();
    let lock = lock::take(&scene.catalog.with_file_name("c.sqlite3.publishing"));
    let first = scene.copied_at();
    std::thread::scope(|scope| {
        let ending = scope.spawn(|| {
            let registry = Registry::open(&scene.base).unwrap();
            registry.record(&prediction("run", 2)).unwrap();
        });
        // Its row is in the catalog, and the copy is not made.
        let seen = Registry::open_read_only(&scene.base).unwrap();
        while rows(&seen) < 2 {
            std::thread::yield_now();
        }
        assert_eq!(scene.copied_at(), first);
        drop(lock);
        ending.join().unwrap();
    });
    scene.leave_host();
    assert_eq!(rows(&Registry::open_read_only(&scene.base).unwrap()), 2);
}

/// A training that goes on for days publishes too.
#[test]
fn a_registry_that_stays_open_publishes_with_a_change_once_a_minute() {
    let scene = Scene::new();
    scene.leave_host();
    let reader = Registry::open_read_only(&scene.base).unwrap();
    let at = reader.published().unwrap().unwrap().at.unwrap();
    scene.set_config("host = \"node1\"", &format!("host = \"{}\"", host()));
    let clock = Arc::new(AtomicI64::new(at.0));
    let options = Options::new().clock(Hand(Arc::clone(&clock)));
    let writer = options.open(&scene.base).unwrap();
    let seen = [
        (0, 1),
        (59_000, 1),
        (1_000, 4),
        (0, 4),
        (59_000, 4),
        (1_000, 7),
    ];
    for (number, (later, expected)) in seen.into_iter().enumerate() {
        clock.fetch_add(later, Ordering::Relaxed);
        let iteration = 2 + i64::try_from(number).unwrap();
        writer.record(&prediction("run", iteration)).unwrap();
        assert_eq!(rows(&reader), expected, "change {number}");
    }
}

#[test]
fn a_folder_in_the_place_of_the_copy_is_moved_aside() {
    let scene = Scene::new();
    let path = scene.base.join(PUBLISHED);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    fs::write(path.join("theirs"), "x").unwrap();
    let registry = Options::new().open(&scene.base).unwrap();
    assert!(registry.publish().unwrap().is_some());
    assert!(path.is_file());
    let left = fs::read_dir(scene.base.join(".dalsegno")).unwrap();
    let aside = left.map(|entry| entry.unwrap().path());
    let aside = aside.filter(|path| path.join("theirs").exists());
    assert_eq!(aside.count(), 1);
}

#[test]
fn a_copy_that_cannot_be_published_fails_no_change() {
    let scene = Scene::new();
    fs::remove_file(scene.base.join(PUBLISHED)).unwrap();
    fs::create_dir(scene.catalog.with_file_name("c.sqlite3.publishing.sqlite3")).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hear = {
        let heard = Arc::clone(&heard);
        move |notice: &str| heard.lock().unwrap().push(notice.to_owned())
    };
    // A training opens its registry again and again.
    for iteration in 2..6 {
        let hear = hear.clone();
        let registry = Options::new().on_notice(hear).open(&scene.base).unwrap();
        registry.record(&prediction("run", iteration)).unwrap();
        drop(registry);
    }
    let heard = heard.lock().unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(heard[0].contains("could not be published"), "{heard:?}");
    let left = fs::read_dir(scene.base.join(".dalsegno")).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.contains(".new-")));
}

#[test]
fn what_a_killed_publishing_left_goes_with_the_next() {
    let scene = Scene::new();
    let left = [
        scene.base.join(".dalsegno/published.sqlite3.new-x"),
        scene.catalog.with_file_name("c.sqlite3.publishing.sqlite3"),
    ];
    for path in &left {
        fs::write(path, "rest").unwrap();
    }
    let registry = Registry::open(&scene.base).unwrap();
    registry.publish().unwrap().unwrap();
    assert!(!left.iter().any(|path| path.exists()));
}

#[test]
fn a_catalog_in_the_base_directory_is_not_published() {
    let (_folder, base) = super::base_with_registry();
    let registry = Registry::open(&base).unwrap();
    assert_eq!(code(registry.publish()), "catalog-in-base");
    registry.record(&prediction("run", 2)).unwrap();
    drop(registry);
    assert!(!base.join(PUBLISHED).exists());
}

/// A member of the group exchanges whatever lies at the names of the copy for links to a file
/// outside, while the keeper publishes.
#[test]
fn exchanged_names_never_make_the_keeper_write_outside() {
    let scene = Scene::new();
    let canary = scene.folder.path().join("canary");
    fs::copy(&scene.catalog, &canary).unwrap();
    fs::set_permissions(&canary, PermissionsExt::from_mode(0o600)).unwrap();
    let seen = || {
        let found = canary.metadata().unwrap();
        (
            fs::read(&canary).unwrap(),
            found.mode(),
            found.modified().unwrap(),
        )
    };
    let before = seen();
    let dir = scene.base.join(".dalsegno");
    let link = dir.join("link");
    let stop = AtomicBool::new(false);
    std::thread::scope(|threads| {
        threads.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for entry in fs::read_dir(&dir).unwrap().flatten() {
                    if !entry.file_name().to_string_lossy().starts_with("published") {
                        continue;
                    }
                    let _ = fs::remove_file(&link);
                    symlink(&canary, &link).unwrap();
                    let _ = rustix::fs::renameat_with(
                        rustix::fs::CWD,
                        &link,
                        rustix::fs::CWD,
                        entry.path(),
                        rustix::fs::RenameFlags::EXCHANGE,
                    );
                }
            }
        });
        let start = Instant::now();
        let mut published = 0;
        // Longer on a machine so busy that no copy was published yet.
        let is_over = |published: u32| {
            let least = if published > 0 { 3 } else { 120 };
            start.elapsed() > Duration::from_secs(least)
        };
        while !is_over(published) {
            let registry = Registry::open(&scene.base).unwrap();
            published += u32::from(registry.publish().is_ok());
        }
        stop.store(true, Ordering::Relaxed);
        assert!(published > 0);
    });
    assert!(seen() == before, "the file outside was changed");
}

#[test]
fn a_catalog_that_another_host_changed_since_is_not_taken_back() {
    let scene = Scene::new();
    let newer = scene.folder.path().join("newer.sqlite3");
    fs::copy(&scene.catalog, &newer).unwrap();
    // On another host the copy became the catalog, and got a row; this host has its old file.
    scene.leave_host();
    let there = || Options::new().keeper(true).catalog(&newer);
    let (registry, _) = there().create(&scene.base).unwrap();
    registry.record(&prediction("run", 2)).unwrap();
    registry.publish().unwrap().unwrap();
    drop(registry);
    scene.leave_host();
    let config = scene.config();
    let here = || Options::new().keeper(true).catalog(&scene.catalog);
    let error = here().create(&scene.base).err().unwrap();
    assert_eq!(error.code(), "catalog-outdated");
    assert_eq!(error.hint(), Some(Hint::TakeNewerCatalog));
    assert_eq!(scene.config(), config);
    // What is newer than the copy is taken, and so is an older one if the copy is not there.
    fs::remove_file(scene.base.join(PUBLISHED)).unwrap();
    assert_eq!(rows(&here().create(&scene.base).unwrap().0), 1);
    scene.leave_host();
    assert_eq!(rows(&there().create(&scene.base).unwrap().0), 2);
    // A copy that cannot be read says nothing.
    scene.leave_host();
    fs::write(scene.base.join(PUBLISHED), "x".repeat(9000)).unwrap();
    assert_eq!(rows(&here().create(&scene.base).unwrap().0), 1);
}

#[test]
fn a_catalog_elsewhere_is_given_to_the_group_or_it_is_said_what_keeps_it_out() {
    if !is_root("a file is given to another group") {
        return;
    }
    const GROUP: u32 = 54321;
    let mode = |path: &Path| path.metadata().map(|found| found.mode() & 0o7777).unwrap();
    let set = |path: &Path, mode| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let scene = Scene::new();
    let dir = scene.base.join(".dalsegno");
    std::os::unix::fs::chown(&dir, None, Some(GROUP)).unwrap();
    set(&dir, 0o2775);
    let heard = Arc::new(Mutex::new(Vec::new()));
    let claim = || {
        let heard = Arc::clone(&heard);
        let options = Options::new()
            .keeper(true)
            .on_notice(move |notice| heard.lock().unwrap().push(notice.to_owned()));
        drop(options.create(&scene.base).unwrap());
    };
    set(&scene.catalog, 0o644);
    claim();
    assert_eq!(mode(&scene.catalog), 0o664);
    assert_eq!(scene.catalog.metadata().unwrap().gid(), GROUP);
    // The file beside it says whose it is, and is the owner's.
    assert_eq!(mode(&scene.bound()), 0o644);
    let said = heard.lock().unwrap().pop().unwrap();
    let folder = scene.catalog.parent().unwrap();
    assert!(
        said.contains(&format!("its folder {}", folder.display())),
        "{said}"
    );
    let (_, call) = said.split_once("lets them with: ").unwrap();
    let shell = std::process::Command::new("sh")
        .arg("-c")
        .arg(call)
        .status();
    assert!(shell.unwrap().success(), "{call}");
    claim();
    assert_eq!(*heard.lock().unwrap(), Vec::<String>::new());
    assert_eq!(rows(&Registry::open(&scene.base).unwrap()), 1);
}

#[test]
fn where_a_catalog_is_only_the_owner_of_the_registry_says() {
    if !is_root("another user moves a catalog") {
        return;
    }
    let scene = Scene::new();
    let dir = scene.base.join(".dalsegno");
    for path in [&scene.base, &dir] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
    }
    // Its disk is lost, with the file that binds it.
    fs::remove_dir_all(scene.catalog.parent().unwrap()).unwrap();
    let disk = scene.folder.path().join("new");
    fs::create_dir(&disk).unwrap();
    let path = disk.join("c.sqlite3");
    fs::set_permissions(&disk, PermissionsExt::from_mode(0o777)).unwrap();
    scene.set_config(
        &format!("{}", scene.catalog.display()),
        &format!("{}", path.display()),
    );
    let before = tree(scene.folder.path());
    // The second is refused before it is said what to copy to the path.
    for action in ["rebuild-elsewhere", "keep-elsewhere"] {
        assert_eq!(ask_as_nobody(action, &scene.base), "not-the-owner");
        assert_eq!(tree(scene.folder.path()), before);
    }
    let options = RebuildOptions::default();
    let named = Options::new().catalog(&path);
    drop(named.rebuild(&scene.base, &options, &Silent).unwrap());
    assert_eq!(rows(&Registry::open(&scene.base).unwrap()), 1);
}

/// A user writes a policy into `config.toml` and drops what was there.
#[test]
fn a_lost_section_makes_each_call_refuse_until_the_catalog_is_named() {
    let policy = "[policy.short]\nprediction = { keep-last = 2 }\n";
    // The text that is left, whether the file beside it is there, and whether a copy is.
    let cases = [
        (Some(""), true, false),
        (Some(policy), true, true),
        (None, true, false),
        (Some("[catalog]\n"), true, false),
        (Some(policy), false, true),
        (None, false, false),
    ];
    for (text, is_remembered, has_copy) in cases {
        let scene = Scene::new();
        let registry = Registry::open(&scene.base).unwrap();
        let pinned = dalsegno::PinSelection::Filter(Filter::default().runs(["run"]));
        let name: PinName = "keep".parse().unwrap();
        registry.pin(&name, Some("paper"), &pinned).unwrap();
        drop(registry);
        let in_folder = |name: &str| scene.base.join(".dalsegno").join(name);
        let before = scene.config();
        match text {
            Some(text) => fs::write(in_folder("config.toml"), text).unwrap(),
            None => fs::remove_file(in_folder("config.toml")).unwrap(),
        }
        assert!(in_folder("removals.reserve").is_file());
        if !is_remembered {
            fs::remove_file(in_folder("catalog-place.toml")).unwrap();
        }
        if !has_copy {
            fs::remove_file(in_folder("published.sqlite3")).unwrap();
        }
        let names = tree(&scene.base.join(".dalsegno"));
        let forced = RebuildOptions::default().force(true);
        let refused = [
            Registry::open(&scene.base).map(drop),
            Registry::open_read_only(&scene.base).map(drop),
            Registry::create(&scene.base).map(drop),
            scene.named().open(&scene.base).map(drop),
            scene.rebuild(),
            scene
                .named()
                .rebuild(&scene.base, &forced, &Silent)
                .map(drop),
        ];
        for refused in refused {
            let error = refused.unwrap_err();
            assert_eq!(error.code(), "catalog-elsewhere", "{text:?}");
            assert_eq!(error.hint(), Some(Hint::TakeUpCatalog));
            let said = error.to_string();
            assert!(said.starts_with("config.toml has lost"), "{said}");
            if is_remembered {
                assert_eq!(error.path(), Some(scene.catalog.as_path()));
                assert!(
                    said.contains(&format!("on this host, {}", host())),
                    "{said}"
                );
            }
        }
        // What is recorded goes to the inbox, and no second catalog is made.
        let store = dalsegno::RecordingStore::new(&scene.base).unwrap();
        store.validation_prediction_array("run", 9, "crop").unwrap();
        drop(store);
        let now = tree(&scene.base.join(".dalsegno"));
        let others = now.keys().filter(|path| !path.contains("inbox"));
        assert!(others.eq(names.keys()), "{now:?}");

        let wrong = Options::new().catalog(scene.folder.path().join("disk/other"));
        let expected = if is_remembered {
            "catalog-other-path"
        } else {
            "catalog-not-copied"
        };
        assert_eq!(code(wrong.create(&scene.base)), expected);
        let (registry, made) = scene.named().create(&scene.base).unwrap();
        assert!(!made);
        assert_eq!(rows(&registry), 2);
        assert_eq!(registry.pins().unwrap().len(), 1);
        let config = scene.config();
        assert!(config.contains(text.unwrap_or_default().trim()), "{config}");
        assert!(
            config.contains(before.trim_start_matches("[catalog]\n")),
            "{config}"
        );
        // What an older version has not made is there from then on.
        assert!(in_folder("catalog-place.toml").is_file());
    }
}

/// A catalog that something else names is not taken up.
#[test]
fn a_lost_catalog_is_taken_up_only_if_it_is_the_one() {
    let (scene, other) = (Scene::new(), Scene::new());
    let place = scene.base.join(".dalsegno/catalog-place.toml");
    fs::write(scene.base.join(CONFIG), "").unwrap();
    let take_up = |catalog: &Path| code(Options::new().catalog(catalog).create(&scene.base));
    assert_eq!(take_up(&other.catalog), "catalog-other-path");
    // Also if only the published copy says which registry it is, or nothing does.
    fs::remove_file(&place).unwrap();
    assert_eq!(take_up(&other.catalog), "catalog-mismatch");
    fs::remove_file(scene.base.join(PUBLISHED)).unwrap();
    assert_eq!(take_up(&other.catalog), "catalog-not-copied");
    assert_eq!(rows(&Registry::open(&other.base).unwrap()), 1);
    // What cannot be read is a sign too.
    fs::write(&place, "[catalog]\npath = \"relative\"\n").unwrap();
    assert_eq!(code(Registry::open(&scene.base)), "catalog-elsewhere");
    scene.named().create(&scene.base).unwrap();
}

#[test]
fn a_change_on_its_host_writes_down_a_second_time_where_the_catalog_is() {
    let scene = Scene::new();
    let place = scene.base.join(".dalsegno/catalog-place.toml");
    let text = || fs::read_to_string(&place).unwrap();
    assert!(text().ends_with(&scene.config()), "{}", text());
    fs::remove_file(&place).unwrap();
    drop(Registry::open_read_only(&scene.base).unwrap());
    assert!(!place.exists());
    drop(Registry::open(&scene.base).unwrap());
    assert!(text().ends_with(&scene.config()), "{}", text());
    // A registry that is open sees that the section is lost, and changes nothing.
    let registry = Registry::open(&scene.base).unwrap();
    fs::write(scene.base.join(CONFIG), "").unwrap();
    let recorded = registry.record(&prediction("run", 5)).map(drop);
    assert_eq!(super::outcome(recorded), "catalog-elsewhere");
}

/// The path alone does not say on which host it is: the file beside `config.toml` does.
#[test]
fn a_lost_host_is_known_all_the_same() {
    let scene = Scene::new();
    let line = format!("host = \"{}\"\n", host());
    scene.set_config(&line, "");
    let place = scene.base.join(".dalsegno/catalog-place.toml");
    let text = fs::read_to_string(&place).unwrap();
    fs::write(&place, text.replace(&line, "host = \"node1\"\n")).unwrap();
    let error = Registry::open(&scene.base).unwrap_err();
    assert!(error.to_string().contains("is on host node1"), "{error}");
    assert_eq!(rows(&Registry::open_read_only(&scene.base).unwrap()), 1);
    // On the right host it is written into `config.toml` again.
    fs::write(&place, text).unwrap();
    drop(Registry::open(&scene.base).unwrap());
    assert!(scene.config().contains(&line));
}
