//! Items of the trash that are not those that a removal moved there.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use dalsegno::RestoreTarget;
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::RemovalId;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::{RestoreAsPlanned as _, TRASH, array, base, code, kept, paths, write};

const ONE: &str = "r/validation.zarr/1/a/prediction";
const TWO: &str = "r/validation.zarr/2/a/prediction";

/// Two arrays in the trash, written a day apart or at the same time.
struct Removed {
    _folder: tempfile::TempDir,
    registry: dalsegno::Registry,
    id: RemovalId,
    items: [PathBuf; 2],
}

fn date(array: &Path, days: u64) {
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + days * 86_400);
    let file = File::open(array.join(".zarray")).unwrap();
    file.set_modified(at).unwrap();
}

fn removed(days_apart: u64) -> Removed {
    let (folder, registry) = base();
    for (path, days) in [(ONE, 0), (TWO, days_apart)] {
        write(folder.path(), path);
        date(&folder.path().join(path), days);
        fs::write(folder.path().join(path).join("of"), path).unwrap();
    }
    for path in [ONE, TWO] {
        array(&registry, path);
        date(
            &folder.path().join(path),
            if path == ONE { 0 } else { days_apart },
        );
    }
    let all = dalsegno::RefreshOptions::default().all(true).sealed(true);
    registry.refresh(&Filter::default(), all, &Silent).unwrap();
    let report = registry.remove_many(&Filter::default(), &kept(), &Silent);
    let id = report.unwrap().removal.unwrap();
    let items = ["0", "1"].map(|item| folder.path().join(TRASH).join(id.as_str()).join(item));
    Removed {
        _folder: folder,
        registry,
        id,
        items,
    }
}

impl Removed {
    fn exchange(&self) {
        let [one, other] = &self.items;
        renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
    }

    fn is_refused(&self) {
        let restored = self.registry.restore_as_planned(&self.target());
        assert_eq!(code(restored), "trash-untrusted");
        assert!(paths(&self.registry).is_empty());
        assert!(self.items.iter().all(|item| item.exists()));
    }

    fn comes_back(&self) {
        let report = self.registry.restore_as_planned(&self.target()).unwrap();
        assert_eq!(report.artifacts.len(), 2);
        for path in [ONE, TWO] {
            let text = fs::read_to_string(self.registry.base().join(path).join("of")).unwrap();
            assert_eq!(text, path);
        }
    }

    fn target(&self) -> RestoreTarget {
        RestoreTarget::Removal(self.id.clone())
    }

    /// Makes items copies of themselves, with other inodes.
    fn copy(&self, items: &[PathBuf], how: &str) {
        for item in items {
            let copy = item.with_extension("copy");
            let status = std::process::Command::new("cp")
                .args([how, "--"])
                .args([item, &copy])
                .status();
            assert!(status.unwrap().success());
            // The old one stays, so that its inode is not used again.
            let aside = self.registry.base().join(item.file_name().unwrap());
            fs::rename(item, aside).unwrap();
            fs::rename(&copy, item).unwrap();
        }
    }
}

#[test]
fn items_that_were_exchanged_do_not_come_back() {
    for days_apart in [1, 0] {
        let removed = removed(days_apart);
        removed.exchange();
        removed.is_refused();
        removed.exchange();
        removed.comes_back();
    }
}

#[test]
fn a_trash_that_was_copied_comes_back() {
    for how in ["-a", "-r"] {
        let removed = removed(1);
        removed.copy(&removed.items, how);
        removed.comes_back();
    }
}

#[test]
fn an_item_that_was_replaced_comes_back_only_as_a_copy_with_its_times() {
    for (how, is_same) in [("-a", true), ("-r", false)] {
        let removed = removed(1);
        removed.copy(&removed.items[..1], how);
        match is_same {
            true => removed.comes_back(),
            false => removed.is_refused(),
        }
    }
}

/// Two removals of one array each, written some days apart, with the places of their items.
fn removed_apart(days_apart: u64) -> (tempfile::TempDir, dalsegno::Registry, [Apart; 2]) {
    let (folder, registry) = base();
    let removals = [(ONE, 0), (TWO, days_apart)].map(|(path, days)| {
        write(folder.path(), path);
        fs::write(folder.path().join(path).join("of"), path).unwrap();
        date(&folder.path().join(path), days);
        registry.record(&crate::key(path)).unwrap();
        let all = dalsegno::RefreshOptions::default().all(true);
        registry.refresh(&Filter::default(), all, &Silent).unwrap();
        let target = crate::target(path);
        let report = registry.remove_target(&target, &kept(), &Silent).unwrap();
        let id = report.removal.unwrap();
        let item = folder.path().join(TRASH).join(id.as_str()).join("0");
        Apart { path, id, item }
    });
    (folder, registry, removals)
}

struct Apart {
    path: &'static str,
    id: RemovalId,
    item: PathBuf,
}

fn exchange([one, other]: &[Apart; 2]) {
    renameat_with(CWD, &one.item, CWD, &other.item, RenameFlags::EXCHANGE).unwrap();
}

fn come_back(registry: &dalsegno::Registry, removals: &[Apart; 2]) {
    for one in removals {
        let target = RestoreTarget::Removal(one.id.clone());
        registry.restore_as_planned(&target).unwrap();
        let of = registry.base().join(one.path).join("of");
        assert_eq!(fs::read_to_string(of).unwrap(), one.path);
    }
}

#[test]
fn items_that_were_exchanged_between_removals_do_not_come_back() {
    for days_apart in [1, 0] {
        let (_folder, registry, removals) = removed_apart(days_apart);
        exchange(&removals);
        for (one, other) in [(0, 1), (1, 0)] {
            let (one, other) = (&removals[one], &removals[other]);
            for target in [
                RestoreTarget::Removal(one.id.clone()),
                RestoreTarget::Path(one.path.into()),
            ] {
                let error = registry.restore_as_planned(&target).unwrap_err();
                assert_eq!(error.code(), "trash-untrusted");
                let text = error.to_string();
                let found = format!(
                    "item 0 of removal {}, which was at {}, and not {}",
                    other.id, other.path, one.path
                );
                assert!(text.contains(&found), "{text}");
                assert!(text.contains(&one.item.display().to_string()), "{text}");
            }
        }
        assert!(paths(&registry).is_empty());
        exchange(&removals);
        come_back(&registry, &removals);
    }
}

#[test]
fn an_item_that_was_moved_to_another_removal_does_not_come_back_as_its_own() {
    for days_apart in [1, 0] {
        let (folder, registry, [one, other]) = removed_apart(days_apart);
        let aside = folder.path().join("aside");
        fs::rename(&one.item, &aside).unwrap();
        fs::rename(&other.item, &one.item).unwrap();
        let restored = registry.restore_as_planned(&RestoreTarget::Removal(one.id.clone()));
        assert_eq!(code(restored), "trash-untrusted");
        fs::rename(&one.item, &other.item).unwrap();
        fs::rename(&aside, &one.item).unwrap();
        come_back(&registry, &[one, other]);
    }
}

/// Also if the inode of a copy is one that another manifest names by chance.
#[test]
fn a_trash_of_several_removals_that_was_copied_comes_back() {
    for is_by_chance in [false, true] {
        let (folder, registry, removals) = removed_apart(1);
        let inode = |path: &Path| std::os::unix::fs::MetadataExt::ino(&fs::metadata(path).unwrap());
        let old = inode(&removals[1].item);
        for (number, one) in removals.iter().enumerate() {
            let copy = one.item.with_extension("copy");
            let status = std::process::Command::new("cp")
                .arg("-a")
                .args([&one.item, &copy])
                .status();
            assert!(status.unwrap().success());
            fs::rename(&one.item, folder.path().join(number.to_string())).unwrap();
            fs::rename(&copy, &one.item).unwrap();
        }
        if is_by_chance {
            let manifest = removals[1].item.with_file_name("manifest.json");
            let text = fs::read_to_string(&manifest).unwrap();
            let new = inode(&removals[0].item).to_string();
            assert!(text.contains(&old.to_string()), "{text}");
            fs::write(&manifest, text.replace(&old.to_string(), &new)).unwrap();
        }
        come_back(&registry, &removals);
    }
}
