//! The statements of the catalog, for the tests of their query plans.

use rusqlite::Connection;
use rusqlite::types::Value;

use super::query::{self, Query, Selected};
use super::scores::{self, BestOf, ScoreQuery};
use super::sqlite::{backup, connection, migrate};
use super::summary::{self, DuGroup};
use super::{
    complete_rename, counts, exchange, history, inbox, intern, journal, known, levels, lookup,
    names, observe, pins, places, record, reinstate, removals, rename, twins, undo,
};
use crate::model::clock::Timestamp;
use crate::model::filter::Filter;
use crate::model::operation::HistoryFilter;
use crate::retention::Metric;

/// Creates the tables of the newest version.
///
/// # Errors
/// Whatever a migration reports.
pub fn migrate(connection: &Connection) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    migrate::migrate(connection)
}

/// The fixed statements, by module and name.
#[must_use]
pub fn fixed() -> Vec<(&'static str, String)> {
    // With their names, so that a test can say which statement has the bad plan.
    macro_rules! list {
        ($($module:ident::$name:ident,)*) => {
            vec![$((
                concat!(stringify!($module), "::", stringify!($name)),
                $module::$name.to_string(),
            )),*]
        };
    }
    let mut all = list![
        backup::ARTIFACTS,
        backup::LAST_OPERATION,
        complete_rename::MOVE_SCOPES_BY,
        complete_rename::MOVE_SCORES_BY,
        connection::REGISTRY_ID,
        counts::PINS,
        counts::REMOVALS,
        counts::RUNS,
        counts::SCORES,
        counts::UNSEEN,
        exchange::PARK,
        exchange::PARK_SCOPES,
        exchange::PARK_SCORES,
        history::EVER_AT,
        history::IMAGES,
        history::IN_ORDER,
        history::LAST_IMAGED,
        inbox::FOLD,
        inbox::FOLDED,
        inbox::FOLDED_NAMES,
        inbox::FORGET,
        inbox::SCORED_AT,
        journal::COPY,
        journal::HEAD,
        journal::INSERT_AGENT,
        journal::INSERT_IMAGE,
        journal::INSERT_OPERATION,
        journal::REFERENCES,
        levels::BIND_TOO,
        levels::PINS_OF_ONE,
        lookup::BELOW_ARRAY,
        lookup::BELOW_CONTAINER,
        lookup::BY_ID,
        lookup::BY_PATH,
        lookup::COUNT_BELOW_CONTAINER,
        lookup::COUNT_IN_CONTAINER,
        lookup::IN_CONTAINER,
        names::DATASETS,
        names::PARAMETERS,
        names::PINS,
        names::RUNS,
        names::USERS,
        observe::COUNTED_AS_OF,
        observe::COUNT_AS_OF,
        observe::KNOW_FILE,
        observe::OBSERVE,
        pins::BINDS_ANYTHING,
        pins::BIND_ARTIFACT,
        pins::BIND_SCOPE,
        pins::COUNT_IN_SCOPE,
        pins::COUNT_ONE_BY_ONE,
        pins::HAS_PINS,
        pins::INSERT_PIN,
        pins::IS_RECORDED,
        pins::LET_ARTIFACT_GO,
        pins::LET_SCOPE_GO,
        pins::PINS,
        pins::PINS_OF,
        pins::PIN_BY_NAME,
        pins::SCOPES,
        places::HAD_OTHER_TIME,
        places::METADATA,
        places::RECORDED_BELOW,
        known::KNOWN,
        places::LAST_ROW,
        record::ARE_BETWEEN,
        record::INSERT,
        record::INSERT_TOGETHER,
        record::IS_AT,
        record::REKEY,
        reinstate::BIND_TOO,
        reinstate::IS_KEPT,
        reinstate::MARK_ITEM_RESTORED,
        reinstate::UPDATE,
        removals::REINSTATE,
        removals::DELETE,
        removals::ADD_ITEM,
        removals::INSERT_REMOVAL,
        removals::COPY_TO_REMOVAL,
        removals::KEEP,
        removals::KEPT_ITEMS,
        removals::FATE,
        removals::LEFT,
        removals::MARK_RESTORED,
        removals::MISSING_OF_ITEM,
        removals::OF_ITEM,
        removals::OPEN_STATES,
        removals::PATH_OF_ITEM,
        removals::REMOVALS,
        removals::REMOVED_FROM,
        removals::RESTORES,
        removals::SET_STATE,
        removals::STATE_OF,
        removals::TRASH_BYTES,
        rename::COUNT_SCOPES,
        rename::COUNT_SCORES,
        rename::DETAIL_OF,
        rename::MOVE_SCOPES,
        rename::MOVE_SCORES,
        rename::PINS_OF_RUN,
        rename::HAS_ARTIFACTS,
        rename::RUNS_BELOW,
        scores::AT,
        scores::DATASETS_OF_RUN,
        scores::METRICS,
        scores::PARAMETERS_OF_RUN,
        scores::PUT,
        scores::TAKE,
        scores::VALUE,
        twins::OLDER_TWINS,
        twins::SHARES_TIME,
        twins::TWINS,
        undo::BIND_NUMBER,
        undo::LATER_ON_PINS,
        undo::LET_THIS_SCOPE_GO,
    ];
    all.push(("history::by_id", history::by_id()));
    #[cfg(feature = "cli")]
    all.extend([
        ("names::NEXT_ITERATION", names::NEXT_ITERATION.to_owned()),
        ("names::DATASET", names::DATASET.to_owned()),
        ("names::TEXT", names::TEXT.to_owned()),
        (
            "names::DATASETS_IN_ORDER",
            names::DATASETS_IN_ORDER.to_owned(),
        ),
        (
            "names::PARAMETERS_IN_ORDER",
            names::PARAMETERS_IN_ORDER.to_owned(),
        ),
    ]);
    all.push(("query::names_run", query::names_run(true)));
    all.push(("removals::open_removals", removals::open_removals()));
    all.push(("removals::removal_by_id", removals::removal_by_id()));
    let pairs = intern::INTERN
        .into_iter()
        .chain([intern::CONTAINER, intern::METADATA]);
    for (select, insert) in pairs {
        all.extend([("intern", select.to_owned()), ("intern", insert.to_owned())]);
    }
    let letting_go = pins::LET_ALL_GO.map(|sql| ("pins::LET_ALL_GO", sql.to_owned()));
    all.extend(letting_go);
    all
}

/// A statement that is made for one request, with the values that are bound to it.
#[derive(Debug)]
pub struct Made {
    /// The statement.
    pub sql: String,
    /// The values.
    pub values: Vec<Value>,
}

impl From<Query> for Made {
    fn from(Query { sql, values }: Query) -> Self {
        Self { sql, values }
    }
}

/// The listing of a filter.
#[must_use]
pub fn listing(filter: &Filter, now: Timestamp, selected: Selected) -> Made {
    query::listing(filter, now, selected).into()
}

/// The sums of a filter by iteration.
#[must_use]
pub fn by_iteration(filter: &Filter, now: Timestamp) -> Made {
    summary::by_iteration(filter, now, false).into()
}

/// The sums of a filter by run and by iteration, with the number of rows that a pin binds.
#[must_use]
pub fn sums_with_pins(filter: &Filter, now: Timestamp) -> [Made; 2] {
    [
        summary::by_run(filter, now, true).into(),
        summary::by_iteration(filter, now, true).into(),
    ]
}

/// The other sums of a filter: by run, by group of retention, by each grouping of `du`.
#[must_use]
pub fn sums(filter: &Filter, now: Timestamp) -> Vec<Made> {
    // Each grouping has a GROUP BY of its own, and so a plan of its own.
    let groups = [
        DuGroup::Run,
        DuGroup::Kind,
        DuGroup::Iteration,
        DuGroup::Dataset,
        DuGroup::Owner,
    ];
    let by_space = groups.map(|group| summary::by_space(filter, now, group));
    let others = [
        summary::by_run(filter, now, false),
        summary::by_group(filter, now),
        summary::count_of_runs(filter, now),
    ];
    others.into_iter().chain(by_space).map(Made::from).collect()
}

/// What looks before an answer ask of a filter: where data is, and how much is gone.
#[must_use]
pub fn places(filter: &Filter, now: Timestamp) -> Vec<Made> {
    let queries = [
        places::present(filter, now, 10),
        places::with_data(filter, now),
        places::containers(filter, now),
        places::missing(filter, now),
    ];
    queries.into_iter().map(Made::from).collect()
}

/// The places of what pins bind.
#[must_use]
pub fn pinned_places() -> Made {
    places::pinned().into()
}

/// What kept removals have of a filter.
#[must_use]
pub fn removed(filter: &Filter, now: Timestamp) -> Made {
    removals::removed_query(filter, now).into()
}

/// The listing of history.
#[must_use]
pub fn history_of(filter: &HistoryFilter) -> Made {
    history::listing(filter).into()
}

/// The listing of scores.
#[must_use]
pub fn scores_of(query: &ScoreQuery<'_>) -> Made {
    scores::listing(query).into()
}

/// The best scores of the runs and of the iterations that a filter names.
#[must_use]
pub fn best_scores(filter: &Filter, metrics: &[Metric]) -> [Made; 2] {
    let of = [BestOf::Run, BestOf::Iteration];
    of.map(|of| scores::best(filter, metrics, of).into())
}
