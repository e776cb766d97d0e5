//! Which items of a removal come back: what each of them is now, in the trash.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use super::exchanged::{AllItems, Identities};
use super::lost;
use super::parts::{Item, WayBack};
use crate::catalog::RemovalView;
use crate::error::Error;
use crate::model::artifact::Artifact;
use crate::model::layout;
use crate::model::removal::{RemovalId, RemovalState};
use crate::ops::inner::RegistriesAround;
use crate::ops::remove::checked_item;
use crate::store::{
    self, Base, Claim, EntryType, FolderForms, ManifestItems, TrashFolder, TrashItem,
};

/// The part of one removal that comes back.
#[derive(Debug, Clone, Default)]
pub(super) struct RestorePart {
    /// The numbers of the artifacts that are wanted of each item.
    pub(super) items: BTreeMap<u32, BTreeSet<i64>>,
    /// Artifacts that had no data.
    pub(super) rows: Vec<Artifact>,
    /// Whether items without an artifact are wanted too.
    pub(super) is_whole: bool,
}

/// A removal whose items are looked at.
struct Look<'a> {
    base: &'a Base,
    view: &'a RemovalView<'a>,
    folder: Option<&'a TrashFolder>,
    id: &'a RemovalId,
    manifest: Option<&'a ManifestItems>,
    /// What the manifest says of each item, and who may have written that.
    named: HashMap<u32, (&'a TrashItem, &'a Claim)>,
    identities: Identities<'a>,
}

/// Decides what of a removal comes back, by what is in the trash and at its old places now.
pub(super) fn way_back(
    base: &Base,
    view: &RemovalView<'_>,
    folder: Option<&TrashFolder>,
    (id, part): (&RemovalId, &RestorePart),
    all: &AllItems,
) -> Result<WayBack, Error> {
    match view.removal(id)? {
        None => {
            return Err(Error::NoRemoval {
                id: id.to_string(),
                nearest: None,
            });
        }
        Some(open) if open.state != RemovalState::Kept => {
            let state = open.state.as_str();
            return Err(Error::NotRestorable {
                id: id.to_string(),
                state,
            });
        }
        Some(_) => {}
    }
    let manifest = folder.map_or(Ok(None), TrashFolder::manifest)?;
    let named = manifest.as_ref().map(ManifestItems::by_number);
    let look = Look {
        base,
        view,
        folder,
        id,
        manifest: manifest.as_ref(),
        named: named.unwrap_or_default(),
        identities: Identities::new(base, id, all),
    };
    let mut back = WayBack::default();
    let mut items = part.items.clone();
    if let (true, Some(folder)) = (part.is_whole, folder) {
        // All their artifacts are back, and something beside them had no place.
        for &number in look.named.keys() {
            if folder.has(number)? && view.path_of_item(id, number)?.is_some() {
                items.entry(number).or_default();
            }
        }
    }
    for (&number, wanted) in &items {
        let rows = view.of_item(id, number)?;
        let unknown = || Error::NotInTrash {
            what: format!("item {number} of removal {id}"),
            nearest: None,
        };
        let path = view.path_of_item(id, number)?.ok_or_else(unknown)?;
        let ways = std::mem::take(&mut back.around);
        match look.item(number, &path, rows, wanted, ways) {
            Ok(item) => back.append(item),
            // What cannot be opened is not known to be gone: it stays, as it is.
            Err(Error::Storage(error)) if error.is_permission() => {
                let trashed = look.trashed(number);
                let error = store::why_stays(base, Path::new(&path), &trashed, error);
                let rows = view.of_item(id, number)?.into_iter();
                let rows = rows.filter(|row| wanted.contains(&row.id.0));
                let paths = rows.map(|row| row.path());
                back.skip_each(error.into(), paths, base.path().join(&path));
            }
            Err(error) => return Err(error),
        }
    }
    for row in &part.rows {
        match back.add_row(base, view, row) {
            Err(Error::Storage(error)) if error.is_permission() => {
                let path = row.location().path();
                let path = Path::new(&path);
                let error = store::why_stays(base, path, path, error);
                back.skip(row.path(), error.into());
            }
            added => added?,
        }
    }
    back.leave_shells(folder)?;
    Ok(back)
}

impl Look<'_> {
    /// Where an item is, relative to the base directory.
    fn trashed(&self, number: u32) -> PathBuf {
        let folder = self.folder.map_or(Path::new(""), TrashFolder::path);
        let folder = folder.strip_prefix(self.base.path()).unwrap_or(folder);
        folder.join(number.to_string())
    }

    /// What comes back of an item that was at a path, and holds these artifacts.
    fn item(
        &self,
        number: u32,
        path: &str,
        rows: Vec<Artifact>,
        wanted: &BTreeSet<i64>,
        around: RegistriesAround,
    ) -> Result<WayBack, Error> {
        let (base, view, id, folder) = (self.base, self.view, self.id, self.folder);
        let path = path.to_owned();
        let mut back = WayBack::around(around);
        let is_run =
            |run: &str| rows.is_empty() || rows.iter().any(|row| row.key.run().as_str() == run);
        // A row is input too: its path must lead neither out of the base directory nor to another
        // run.
        checked_item(&path, is_run)?;
        let form = form_of(&rows, &path);
        let there = match folder {
            Some(folder) => folder.identify(number, form)?.map(|entry| (folder, entry)),
            None => None,
        };
        let Some((folder, entry)) = there else {
            // Another thing of that name: what became of the item is not known.
            if let Some(folder) = folder
                && folder.has(number)?
            {
                let path = folder.path().join(number.to_string());
                back.add_exchanged((base, &path), form, &rows);
                return Ok(back);
            }
            back.add_lost(base, id, (number, &path), &rows);
            return Ok(back);
        };
        // A manifest is input: data only comes back to the path that its rows have.
        let is_at = |row: &Artifact| Path::new(&row.location().path()).starts_with(&path);
        if !rows.iter().all(is_at) {
            let detail = format!("item {number} of removal {id} was not at {path}");
            return Err(view.damaged(detail).into());
        }
        let named = self
            .named
            .get(&number)
            .copied()
            // What the manifest says counts only if it agrees with the rows.
            .filter(|(named, _)| (&named.path, named.entry_type) == (&path, form));
        if let (Some((named, _)), Some(manifest)) = (named, self.manifest) {
            self.identities
                .require_same(folder, manifest, (named, entry), &rows)?;
        }
        let item = TrashItem {
            item: number,
            path,
            entry_type: form,
            part: None,
            listed_in: named.map_or_else(Vec::new, |(named, _)| named.listed_in.clone()),
            entry,
        };
        // What the manifest says of folders counts as far as its writers are among the claimants.
        let forms = match (named, self.manifest) {
            (Some(_), Some(manifest)) => FolderForms::new(manifest.folders.iter().cloned()),
            _ => FolderForms::default(),
        };
        let (mut rows, lost) = lost::part_lost(folder, (number, &item.path), rows);
        let mut wanted = wanted.clone();
        let mut all = rows.iter().chain(&lost);
        let is_whole = all.all(|row| wanted.contains(&row.id.0));
        // As with what has no row, it comes with all of its item.
        let put_back = lost::put_back(view, (id, folder), (number, &item.path))?;
        wanted.extend(put_back.iter().filter(|_| is_whole).map(|row| row.id.0));
        rows.extend(put_back);
        back.add(Item {
            base,
            view,
            removal: id,
            folder,
            claim: folder.claim(&number.to_string(), named)?,
            forms,
            item,
            rows,
            lost,
            wanted,
        })?;
        Ok(back)
    }
}

/// Whether the thing that was moved from a path is a folder or a file: by the row of that path, or
/// by the layout if no row has it.
fn form_of(rows: &[Artifact], path: &str) -> EntryType {
    let is_file = match rows {
        [] => layout::parse(path).is_ok_and(|key| key.kind().is_file()),
        rows => rows
            .iter()
            .any(|row| row.key.kind().is_file() && row.location().path() == path),
    };
    if is_file {
        EntryType::File
    } else {
        EntryType::Folder
    }
}
