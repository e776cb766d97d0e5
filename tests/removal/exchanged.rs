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
