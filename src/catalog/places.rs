//! Where the data of rows is, for looks that only ask whether it is still there.

use std::ops::ControlFlow;
use std::path::PathBuf;

use rusqlite::params_from_iter;

use super::error::CatalogError;
use super::lookup;
use super::query::{Query, conditions};
use super::rows::{self, names};
use super::sqlite::file::Catalog;
use crate::model::artifact::ArtifactId;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::key::Kind;
use crate::model::size::Size;

/// The highest number of a row.
pub(super) const LAST_ROW: &str = "SELECT ifnull(max(id), 0) FROM artifact";

/// Paths of what is recorded in the folder of a run: with data, or all of it.
// States 1 and 3 are present and damaged; kinds 7 and 8 are containers.
pub(super) const RECORDED_BELOW: &str = "SELECT iif(a.array = '', container.path, \
     container.path || '/' || a.array) \
     FROM container CROSS JOIN artifact AS a ON a.container_id = container.id \
     WHERE container.path >= ?1 AND container.path < ?2 \
       AND (a.state IN (1, 3) OR ?3) AND a.kind_id NOT IN (7, 8)";

/// A row and the path of its data, relative to the base directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOfRow {
    /// The row.
    pub id: ArtifactId,
    /// The path.
    pub path: String,
    /// Paths of the levels below it if it is a pyramid.
    pub levels: Vec<String>,
}

/// Where a pinned row says that its data is, and what it says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinnedPlace {
    /// The row.
    pub id: ArtifactId,
    /// The path of its data, relative to the base directory.
    pub path: String,
    /// Its kind.
    pub kind: Kind,
    /// When the data was written.
    pub written_at: Timestamp,
    /// Bytes and files of the data, if they were counted.
    pub size: Option<Size>,
    /// The number of what its metadata says, as last read; for [`PinView::metadata`].
    ///
    /// [`PinView::metadata`]: super::PinView::metadata
    pub metadata: Option<i64>,
    /// When the row was recorded.
    pub recorded_at: Timestamp,
    /// Whether the row had this data once, and a pin bound it, until its path was written again.
    pub is_earlier: bool,
}

/// Whether a row ever said that its data is of another time.
pub(super) const HAD_OTHER_TIME: &str = "SELECT EXISTS (SELECT 1 FROM image \
     WHERE artifact_id = ?1 AND side = 0 AND written_at IS NOT NULL AND written_at <> ?2)";

/// What metadata says, by its number.
pub(super) const METADATA: &str = "SELECT text FROM metadata WHERE id = ?1";

/// Places of present rows, at most as many as the last value says.
pub(super) fn present(filter: &Filter, now: Timestamp, most: u64) -> Query {
    let Query {
        sql: conditions,
        mut values,
    } = conditions(filter, now);
    values.push(i64::try_from(most).unwrap_or(i64::MAX).into());
    Query {
        sql: format!(
            "SELECT a.id, iif(a.array = '', container.path, container.path || '/' || a.array), \
             a.levels FROM run CROSS JOIN artifact AS a ON a.run_id = run.id \
             LEFT JOIN container ON container.id = a.container_id{} \
             WHERE a.state = 1{conditions} LIMIT ?",
            names!()
        ),
        values,
    }
}

/// A statement with the conditions of a filter in it.
fn with_conditions(
    filter: &Filter,
    now: Timestamp,
    statement: impl FnOnce(&str) -> String,
) -> Query {
    let Query { sql, values } = conditions(filter, now);
    Query {
        sql: statement(&sql),
        values,
    }
}

/// The rows with data of a selection, by their numbers.
pub(super) fn with_data(filter: &Filter, now: Timestamp) -> Query {
    // States 1 and 3 are present and damaged.
    with_conditions(filter, now, |conditions| {
        format!(
            "SELECT a.id FROM run CROSS JOIN artifact AS a ON a.run_id = run.id{} \
             WHERE a.state IN (1, 3){conditions}",
            names!()
        )
    })
}

/// Pinned rows that have or had data, with their places; and the data that they had before it was
/// written again, if a pin bound it then.
pub(super) fn pinned() -> Query {
    let filter = Filter::default().kinds(Kind::ALL).pinned(true);
    // No age is asked for.
    let now = Timestamp(0);
    let path = "iif(a.array = '', container.path, container.path || '/' || a.array)";
    let rows = format!(
        "FROM run CROSS JOIN artifact AS a ON a.run_id = run.id \
         LEFT JOIN container ON container.id = a.container_id{}",
        names!()
    );
    // State 0 is reserved.
    let Query { sql, mut values } = with_conditions(&filter, now, |conditions| {
        format!(
            "SELECT a.id, {path}, a.kind_id, a.written_at, a.bytes, a.files, \
             a.metadata_id, a.recorded_at, FALSE {rows} \
             WHERE a.written_at IS NOT NULL AND a.state <> 0{conditions}"
        )
    });
    let earlier = with_conditions(&filter, now, |conditions| {
        format!(
            "SELECT a.id, {path}, a.kind_id, i.written_at, i.bytes, i.files, \
             i.metadata_id, a.recorded_at, TRUE {rows} \
             CROSS JOIN image AS i ON i.artifact_id = a.id \
             CROSS JOIN operation ON operation.id = i.operation_id \
             WHERE i.side = 0 AND i.state <> 0 AND i.written_at IS NOT NULL \
               AND i.written_at IS NOT a.written_at \
               AND operation.at >= (SELECT min(pinned_at) FROM pin WHERE id IN (\
                 SELECT pin_id FROM pinned WHERE artifact_id = a.id UNION ALL \
                 SELECT pin_id FROM pin_scope WHERE pin_scope.run_id = a.run_id)){conditions}"
        )
    });
    values.extend(earlier.values);
    Query {
        sql: format!("{sql} UNION ALL {}", earlier.sql),
        values,
    }
}

/// The containers with present rows of the runs that a filter names.
pub(super) fn containers(filter: &Filter, now: Timestamp) -> Query {
    let of = filter.of_runs();
    // One row of each container is enough, so most rows are not read.
    with_conditions(&of, now, |conditions| {
        format!(
            "SELECT container.path FROM container WHERE EXISTS (SELECT 1 FROM artifact AS a \
             CROSS JOIN run ON run.id = a.run_id{} \
             WHERE a.container_id = container.id AND a.state = 1{conditions})",
            names!()
        )
    })
}

/// The number of missing rows of a filter.
pub(super) fn missing(filter: &Filter, now: Timestamp) -> Query {
    // State 2 is missing; containers, kinds 7 and 8, are not arrays.
    with_conditions(filter, now, |conditions| {
        format!(
            "SELECT count(*) FROM run \
             CROSS JOIN artifact AS a INDEXED BY artifact_unseen ON a.run_id = run.id{} \
             WHERE a.state <> 1 AND a.state = 2 AND a.kind_id NOT IN (7, 8){conditions}",
            names!()
        )
    })
}

impl Catalog {
    /// Gives the places of present rows of a selection; `None` if it has more than `most`.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] if the catalog is damaged, [`CatalogError::Sql`] if it cannot be
    /// read otherwise.
    pub fn present_places(
        &self,
        filter: &Filter,
        now: Timestamp,
        most: u64,
    ) -> Result<Option<Vec<PlaceOfRow>>, CatalogError> {
        let Query { sql, values } = present(filter, now, most.saturating_add(1));
        let places: Vec<PlaceOfRow> = self.read("listing places", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let places = statement.query_map(params_from_iter(&values), |row| {
                Ok(PlaceOfRow {
                    id: ArtifactId(row.get(0)?),
                    path: row.get(1)?,
                    // What is not understood leaves the group's own path to look for.
                    levels: rows::list(row.get_ref(2)?.as_str_or_null().unwrap_or_default())
                        .unwrap_or_default(),
                })
            })?;
            places.collect()
        })?;
        let are_few = u64::try_from(places.len()).is_ok_and(|count| count <= most);
        Ok(are_few.then_some(places))
    }

    /// Gives the paths of the containers that have present rows of the runs that a filter names.
    ///
    /// # Errors
    /// As [`Catalog::present_places`].
    pub fn containers_with_data(
        &self,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Vec<String>, CatalogError> {
        let Query { sql, values } = containers(filter, now);
        self.read("listing containers", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            let paths = statement.query_map(params_from_iter(&values), |row| row.get(0))?;
            paths.collect()
        })
    }

    /// Passes the numbers of the rows of a selection that have data to `each`.
    ///
    /// # Errors
    /// As [`Catalog::present_places`], and what `each` returns.
    pub fn each_with_data<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        mut each: impl FnMut(ArtifactId) -> Result<(), E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            self.run_query(connection, &with_data(filter, now), |row| {
                let id = row
                    .get(0)
                    .map_err(|error| self.sql("listing rows", error))?;
                each(ArtifactId(id))?;
                Ok(ControlFlow::Continue(()))
            })
        })
    }

    /// Gives the paths of what is recorded in the folder of a run, containers left out. With `all`,
    /// also of rows that have no data as far as the catalog knows.
    ///
    /// # Errors
    /// As [`Catalog::present_places`].
    pub fn recorded_below(&self, run: &str, all: bool) -> Result<Vec<PathBuf>, CatalogError> {
        let (first, end) = lookup::below(run);
        self.read("listing what is recorded", |connection| {
            let mut statement = connection.prepare_cached(RECORDED_BELOW)?;
            let paths = statement.query_map((first, end, all), |row| {
                row.get::<_, String>(0).map(PathBuf::from)
            })?;
            paths.collect()
        })
    }

    /// Gives the highest number of a row; 0 in a catalog without rows.
    ///
    /// # Errors
    /// As [`Catalog::present_places`].
    pub fn last_row(&self) -> Result<ArtifactId, CatalogError> {
        self.read("finding the last row", |connection| {
            connection.query_row(LAST_ROW, [], |row| row.get(0).map(ArtifactId))
        })
    }

    /// Counts the arrays and checkpoints of a selection whose data is gone.
    ///
    /// # Errors
    /// As [`Catalog::present_places`].
    pub fn count_missing(&self, filter: &Filter, now: Timestamp) -> Result<u64, CatalogError> {
        let Query { sql, values } = missing(filter, now);
        self.read("counting what is missing", |connection| {
            let mut statement = connection.prepare_cached(&sql)?;
            statement.query_row(params_from_iter(&values), |row| row.get(0))
        })
    }
}
