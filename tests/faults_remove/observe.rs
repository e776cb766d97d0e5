//! The state of disk and catalog, read without the library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rusqlite::Connection;

use crate::plain;

/// Where an artifact is, row and data.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Where {
    /// The row is there, and the data in its place.
    Place,
    /// The row is in a kept removal, and the data is whole in the removal's folder.
    Trash,
    /// Neither row nor data is there.
    Gone,
}

/// An artifact in a removal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Removed {
    pub(crate) removal: String,
    pub(crate) item: Option<i64>,
    pub(crate) is_restored: bool,
}

/// Everything that can be observed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Observed {
    /// Each row as text, by its path.
    pub(crate) rows: BTreeMap<String, String>,
    /// State of each removal: 0 kept, 1 being purged, 2 purged, 3 restored.
    pub(crate) removals: BTreeMap<String, i64>,
    /// Removed artifacts by their path.
    pub(crate) removed: BTreeMap<String, Vec<Removed>>,
    /// Mode and content of every file and folder below the scene except the catalog's.
    pub(crate) tree: BTreeMap<String, String>,
    /// Names in the trash.
    pub(crate) trash: BTreeSet<String>,
    /// Files with a second name.
    pub(crate) linked: BTreeSet<String>,
}

const TRASH: &str = "base/.dalsegno/trash/";

impl Observed {
    /// Observes a scene: a folder with a base directory in it.
    pub(crate) fn of(scene: &Path) -> Self {
        let mut seen = Self {
            rows: BTreeMap::new(),
            removals: BTreeMap::new(),
            removed: BTreeMap::new(),
            tree: BTreeMap::new(),
            trash: BTreeSet::new(),
            linked: BTreeSet::new(),
        };
        seen.read_tree(scene, "");
        seen.read_catalog(&scene.join("base/.dalsegno"));
        seen
    }

    fn read_tree(&mut self, scene: &Path, folder: &str) {
        for entry in fs::read_dir(scene.join(folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = if folder.is_empty() {
                name
            } else {
                format!("{folder}/{name}")
            };
            if path.starts_with("base/.dalsegno/catalog.sqlite3")
                || path.starts_with("base/.dalsegno/backups/")
            {
                continue;
            }
            let metadata = entry.metadata().unwrap();
            let content = if metadata.is_dir() {
                self.read_tree(scene, &path);
                String::new()
            } else {
                assert!(metadata.is_file(), "{path}");
                fs::read_to_string(entry.path()).unwrap()
            };
            if let Some(id) = path.strip_prefix(TRASH)
                && !id.contains('/')
            {
                self.trash.insert(id.to_owned());
            }
            if metadata.is_file() && metadata.nlink() > 1 {
                self.linked.insert(path.clone());
            }
            self.tree
                .insert(path, format!("{:o} {content}", metadata.mode()));
        }
    }

    /// Reads a copy, so that the next open finds what the last process left.
    fn read_catalog(&mut self, folder: &Path) {
        let copy = tempfile::tempdir().unwrap();
        for name in ["catalog.sqlite3", "catalog.sqlite3-wal"] {
            if folder.join(name).exists() {
                fs::copy(folder.join(name), copy.path().join(name)).unwrap();
            }
        }
        let catalog = Connection::open(copy.path().join("catalog.sqlite3")).unwrap();
        let check: String = catalog
            .query_row("PRAGMA integrity_check", [], |row| row.get(0))
            .unwrap();
        assert_eq!(check, "ok");
        let each = |sql: &str, take: &mut dyn FnMut(&rusqlite::Row<'_>)| {
            let mut statement = catalog.prepare(sql).unwrap();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                take(row);
            }
        };
        each(
            "SELECT path, concat_ws('|', id, run, kind, iteration, dataset, parameters, state,
                 origin, bytes, files, recorded_at, written_at, sealed_at, content_hash) FROM artifact_view",
            &mut |row| {
                let old = self.rows.insert(row.get(0).unwrap(), row.get(1).unwrap());
                assert_eq!(old, None, "two rows of one path");
            },
        );
        each("SELECT id, state FROM removal", &mut |row| {
            self.removals
                .insert(row.get(0).unwrap(), row.get(1).unwrap());
        });
        each(
            "SELECT c.path || iif(r.array = '', '', '/' || r.array), r.removal_id, r.item,
                 r.restored_at IS NOT NULL
             FROM removed AS r JOIN container AS c ON c.id = r.container_id",
            &mut |row| {
                let of_path: &mut Vec<Removed> =
                    self.removed.entry(row.get(0).unwrap()).or_default();
                of_path.push(Removed {
                    removal: row.get(1).unwrap(),
                    item: row.get(2).unwrap(),
                    is_restored: row.get(3).unwrap(),
                });
            },
        );
    }

    /// What lies below a path, relative to it, the folder itself included.
    pub(crate) fn below(&self, path: &str) -> BTreeMap<&str, &str> {
        let inside = format!("{path}/");
        let itself = self.tree.get(path).map(|line| ("", line.as_str()));
        let rest = self
            .tree
            .range(inside.clone()..)
            .take_while(|(name, _)| name.starts_with(&inside));
        itself
            .into_iter()
            .chain(rest.map(|(name, line)| (&name[inside.len()..], line.as_str())))
            .collect()
    }

    /// Where the data of an artifact lies in the trash, as the catalog says.
    fn trash_of(&self, path: &str) -> Option<String> {
        let removed = self.removed.get(path)?.iter().find(|removed| {
            !removed.is_restored && self.removals.get(&removed.removal) == Some(&0)
        })?;
        let item = format!("{TRASH}{}/{}", removed.removal, removed.item?);
        // In a container that was moved as a whole, the array keeps its path.
        let container = path.split_inclusive('/').take(2).collect::<String>();
        let nested = format!("{item}/{}", &path[container.len()..]);
        Some(if self.tree.contains_key(&nested) {
            nested
        } else {
            item
        })
    }

    /// Where an artifact is; panics if row and data do not agree.
    pub(crate) fn place(&self, original: &Self, path: &str) -> Where {
        let full = format!("base/{path}");
        let data = original.below(&full);
        let is_file = path.contains("/checkpoints/");
        assert!(
            data.len() > 5 || (is_file && data.len() == 1),
            "{path} has files"
        );
        let is_in_place = self.below(&full) == data;
        let row = self.rows.get(path);
        if let Some(row) = row {
            assert_eq!(row, &original.rows[path]);
            assert!(is_in_place, "{path} has a row and not its data");
            return Where::Place;
        }
        assert!(self.below(&full).is_empty(), "{path} has data and no row");
        if let Some(trash) = self.trash_of(path) {
            assert_eq!(self.below(&trash), data, "{path} is not whole in the trash");
            return Where::Trash;
        }
        for (content, file) in original.files_of(path) {
            let found = self.find(content);
            assert!(
                found.is_empty(),
                "{file} is at {found:?}, and not in the catalog"
            );
        }
        let last = self.removed.get(path).and_then(|removed| removed.last());
        let state = last.and_then(|last| self.removals.get(&last.removal));
        assert_eq!(
            state,
            Some(&2),
            "{path} is gone and its removal not noted as purged"
        );
        Where::Gone
    }

    /// The files of an artifact: mode and content, which no other file has, and path.
    fn files_of(&self, path: &str) -> Vec<(&str, String)> {
        let full = format!("base/{path}");
        let files = self
            .below(&full)
            .into_iter()
            .filter(|(_, line)| !line.ends_with(' '));
        files
            .map(|(name, line)| {
                let file = format!("{full}/{name}");
                (line, file.trim_end_matches('/').to_owned())
            })
            .collect()
    }

    /// Where a file with this mode and content is.
    fn find(&self, content: &str) -> Vec<&str> {
        let found = self.tree.iter().filter(|(_, line)| *line == content);
        found.map(|(path, _)| path.as_str()).collect()
    }

    /// Checks that every file is once in its place or in the trash; or is gone by a committed
    /// removal that does not keep it. Without `RENAME_NOREPLACE` a file may have two names.
    pub(crate) fn assert_nothing_lost(&self, original: &Self) {
        for path in original.rows.keys() {
            for (content, file) in original.files_of(path) {
                match self.find(content)[..] {
                    [found] => {
                        let suffix = found
                            .strip_prefix(TRASH)
                            .map(|rest| rest.splitn(3, '/').nth(2).unwrap_or_default());
                        let fits = suffix.map_or(found == file, |suffix| file.ends_with(suffix));
                        assert!(fits, "{file} is at {found}");
                    }
                    [] => {
                        let removed = self.removed.get(path).and_then(|removed| removed.last());
                        let state = removed.and_then(|last| self.removals.get(&last.removal));
                        assert!(
                            matches!(state, Some(1 | 2)),
                            "{file} is lost; its removal has state {state:?}"
                        );
                        assert!(
                            !self.rows.contains_key(path),
                            "{file} is lost and has a row"
                        );
                    }
                    ref both if plain::is_on() && both.len() == 2 => {
                        let are_linked = both.iter().all(|path| self.linked.contains(*path));
                        assert!(are_linked, "{file} is twice, at {both:?}");
                    }
                    ref several => panic!("{file} is at {several:?}"),
                }
            }
        }
    }

    /// Checks that rows and files of other artifacts, and files beside the base, are unchanged.
    pub(crate) fn assert_others_untouched(&self, original: &Self, targets: &[String]) {
        let is_other = |path: &str| {
            let path = path.strip_prefix("base/").unwrap_or(path);
            !targets
                .iter()
                .any(|target| path == target || path.starts_with(&format!("{target}/")))
        };
        for (path, row) in original.rows.iter().filter(|(path, _)| is_other(path)) {
            assert_eq!(self.rows.get(path), Some(row), "the row of {path}");
        }
        for (path, line) in original.tree.iter().filter(|(path, _)| is_other(path)) {
            // A folder that held only targets, and a container's own metadata, may go with them.
            let leads = targets
                .iter()
                .any(|target| format!("base/{target}/").starts_with(&format!("{path}/")));
            let is_group = path == "base/whole/validation.zarr/.zgroup";
            let found = self.tree.get(path);
            assert!(
                found == Some(line) || (found.is_none() && (leads || is_group)),
                "{path} was {line:?} and is {found:?}"
            );
        }
    }
}
