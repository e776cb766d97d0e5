//! Writing what was seen of data into rows.

use std::sync::{Arc, LazyLock};

use rusqlite::{OptionalExtension, params};

use super::error::CatalogError;
use super::intern::metadata_number;
use super::journal::Journal;
use super::lookup::BY_ID;
use super::record::Recorder;
use super::rows::{self, Columns, data_columns};
use super::sqlite::file::Catalog;
use super::twins::Doubts;
use crate::model::array::{ChunkSet, MetadataText};
use crate::model::artifact::{Artifact, ArtifactId, State};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::observation::Observation;
use crate::model::operation::{NewOperation, Side};

/// Writes an observation into a row, unless its state is another meanwhile.
pub(super) static OBSERVE: LazyLock<String> = LazyLock::new(|| {
    let columns = data_columns!("");
    let marks = rows::marks(columns);
    format!("UPDATE artifact SET ({columns}) = ({marks}) WHERE id = ? AND state = ?")
});

/// Notes by what the metadata file of a row is known.
pub(super) const KNOW_FILE: &str =
    "UPDATE artifact SET metadata_file = ?2 WHERE id = ?1 AND metadata_file IS NOT ?2";

/// Notes as of when a row was counted.
pub(super) const COUNT_AS_OF: &str =
    "UPDATE artifact SET counted = ?2 WHERE id = ?1 AND counted IS NOT ?2";
/// As of when a row was counted.
pub(super) const COUNTED_AS_OF: &str = "SELECT counted FROM artifact WHERE id = ?1";

/// What was observed of one row, for [`Catalog::observe`].
#[derive(Debug, Clone)]
pub struct ObservedRow {
    /// Which one.
    pub id: ArtifactId,
    /// The state that it had before the look; a row that has changed since is left alone,
    /// unless it is sealed.
    pub state: State,
    /// What was seen; `None` if there was no data.
    pub seen: Option<Observation>,
    /// Whether the writer says that the data is whole.
    pub seal: Option<Seal>,
}

/// The writer's word that data is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seal {
    /// When it was said.
    pub at: Timestamp,
    /// Hash of the data then, if it was read.
    pub content: Option<ContentHash>,
    /// The chunks that were there then, if some were not and they are known.
    pub chunks: Option<ChunkSet>,
}

/// What a call of [`Catalog::observe`] did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Observed {
    /// Number of rows that changed.
    pub changed: u64,
    /// Rows that are as before, because what was seen may not be their data. Sealed ones whose data
    /// looked otherwise than it was sealed: the look may be older than the seal, or what it saw may
    /// be a loss that the seal gives evidence of. And rows whose data has the time of the data of
    /// another run: that may have been renamed.
    pub contradicted: Vec<ArtifactId>,
}

/// What becomes of the seal of a row whose data was seen.
#[derive(Clone)]
pub(super) enum SealChange {
    /// It holds while the data is as it was sealed.
    Keep,
    /// It holds whatever was seen, and so do size and hash.
    Hold,
    /// It is void, however little changed.
    Void,
    /// The data is sealed now.
    Set(Seal),
}

impl Catalog {
    /// Records what was seen of artifacts' data, in one transaction. A look never voids a seal: it
    /// only reports contradictions to one, and data that may be another run's.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise. Nothing is noted then.
    pub fn observe(
        &self,
        operation: NewOperation<'_>,
        notes: &[ObservedRow],
    ) -> Result<Observed, CatalogError> {
        let mut observed = Observed::default();
        // Without a transaction: no turn is waited for to change nothing.
        if notes.is_empty() {
            return Ok(observed);
        }
        self.operate(operation, false, |journal| {
            let mut doubts = Doubts::default();
            self.allow_rows(notes.len() as u64);
            for note in notes {
                let Some(before) = self.one(journal.transaction, BY_ID, params![note.id.0])? else {
                    // Removed since it was looked at.
                    continue;
                };
                // A seal is a word about the data, whatever others saw meanwhile.
                let contradicts = note
                    .seen
                    .as_ref()
                    .is_some_and(|seen| seen.contradicts_seal_of(&before));
                let is_doubtful = contradicts
                    || match &note.seen {
                        Some(seen) => doubts.has_twin(self, journal.transaction, &before, seen)?,
                        None => false,
                    };
                if note.seal.is_none() && is_doubtful {
                    observed.contradicted.push(before.id);
                } else if before.state == note.state || note.seal.is_some() {
                    let seal = note.seal.clone().map_or(SealChange::Keep, SealChange::Set);
                    observed.changed += u64::from(self.write_observation(
                        journal,
                        &before,
                        note.seen.as_ref(),
                        seal,
                    )?);
                }
            }
            Ok(observed)
        })
    }

    /// As of when the bytes and files of a row were counted: the newest time of its data then. `None`
    /// if that is unknown.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn counted_as_of(&self, id: ArtifactId) -> Result<Option<Timestamp>, CatalogError> {
        self.read("looking up a count", |connection| {
            let mut statement = connection.prepare_cached(COUNTED_AS_OF)?;
            let found = statement.query_row([id.0], |row| row.get::<_, Option<i64>>(0));
            Ok(found.optional()?.flatten().map(Timestamp))
        })
    }

    /// Writes what was seen into a row, if that changes anything.
    ///
    /// Data that was written again since it was last counted has an unknown size again, and its
    /// seal is void; so is the seal of what has another size than it was sealed with. The content
    /// hash is part of the seal.
    pub(super) fn write_observation(
        &self,
        journal: &Journal<'_>,
        before: &Artifact,
        seen: Option<&Observation>,
        seal_change: SealChange,
    ) -> Result<bool, CatalogError> {
        let held = before.sealed_at.map(|at| Seal {
            at,
            content: before.content_hash,
            chunks: before.sealed_chunks.clone(),
        });
        let given = |kept: Option<Seal>| match &seal_change {
            SealChange::Keep => kept,
            SealChange::Hold => before.sealed_at.and(kept),
            SealChange::Void => None,
            SealChange::Set(seal) => Some(seal.clone()),
        };
        let (state, size, written_at, seal) = match seen {
            // What was counted at a seal is evidence of what the data was.
            Some(seen) if seen.damage.is_some() => (
                State::Damaged,
                match before.sealed_at {
                    Some(_) => before.size.or(seen.size),
                    None => seen.size.or(before.size),
                },
                before.written_at.or(Some(seen.written_at)),
                held,
            ),
            Some(seen) if matches!(seal_change, SealChange::Hold) => {
                // The newest of its levels may be the one that has gone.
                let written_at = match seen.lost_levels_of(before) {
                    Some(_) => before.written_at,
                    None => Some(seen.written_at),
                };
                (State::Present, before.size, written_at, held)
            }
            // Not written since, so what was counted before still holds.
            Some(seen) if before.written_at == Some(seen.written_at) => {
                let is_another = before
                    .size
                    .is_some_and(|size| seen.size.unwrap_or(size) != size);
                (
                    State::Present,
                    seen.size.or(before.size),
                    Some(seen.written_at),
                    given(held.filter(|_| !is_another)),
                )
            }
            // It was written again: the old count and the seal are of other data.
            Some(seen) => (
                State::Present,
                seen.size,
                Some(seen.written_at),
                given(None),
            ),
            // There is no data yet, and none was seen before: the writer may still come.
            None if before.state == State::Reserved => return Ok(false),
            None => (State::Missing, before.size, before.written_at, held),
        };
        let (sealed_at, content_hash, sealed_chunks) = match seal {
            Some(seal) => (Some(seal.at), seal.content, seal.chunks),
            None => (None, None, None),
        };
        // Damage hides what the metadata said before, and a seal holds with what was counted.
        let is_read = seen.is_some_and(|seen| seen.damage.is_none());
        let is_held = matches!(seal_change, SealChange::Hold);
        let levels = match seen.and_then(|seen| seen.levels.as_ref()) {
            // What was sealed is what it had, whatever has gone since.
            Some(_) if is_held && !before.levels.is_empty() => before.levels.clone(),
            Some(levels) if is_read || before.levels.is_empty() => levels.paths.clone(),
            _ => before.levels.clone(),
        };
        let iterations = match seen.and_then(|seen| seen.iterations.as_ref()) {
            Some(iterations) if is_read => iterations.clone(),
            _ => before.iterations.clone(),
        };
        let counted = seen.and_then(|seen| seen.disk_bytes);
        let disk_bytes = match size {
            Some(_) if matches!(seal_change, SealChange::Hold) => before.disk_bytes,
            // What was counted for another size was other data.
            Some(_) => counted.or(before.disk_bytes.filter(|_| size == before.size)),
            None => None,
        };
        // What was not read this time is kept as it was known.
        let owner = seen.and_then(|seen| seen.owner).or(before.owner);
        let metadata = seen.and_then(|seen| seen.metadata.clone());
        let metadata = match &before.metadata {
            Some(sealed) if is_held => Some(Arc::clone(sealed)),
            known => metadata.or_else(|| known.clone()),
        };
        // Counted together with the size, and as long valid.
        let chunks_there = match size == before.size {
            true => before.chunks_there,
            false => None,
        };
        let counted = seen.filter(|seen| !is_held && seen.size.is_some() && seen.size == size);
        let chunks_there = counted.and_then(|seen| seen.chunks).or(chunks_there);
        let lost = match is_held {
            true => seen.and_then(|seen| loss(before, seen)),
            false => None,
        };
        let (chunks_there, sealed_chunks) = match lost {
            Some((there, sealed)) => (Some(there), Some(sealed)),
            None => (chunks_there, sealed_chunks),
        };
        let after = Artifact {
            owner,
            disk_bytes,
            levels,
            iterations,
            state,
            size,
            written_at,
            sealed_at,
            content_hash,
            sealed_chunks,
            metadata,
            chunks_there,
            ..before.clone()
        };
        // No part of what the row says: history does without. It fits only while the row says what
        // was read of the file, so it needs no care where rows are changed.
        if let Some(fingerprint) = seen.and_then(|seen| seen.fingerprint) {
            journal
                .transaction
                .prepare_cached(KNOW_FILE)
                .and_then(|mut statement| statement.execute([before.id.0, fingerprint.0]))
                .map_err(|error| self.sql("recording what was seen", error))?;
        }
        if let Some(seen) = counted {
            let as_of = seen.counted_as_of().map(|at| at.0);
            journal
                .transaction
                .prepare_cached(COUNT_AS_OF)
                .and_then(|mut statement| statement.execute(params![before.id.0, as_of]))
                .map_err(|error| self.sql("recording what was seen", error))?;
        }
        if after == *before {
            return Ok(false);
        }
        self.write_row_data(journal, before, &after)
    }

    /// Writes the columns of a row that observations change, unless its state is another meanwhile.
    pub(super) fn write_row_data(
        &self,
        journal: &Journal<'_>,
        before: &Artifact,
        after: &Artifact,
    ) -> Result<bool, CatalogError> {
        let sql = |error| self.sql("recording what was seen", error);
        let metadata = after.metadata.as_ref().map(|metadata| {
            metadata_number(journal.transaction, metadata, &MetadataText::of(metadata))
        });
        let metadata = metadata.transpose().map_err(sql)?;
        journal.image(Side::Before, before)?;
        let changed = journal
            .transaction
            .prepare_cached(&OBSERVE)
            .and_then(|mut statement| {
                let next = Columns::of(after).bind_data(&mut statement, 1, metadata)?;
                let state = rows::state_number(before.state);
                rows::bind_all(&mut statement, next, &[&before.id.0, &state])?;
                statement.raw_execute()
            })
            .map_err(sql)?;
        journal.image(Side::After, after)?;
        Ok(changed > 0)
    }
}

/// The chunks that are left of a sealed array that lost some, and those that it was sealed with;
/// `None` if it has as many as when it was sealed, or it is unknown which those were.
fn loss(before: &Artifact, seen: &Observation) -> Option<(u64, ChunkSet)> {
    // A level that has gone shows without a count.
    let there = seen.chunks.or_else(|| {
        let most = seen.most_chunks_left_of(before)?;
        Some(most.min(before.chunks_there?))
    });
    let there = there?;
    if there >= before.sealed_count()? {
        return None;
    }
    // An array that was sealed with every chunk has no set, until it loses one.
    Some((there, before.set_of_chunks()?))
}

impl Recorder<'_> {
    /// Writes what was seen into a row that was read in this transaction. Says whether that
    /// changed anything.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn observe(
        &self,
        before: &Artifact,
        seen: Option<&Observation>,
    ) -> Result<bool, CatalogError> {
        self.catalog
            .write_observation(self.journal, before, seen, SealChange::Keep)
    }

    /// Writes into a sealed row when its data was written, that it is there, and how many chunks
    /// are left if some were lost. Seal, size and hash stay.
    ///
    /// # Errors
    /// [`CatalogError`].
    pub fn observe_sealed(
        &self,
        before: &Artifact,
        seen: Option<&Observation>,
    ) -> Result<bool, CatalogError> {
        self.catalog
            .write_observation(self.journal, before, seen, SealChange::Hold)
    }

    /// The same as [`Recorder::observe`], and the row is sealed no more: its contents are not as
    /// they were sealed, whatever sizes and times say.
    ///
    /// # Errors
    /// [`CatalogError::Full`] if there is no space, [`CatalogError::Damaged`] if the catalog is
    /// damaged, [`CatalogError::Sql`] if it cannot be written otherwise.
    pub fn observe_changed(
        &self,
        before: &Artifact,
        seen: Option<&Observation>,
    ) -> Result<bool, CatalogError> {
        self.catalog
            .write_observation(self.journal, before, seen, SealChange::Void)
    }
}
