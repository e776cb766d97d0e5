//! Each part of a filter, and each sum, by cases.

use std::ops::ControlFlow;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use dalsegno::ScanOptions;
use dalsegno::model::artifact::State;
use dalsegno::model::clock::Timestamp;
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::layout;
use dalsegno::model::order::Order;
use dalsegno::model::progress::Silent;
use dalsegno::model::score::Score;
use dalsegno::model::size::{ByteCount, Size, Total};
use dalsegno::{DuGroup, DuRow, RefreshOptions, Registry, RunRow, SummaryOptions};

use crate::common::{self, NOW, create, write_array};
use crate::random::{Data, fill, fill_owned};

/// A registry with rows of these paths, all present.
fn present(paths: &[&str]) -> (tempfile::TempDir, Registry) {
    let base = tempfile::tempdir().unwrap();
    let rows: Vec<_> = paths
        .iter()
        .map(|path| (layout::parse(path).unwrap(), Data::Present(NOW, None), 0))
        .collect();
    let (registry, _) = fill(base.path(), &rows);
    (base, registry)
}

fn paths(registry: &Registry, filter: &Filter) -> Vec<String> {
    let rows = registry.select(filter).unwrap();
    rows.iter().map(|row| row.location().path()).collect()
}

#[test]
fn a_listing_is_in_the_order_of_run_iteration_kind_dataset_parameters() {
    let ordered = [
        "Run/validation.zarr/9900/a/prediction",
        "run/validation.zarr/inputs/a/raw",
        "run/validation.zarr/inputs/gt",
        "run/validation.zarr/a/voi",
        "run/validation.zarr",
        "run/validation.zarr/-1/a/prediction",
        "run/validation.zarr/9000/a/prediction",
        "run/validation.zarr/9000/b/prediction",
        "run/validation.zarr/9000/a/output/q",
        "run/validation.zarr/9000/b/output/p",
        "run/snapshot.zarr/9000/a",
        "run/validation.zarr/9900/a/prediction",
        "run/validation.zarr/10000/a/prediction",
        "run2/validation.zarr/1/a/prediction",
    ];
    let mut mixed = ordered.to_vec();
    mixed.reverse();
    mixed.swap(2, 7);
    let (_base, registry) = present(&mixed);
    assert_eq!(paths(&registry, &Filter::default()), ordered);
}

#[test]
fn a_pattern_that_spells_a_known_name_matches_that_name_alone() {
    let (_base, registry) = present(&[
        "[mito]/validation.zarr/1/a/prediction",
        "m/validation.zarr/1/a/prediction",
        "r/validation.zarr/1/[mito]/output/p[1]",
        "r/validation.zarr/1/i/output/p1",
        "r/validation.zarr/1/x/output/f(a=*)",
        "r/validation.zarr/1/x/output/f(a=1)",
    ]);
    let by_run = |run: &str| Filter::default().runs([run]);
    let by_dataset = |dataset: &str| Filter::default().datasets([dataset]);
    let by_parameters = |parameters: &str| Filter::default().parameters([parameters]);
    for (filter, expected) in [
        (by_run("[mito]"), 1), // itself, not `m`
        (by_run("[m]"), 1),
        (by_run("[[]mito]"), 1),
        (by_run("m"), 1),
        (by_run("M"), 0),
        (by_run("r"), 4),
        (by_run("*"), 6),
        (by_run(""), 0),
        (by_dataset("[mito]"), 1), // itself, not `i`
        (by_dataset("[ix]"), 3),
        (by_dataset("*"), 6),
        (by_parameters("p[1]"), 1), // itself, not `p1`
        (by_parameters("p?"), 1),
        (by_parameters("f(a=*)"), 1), // itself, not `f(a=1)`
        (by_parameters("f(a=?)"), 2),
        (by_parameters("*"), 4),
    ] {
        assert_eq!(paths(&registry, &filter).len(), expected, "{filter:?}");
    }
    let several = Filter::default().runs(["m", "r"]).datasets(["a", "i"]);
    assert_eq!(
        paths(&registry, &several),
        [
            "m/validation.zarr/1/a/prediction",
            "r/validation.zarr/1/i/output/p1"
        ]
    );
}

/// What patterns mean: stated, so that another matcher could not change it unseen.
#[test]
fn patterns_match_as_in_a_shell() {
    let names = [
        "a", "b", "ab", "a-b", "^", "!", "]", "\\", "é", "日", "A", "a*", "x/y",
    ];
    let path = |name: &&str| format!("{name}/validation.zarr/1/d/prediction");
    let paths_of: Vec<String> = names.iter().map(path).collect();
    let paths_of: Vec<&str> = paths_of.iter().map(String::as_str).collect();
    let (_base, registry) = present(&paths_of);
    let dataset = "d";
    let cases: [(&str, &[&str]); 36] = [
        ("a", &["a"]),
        ("?", &["!", "A", "\\", "]", "^", "a", "b", "é", "日"]),
        ("??", &["a*", "ab"]),
        (
            "*",
            &[
                "!", "A", "\\", "]", "^", "a", "a*", "a-b", "ab", "b", "x/y", "é", "日",
            ],
        ),
        (
            "**",
            &[
                "!", "A", "\\", "]", "^", "a", "a*", "a-b", "ab", "b", "x/y", "é", "日",
            ],
        ),
        // A known name is that name alone, whatever is in it.
        ("a*", &["a*"]),
        ("ab*", &["ab"]),
        ("a?*", &["a*", "a-b", "ab"]),
        ("*b", &["a-b", "ab", "b"]),
        ("x*y", &["x/y"]),
        ("x?y", &["x/y"]),
        ("[ab]", &["a", "b"]),
        ("[a-b]", &["a", "b"]),
        // A range from high to low is empty.
        ("[b-a]", &[]),
        ("[!b-a]", &["!", "A", "\\", "]", "^", "a", "b", "é", "日"]),
        ("[A-Z]", &["A"]),
        ("[^a]", &["!", "A", "\\", "]", "^", "b", "é", "日"]),
        ("[!a]", &["!", "A", "\\", "]", "^", "b", "é", "日"]),
        ("[!!]", &["A", "\\", "]", "^", "a", "b", "é", "日"]),
        ("[a!]", &["!", "a"]),
        ("[!]a]", &["!", "A", "\\", "^", "b", "é", "日"]),
        // Ranges that begin, end or pass at characters that mean something in brackets.
        ("[]-a]", &["]", "^", "a"]),
        ("[A-]]", &[]),
        ("[[-b]", &["\\", "]", "^", "a", "b"]),
        ("[!+-b]", &["!", "é", "日"]),
        ("[^^]", &["!", "A", "\\", "]", "a", "b", "é", "日"]),
        ("[]]", &["]"]),
        ("[^]]", &["!", "A", "\\", "^", "a", "b", "é", "日"]),
        ("[a^]", &["^", "a"]),
        ("a[-]b", &["a-b"]),
        ("a[*]", &["a*"]),
        // A backslash escapes nothing.
        ("a\\*", &[]),
        ("[\\]", &["\\"]),
        // Brackets that are not closed are characters.
        ("[a", &[]),
        ("[é-日]", &["é", "日"]),
        ("", &[]),
    ];
    for (pattern, expected) in cases {
        let filter = Filter::default().runs([pattern]).datasets([dataset]);
        let rows = registry.select(&filter).unwrap();
        let found: Vec<&str> = rows.iter().map(|row| row.key.run().as_str()).collect();
        assert_eq!(found, expected, "{pattern:?}");
        let runs = registry.run_names(&[pattern.into()]).unwrap();
        assert_eq!(runs, expected, "{pattern:?}");
    }
}

/// SQLite reads a glob up to a NUL, so that whatever comes before it would match alone.
#[test]
fn a_pattern_with_a_nul_matches_nothing() {
    let path = "run/validation.zarr/1/a/prediction";
    let (_base, registry) = present(&[path]);
    for pattern in ["r*\0", "*\0x", "run\0", "[r]un\0*", "?un\0"] {
        let by_run = Filter::default().runs([pattern]);
        assert_eq!(
            paths(&registry, &by_run),
            Vec::<String>::new(),
            "{pattern:?}"
        );
        let by_dataset = Filter::default().datasets([pattern.replace("un", "").replace('r', "a")]);
        assert_eq!(paths(&registry, &by_dataset), Vec::<String>::new());
    }
    let whole = Filter::default().runs(["r*"]);
    assert_eq!(paths(&registry, &whole), [path]);
}

#[test]
fn iterations_are_compared_as_numbers_with_both_ends_included() {
    let (_base, registry) = present(&[
        "r/validation.zarr/9000/a/prediction",
        "r/validation.zarr/9900/a/prediction",
        "r/validation.zarr/10000/a/prediction",
        "r/validation.zarr/inputs/raw",
    ]);
    for (ranges, expected) in [
        (vec!["9000..9900"], 2),
        (vec!["9900.."], 2),
        (vec!["..9000"], 1),
        (vec!["9000", "10000"], 2),
        (vec!["1..8999", "9901..9999"], 0),
        (vec![], 4),
    ] {
        let filter =
            Filter::default().iterations(ranges.iter().map(|range| range.parse().unwrap()));
        assert_eq!(paths(&registry, &filter).len(), expected, "{ranges:?}");
    }
}

#[test]
fn age_counts_from_writing_and_from_recording_where_nothing_was_written() {
    let base = tempfile::tempdir().unwrap();
    let written = |path: &str, data, recorded| (layout::parse(path).unwrap(), data, recorded);
    let old = Data::Present(Timestamp(NOW.0 - 1), None);
    let (registry, _) = fill(
        base.path(),
        &[
            written("r/validation.zarr/1/a/prediction", old, 1),
            written(
                "r/validation.zarr/2/a/prediction",
                Data::Present(NOW, None),
                0,
            ),
            written("r/validation.zarr/3/a/prediction", Data::Reserved, 0),
            written("r/validation.zarr/4/a/prediction", Data::Reserved, 1),
        ],
    );
    let before = |moment| {
        let filter = Filter::default().written_before(moment);
        paths(&registry, &filter).len()
    };
    assert_eq!(before(Timestamp(NOW.0 - 1)), 0);
    assert_eq!(before(NOW), 1, "recorded later than it was written");
    assert_eq!(before(Timestamp(NOW.0 + 1)), 3);
    assert_eq!(before(Timestamp(NOW.0 + 1_001)), 4);
    let of_age = |age| {
        let filter = Filter::default().older_than(age);
        paths(&registry, &filter).len()
    };
    assert_eq!(of_age(Duration::from_millis(1)), 0, "exactly this old");
    assert_eq!(of_age(Duration::ZERO), 1);
}

#[test]
fn an_unknown_size_is_never_zero() {
    let base = tempfile::tempdir().unwrap();
    for array in ["1/a/prediction", "2/a/prediction", "2/a/output/p"] {
        write_array(&base.path().join("r/validation.zarr").join(array));
    }
    let registry = create(base.path());
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let rows = registry.select(&Filter::default()).unwrap();
    assert!(rows.iter().all(|row| row.size.is_none()));
    let json = serde_json::to_value(&rows[0]).unwrap();
    assert!(json["bytes"].is_null() && json["files"].is_null());
    let uncounted = |number| {
        let mut total = Total::default();
        total.uncounted = number;
        total
    };
    let du = |group| registry.du(&Filter::default(), group).unwrap();
    assert_eq!(du(DuGroup::Run)[0].total, uncounted(3));
    let by_size = |min_bytes| {
        let filter = Filter::default().min_bytes(min_bytes);
        paths(&registry, &filter).len()
    };
    assert_eq!(by_size(0), 0, "what is unknown is not at least 0");

    let first = Filter::default().iterations([1.into()]);
    let measure = RefreshOptions::new().measure(true);
    registry.refresh(&first, measure, &Silent).unwrap();
    let bytes: usize = common::ARRAY_FILES.iter().map(|(_, text)| text.len()).sum();
    let mut mixed = uncounted(2);
    mixed.bytes = ByteCount(bytes as u64);
    mixed.files = 3;
    assert_eq!(du(DuGroup::Run)[0].total, mixed);
    assert_eq!(by_size(0), 1);
    let mut totals = Vec::new();
    registry
        .iterations(&Filter::default(), |row| {
            totals.push(row.total);
            Ok(())
        })
        .unwrap();
    let mut counted = mixed;
    counted.uncounted = 0;
    assert_eq!(totals, [counted, uncounted(2)]);
    registry
        .runs(&Filter::default(), |row| {
            assert_eq!(row.total, mixed);
            Ok(())
        })
        .unwrap();
}

#[test]
fn space_is_summed_by_the_user_whose_the_data_is() {
    let base = tempfile::tempdir().unwrap();
    let row = |path: &str, bytes, owner| {
        let size = Size {
            bytes: ByteCount(bytes),
            files: 1,
        };
        let data = Data::Present(NOW, Some(size));
        (layout::parse(path).unwrap(), data, 0, owner)
    };
    let mut rows = vec![
        row("r/validation.zarr/1/a/prediction", 5, Some(7)),
        row("s/validation.zarr/1/a/prediction", 6, Some(7)),
        row("r/validation.zarr/2/a/prediction", 20, Some(u32::MAX)),
        row("r/validation.zarr/3/a/prediction", 11, None),
        row("r/validation.zarr", 100, Some(7)),
    ];
    let reserved = layout::parse("r/validation.zarr/4/a/prediction").unwrap();
    rows.push((reserved, Data::Reserved, 0, None));
    let (registry, _) = fill_owned(base.path(), &rows);
    let du = |filter: &Filter| {
        let rows = registry.du(filter, DuGroup::Owner).unwrap();
        let line = |row: &DuRow| (row.owner, row.arrays, row.total.bytes.0, row.reserved);
        rows.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        du(&Filter::default()),
        [
            (Some(u32::MAX), 1, 20, 0),
            (None, 1, 11, 1),
            (Some(7), 2, 11, 0),
        ]
    );
    let mine = Filter::default().owners([7]);
    assert_eq!(du(&mine), [(Some(7), 2, 11, 0)]);
    let reserved = Filter::default().states([State::Reserved]);
    assert_eq!(du(&reserved), [(None, 0, 0, 1)]);
}

/// A row from before owners were noted has a size and no owner.
#[test]
fn a_count_also_finds_the_owner_of_the_data() {
    let base = tempfile::tempdir().unwrap();
    let array = "r/validation.zarr/1/a/prediction";
    write_array(&base.path().join(array));
    let registry = create(base.path());
    registry.scan(ScanOptions::default(), &Silent).unwrap();
    let sqlite = rusqlite::Connection::open(registry.catalog_path()).unwrap();
    sqlite
        .execute("UPDATE artifact SET owner = NULL, bytes = 1, files = 1", [])
        .unwrap();
    let owner = || registry.select(&Filter::default()).unwrap()[0].owner;
    assert_eq!(owner(), None);
    let refresh = |measure| {
        let options = RefreshOptions::new().measure(measure);
        let report = registry.refresh(&Filter::default(), options, &Silent);
        report.unwrap().looked_at
    };
    assert_eq!((refresh(false), owner()), (0, None));
    assert_eq!(refresh(true), 1);
    let written = std::fs::metadata(base.path().join(array).join(".zarray")).unwrap();
    assert_eq!(owner(), Some(written.uid()));
    assert_eq!(refresh(true), 0, "it is known now");
}

#[test]
fn an_iteration_is_complete_if_it_has_what_any_iteration_of_the_run_has() {
    let base = tempfile::tempdir().unwrap();
    let row = |path: &str, data| (layout::parse(path).unwrap(), data, 0);
    let present = Data::Present(NOW, None);
    let (registry, _) = fill(
        base.path(),
        &[
            row("r/validation.zarr/1/a/output/p", present),
            row("r/validation.zarr/1/a/output/q", present),
            row("r/validation.zarr/1/b/prediction", present),
            row("r/validation.zarr/1/b/output/p", present),
            row("r/validation.zarr/2/a/output/p", present),
            row("r/validation.zarr/2/b/prediction", present),
            row("r/validation.zarr/2/b/output/p", Data::Missing(NOW, None)),
            row("r/validation.zarr/3/a/output/p", Data::Reserved),
            row("r/snapshot.zarr/1/volumes/raw", present),
            row("r/snapshot.zarr/4/volumes/raw", present),
            row("s/snapshot.zarr/1/volumes/raw", present),
        ],
    );
    let ask = |kinds: &[Kind]| {
        let filter = Filter::default().kinds(kinds.iter().copied());
        let mut rows = Vec::new();
        registry
            .iterations(&filter, |row| {
                rows.push((row.run, row.iteration, row.datasets.join(" "), row.complete));
                Ok(())
            })
            .unwrap();
        rows
    };
    let line = |run: &str, iteration, datasets: &str, complete| {
        (
            run.to_owned(),
            iteration,
            datasets.to_owned(),
            Some(complete),
        )
    };
    let nothing = |run: &str, iteration| (run.to_owned(), iteration, String::new(), None);
    assert_eq!(
        ask(&[]),
        [
            line("r", 1, "a b", true),
            line("r", 2, "a b", false),
            nothing("r", 4),
            nothing("s", 1),
        ],
        "3 was only asked for, and is not there"
    );
    assert_eq!(
        ask(&[Kind::Output]),
        [line("r", 1, "a b", true), line("r", 2, "a", false)]
    );
    assert_eq!(
        ask(&[Kind::Prediction]),
        [line("r", 1, "b", true), line("r", 2, "b", false)]
    );
    assert_eq!(
        ask(&[Kind::Snapshot]),
        [
            line("r", 1, "volumes/raw", true),
            line("r", 4, "volumes/raw", true),
            line("s", 1, "volumes/raw", true),
        ]
    );
}

/// Runs and iterations have the best of the scores that a filter names; NaN is never the best.
#[test]
fn the_best_scores_are_those_of_what_is_selected() {
    let (_base, registry) = present(&[
        "a/validation.zarr/1/x/prediction",
        "a/validation.zarr/2/x/prediction",
        "b/validation.zarr/1/x/prediction",
        "c/validation.zarr/1/x/prediction",
    ]);
    let score = |run: &str, iteration, dataset: &str, value| {
        let metric = "voi".parse().unwrap();
        let score = Score::new(run.parse().unwrap(), iteration, metric, value);
        score.dataset((!dataset.is_empty()).then(|| dataset.parse().unwrap()))
    };
    let scores = [
        score("a", 1, "x", 0.5),
        score("a", 1, "y", 0.1),
        score("a", 2, "", 0.3),
        score("a", 9, "x", f64::NAN),
        score("b", 1, "y", 0.2),
        score("c", 1, "x", f64::NAN),
    ];
    registry.score(&scores).unwrap();
    let metrics = || ["voi:min", "voi:max"].map(|metric| metric.parse().unwrap());
    let runs = |filter: &Filter| {
        let order = Order::new("score:voi".parse().unwrap());
        let options = SummaryOptions::default().scores(metrics()).order(order);
        let mut found = Vec::new();
        let each = |row: RunRow| {
            let of = |metric| row.scores.get(metric).map(|score| score.0);
            found.push((row.run.clone(), of("voi:min"), of("voi:max")));
            Ok(ControlFlow::Continue(()))
        };
        registry.runs_by(filter, &options, each).unwrap();
        found
    };
    let line = |run: &str, lowest, highest| (run.to_owned(), lowest, highest);
    let nothing = || line("c", None, None);
    assert_eq!(
        runs(&Filter::default()),
        [
            line("a", Some(0.1), Some(0.5)),
            line("b", Some(0.2), Some(0.2)),
            nothing()
        ]
    );
    // A score of every dataset is one of each, too.
    let of_x = Filter::default().datasets(["x"]);
    assert_eq!(
        runs(&of_x),
        [
            line("a", Some(0.3), Some(0.5)),
            line("b", None, None),
            nothing()
        ]
    );
    let of_first = Filter::default().iterations([1.into()]).runs(["a"]);
    assert_eq!(runs(&of_first), [line("a", Some(0.1), Some(0.5))]);

    let order = Order::new("score:voi".parse().unwrap()).reverse(true);
    let options = SummaryOptions::default().order(order);
    let mut found = Vec::new();
    registry
        .iterations_by(&Filter::default(), &options, |row| {
            found.push(format!("{} {}", row.run, row.iteration));
            assert_eq!(row.pinned, None, "it was not asked for");
            Ok(match found.len() {
                3 => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            })
        })
        .unwrap();
    assert_eq!(found, ["a 2", "b 1", "a 1"]);
}
