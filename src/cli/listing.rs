//! What `list`, `runs` and `iterations` share: their flags for columns, order and limit, and the
//! total.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use clap::Args;

use super::columns::{
    Chosen, ChosenRows, Listed, Scores, Sorted, Wanted, column, is_key, sorted, without_direction,
};
use super::complete;
use super::context::Context;
use super::fail::Failure;
use super::flags::Format;
use super::render::{Align, Record, count, number, short_time, total_cells, total_text};
use super::selection::Asked;
use crate::catalog::{ParseSummaryKeyError, RunRow, Summary, SummaryKey, SummaryOptions};
use crate::error::Result as LibraryResult;
use crate::model::clock::Timestamp;
use crate::model::filter::{Filter, Pattern};
use crate::model::order::Order;
use crate::model::size::{ByteCount, Total};
use crate::registry::Registry;
use crate::retention::Metric;

/// Which rows of a listing are written, in which order and with which columns.
#[derive(Debug, Clone, Args)]
pub(super) struct Shape<R: Listed + 'static> {
    #[arg(long, value_name = "SIZE", help = R::MIN_SIZE, help_heading = "Selection")]
    min_size: Option<ByteCount>,
    /// Print at most so many
    #[arg(long, value_name = "N", help_heading = "Output")]
    limit: Option<u64>,
    #[arg(
        long,
        value_name = "COLUMN",
        value_parser = sorted::<R>,
        add = complete::columns::<R>(is_key::<R>),
        help = R::SORT,
        help_heading = "Output"
    )]
    sort: Option<Sorted<R::Key>>,
    /// Sort the highest first
    #[arg(long, requires = "sort", help_heading = "Output")]
    reverse: bool,
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = column::<R>,
        add = complete::columns::<R>(|_| true),
        conflicts_with_all = ["json", "jsonl"],
        help = R::CHOOSE,
        help_heading = "Output"
    )]
    columns: Vec<Chosen>,
}

/// What to type for sizes that a selection by size needs.
pub(super) const COUNT: &str = "count them with: dalsegno scan --measure";

/// That a selection by size leaves out what was never counted.
fn uncounted_text(uncounted: u64, hint: &str) -> String {
    let was = match uncounted {
        1 => "1 array was never counted, so its size is unknown".to_owned(),
        some => format!(
            "{} arrays were never counted, so their sizes are unknown",
            number(some)
        ),
    };
    format!("{was}; {hint}")
}

impl<R: Listed> Shape<R> {
    /// A filter, narrowed to the size that is asked for.
    pub(super) fn of_size(&self, filter: Filter) -> Filter {
        R::of_size(filter, self.min_size)
    }

    /// The score that is shown beside the usual columns: that by which rows are sorted.
    fn sorted_score(&self) -> Option<&Chosen> {
        let sorted = self.sort.as_ref().filter(|_| self.columns.is_empty())?;
        sorted.score.as_ref()
    }

    /// Passes each row of a selection to `write`, until one fails or the limit is reached.
    pub(super) fn each(
        &self,
        registry: &Registry,
        filter: &Filter,
        format: Format,
        mut write: impl FnMut(&R) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        // The callback returns errors of the library; a failed write is kept for afterwards.
        let mut failure = None;
        let mut left = self.limit;
        if left == Some(0) {
            return Ok(());
        }
        let order = self.sort.as_ref().map(|sorted| sorted.key.clone());
        let order = order.map(Order::new);
        let is_pins = |column: &Chosen| matches!(column, Chosen::Field(index) if R::FIELDS[*index] == "pinned");
        let wanted = Wanted {
            order: order.map(|order| order.reverse(self.reverse)),
            // Formats for programs have every field, unless columns are chosen.
            pinned: match self.columns.is_empty() {
                true => format != Format::Table,
                false => self.columns.iter().any(is_pins),
            },
            metrics: self.metrics(),
        };
        R::each(registry, filter, wanted, |row| {
            if self.min_size.is_some_and(|least| !row.is_of_size(least)) {
                return Ok(ControlFlow::Continue(()));
            }
            left = left.map(|left| left - 1);
            Ok(match write(&row) {
                Ok(()) if left == Some(0) => ControlFlow::Break(()),
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            })
        })?;
        failure.map_or(Ok(()), Err)
    }

    /// What is said if no row is written: how many there are if none was wanted, else `nothing`.
    pub(super) fn or_none(
        &self,
        registry: &Registry,
        filter: &Filter,
        (nothing, hint): (&str, &str),
    ) -> Result<String, Failure> {
        let all = match self.limit {
            Some(0) => R::count(registry, filter, self.min_size)?,
            _ => 0,
        };
        Ok(match (all, self.uncounted(registry, filter)?) {
            (0, 0) => nothing.to_owned(),
            (0, uncounted) => format!("{nothing}; {}", uncounted_text(uncounted, hint)),
            (all, _) => format!("0 of {}", count(all, R::NOUN)),
        })
    }

    /// How many arrays of the selection a least size leaves out because they were never counted.
    fn uncounted(&self, registry: &Registry, filter: &Filter) -> Result<u64, Failure> {
        if self.min_size.is_none() {
            return Ok(0);
        }
        let mut total = Total::default();
        let of_any_size = filter.clone().min_bytes(None);
        registry.runs_by(&of_any_size, &SummaryOptions::default(), |run: RunRow| {
            total.merge(run.total);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(total.uncounted)
    }

    /// Writes the rows of a selection, and says their total below a table.
    pub(super) fn write(
        &self,
        context: &mut Context,
        registry: &Registry,
        (asked, filter): (&Asked, &Filter),
        format: Format,
        nothing: &str,
    ) -> Result<(), Failure> {
        self.say_unknown_metrics(context, registry)?;
        let hint = context.with_base(COUNT);
        let mut total = Total::default();
        let scores = R::scores(registry, filter, &self.metrics())?;
        let mut rows = ChosenRows::new::<R>(
            context,
            format,
            (&self.columns, self.sorted_score()),
            scores,
        )?;
        self.each(registry, filter, format, |row| {
            row.add_to(&mut total);
            rows.push(row)
        })?;
        let nothing = &self.or_none(registry, filter, (nothing, &hint))?;
        let written = rows.finish(nothing)?;
        // For people; in the other formats, stdout has the numbers to sum.
        if format == Format::Table && written > 0 {
            let rows = count(written, R::NOUN);
            let all = match self.limit == Some(written) {
                true => R::count(registry, filter, self.min_size)?,
                false => written,
            };
            // Without it the sum would be taken for that of the selection.
            let rows = match all > written {
                true => format!("{} of {}", number(written), count(all, R::NOUN)),
                false => rows,
            };
            context.say(&format!("{rows}, {}", total_text(&total)));
            let uncounted = self.uncounted(registry, filter)?;
            if uncounted > 0 {
                context.say(&uncounted_text(uncounted, &hint));
            }
        }
        // The size of a sum is not in the filter.
        if written == 0 && filter.is_all() && self.min_size.is_some() && format != Format::Table {
            context.say(nothing);
        }
        context.say_nothing(registry, (asked, filter), format, (written, nothing))
    }

    /// Warns of metrics in columns and in the order of which the registry has no score.
    fn say_unknown_metrics(&self, context: &Context, registry: &Registry) -> Result<(), Failure> {
        let shown = self.metrics();
        let shown = shown.iter().map(|metric| without_direction(metric));
        let sorted = self.sort.as_ref();
        let sorted = sorted.and_then(|sorted| R::sorted_by(&sorted.key));
        let metrics: BTreeSet<&str> = shown.chain(sorted).collect();
        let metrics: Vec<Pattern> = metrics.into_iter().map(Pattern::from).collect();
        for unmatched in registry.unmatched_metrics(&metrics)? {
            context.warn(&unmatched.to_string());
        }
        Ok(())
    }

    /// Metrics whose scores are shown.
    fn metrics(&self) -> Vec<String> {
        let columns = self.columns.iter().chain(self.sorted_score());
        let metrics = columns.filter_map(|column| match column {
            Chosen::Score { metric, .. } => Some(metric.clone()),
            _ => None,
        });
        metrics.collect()
    }
}

/// A row of sums: what `runs` and `iterations` do in the same way. [`Listed`] follows from it.
pub(super) trait SumRow: Summary + Record {
    /// What one of them is called.
    const NOUN: &'static str;
    /// Headings of fields that have another name.
    const HEADINGS: &'static [(&'static str, &'static str)];
    /// Help of `--sort`.
    const SORT: &'static str;
    /// Help of `--columns`.
    const CHOOSE: &'static str;
    /// Help of `--min-size`.
    const MIN_SIZE: &'static str;

    /// How the cells of a field are aligned.
    fn align(field: &str) -> Align;

    /// A field for people, of those that only this row has; `None` if it is as in TSV.
    fn own_cell(&self, field: &str) -> Option<String>;

    /// Bytes and files of its arrays.
    fn total(&self) -> &Total;

    /// When the newest of its arrays was written.
    fn last_written_at(&self) -> Timestamp;

    /// Passes the rows of a selection to `each`, until it breaks.
    fn read(
        registry: &Registry,
        filter: &Filter,
        options: &SummaryOptions<Self>,
        each: impl FnMut(Self) -> LibraryResult<ControlFlow<()>>,
    ) -> LibraryResult<()>;
}

impl<R: SumRow> Listed for R {
    type Key = SummaryKey<R>;
    const NOUN: &'static str = <R as SumRow>::NOUN;
    const HEADINGS: &'static [(&'static str, &'static str)] = <R as SumRow>::HEADINGS;
    const SORT: &'static str = <R as SumRow>::SORT;
    const CHOOSE: &'static str = <R as SumRow>::CHOOSE;

    fn key(text: &str) -> Result<SummaryKey<R>, String> {
        text.parse()
            .map_err(|error: ParseSummaryKeyError| error.to_string())
    }

    fn sorted_by(key: &SummaryKey<R>) -> Option<&str> {
        key.metric()
    }

    fn metric(text: &str) -> Result<String, String> {
        best(text)
    }

    fn align(field: &str) -> Align {
        <R as SumRow>::align(field)
    }

    fn cell(&self, field: &str) -> Option<String> {
        let [bytes, files] = total_cells(self.total());
        match field {
            "bytes" => Some(bytes),
            "files" => Some(files),
            "last_written_at" => Some(short_time(self.last_written_at())),
            _ => self.own_cell(field),
        }
    }

    fn dated(&self) -> Timestamp {
        self.last_written_at()
    }

    fn score(&self, _: &Scores, metric: &str) -> Option<f64> {
        Summary::score(self, &metric.parse().ok()?)
    }

    fn scores(_: &Registry, _: &Filter, _: &[String]) -> Result<Scores, Failure> {
        Ok(Scores::default())
    }

    const MIN_SIZE: &'static str = <R as SumRow>::MIN_SIZE;

    fn of_size(filter: Filter, _: Option<ByteCount>) -> Filter {
        filter
    }

    fn is_of_size(&self, least: ByteCount) -> bool {
        let total = self.total();
        total.is_known() && total.bytes >= least
    }

    fn add_to(&self, total: &mut Total) {
        total.merge(*self.total());
    }

    fn count(registry: &Registry, filter: &Filter, least: Option<ByteCount>) -> LibraryResult<u64> {
        let mut all = 0;
        R::read(registry, filter, &SummaryOptions::default(), |row| {
            all += u64::from(least.is_none_or(|least| row.is_of_size(least)));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(all)
    }

    fn each(
        registry: &Registry,
        filter: &Filter,
        wanted: Wanted<SummaryKey<R>>,
        each: impl FnMut(Self) -> LibraryResult<ControlFlow<()>>,
    ) -> LibraryResult<()> {
        // Parsed once before, when the arguments were.
        let metrics = wanted.metrics.iter().filter_map(|text| text.parse().ok());
        let options = SummaryOptions::default()
            .order(wanted.order)
            .pinned(wanted.pinned)
            .scores(metrics);
        R::read(registry, filter, &options, each)
    }
}

/// The metric of a best score, with its direction.
fn best(text: &str) -> Result<String, String> {
    let metric = text.parse::<Metric>();
    metric
        .map(|metric| metric.to_string())
        .map_err(|error| error.to_string())
}
