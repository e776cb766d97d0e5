//! Rows to artifacts. A row is input: everything in it goes through the same checks as a name
//! that a caller gives, and its path must be the one that its key has.

use std::path::Path;
use std::sync::Arc;

use rusqlite::Row;
use rusqlite::types::FromSql;

use super::error::CatalogError;
use crate::model::artifact::{Artifact, ArtifactId, Origin, State};
use crate::model::clock::Timestamp;
use crate::model::content::ContentHash;
use crate::model::key::{Key, KeyParts, Kind};
use crate::model::layout;
use crate::model::name::{NameError, RunName};
use crate::model::size::{ByteCount, Size};

/// The columns of [`artifact`], over the joins of [`names`]. The last is asked once a statement.
macro_rules! columns {
    () => {
        "a.id, run.name, a.kind_id, a.iteration, dataset.name, parameters.text, container.path, \
         a.array, a.state, a.origin, a.bytes, a.files, a.recorded_at, a.written_at, a.sealed_at, \
         a.owner, a.content, EXISTS (SELECT 1 FROM pinned) \
         OR EXISTS (SELECT 1 FROM pin_scope)"
    };
}
pub(super) use columns;

/// Number of the columns of [`columns`]; those of a query's own follow.
pub(super) const COLUMNS: usize = 18;

/// Joins the strings to `artifact AS a`, `run` and `container`.
macro_rules! names {
    () => {
        " LEFT JOIN dataset ON dataset.id = a.dataset_id \
         LEFT JOIN parameters ON parameters.id = a.parameters_id "
    };
}
pub(super) use names;

pub(super) fn kind_number(kind: Kind) -> i64 {
    kind as i64 + 1
}

pub(super) fn kind_of(number: i64) -> Option<Kind> {
    Kind::ALL
        .into_iter()
        .find(|&kind| kind_number(kind) == number)
}

pub(super) fn state_number(state: State) -> i64 {
    state as i64
}

pub(super) fn state_of(number: i64) -> Option<State> {
    State::ALL
        .into_iter()
        .find(|&state| state_number(state) == number)
}

/// A field of a row; a type that does not fit makes the row a damaged one.
pub(super) fn field<T: FromSql>(row: &Row<'_>, index: usize) -> Result<T, String> {
    row.get(index).map_err(|error| error.to_string())
}

/// A text of a row, where it stands.
fn text<'row>(row: &'row Row<'_>, index: usize) -> Result<&'row str, String> {
    let value = row.get_ref(index).map_err(|error| error.to_string())?;
    value.as_str().map_err(|error| error.to_string())
}

/// A text of a row that may be absent.
fn text_or_none<'row>(row: &'row Row<'_>, index: usize) -> Result<Option<&'row str>, String> {
    let value = row.get_ref(index).map_err(|error| error.to_string())?;
    value.as_str_or_null().map_err(|error| error.to_string())
}

/// Reads a row with the columns of [`columns`].
pub(super) fn artifact(
    catalog: &Path,
    base: &Arc<Path>,
    row: &Row<'_>,
) -> Result<Artifact, CatalogError> {
    let id: i64 = row
        .get(0)
        .map_err(|error| CatalogError::sql("reading an artifact", catalog, error))?;
    read(base, id, row).map_err(|detail| CatalogError::Row {
        path: catalog.to_owned(),
        id,
        detail,
    })
}

fn read(base: &Arc<Path>, id: i64, row: &Row<'_>) -> Result<Artifact, String> {
    let key = key(row)?;
    let (container, array) = (text(row, 6)?, text(row, 7)?);
    if !layout::is_place(&key, container, array) {
        return Err(format!(
            "its path is \"{}/{}\", but its key lies at \"{}\"",
            container.escape_debug(),
            array.escape_debug(),
            layout::place(&key).path().escape_debug()
        ));
    }
    let state: i64 = field(row, 8)?;
    let origin: i64 = field(row, 9)?;
    let (bytes, files): (Option<i64>, Option<i64>) = (field(row, 10)?, field(row, 11)?);
    let count = |number: i64| u64::try_from(number).map_err(|error| error.to_string());
    let size = match (bytes, files) {
        (Some(bytes), Some(files)) => Some(Size {
            bytes: ByteCount(count(bytes)?),
            files: count(files)?,
        }),
        _ => None,
    };
    Ok(Artifact {
        id: ArtifactId(id),
        key,
        state: state_of(state).ok_or_else(|| format!("there is no state {state}"))?,
        origin: if origin == 0 {
            Origin::Recorded
        } else {
            Origin::Scanned
        },
        size,
        recorded_at: Timestamp(field(row, 12)?),
        written_at: field::<Option<i64>>(row, 13)?.map(Timestamp),
        sealed_at: field::<Option<i64>>(row, 14)?.map(Timestamp),
        content_hash: field::<Option<[u8; 32]>>(row, 16)?.map(ContentHash),
        owner: field(row, 15)?,
        pins: Vec::new(),
        base: Arc::clone(base),
    })
}

/// Whether the catalog has anything that a pin binds, so that a row may be bound by one.
pub(super) fn may_be_pinned(row: &Row<'_>) -> rusqlite::Result<bool> {
    row.get(17)
}

fn key(row: &Row<'_>) -> Result<Key, String> {
    let name = |error: NameError| error.to_string();
    let run: RunName = text(row, 1)?.parse().map_err(name)?;
    let number: i64 = field(row, 2)?;
    let kind = kind_of(number).ok_or_else(|| format!("there is no kind {number}"))?;
    let iteration: Option<i64> = field(row, 3)?;
    let dataset = match text_or_none(row, 4)? {
        Some(text) => Some(text.parse().map_err(name)?),
        None => None,
    };
    let parameters = match text_or_none(row, 5)? {
        Some(text) => Some(text.parse().map_err(name)?),
        None => None,
    };
    // The row has the container in its path only: a scan may have split the path elsewhere than the
    // key does, so the container is the component behind the run.
    let container = match kind {
        Kind::Array => {
            let path = format!("{}/{}", text(row, 6)?, text(row, 7)?);
            let in_run = path.strip_prefix(run.as_str()).unwrap_or_default();
            let container = in_run.split('/').nth(1).unwrap_or_default();
            Some(container.parse().map_err(name)?)
        }
        _ => None,
    };
    let parts = KeyParts {
        iteration,
        dataset,
        parameters,
        container,
    };
    Key::from_parts(kind, run, parts).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_migrations() {
        for kind in Kind::ALL {
            let number = kind_number(kind);
            assert_eq!(kind_of(number), Some(kind));
            let sql = concat!(
                include_str!("../../migrations/V1__catalog.sql"),
                include_str!("../../migrations/V3__retention.sql")
            );
            assert!(sql.contains(&format!("({number}, '{kind}')")), "{kind}");
        }
        assert_eq!(State::ALL.map(state_number), [0, 1, 2]);
        assert_eq!(kind_of(0), None);
        assert_eq!(state_of(3), None);
    }
}
