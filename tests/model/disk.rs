//! What is on disk and in the catalog, read without the library.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use rusqlite::Connection;

/// What a row says: number, state, bytes, files, whether it is sealed.
pub(crate) type Row = (i64, i64, Option<i64>, Option<i64>, bool);

/// Everything that the model knows too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Rows by their path.
    pub(crate) rows: BTreeMap<String, Row>,
    /// Files below the base directory, with what is in them.
    pub(crate) files: BTreeMap<String, String>,
    /// Files of each removal in the trash: item and path in it, with what is in them.
    pub(crate) trash: BTreeMap<String, BTreeMap<String, String>>,
    /// State of each removal: 0 kept, 1 being purged, 2 purged, 3 restored.
    pub(crate) removals: BTreeMap<String, i64>,
    /// Folders without anything in them.
    pub(crate) empty: BTreeSet<String>,
}

const TRASH: &str = ".dalsegno/trash/";

impl Seen {
    pub(crate) fn of(base: &Path) -> Self {
        let mut seen = Self::default();
        seen.read_folder(base, "");
        seen.read_catalog(&base.join(".dalsegno/catalog.sqlite3"));
        seen
    }

    fn read_folder(&mut self, base: &Path, folder: &str) {
        let mut is_empty = true;
        for entry in fs::read_dir(base.join(folder)).unwrap() {
            is_empty = false;
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{folder}{name}");
            let catalogs = [
                ".dalsegno/catalog.sqlite3",
                ".dalsegno/backups",
                ".dalsegno/config.toml",
            ];
            if catalogs.iter().any(|own| path.starts_with(own)) {
                continue;
            }
            if entry.file_type().unwrap().is_dir() {
                if let Some(id) = path.strip_prefix(TRASH)
                    && !id.contains('/')
                {
                    self.trash.insert(id.to_owned(), BTreeMap::new());
                }
                self.read_folder(base, &format!("{path}/"));
                continue;
            }
            let text = fs::read_to_string(entry.path()).unwrap();
            match path
                .strip_prefix(TRASH)
                .map(|rest| rest.split_once('/').unwrap())
            {
                Some((_, "manifest.json" | "purging.json")) => {}
                Some((id, inside)) => {
                    let of_removal = self.trash.entry(id.to_owned()).or_default();
                    of_removal.insert(inside.to_owned(), text);
                }
                None => {
                    self.files.insert(path, text);
                }
            }
        }
        if is_empty && folder != TRASH {
            self.empty.insert(folder.to_owned());
        }
    }

    fn read_catalog(&mut self, path: &Path) {
        let catalog = Connection::open(path).unwrap();
        let mut rows = catalog
            .prepare(
                "SELECT c.path || iif(a.array = '', '', '/' || a.array), a.id, a.state, a.bytes,
                     a.files, a.sealed_at IS NOT NULL
                 FROM artifact AS a JOIN container AS c ON c.id = a.container_id",
            )
            .unwrap();
        let rows = rows
            .query_map([], |row| {
                let values = (
                    row.get(1)?,
                    row.get(2)?,
                    row.get(3)?,
                    row.get(4)?,
                    row.get(5)?,
                );
                Ok((row.get(0)?, values))
            })
            .unwrap();
        self.rows = rows.map(Result::unwrap).collect();
        let mut removals = catalog.prepare("SELECT id, state FROM removal").unwrap();
        let removals = removals
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
            .unwrap();
        self.removals = removals.map(Result::unwrap).collect();
    }
}
