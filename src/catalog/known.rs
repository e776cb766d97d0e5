//! Reading by what the metadata files of rows are known.

use std::collections::HashMap;

use rusqlite::{Connection, Row};

use super::error::CatalogError;
use super::sqlite::file::Catalog;
use crate::model::array::ArrayMetadata;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::known::{Fingerprint, KnownArray, KnownArrays, Said};

/// Rows whose metadata file is known: path, fingerprint, what the row says of the file's content, id,
/// and when the file was written.
// Present rows only: damaged arrays are read again, and pyramids, which have several files.
pub(super) const KNOWN: &str = "SELECT iif(a.array = '', container.path, \
     container.path || '/' || a.array), a.metadata_file, a.metadata_id, metadata.text, \
     a.iterations, a.id, a.written_at \
     FROM run CROSS JOIN artifact AS a ON a.run_id = run.id \
     JOIN container ON container.id = a.container_id \
     JOIN metadata ON metadata.id = a.metadata_id \
     WHERE a.metadata_file IS NOT NULL AND a.state = 1 AND a.levels IS NULL";

/// Places of what was said, by the number of the metadata and the iterations.
type Places = HashMap<(i64, Option<String>), Option<u32>>;

impl Catalog {
    /// Gives the arrays whose metadata file is known.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub(crate) fn known_arrays(&self) -> Result<KnownArrays, CatalogError> {
        self.read("listing known metadata", known)
    }
}

fn known(connection: &Connection) -> rusqlite::Result<KnownArrays> {
    let mut known = KnownArrays::default();
    let mut places = Places::new();
    let mut statement = connection.prepare_cached(KNOWN)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        // A row that cannot be read is not known.
        if take(&mut known, &mut places, row) == Some(false) {
            break;
        }
    }
    known.sort();
    Ok(known)
}

/// Takes in a row; says whether there is room for more. `None` if the row cannot be read.
fn take(known: &mut KnownArrays, places: &mut Places, row: &Row<'_>) -> Option<bool> {
    let text = |column| row.get_ref(column).ok()?.as_str().ok();
    let key = (row.get(2).ok()?, row.get(4).ok()?);
    let place = match places.get(&key) {
        Some(place) => *place,
        None => {
            let said = said(text(3)?, key.1.as_deref());
            *places
                .entry(key)
                .or_insert(said.and_then(|said| known.say(said)))
        }
    };
    let array = KnownArray {
        row: ArtifactId(row.get(5).ok()?),
        written_at: Timestamp(row.get(6).ok()?),
        fingerprint: Fingerprint(row.get(1).ok()?),
        said: place?,
    };
    Some(known.add(text(0)?, array))
}

fn said(metadata: &str, iterations: Option<&str>) -> Option<Said> {
    let iterations = match iterations {
        Some(text) => serde_json::from_str(text).ok()?,
        None => Vec::new(),
    };
    Some(Said::new(ArrayMetadata::parse(metadata)?, iterations))
}
