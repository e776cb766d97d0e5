//! Listings in an order that is asked for. SQLite sorts, on disk if the rows are many.

use std::ops::ControlFlow;

use super::error::CatalogError;
use super::query::{self, PINNED_ROW, Query, Selected};
use super::sqlite::file::Catalog;
use crate::model::artifact::Artifact;
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::order::{Order, SortKey};

/// The score of an artifact: of those that are for it, that which names most.
const SCORE: &str = "(SELECT s.value FROM score AS s \
     WHERE s.run_id = a.run_id AND s.iteration = a.iteration \
     AND s.metric_id = (SELECT id FROM metric WHERE name = ?) \
     AND (s.dataset_id IS NULL OR s.dataset_id = a.dataset_id) \
     AND (s.parameters_id IS NULL OR s.parameters_id = a.parameters_id) \
     ORDER BY s.dataset_id IS NULL, s.parameters_id IS NULL LIMIT 1)";

/// The listing of a filter in an order; rows that are equal in it are in the usual one.
pub(super) fn listing(filter: &Filter, now: Timestamp, order: &Order) -> Query {
    let mut query = query::listing(filter, now, Selected::All);
    let by = match &order.by {
        SortKey::Run => "run.name",
        SortKey::Iteration => "a.iteration",
        SortKey::Kind => "a.kind_id",
        SortKey::Dataset => "dataset.name",
        SortKey::Parameters => "parameters.text",
        SortKey::Container => "container.path",
        SortKey::State => "a.state",
        SortKey::Bytes => "a.bytes",
        SortKey::Files => "a.files",
        SortKey::DiskBytes => "a.disk_bytes",
        SortKey::RecordedAt => "a.recorded_at",
        SortKey::WrittenAt => "ifnull(a.written_at, a.recorded_at)",
        // Old is high in an age, and low in a time.
        SortKey::Age => "-ifnull(a.written_at, a.recorded_at)",
        SortKey::SealedAt => "a.sealed_at",
        SortKey::Pinned => PINNED_ROW,
        SortKey::Score(metric) => {
            query.values.push(metric.clone().into());
            SCORE
        }
    };
    // Pinned ones are 1 and come first.
    let descends = order.reverse != (order.by == SortKey::Pinned);
    let direction = if descends { "DESC" } else { "ASC" };
    let usual = " ORDER BY ";
    query.sql = query
        .sql
        .replacen(usual, &format!("{usual}{by} {direction} NULLS LAST, "), 1);
    query
}

impl Catalog {
    /// Gives every artifact that a filter selects at `now` to `each`, in an order, until it breaks.
    ///
    /// # Errors
    /// [`CatalogError`] if a row cannot be read, and whatever `each` returns.
    pub fn list_by<E: From<CatalogError>>(
        &self,
        filter: &Filter,
        now: Timestamp,
        order: &Order,
        mut each: impl FnMut(Artifact) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        self.read_with(|connection| {
            self.run_query(connection, &listing(filter, now, order), |row| {
                each(self.artifact_of(connection, row)?)
            })
        })
    }
}
