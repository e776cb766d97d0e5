//! What of an item comes back: all of it by one rename if its place is free, otherwise the parts
//! that have no counterpart.
//!
//! A counterpart is a row with data, or anything on disk but an empty folder. The folders of an
//! item are gone through as far as they are groups on both sides: a part is the highest folder that
//! is wanted as a whole and has no counterpart. Metadata of a group that has its own now stays, and
//! is named if nothing else of the item stays and its bytes differ. Arrays are never mixed: what lies in one, on either
//! side, stays where it is.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use crate::catalog::RemovalView;
use crate::error::Error;
use crate::model::artifact::{Artifact, State};
use crate::model::layout;
use crate::model::removal::RemovalId;
use crate::ops::inner::RegistriesAround;
use crate::ops::remove::Skipped;
use crate::store::{
    self, Base, Claim, EntryType, FolderForms, StorageError, TrashEntry, TrashFolder, TrashItem,
    entry_at,
};

/// What comes back of a removal, and what stays in the trash.
#[derive(Default)]
pub(super) struct WayBack {
    pub(super) moves: Vec<Move>,
    pub(super) rows: Vec<RowBack>,
    pub(super) skipped: Vec<Skipped>,
    /// Why the first of them stays.
    pub(super) first: Option<Error>,
    /// Numbers of items that are not in the trash any more.
    pub(super) lost: Vec<u32>,
    /// Artifacts that are not in their items any more.
    pub(super) lost_rows: Vec<Artifact>,
    /// Group metadata, of the item that is looked at, that differs from what is at its place.
    kept_groups: Vec<PathBuf>,
    /// Data that goes into another registry would have no row there.
    pub(super) around: RegistriesAround,
}

/// An item, or a part of one, that goes back.
pub(super) struct Move {
    pub(super) item: TrashItem,
    pub(super) claim: Claim,
    /// What the folders above it were like.
    pub(super) forms: FolderForms,
}

/// A row that comes back.
pub(super) struct RowBack {
    pub(super) artifact: Artifact,
    /// Whether a row without data is at its place.
    pub(super) is_over: bool,
}

/// An item that is looked at.
pub(super) struct Item<'a> {
    pub(super) base: &'a Base,
    pub(super) view: &'a RemovalView<'a>,
    pub(super) removal: &'a RemovalId,
    pub(super) folder: &'a TrashFolder,
    pub(super) item: TrashItem,
    pub(super) claim: Claim,
    pub(super) forms: FolderForms,
    /// Its artifacts that are in the trash.
    pub(super) rows: Vec<Artifact>,
    /// Those that were deleted in it by hand.
    pub(super) lost: Vec<Artifact>,
    /// Numbers of those that are wanted, of both.
    pub(super) wanted: BTreeSet<i64>,
}

impl WayBack {
    /// What of it comes back if other artifacts come back to these paths before.
    pub(super) fn beside(mut self, taken: &HashSet<PathBuf>) -> Self {
        let (rows, occupied): (Vec<_>, Vec<_>) = std::mem::take(&mut self.rows)
            .into_iter()
            .partition(|back| !taken.contains(&back.artifact.path()));
        self.rows = rows;
        for back in occupied {
            let path = back.artifact.path();
            self.moves
                .retain(|back| !path.ends_with(Path::new(&back.item.path)));
            self.skip(path.clone(), Error::Occupied { path });
        }
        self
    }

    /// Nothing yet, with what is known of registries around it.
    pub(super) fn around(around: RegistriesAround) -> Self {
        Self {
            around,
            ..Self::default()
        }
    }

    /// Adds what comes back, and what stays, of another item of the same removal.
    pub(super) fn append(&mut self, item: Self) {
        self.moves.extend(item.moves);
        self.rows.extend(item.rows);
        self.skipped.extend(item.skipped);
        self.first = self.first.take().or(item.first);
        self.lost.extend(item.lost);
        self.lost_rows.extend(item.lost_rows);
        self.around = item.around;
    }

    pub(super) fn skip(&mut self, path: PathBuf, error: Error) {
        let mut skipped = Skipped::new(path, &error);
        if let Error::Storage(StorageError::NotMovable {
            share: Some(share), ..
        }) = &error
        {
            skipped.reason += &format!("; {share}");
        }
        self.skipped.push(skipped);
        self.first.get_or_insert(error);
    }

    /// Names what cannot come back because of one error, or `place` if nothing is named.
    pub(super) fn skip_each(
        &mut self,
        error: Error,
        paths: impl IntoIterator<Item = PathBuf>,
        place: PathBuf,
    ) {
        let mut error = Some(error);
        let mut is_named = false;
        for path in paths {
            is_named = true;
            let next = error.as_ref().map(|error| of_next(error, path.clone()));
            if let Some(error) = std::mem::replace(&mut error, next) {
                self.skip(path, error);
            }
        }
        if let Some(error) = error.filter(|_| !is_named) {
            self.skip(place, error);
        }
    }

    /// Adds an item that is not in the trash any more, with its artifacts.
    pub(super) fn add_lost(
        &mut self,
        base: &Base,
        removal: &RemovalId,
        (item, path): (u32, &str),
        rows: &[Artifact],
    ) {
        self.lost.push(item);
        let of_rows = rows.iter().map(Artifact::path);
        // All of its rows are back already, or it never had any.
        let itself = rows.is_empty().then(|| base.path().join(path));
        for path in of_rows.chain(itself) {
            let removal = removal.clone();
            self.skip(path.clone(), Error::LostInTrash { path, removal });
        }
    }

    /// Adds an item in whose place in the trash, `item`, is a thing of another type: it stays as it
    /// is, with its artifacts.
    pub(super) fn add_exchanged(
        &mut self,
        (base, item): (&Base, &Path),
        form: EntryType,
        rows: &[Artifact],
    ) {
        let itself = rows.is_empty().then(|| base.path().join(item));
        for of in rows.iter().map(Artifact::path).chain(itself) {
            let path = item.to_path_buf();
            let error = match form {
                EntryType::Folder => StorageError::NotAFolder { path },
                EntryType::File => StorageError::NotAFile { path },
            };
            self.skip(of, error.into());
        }
    }

    /// Adds a row that has no data in the trash, unless its place is taken.
    pub(super) fn add_row(
        &mut self,
        base: &Base,
        view: &RemovalView<'_>,
        row: &Artifact,
    ) -> Result<(), Error> {
        // The folder of a container may be there: its row comes back beside it.
        let obstacle = match row.key.kind().is_container() {
            true => None,
            false => self.obstacle_at(base, &row.location().path(), form_of_row(row))?,
        };
        match (obstacle, row_at(view, row)?) {
            (None, RowAt::Taken) => self.skip(row.path(), Error::Occupied { path: row.path() }),
            (None, at) => self.rows.push(RowBack {
                artifact: row.clone(),
                is_over: at == RowAt::WithoutData,
            }),
            (Some(error), _) => self.skip(row.path(), error),
        }
        Ok(())
    }

    /// Adds an item, or the parts of it that can come back.
    pub(super) fn add(&mut self, mut item: Item<'_>) -> Result<(), Error> {
        let is_itself = |row: &&Artifact| row.location().path() == item.item.path;
        let names_all = item.rows.iter().find(is_itself);
        // A container that is wanted is wanted with all that is in it.
        if names_all.is_some_and(|row| item.is_wanted(row)) {
            let all = item.rows.iter().chain(&item.lost);
            item.wanted.extend(all.map(|row| row.id.0));
        }
        if item.is_all_lost() && !item.rows.is_empty() {
            // What is beside it was not asked for.
            let wanted = item.lost.iter().filter(|row| item.is_wanted(row));
            self.add_lost_rows(item.removal, wanted);
            return Ok(());
        }
        let path = item.item.path.clone();
        let obstacle = self.obstacle(&item, &path, item.item.entry_type, &item.rows)?;
        let Some(obstacle) = obstacle else {
            // One rename brings all of it back, with what the registry does not know.
            if self.take(&item, item.item.clone(), &item.rows)? {
                self.add_lost_rows(item.removal, item.lost.iter());
            }
            return Ok(());
        };
        let mut seen = HashSet::new();
        let before = self.skipped.len();
        // Parts can go into a folder; a file or a link in the way leaves no room for them.
        if item.item.entry_type.is_folder() && is_folder(&obstacle) {
            self.add_group(&item, "", &mut seen)?;
        } else {
            self.skip_all(&item, &path, obstacle, &mut seen);
        }
        // The row of the container itself, and rows that have no data in it.
        let unseen = |row: &&Artifact| item.is_wanted(row) && !seen.contains(&row.id.0);
        for row in item.rows.iter().filter(unseen) {
            self.add_row(item.base, item.view, row)?;
        }
        let lost = item.lost.iter().filter(|row| item.is_wanted(row));
        self.add_lost_rows(item.removal, lost);
        let groups = std::mem::take(&mut self.kept_groups);
        // If more stays, that is what the user asks for again.
        if self.skipped.len() == before {
            for path in groups {
                self.skip(path.clone(), Error::Occupied { path });
            }
        }
        Ok(())
    }

    /// Adds what is moved with its rows. `false` if it stays, and is named: a user who may have put
    /// it into the trash may not write where it goes, or this user may not move it there.
    fn take(
        &mut self,
        item: &Item<'_>,
        moved: TrashItem,
        rows: &[Artifact],
    ) -> Result<bool, Error> {
        let (claim, forms) = match moved.part {
            None => (item.claim.clone(), item.forms.clone()),
            // What is made again on the way to a part is like the folders that are in the trash.
            Some(_) => (
                item.folder.claim_of_part(&moved, &item.claim)?,
                item.folder.forms_around(&moved, &item.item.path)?,
            ),
        };
        match item.folder.check_way_back(item.base, &moved, &claim) {
            Err(error @ StorageError::Untrusted { .. }) => {
                self.skip_rows(item, &moved.path, error.into(), rows);
                return Ok(false);
            }
            checked => checked?,
        }
        let trashed = in_trash(item.base, item.folder, &moved);
        let place = Path::new(&moved.path);
        match store::require_put_back(item.base, place, &trashed, moved.entry_type) {
            Err(error) if error.is_permission() => {
                self.skip_rows(item, &moved.path, error.into(), rows);
                return Ok(false);
            }
            checked => checked?,
        }
        for row in rows {
            self.rows.push(RowBack {
                artifact: row.clone(),
                is_over: row_at(item.view, row)? == RowAt::WithoutData,
            });
        }
        self.moves.push(Move {
            item: moved,
            claim,
            forms,
        });
        Ok(true)
    }

    /// Goes through a folder of the item that cannot come back as a whole. Says whether something
    /// of it comes back.
    fn add_group(
        &mut self,
        item: &Item<'_>,
        part: &str,
        seen: &mut HashSet<i64>,
    ) -> Result<bool, Error> {
        let place = joined(&item.item.path, part);
        if item.is_array_on_a_side(part, &place)? {
            self.skip_all(
                item,
                &place,
                Error::Occupied {
                    path: item.full(&place),
                },
                seen,
            );
            return Ok(false);
        }
        let entries = item.folder.entries(item.item.item, part)?;
        // The files of the group are decided last: they come back if anything else does.
        let (group_files, others): (Vec<TrashEntry>, Vec<TrashEntry>) =
            entries.into_iter().partition(|entry| {
                entry.entry_type == Some(EntryType::File) && store::is_group_file(&entry.name)
            });
        let mut comes = false;
        for entry in others {
            comes |= self.add_entry(item, part, &entry, seen)?;
        }
        // The metadata of a group comes back with what is in it, unless the group has its own now.
        let is_wanted = comes || item.is_whole();
        let is_free = is_wanted && !store::has_group_metadata(item.base, Path::new(&place))?;
        for entry in group_files {
            let child = joined(part, &entry.name);
            if !is_free {
                // What is there with the same bytes is as good as back.
                if item.is_whole()
                    && let Some(file) = item.part(&child, EntryType::File)?
                    && !item.folder.is_same_at(item.base, &file)
                {
                    self.kept_groups.push(item.full(&file.path));
                }
            } else if let Some(moved) = item.part(&child, EntryType::File)? {
                self.take(item, moved, &[])?;
            }
        }
        Ok(comes)
    }

    fn add_entry(
        &mut self,
        item: &Item<'_>,
        part: &str,
        entry: &TrashEntry,
        seen: &mut HashSet<i64>,
    ) -> Result<bool, Error> {
        let child = joined(part, &entry.name);
        let place = joined(&item.item.path, &child);
        let rows = item.rows_in(&place);
        let wanted = rows.iter().filter(|row| item.is_wanted(row)).count();
        let is_unknown = rows.is_empty();
        // What no row names comes back only if all of the item is wanted.
        if wanted == 0 && !(is_unknown && item.is_whole()) {
            return Ok(false);
        }
        // A pipe, socket or device is never moved.
        let Some(form) = entry.entry_type else {
            let path = item.full(&place);
            self.skip(path.clone(), StorageError::NotAFile { path }.into());
            return Ok(false);
        };
        let obstacle = self.obstacle(item, &place, form, &rows)?;
        // If a row below is not wanted, the folder has to be gone through.
        if obstacle.is_none()
            && wanted == rows.len()
            && let Some(moved) = item.part(&child, form)?
        {
            seen.extend(rows.iter().map(|row| row.id.0));
            return self.take(item, moved, &rows);
        }
        // A folder that is the path of a row is an array, which comes back whole or not at all.
        let is_group = form.is_folder() && !rows.iter().any(|row| row.location().path() == place);
        if is_group && obstacle.as_ref().is_none_or(is_folder) {
            return self.add_group(item, &child, seen);
        }
        let path = item.full(&place);
        self.skip_all(
            item,
            &place,
            obstacle.unwrap_or(Error::Occupied { path }),
            seen,
        );
        Ok(false)
    }

    /// What is in the way of these artifacts of an item at a place.
    fn obstacle(
        &mut self,
        item: &Item<'_>,
        place: &str,
        form: EntryType,
        rows: &[Artifact],
    ) -> Result<Option<Error>, Error> {
        if let Some(error) = self.obstacle_at(item.base, place, form)? {
            return Ok(Some(error));
        }
        for row in rows {
            // An artifact is not in its own way.
            if row_at(item.view, row)? == RowAt::Taken {
                return Ok(Some(Error::Occupied { path: row.path() }));
            }
        }
        Ok(None)
    }

    /// What is in the way at a path on disk, or around it.
    fn obstacle_at(
        &mut self,
        base: &Base,
        path: &str,
        form: EntryType,
    ) -> Result<Option<Error>, Error> {
        match self.around.check(base, Path::new(path)) {
            Err(error) => Ok(Some(error)),
            Ok(()) => obstacle_at(base, path, form),
        }
    }

    /// Names what is wanted at and below a place and cannot come back.
    fn skip_all(&mut self, item: &Item<'_>, place: &str, error: Error, seen: &mut HashSet<i64>) {
        let mut rows = item.rows_in(place);
        let is_unknown = rows.is_empty();
        rows.retain(|row| item.is_wanted(row));
        seen.extend(rows.iter().map(|row| row.id.0));
        if is_unknown || !rows.is_empty() {
            self.skip_rows(item, place, error, &rows);
        }
    }

    /// Names these artifacts of a place, or the place if it has none, which cannot come back.
    fn skip_rows(&mut self, item: &Item<'_>, place: &str, error: Error, rows: &[Artifact]) {
        self.skip_each(error, rows.iter().map(Artifact::path), item.full(place));
    }
}

impl Item<'_> {
    pub(super) fn is_wanted(&self, row: &Artifact) -> bool {
        self.wanted.contains(&row.id.0)
    }

    /// Whether all that the registry knows of it is wanted: then so is what it does not know.
    fn is_whole(&self) -> bool {
        let mut all = self.rows.iter().chain(&self.lost);
        all.all(|row| self.is_wanted(row))
    }

    fn full(&self, place: &str) -> PathBuf {
        self.base.path().join(place)
    }

    /// Its artifacts at and below a place.
    fn rows_in(&self, place: &str) -> Vec<Artifact> {
        let is_in = |row: &&Artifact| Path::new(&row.location().path()).starts_with(place);
        self.rows.iter().filter(is_in).cloned().collect()
    }

    /// A part of it, if something of this type is there.
    fn part(&self, part: &str, form: EntryType) -> Result<Option<TrashItem>, Error> {
        let mut found = TrashItem {
            path: joined(&self.item.path, part),
            entry_type: form,
            part: Some(part.to_owned()),
            ..self.item.clone()
        };
        let Some(entry) = self.folder.identify_at(&found)? else {
            return Ok(None);
        };
        found.entry = entry;
        Ok(Some(found))
    }

    fn is_array_on_a_side(&self, part: &str, place: &str) -> Result<bool, Error> {
        let place = Path::new(place);
        Ok(store::is_array(self.base, place)?
            || store::is_trashed_array(self.folder, self.item.item, part, place)?)
    }
}

/// What row is at the place of a removed artifact.
#[derive(Clone, Copy, PartialEq, Eq)]
enum RowAt {
    Free,
    /// One whose data was never seen, or is gone.
    WithoutData,
    Taken,
}

fn row_at(view: &RemovalView<'_>, removed: &Artifact) -> Result<RowAt, Error> {
    let row = view.at(&layout::canonical_location(&removed.key))?;
    Ok(match row {
        None => RowAt::Free,
        // Also its own: it came back as missing when the data was lost.
        Some(row) if matches!(row.state, State::Reserved | State::Missing) => RowAt::WithoutData,
        Some(row) if row.id == removed.id => RowAt::Free,
        Some(_) => RowAt::Taken,
    })
}

/// What is in the way at a path on disk. An empty folder is no obstacle for a folder.
fn obstacle_at(base: &Base, path: &str, form: EntryType) -> Result<Option<Error>, Error> {
    let at = Path::new(path);
    let occupied = || Error::Occupied {
        path: base.path().join(path),
    };
    match entry_at(base, at, form) {
        Ok(None) => Ok(None),
        Ok(Some(_)) if form.is_folder() && store::is_empty_folder(base, at)? => Ok(None),
        Ok(Some(_)) => Ok(Some(occupied())),
        Err(
            error @ (StorageError::Symlink { .. }
            | StorageError::NotAFolder { .. }
            | StorageError::NotAFile { .. }
            | StorageError::OtherDevice { .. }),
        ) => Ok(Some(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// The same obstacle in the way of what was at another path.
fn of_next(obstacle: &Error, path: PathBuf) -> Error {
    match obstacle {
        Error::InnerRegistry { registry, .. } => Error::InnerRegistry {
            path,
            registry: registry.clone(),
        },
        // Around all of them: the path is what is to be moved away.
        Error::Storage(StorageError::NotAFolder { path }) => {
            StorageError::NotAFolder { path: path.clone() }.into()
        }
        Error::Storage(StorageError::Symlink { path }) => {
            StorageError::Symlink { path: path.clone() }.into()
        }
        Error::Storage(StorageError::OtherDevice { path }) => {
            StorageError::OtherDevice { path: path.clone() }.into()
        }
        Error::Storage(StorageError::Untrusted { path, why }) => {
            let (path, why) = (path.clone(), why.clone());
            StorageError::Untrusted { path, why }.into()
        }
        Error::Storage(StorageError::NotMovable { why, share, .. }) => {
            let (why, share) = (why.clone(), share.clone());
            StorageError::NotMovable { path, why, share }.into()
        }
        _ => Error::Occupied { path },
    }
}

/// Whether a folder may be in the way, which things can go into.
fn is_folder(obstacle: &Error) -> bool {
    !matches!(
        obstacle,
        Error::InnerRegistry { .. }
            | Error::Storage(
                StorageError::Symlink { .. }
                    | StorageError::NotAFolder { .. }
                    | StorageError::OtherDevice { .. }
            )
    )
}

/// Where an item, or a part of one, is: relative to the base directory.
pub(super) fn in_trash(base: &Base, folder: &TrashFolder, item: &TrashItem) -> PathBuf {
    let folder = folder.path();
    let folder = folder.strip_prefix(base.path()).unwrap_or(folder);
    let place = folder.join(item.item.to_string());
    match &item.part {
        Some(part) => place.join(part),
        None => place,
    }
}

fn form_of_row(row: &Artifact) -> EntryType {
    match row.key.kind().is_file() {
        true => EntryType::File,
        false => EntryType::Folder,
    }
}

pub(super) fn joined(path: &str, name: &str) -> String {
    match (path, name) {
        (path, "") => path.to_owned(),
        ("", name) => name.to_owned(),
        (path, name) => format!("{path}/{name}"),
    }
}
