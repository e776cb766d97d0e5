//! One run for each fault, and the checks after it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use dalsegno::model::clock::Timestamp;
use dalsegno::testing::backup;
use dalsegno::{Error, Registry, RestoreTarget};
use tempfile::TempDir;

use crate::child::command;
use crate::fault::{CHANGES, calls, copy, in_order, trace};
use crate::observe::{Observed, Where};
use crate::plain;
use crate::scene::{Case, LIST, LIVE, OLDER, RELAXED, assert_list_is_right};
use crate::strace;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    Kill,
    Once(&'static str),
    Forever(&'static str),
}

impl Fault {
    fn name(self) -> String {
        match self {
            Self::Kill => "kill".to_owned(),
            Self::Once(error) => error.to_owned(),
            Self::Forever(error) => format!("{error}+"),
        }
    }

    fn expression(self, call: &str, number: usize) -> String {
        match self {
            Self::Kill => format!("inject={call}:signal=SIGKILL:when={number}"),
            Self::Once(error) => format!("inject={call}:error={error}:when={number}"),
            Self::Forever(error) => format!("inject={call}:error={error}:when={number}+"),
        }
    }
}

/// The start of a sweep.
struct Template {
    folder: TempDir,
    case: Case,
    /// The first state of the scene, with everything in place.
    original: Observed,
    interruption: Option<String>,
}

/// A file system in memory, if there is one: faster, and the tests do not depend on it.
fn scratch() -> TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory)
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

impl Template {
    fn new(case: Case) -> Self {
        let folder = scratch();
        let scene = folder.path().join("template");
        Case::write(&scene);
        Case::back_up(&scene);
        let mut original = Observed::of(&scene);
        case.prepare(&scene);
        // What a training has written since is not to be touched either.
        let live = Observed::of(&scene).tree.into_iter();
        original
            .tree
            .extend(live.filter(|(path, _)| path.starts_with(LIVE)));
        // It changes with what is removed; see `assert_list_is_right`.
        original.tree.remove(&format!("base/{LIST}"));
        Self {
            interruption: case.find_interruption(&scene),
            folder,
            case,
            original,
        }
    }

    /// Makes a scene to work on.
    fn scene(&self) -> PathBuf {
        let scene = self.folder.path().join("scene");
        copy(&self.folder.path().join("template"), &scene);
        if let Some(interruption) = &self.interruption {
            self.case.interrupt(&scene.join("base"), interruption);
            let left = Observed::of(&scene);
            left.assert_nothing_lost(&self.original);
            assert!(!left.trash.is_empty() || self.case == Case::RecoverNote);
            if self.case == Case::RecoverPurge {
                assert!(left.removals.values().any(|state| *state == 1), "{left:#?}");
            }
        }
        scene
    }

    fn targets(&self) -> Vec<String> {
        let keys = self.case.targets();
        let paths = keys
            .iter()
            .map(|key| dalsegno::model::layout::locate(key).path());
        paths.collect()
    }
}

/// Makes each of these calls, or every call if none is named, fail in turn.
pub(crate) fn sweep(case: Case, fault: Fault, names: &[&str]) {
    let what = format!("{}:{}", case.name(), fault.name());
    let only = std::env::var("DALSEGNO_FAULT").ok();
    let is_wanted = |point: &str| only.as_deref().is_none_or(|only| only.starts_with(point));
    if !is_wanted(&format!("{what}:")) || !strace::works(&what) {
        return;
    }
    let template = Template::new(case);
    let scene = template.scene();
    let output = template.folder.path().join("trace");
    let expression = format!("trace={CHANGES}");
    let Some(traced) = trace(case.name(), &scene.join("base"), &expression, &output) else {
        crate::strace::left_out::left_out(&format!("strace cannot join a process here: {what}"));
        return;
    };
    assert_eq!(traced.said, ["ok"], "{what}\n{}", traced.stderr);
    template.check(&scene, Fault::Kill, &traced.said);
    let mut calls = calls(&fs::read_to_string(&output).unwrap());
    // In the next run threads may share the work differently.
    let most = calls
        .iter()
        .filter(|(name, _)| name == "unlinkat")
        .map(|(_, number)| *number);
    if let Some(most) = most.max() {
        calls.insert(("unlinkat".to_owned(), most + 1));
    }
    let mut points = 0;
    for (call, number) in calls {
        let name = plain::name_of(&call);
        if !names.is_empty() && !names.contains(&name) || !crate::fault::is_in_sample(&call, number)
        {
            continue;
        }
        let point = format!("{what}:{call}:{number}");
        if only.as_ref().is_none_or(|only| *only == point) {
            points += 1;
            eprintln!("{point}");
            let scene = template.scene();
            let expression = fault.expression(&call, number);
            let base = scene.join("base");
            let traced = trace(case.name(), &base, &expression, Path::new("/dev/null")).unwrap();
            eprintln!("  said {:?}", traced.said);
            assert!(!traced.stderr.contains("panicked"), "{}", traced.stderr);
            template.check(&scene, fault, &traced.said);
        }
    }
    eprintln!("{what}: {points} points");
    assert!(points > 0, "{what}: there is no such call");
}

impl Template {
    fn check(&self, scene: &Path, fault: Fault, said: &[String]) {
        let base = scene.join("base");
        let targets = self.targets();
        for said in said {
            let is_known = matches!(said.as_str(), "ok" | "left");
            assert!(is_known || Error::CODES.contains(&said.as_str()), "{said}");
        }
        let left = Observed::of(scene);
        left.assert_nothing_lost(&self.original);
        left.assert_others_untouched(&self.original, &targets);

        if self.case.is_recovery() {
            recover_by_two(&base);
        } else if self.case.is_atomic() && is_undone_at_once(fault, said) {
            let before = self.case.places().0;
            for path in &targets {
                let place = left.place(&self.original, path);
                assert!(before.contains(&place), "{path} is left at {place:?}");
            }
        }
        if self.case == Case::BackedUp {
            check_backups(&base, fault, said);
        }
        let registry = Registry::open(&base).unwrap();
        assert_eq!(registry.recovery().problems, Vec::<String>::new());
        drop(registry);
        let settled = Observed::of(scene);
        let places: Vec<Where> = targets
            .iter()
            .map(|path| settled.place(&self.original, path))
            .collect();
        settled.assert_others_untouched(&self.original, &targets);
        self.check_places(&places, fault, said);
        assert!(settled.linked.is_empty(), "{:?}", settled.linked);
        // An error of a list holds up nothing; verify finds it.
        if fault == Fault::Kill {
            assert_list_is_right(scene);
        }
        // The trash holds only what removals keep, each with a manifest.
        let kept = settled.removals.iter().filter(|(_, state)| **state == 0);
        assert!(kept.map(|(id, _)| id).eq(&settled.trash), "{settled:#?}");
        for path in settled.tree.keys() {
            let name = path.rsplit('/').next().unwrap_or_default();
            assert!(
                name != "restoring.json" && !name.starts_with("deep-"),
                "{path}"
            );
        }
        if fault == Fault::Kill && places.iter().all(|place| *place == Where::Gone) {
            assert_no_empty_folders(&settled);
        }

        drop(Registry::open(&base).unwrap());
        assert_eq!(
            Observed::of(scene),
            settled,
            "a second open changes nothing"
        );
        if places.contains(&Where::Trash) {
            self.check_restore(scene, &settled);
        }
        fs::remove_dir_all(scene).unwrap();
    }

    fn check_places(&self, places: &[Where], fault: Fault, said: &[String]) {
        let (before, after) = self.case.places();
        let are = |expected: &[Where]| {
            let expected = expected
                .iter()
                .chain(std::iter::repeat(&expected[expected.len() - 1]));
            places
                .iter()
                .zip(expected)
                .all(|(place, expected)| place == expected)
        };
        let may_be_either = match said.first().map(String::as_str) {
            Some("ok") => return assert!(are(after), "acknowledged, and {places:?}"),
            Some("left") | None => true,
            // If the disk stays broken, the outcome of a commit cannot be known.
            Some(_) => matches!(fault, Fault::Forever(_)),
        };
        let stays = may_be_either && self.case.stays_as_it_is();
        if self.case.is_atomic() && !stays {
            let fits = are(before) || (may_be_either && are(after));
            assert!(fits, "said {said:?}, and {places:?}");
        } else {
            let fits = |place: &Where| before.contains(place) || after.contains(place);
            assert!(places.iter().all(fits), "said {said:?}, and {places:?}");
        }
    }

    /// Checks that everything in the trash is restored identically.
    fn check_restore(&self, scene: &Path, settled: &Observed) {
        let registry = Registry::open(scene.join("base")).unwrap();
        for (id, _) in settled.removals.iter().filter(|(_, state)| **state == 0) {
            let target = RestoreTarget::Removal(id.parse().unwrap());
            registry.restore(&target).unwrap();
        }
        drop(registry);
        let restored = Observed::of(scene);
        assert_eq!(restored.trash.len(), 0);
        for path in self.targets() {
            let place = restored.place(&self.original, &path);
            let was_gone = settled.place(&self.original, &path) == Where::Gone;
            assert!(place == Where::Place || was_gone, "{path}");
        }
    }
}

/// Whether the program can undo everything by itself after this call failed.
fn is_undone_at_once(fault: Fault, said: &[String]) -> bool {
    let has_failed = said.first().is_some_and(|said| said != "ok");
    has_failed && matches!(fault, Fault::Once(_))
}

/// Two processes open for writing at once.
fn recover_by_two(base: &Path) {
    let mut children: Vec<Child> = (0..2)
        .map(|_| {
            command(&[], Case::RecoverRemoval.name(), base)
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in &mut children {
        drop(child.stdin.take());
    }
    for child in children {
        let output = child.wait_with_output().unwrap();
        let said = crate::child::answer(&output);
        // One may see work that the other is about to finish.
        assert!(matches!(said[1].as_str(), "ok" | "left"), "{said:?}");
    }
}

/// Checks that every backup is sound, and that no older one was deleted before a new one was there.
fn check_backups(base: &Path, fault: Fault, said: &[String]) {
    let folder = base.join(".dalsegno/backups");
    let mut names = Vec::new();
    for found in backup::list(&folder, Timestamp(i64::MAX)).unwrap() {
        backup::check(&found.path).unwrap();
        crate::child::assert_sound(&found.path);
        names.push(found.path.file_name().unwrap().to_str().unwrap().to_owned());
    }
    let older: Vec<&String> = names
        .iter()
        .filter(|name| name.starts_with("2020"))
        .collect();
    if names.len() == older.len() {
        assert_eq!(older, OLDER);
    } else {
        assert!(
            older.starts_with(&[&OLDER[0].to_owned(), &OLDER[1].to_owned()]),
            "{names:?}"
        );
    }
    // Backups are made one at a time, and leftovers of one are deleted with the next.
    let all = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let unnamed = all
        .filter(|name| name.to_str().unwrap().starts_with("new-"))
        .count();
    assert!(unnamed <= 2, "{unnamed} are left");
    if fault == Fault::Kill && said.first().is_some_and(|said| said == "ok") {
        assert_eq!((unnamed, names.len()), (0, 3));
    }
}

fn assert_no_empty_folders(settled: &Observed) {
    for path in settled.tree.keys().filter(|path| path.contains(".zarr/")) {
        let is_folder = settled.tree[path].starts_with('4');
        assert!(
            !is_folder || settled.below(path).len() > 1,
            "{path} was left empty"
        );
    }
}

/// The calls from the last rename to the first unlink, by a handle with or without durability.
pub(crate) fn calls_before_unlinking(is_relaxed: bool) -> Option<Vec<String>> {
    if !strace::works("the order of syncs and unlinks") {
        return None;
    }
    let template = Template::new(Case::Many);
    let scene = template.scene();
    let output = template.folder.path().join("trace");
    let prefix = if is_relaxed { RELAXED } else { "" };
    let action = format!("{prefix}{}", Case::Many.name());
    let names = "trace=renameat2,pwrite64,fsync,fdatasync,syncfs,unlinkat";
    let traced = trace(&action, &scene.join("base"), names, &output)?;
    assert_eq!(traced.said, ["ok"]);
    let calls = in_order(&fs::read_to_string(&output).unwrap()).into_iter();
    let calls: Vec<String> = calls.map(|(name, _)| name).collect();
    let last = calls.iter().rposition(|name| name == "renameat2").unwrap();
    let behind = calls[last + 1..].iter().cloned();
    Some(behind.take_while(|name| name != "unlinkat").collect())
}
