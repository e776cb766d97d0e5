//! The cases that children run, their base directories, and the outcomes that are allowed.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno::Durability;
use dalsegno::RemoveOptions;
use dalsegno::model::filter::{Filter, Pattern};
use dalsegno::model::key::{Key, Kind};
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{Options, Registry, RestoreTarget, SealOptions, Target};

use crate::child::{self, prediction, say};
use crate::fault::{copy, in_order, trace};
use crate::observe::Where;
use crate::plain;

/// Prefix of the name of a case that runs with relaxed durability.
pub(crate) const RELAXED: &str = "relaxed-";

/// The case that a child runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Case {
    /// One array, which leaves empty parents, is removed and purged.
    One,
    /// The same, with a backup of the catalog before it, and three older backups.
    BackedUp,
    /// Twenty arrays of several parents.
    Many,
    /// A container with everything in it, by one rename.
    Container,
    /// Two arrays and a checkpoint, into the trash.
    Kept,
    /// A removal is restored completely.
    Restore,
    /// An array, but not the checkpoint, of a removal.
    RestoreOne,
    /// A container that went as a whole, beside one that a training wrote at its place.
    Beside,
    /// The trash, with two removals, is emptied.
    Empty,
    /// An open after a removal that was killed between its renames and its commit.
    RecoverRemoval,
    /// An open after a restore that was killed at the same point.
    RecoverRestore,
    /// An open after a restore beside another container that was killed at the same point.
    RecoverBeside,
    /// An open after a purge that was killed midway.
    RecoverPurge,
    /// An open after a removal that was killed when everything was unlinked but not yet noted.
    RecoverNote,
}

use Case::{
    BackedUp, Beside, Container, Empty, Kept, Many, One, RecoverBeside, RecoverNote, RecoverPurge,
    RecoverRemoval, RecoverRestore, Restore, RestoreOne,
};

/// Where all arrays of a case are, before or after it.
pub(crate) type Places = &'static [Where];

impl Case {
    pub(crate) fn name(self) -> &'static str {
        match self {
            One => "remove-one",
            BackedUp => "remove-backed-up",
            Many => "remove-many",
            Container => "remove-container",
            Kept => "remove-kept",
            Restore => "restore",
            RestoreOne => "restore-one",
            Beside => "restore-beside",
            Empty => "empty",
            RecoverRemoval => "recover-removal",
            RecoverRestore => "recover-restore",
            RecoverBeside => "recover-beside",
            RecoverPurge => "recover-purge",
            RecoverNote => "recover-note",
        }
    }

    fn of_name(name: &str) -> Option<Self> {
        let all = [
            One,
            BackedUp,
            Many,
            Container,
            Kept,
            Restore,
            RestoreOne,
            Beside,
            Empty,
            RecoverRemoval,
            RecoverRestore,
            RecoverBeside,
            RecoverPurge,
            RecoverNote,
        ];
        all.into_iter().find(|case| case.name() == name)
    }

    /// The work that is interrupted before the case begins, and after which call.
    fn interrupted(self) -> Option<(Self, Behind)> {
        Some(match self {
            RecoverRemoval if plain::is_on() => (Kept, Behind::Last("renameat")),
            RecoverRemoval => (Kept, Behind::Last("renameat2")),
            // The file then has both names.
            RecoverRestore if plain::is_on() => (Restore, Behind::Last("linkat")),
            RecoverRestore => (Restore, Behind::Last("renameat2")),
            RecoverBeside if plain::is_on() => (Beside, Behind::Last("linkat")),
            RecoverBeside => (Beside, Behind::Last("renameat2")),
            RecoverPurge => (Many, Behind::Half("unlinkat")),
            RecoverNote => (One, Behind::Last("unlinkat")),
            _ => return None,
        })
    }

    pub(crate) fn is_recovery(self) -> bool {
        self.interrupted().is_some()
    }

    /// The arrays of the case; everything else stays in place.
    pub(crate) fn targets(self) -> Vec<Key> {
        let few = |last| (1..=last).map(|iteration| prediction("few", iteration));
        let with_weights = |last| few(last).chain([checkpoint(1)]);
        match self {
            One | BackedUp | RecoverNote => few(1).collect(),
            Kept | RecoverRemoval => with_weights(2).collect(),
            Restore | RestoreOne | Empty | RecoverRestore => with_weights(1).collect(),
            Many | RecoverPurge => many().collect(),
            Container | Beside | RecoverBeside => whole().collect(),
        }
    }

    /// Where the targets are when the case begins and when it is done. Without
    /// [`Case::is_atomic`], they move one by one.
    pub(crate) fn places(self) -> (Places, Places) {
        const ALL: fn(Where) -> Places = |place| match place {
            Where::Place => &[Where::Place],
            Where::Trash => &[Where::Trash],
            Where::Gone => &[Where::Gone],
        };
        match self {
            One | BackedUp | Many | Container => (ALL(Where::Place), ALL(Where::Gone)),
            Kept => (ALL(Where::Place), ALL(Where::Trash)),
            Restore | Beside => (ALL(Where::Trash), ALL(Where::Place)),
            RestoreOne => (ALL(Where::Trash), &[Where::Place, Where::Trash]),
            Empty => (ALL(Where::Trash), ALL(Where::Gone)),
            RecoverRemoval => (ALL(Where::Place), ALL(Where::Place)),
            // The file has both names still, and nothing came after it.
            RecoverRestore if plain::is_on() => (ALL(Where::Trash), ALL(Where::Trash)),
            RecoverRestore | RecoverBeside => (ALL(Where::Place), ALL(Where::Place)),
            RecoverPurge | RecoverNote => (ALL(Where::Gone), ALL(Where::Gone)),
        }
    }

    pub(crate) fn is_atomic(self) -> bool {
        self != Empty
    }

    /// Whether what was done stays if the process ends before the rest is.
    pub(crate) fn stays_as_it_is(self) -> bool {
        matches!(self, Restore | RestoreOne | Beside)
    }

    /// Makes the base directory, with everything in place, and a folder beside it.
    pub(crate) fn write(folder: &Path) {
        let base = folder.join("base");
        for key in few_all().chain(many()).chain(whole()) {
            let path = base.join(dalsegno::model::layout::locate(&key).path());
            if key.kind() == Kind::Checkpoint {
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(&path, format!("weights of {path:?}")).unwrap();
                fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            } else {
                write_array(&path);
            }
        }
        for container in ["few", "many", "whole"] {
            let group = base.join(container).join("validation.zarr/.zgroup");
            fs::write(group, format!("{{\"of\": \"{container}\"}}")).unwrap();
        }
        let entry = |iteration| {
            let text = fs::read_to_string(base.join(array(iteration)).join(".zarray")).unwrap();
            format!("{iteration}/crop1/prediction/.zarray\": {text}")
        };
        let entries: Vec<String> = (1..=4).map(entry).collect();
        let list = format!("{{\"metadata\": {{\"{}}}}}", entries.join(", \""));
        fs::write(base.join(LIST), list).unwrap();
        // Neighbours that the registry does not know and must not touch.
        write_array(&base.join("few/validation.zarr/2/neighbour"));
        write_array(&base.join("many/validation.zarr/neighbour"));
        fs::write(base.join("many/validation.zarr/notes.txt"), "precious").unwrap();
        write_array(&folder.join("beside/validation.zarr/1/crop1/prediction"));
        let registry = Registry::create(&base).unwrap();
        let keys: Vec<Key> = few_all().chain(many()).chain(whole()).collect();
        registry.record_many(&keys).unwrap();
        let everything = Filter::default().kinds(Kind::ALL);
        let rows = registry.select(&everything).unwrap();
        registry
            .seal_many(&rows, SealOptions::default(), &Silent)
            .unwrap();
    }

    /// Makes the daily backup, so that no removal makes one.
    pub(crate) fn back_up(folder: &Path) {
        let registry = Registry::open(folder.join("base")).unwrap();
        registry.back_up(&Silent).unwrap().unwrap();
    }

    /// Prepares the case, up to the work that is interrupted.
    pub(crate) fn prepare(self, folder: &Path) {
        let base = folder.join("base");
        let case = self.interrupted().map_or(self, |(case, _)| case);
        let registry = Registry::open(&base).unwrap();
        let targets = case.targets();
        let removals: Vec<&[Key]> = match case {
            Restore | RestoreOne => vec![&targets],
            Empty => targets.chunks(1).collect(),
            BackedUp => return age_the_backup(&registry),
            Beside => return write_beside(&base, &registry),
            _ => return,
        };
        for keys in removals {
            remove_keys(&registry, keys, TrashKeep::UntilEmptied).unwrap();
        }
    }

    /// Finds the call at which the interrupted work is killed.
    pub(crate) fn find_interruption(self, template: &Path) -> Option<String> {
        let (case, behind) = self.interrupted()?;
        let scratch = template.with_file_name("scratch");
        copy(template, &scratch);
        let output = template.with_file_name("scratch.trace");
        let calls = "trace=renameat,renameat2,linkat,unlinkat,fsync,fdatasync,pwrite64,close";
        trace(case.name(), &scratch.join("base"), calls, &output).unwrap();
        let calls = in_order(&fs::read_to_string(output).unwrap());
        fs::remove_dir_all(scratch).unwrap();
        let (Behind::Last(name) | Behind::Half(name)) = behind;
        let all: Vec<usize> = (0..calls.len()).filter(|&at| calls[at].0 == name).collect();
        let (call, number) = match behind {
            Behind::Last(_) => calls[all[all.len() - 1] + 1].clone(),
            // In the next run other threads may make the calls, and more of them: one in eight is
            // enough. A thread that had just begun must not name a call that the first thread
            // already makes before it commits.
            Behind::Half(_) => {
                let half = all[all.len() / 2];
                let is_sync = |call: &(String, usize)| call.0.ends_with("sync");
                let committed = calls[..half].iter().rposition(is_sync).unwrap();
                let before = all.iter().filter(|at| **at < committed);
                let before = before.map(|at| calls[*at].1).max().unwrap_or_default();
                let (call, number) = calls[half].clone();
                (call, number.min(all.len() / 8).max(before + 1))
            }
        };
        Some(format!("inject={call}:signal=SIGKILL:when={number}"))
    }

    /// Lets a child begin the work that the case recovers from, and kills it.
    pub(crate) fn interrupt(self, base: &Path, interruption: &str) {
        let (case, _) = self.interrupted().unwrap();
        let traced = trace(case.name(), base, interruption, Path::new("/dev/null")).unwrap();
        assert!(traced.said.is_empty(), "{:?}", traced.said);
    }
}

/// Consolidated metadata that lists the arrays of `few`.
pub(crate) const LIST: &str = "few/validation.zarr/.zmetadata";

/// An array that is listed there.
fn array(iteration: i64) -> String {
    dalsegno::model::layout::locate(&prediction("few", iteration)).path()
}

/// Checks that the list is whole and names what is in place.
pub(crate) fn assert_list_is_right(scene: &Path) {
    let base = scene.join("base");
    let text = fs::read_to_string(base.join(LIST)).unwrap();
    let list: serde_json::Value = serde_json::from_str(&text).unwrap();
    for iteration in 1..=4 {
        let entry = &list["metadata"][format!("{iteration}/crop1/prediction/.zarray")];
        let file = fs::read_to_string(base.join(array(iteration)).join(".zarray")).ok();
        let file = file.map(|text| serde_json::from_str::<serde_json::Value>(&text).unwrap());
        assert_eq!(entry, &file.unwrap_or_default(), "{iteration} in {text}");
    }
    let new = base.join(LIST).with_file_name(".dalsegno-list.new");
    assert!(!new.exists(), "{}", new.display());
}

/// What a training wrote at the place of a container that went as a whole, and an empty folder.
pub(crate) const LIVE: &str = "base/whole/validation.zarr/9";

fn write_beside(base: &Path, registry: &Registry) {
    let container = Target::Path("whole/validation.zarr".into());
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    registry
        .remove_target(&container, &options, &Silent)
        .unwrap();
    write_array(&base.join("whole/validation.zarr/9/live/prediction"));
    fs::create_dir(base.join("whole/validation.zarr/2")).unwrap();
}

/// Names of the older backups of [`BackedUp`].
pub(crate) const OLDER: [&str; 3] = [
    "20200103T000000Z.sqlite3",
    "20200102T000000Z.sqlite3",
    "20200101T000000Z.sqlite3",
];

/// Replaces the new backup by three different old ones, and the leftovers of a killed one.
fn age_the_backup(registry: &Registry) {
    let new = registry.backups().unwrap().remove(0).path;
    for (number, name) in OLDER.iter().enumerate() {
        let older = new.with_file_name(name);
        fs::copy(&new, &older).unwrap();
        let older = rusqlite::Connection::open(older).unwrap();
        let sql = "UPDATE registry SET created_at = ?1";
        older.execute(sql, [number]).unwrap();
    }
    let left = new.with_file_name(format!("new-{}.sqlite3", "0".repeat(32)));
    fs::rename(new, left).unwrap();
}

#[derive(Clone, Copy)]
enum Behind {
    /// Directly after the last call of this name.
    Last(&'static str),
    /// Halfway through the calls of this name.
    Half(&'static str),
}

fn few_all() -> impl Iterator<Item = Key> {
    let arrays = (1..=4).map(|iteration| prediction("few", iteration));
    arrays.chain([checkpoint(1), checkpoint(2)])
}

fn checkpoint(iteration: i64) -> Key {
    Key::Checkpoint {
        run: "few".parse().unwrap(),
        iteration,
    }
}

fn many() -> impl Iterator<Item = Key> {
    let datasets = ["a", "b", "c", "d"].into_iter();
    datasets.flat_map(|dataset| {
        (1..=5).map(move |iteration| Key::Prediction {
            run: "many".parse().unwrap(),
            iteration,
            dataset: dataset.parse().unwrap(),
            container: None,
        })
    })
}

fn whole() -> impl Iterator<Item = Key> {
    (1..=3).map(|iteration| prediction("whole", iteration))
}

/// Writes an array of three files, each with its own path as content.
fn write_array(array: &Path) {
    let chunks = array.join("0/0");
    fs::create_dir_all(&chunks).unwrap();
    for file in [".zarray", "0/0/0", "0/0/1"] {
        let path = array.join(file);
        let own = path.components().rev().take(8).collect::<PathBuf>();
        fs::write(&path, format!("{{\"path\": {own:?}}}")).unwrap();
    }
    fs::set_permissions(array.join("0/0/1"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::set_permissions(chunks, fs::Permissions::from_mode(0o2750)).unwrap();
}

fn remove_keys(registry: &Registry, keys: &[Key], keep: TrashKeep) -> dalsegno::Result<()> {
    let mut chosen = Vec::new();
    for key in keys {
        chosen.extend(registry.to_remove(&Target::Key(key.clone()))?);
    }
    let plan = registry.plan_removal(chosen)?;
    let options = RemoveOptions::default().keep(keep);
    let report = registry.remove_planned(&plan, &options, &Silent)?;
    assert!(report.skipped.is_empty());
    Ok(())
}

fn of_run(run: &str) -> Filter {
    Filter::default()
        .runs([Pattern::from(run)])
        .kinds(Kind::ALL)
}

/// The body of a child.
pub(crate) fn child() {
    let Ok(action) = std::env::var(child::ACTION) else {
        return;
    };
    let base = PathBuf::from(std::env::var_os(child::BASE).unwrap());
    let (name, durability) = match action.strip_prefix(RELAXED) {
        Some(name) => (name, Durability::Relaxed),
        None => (action.as_str(), Durability::Full),
    };
    let case = Case::of_name(name).unwrap();
    // SAFETY: a plain system call; it lets strace attach if only parents may trace.
    unsafe { libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY) };
    say("ready");
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    // With a short lock timeout: some faults leave locks that are released only when the process
    // ends.
    let opened = Options::new()
        .lock_timeout(Duration::from_secs(1))
        .durability(durability)
        .open(&base);
    let registry = match opened {
        Ok(registry) => registry,
        Err(error) => return say(error.code()),
    };
    let done = act(case, &registry);
    if let Err(error) = done {
        // After a failure the process exits without closing anything, so SQLite's log keeps what a
        // failed commit left in it.
        std::mem::forget(registry);
        return say(error.code());
    }
    say(&done.unwrap_or_default());
}

fn act(case: Case, registry: &Registry) -> dalsegno::Result<String> {
    match case {
        One | BackedUp | Kept => {
            let keep = match case {
                Kept => TrashKeep::UntilEmptied,
                _ => TrashKeep::No,
            };
            remove_keys(registry, &case.targets(), keep)?;
        }
        Many => {
            let report =
                registry.remove_many(&of_run("many"), &RemoveOptions::default(), &Silent)?;
            assert_eq!(report.moved, 20);
        }
        Container => {
            let container = Target::Path("whole/validation.zarr".into());
            let options = RemoveOptions::default();
            let report = registry.remove_target(&container, &options, &Silent)?;
            assert_eq!(report.moved, 1);
        }
        Restore => {
            registry.restore(&RestoreTarget::Filter(of_run("few")))?;
        }
        RestoreOne => {
            let path = dalsegno::model::layout::locate(&prediction("few", 1)).path();
            registry.restore(&RestoreTarget::Path(path.into()))?;
        }
        Beside => {
            let container = RestoreTarget::Path("whole/validation.zarr".into());
            let report = registry.restore(&container)?;
            assert!(report.skipped.is_empty());
        }
        Empty => {
            let report = registry.empty_trash(None, &Silent)?;
            if !report.left.is_empty() || !report.purge.is_done {
                return Ok("left".to_owned());
            }
        }
        RecoverRemoval | RecoverRestore | RecoverBeside | RecoverPurge | RecoverNote => {
            let is_settled = registry.recovery().problems.is_empty();
            if !is_settled || !registry.pending()?.is_empty() {
                return Ok("left".to_owned());
            }
        }
    }
    Ok("ok".to_owned())
}
