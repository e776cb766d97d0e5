//! A base directory that a group shares: two users, a private run of one, and what they do to it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::layout;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::retention::{KeepRules, Policy, SelectRules};
use dalsegno::{
    GcRequest, GcRules, Options, Question, RefreshOptions, Registry, RemoveOptions, RenameOptions,
    RestoreReport, RestoreTarget, ScanOptions, Target, VerifyOptions, VerifyReport,
};
use rusqlite::Connection;
use rustix::fs::Mode;
use rustix::process::umask;

use crate::child::{answer, command, outcome, prediction, say, tree, write_array};

/// The user that is attacked, the one that attacks, and their group: none of them exists.
pub(crate) const VICTIM: u32 = 61_001;
pub(crate) const MEMBER: u32 = 61_002;
pub(crate) const GROUP: u32 = 61_003;
pub(crate) const ROOT: u32 = 0;
pub(crate) const ID: &str = "20261122-163000-3f9a2c";
/// In a run of the victim that only the victim may write.
pub(crate) const PRIVATE: &str = "private/validation.zarr/9/crop1/prediction";
const NOW: i64 = 1_700_000_000_000;
/// In 2100.
const LATER: i64 = 4_102_444_800_000;

pub(crate) struct Scene {
    _folder: tempfile::TempDir,
    pub(crate) base: PathBuf,
}

impl Scene {
    /// `None`, and said so, without root.
    pub(crate) fn new() -> Option<Self> {
        if !rustix::process::geteuid().is_root() {
            crate::strace::left_out::left_out("it takes root: several users");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let base = folder.path().join("base");
        fs::create_dir(&base).unwrap();
        give(&base, VICTIM, 0o2775);
        let scene = Self {
            _folder: folder,
            base,
        };
        assert_eq!(scene.run(VICTIM, "make"), ["ok"]);
        let trash = scene.trash();
        fs::create_dir_all(&trash).unwrap();
        give(&scene.base.join(".dalsegno"), VICTIM, 0o2775);
        give(&trash, VICTIM, 0o2775);
        for entry in fs::read_dir(scene.base.join(".dalsegno")).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                give(&path, VICTIM, 0o664);
            }
        }
        Some(scene)
    }

    pub(crate) fn trash(&self) -> PathBuf {
        self.base.join(".dalsegno/trash")
    }

    /// What a child of a user says that does this.
    pub(crate) fn run(&self, user: u32, action: &str) -> Vec<String> {
        let mut command = command(&[], action, &self.base);
        if user != ROOT {
            command.uid(user).gid(GROUP);
        }
        answer(&command.output().unwrap())
    }

    /// An item that the member puts into the trash, with a file in it.
    pub(crate) fn forged_item(&self, number: u32) -> PathBuf {
        let folder = self.trash().join(ID);
        let item = folder.join(number.to_string());
        fs::create_dir_all(&item).unwrap();
        fs::write(item.join(".zarray"), "forged").unwrap();
        give(&folder, MEMBER, 0o2775);
        give(&item, MEMBER, 0o2775);
        give(&item.join(".zarray"), MEMBER, 0o664);
        item
    }

    /// A manifest of the member.
    pub(crate) fn forged_manifest(&self, items: &[(&str, &str)]) -> PathBuf {
        let folder = self.trash().join(ID);
        let path = folder.join("manifest.json");
        fs::write(&path, named(&folder, items)).unwrap();
        give(&path, MEMBER, 0o644);
        path
    }

    pub(crate) fn sql(&self, sql: &str) {
        let catalog = Connection::open(self.base.join(".dalsegno/catalog.sqlite3")).unwrap();
        catalog.execute_batch(sql).unwrap();
        drop(catalog);
        // What root has made is everyone's again.
        for end in ["-wal", "-shm"] {
            let path = self.base.join(format!(".dalsegno/catalog.sqlite3{end}"));
            if path.exists() {
                give(&path, VICTIM, 0o664);
            }
        }
    }

    /// Everything but the registry's own files.
    pub(crate) fn data(&self) -> BTreeMap<String, String> {
        let mut data = tree(&self.base.join("private"));
        for entry in fs::read_dir(&self.base).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with(".dalsegno") && path.is_dir() {
                data.extend(tree(&path));
            }
        }
        data
    }

    pub(crate) fn in_trash(&self) -> BTreeMap<String, String> {
        tree(&self.trash())
    }
}

/// The text of a manifest or note: type and path of each item, by the inodes in the folder or, if
/// it is not there, of `path`.
pub(crate) fn named(folder: &Path, items: &[(&str, &str)]) -> String {
    let items = (0..).zip(items).map(|(number, (form, path)): (u32, _)| {
        let found = folder.join(number.to_string()).symlink_metadata();
        let (inode, device) = found.map_or((1, 1), |found| (found.ino(), found.dev()));
        serde_json::json!({
            "item": number, "path": path, "form": form, "inode": inode, "device": device,
        })
    });
    let items: Vec<_> = items.collect();
    serde_json::json!({ "version": 1, "items": items }).to_string()
}

pub(crate) fn give(path: &Path, user: u32, mode: u32) {
    chown(path, Some(user), Some(GROUP)).unwrap();
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Path of the array of a run, relative to the base directory.
pub(crate) fn array(run: &str) -> String {
    layout::locate(&prediction(run, 1)).path()
}

/// Gives what is at a path, and below it, to the victim alone.
pub(crate) fn close(path: &Path) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            close(&entry.unwrap().path());
        }
        give(path, VICTIM, 0o700);
    } else {
        give(path, VICTIM, 0o600);
    }
}

/// Peak of the memory of this process, in bytes.
pub(crate) fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse::<u64>().unwrap() * 1024
}

fn open(base: &Path) -> dalsegno::Result<Registry> {
    Options::new().clock(FixedClock(Timestamp(NOW))).open(base)
}

fn key(name: &str) -> dalsegno::model::key::Key {
    prediction(name, 1)
}

fn verified(registry: &Registry) -> VerifyReport {
    registry
        .verify(&Filter::default(), VerifyOptions::default(), &Silent)
        .unwrap()
}

/// What children do, a word and what it is done to.
pub(crate) fn act(action: &str, base: &Path) {
    umask(Mode::from_raw_mode(0o002));
    let (word, name) = action.split_once(' ').unwrap_or((action, ""));
    if word == "make" {
        let registry = Options::new()
            .clock(FixedClock(Timestamp(NOW)))
            .create(base)
            .unwrap()
            .0;
        for run in ["private", "shared"] {
            write_array(base, &key(run));
            registry.record(&key(run)).unwrap();
            registry.seal(&Target::Key(key(run))).unwrap();
        }
        let private = base.join("private");
        fs::set_permissions(&private, PermissionsExt::from_mode(0o755)).unwrap();
        for path in tree(&private).into_keys() {
            let mode = if Path::new(&path).is_dir() {
                0o755
            } else {
                0o644
            };
            fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
        say("ok");
        return;
    }
    let registry = match word {
        "restore" => Options::new()
            .clock(FixedClock(Timestamp(NOW)))
            .purge_due(false)
            .open(base),
        "late" => Options::new()
            .clock(FixedClock(Timestamp(NOW + 3_600_000)))
            .purge_due(name != "restore")
            .open(base),
        // When nothing is young any more.
        "gc" => Options::new()
            .clock(FixedClock(Timestamp(LATER)))
            .open(base),
        _ => open(base),
    };
    let registry = match registry {
        Ok(registry) => registry,
        Err(error) => return say(&format!("{} {error}", error.code())),
    };
    let recovery = registry.recovery();
    match word {
        "open" | "late" => {
            say(&format!("undone {}", recovery.undone.len()));
            say(&format!("purged {}", recovery.purged.len()));
            for problem in &recovery.problems {
                say(&format!("problem {problem}"));
            }
            for why in registry.left_alone().unwrap() {
                say(&format!("left {why}"));
            }
            for finding in verified(&registry).findings {
                say(&format!("finding {:?} {}", finding.class, finding.detail));
            }
            if name == "restore" {
                let removals = registry.trash().unwrap();
                let target = RestoreTarget::Removal(removals[0].id.clone());
                say(&outcome(registry.restore(&target)));
            }
        }
        "peak" => {
            say(&format!("problems {}", recovery.problems.len()));
            verified(&registry);
            say(&format!("peak {}", peak()));
        }
        "remove" => {
            let keep = match name.ends_with('!') {
                true => TrashKeep::For(Duration::from_secs(60)),
                false => TrashKeep::UntilEmptied,
            };
            let options = RemoveOptions::default().keep(keep);
            let target = Target::Key(key(name.trim_end_matches('!')));
            match registry.remove_target(&target, &options, &Silent) {
                Ok(report) => say(report.removal.unwrap().as_str()),
                Err(error) => say(&format!("{} {error}", error.code())),
            }
        }
        "restore" => {
            let id = name.parse().unwrap();
            match registry.restore(&RestoreTarget::Removal(id)) {
                Ok(report) => say(&format!("ok {}", report.artifacts.len())),
                Err(error) => say(&format!("{} {error}", error.code())),
            }
        }
        "look" => {
            let question = Question::Selection(
                &Filter::default(),
                RefreshOptions::new().all(true).gone(true),
            );
            registry.refresh_for(question, &Silent).unwrap();
            registry.scan(ScanOptions::default(), &Silent).unwrap();
            for row in registry.select(&Filter::default()).unwrap() {
                let (run, state) = (row.key.run(), row.state.as_str());
                let sealed = row.sealed_at.is_some();
                say(&format!("{} {run} {state} {sealed}", row.id));
            }
        }
        "remove-all" => {
            let options = RemoveOptions::default()
                .keep(TrashKeep::UntilEmptied)
                .keep_going(name == "going");
            match registry.remove_many(&Filter::default(), &options, &Silent) {
                Ok(report) => {
                    say(report.removal.unwrap().as_str());
                    for one in report.skipped {
                        say(&format!("{} {}", one.code, one.reason));
                    }
                }
                Err(error) => say(&format!("{} {error}", error.code())),
            }
        }
        "parts" => {
            let target = match name {
                "" => RestoreTarget::Filter(Filter::default()),
                id => RestoreTarget::Removal(id.parse().unwrap()),
            };
            let words = |report: dalsegno::Result<RestoreReport>| match report {
                Ok(report) => {
                    let skipped = report.skipped.iter();
                    let skipped = skipped.map(|one| format!("; {} {}", one.code, one.reason));
                    format!(
                        "back {}{}",
                        report.artifacts.len(),
                        skipped.collect::<String>()
                    )
                }
                Err(error) => format!("{} {error}", error.code()),
            };
            say(&words(registry.plan_restore(std::slice::from_ref(&target))));
            say(&words(registry.restore(&target)));
        }
        "undo" => match registry.undo_last() {
            Ok(report) => {
                let codes = report.skipped.iter().map(|one| one.code);
                let codes: Vec<_> = codes.collect();
                say(&format!(
                    "back {} {}",
                    report.artifacts.len(),
                    codes.join(" ")
                ));
            }
            Err(error) => say(&format!("{} {error}", error.code())),
        },
        "gc" => {
            let policy = Policy::default()
                .select(SelectRules::default().kinds([Kind::Prediction]))
                .keep(KeepRules::default().every(7))
                .allow_empty_group(true);
            let request = GcRequest::new(Filter::default(), GcRules::Policy(policy));
            let plan = registry.plan_gc(&request.allow_incomplete(true)).unwrap();
            let removed = plan.plan.removed();
            removed.for_each(|line| say(line.artifact.key.run().as_str()));
        }
        "rename" => {
            let (run, to) = name.split_once(' ').unwrap();
            let (run, to) = (run.parse().unwrap(), to.parse().unwrap());
            let options = RenameOptions::default().active(true);
            match registry.rename_run(&run, &to, &options) {
                Ok(_) => say("ok"),
                Err(error) => say(&format!("{} {error}", error.code())),
            }
        }
        "empty" => {
            let report = registry.empty_trash(None, &Silent).unwrap();
            let failures = report.purge.failures.iter();
            let failures: Vec<_> = failures
                .map(|(path, why)| format!("{}: {why}", path.display()))
                .collect();
            say(&format!(
                "purged {} left {}",
                report.purged.len(),
                report.left.len()
            ));
            failures.iter().for_each(|failure| say(failure));
        }
        "count" => {
            let rows = registry.select(&Filter::default()).unwrap();
            say(&rows.len().to_string());
        }
        other => panic!("no action {other}"),
    }
}
