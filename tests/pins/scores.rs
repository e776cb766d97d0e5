//! Scores are recorded, replaced, listed and deleted.

use dalsegno::ScoreQuery;
use dalsegno::model::filter::{Filter, Pattern};
use dalsegno::model::name::DatasetName;
use dalsegno::model::score::{self, Score};
use dalsegno::{PinSelection, Registry};

use crate::scene::{base, key, of_run};

fn score(run: &str, iteration: i64, dataset: Option<&str>, metric: &str, value: f64) -> Score {
    let (run, metric) = (run.parse().unwrap(), metric.parse().unwrap());
    let dataset: Option<DatasetName> = dataset.map(|name| name.parse().unwrap());
    Score::new(run, iteration, metric, value).dataset(dataset)
}

fn listed(registry: &Registry, of: Filter, metrics: &[Pattern]) -> Vec<String> {
    let mut lines = Vec::new();
    registry
        .scores(&ScoreQuery::new(of).metrics(metrics), |score| {
            let dataset = score
                .dataset
                .map_or("-".to_owned(), |name| name.to_string());
            lines.push(format!(
                "{}|{}|{dataset}|{}={}",
                score.run, score.iteration, score.metric, score.value
            ));
            Ok(())
        })
        .unwrap();
    lines
}

fn all(registry: &Registry) -> Vec<String> {
    listed(registry, Filter::default(), &[])
}

#[test]
fn a_score_takes_the_place_of_the_one_before() {
    let (_folder, registry) = base();
    registry.score(&[score("r", 1, None, "voi", 0.5)]).unwrap();
    registry
        .score(&[score("r", 1, Some("d"), "voi", 0.4)])
        .unwrap();
    registry.score(&[score("r", 1, None, "voi", 0.25)]).unwrap();
    assert_eq!(all(&registry), ["r|1|-|voi=0.25", "r|1|d|voi=0.4"]);
    // Also by NaN, and back.
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.0] {
        registry
            .score(&[score("r", 1, None, "voi", value)])
            .unwrap();
        assert_eq!(all(&registry)[0], format!("r|1|-|voi={value}"));
    }
}

#[test]
fn a_score_is_taken_away_by_its_name_and_place() {
    let (_folder, registry) = base();
    let scores = [
        score("r", 1, None, "voi", 0.5),
        score("r", 1, Some("d"), "voi", f64::NAN),
    ];
    registry.score(&scores).unwrap();
    assert_eq!(
        registry.unscore(&[score("r", 1, None, "f1", 0.5)]).unwrap(),
        0
    );
    assert_eq!(
        registry
            .unscore(&[score("r", 2, None, "voi", 0.5)])
            .unwrap(),
        0
    );
    assert_eq!(registry.unscore(&scores[1..]).unwrap(), 1);
    assert_eq!(all(&registry), ["r|1|-|voi=0.5"]);
    assert_eq!(registry.unscore(&scores).unwrap(), 1);
    assert_eq!(all(&registry), [""; 0]);
}

/// A query about an unknown run does not make it known, so a pin on a misspelt run is refused.
#[test]
fn taking_a_score_away_makes_no_run_known() {
    let (_folder, registry) = base();
    registry
        .unscore(&[score("typo", 1, None, "voi", 0.5)])
        .unwrap();
    let scope = PinSelection::Filter(of_run("typo"));
    let error = registry.pin(&"a".parse().unwrap(), Some("x"), &scope);
    assert_eq!(error.unwrap_err().code(), "pin-binds-nothing");
}

#[test]
fn noting_says_whether_anything_is_recorded_there() {
    let (_folder, registry) = base();
    registry
        .record(&key("r/validation.zarr/1/d/prediction"))
        .unwrap();
    let scores = [
        score("r", 1, None, "voi", 0.5),
        score("r", 2, None, "voi", 0.5),
        score("q", 1, None, "voi", 0.5),
    ];
    assert_eq!(registry.score(&scores).unwrap(), [true, false, false]);
}

#[test]
fn names_that_a_run_has_not_are_told_with_the_nearest() {
    let (_folder, registry) = base();
    let rows = [
        "r/validation.zarr/1/ds_crop7/output/threshold_127",
        "r/validation.zarr/1/ds_crop8/prediction",
        "r/validation.zarr/inputs/crop7/raw",
        "q/validation.zarr",
    ];
    for path in rows {
        registry.record(&key(path)).unwrap();
    }
    let of = |run: &str, dataset: Option<&str>, parameters: Option<&str>| {
        let score = score(run, 1, dataset, "voi", 0.5);
        score.parameters(parameters.map(|text| text.parse().unwrap()))
    };
    let scores = [
        of("r", Some("crop7"), Some("threshold_127")),
        of("r", Some("crop7"), None),
        of("r", Some("ds_crop8"), Some("threshold_12")),
        of("r", Some("other"), None),
        of("r", None, None),
        of("q", Some("crop7"), None),
        of("unknown", Some("crop7"), None),
    ];
    let found = registry.unknown_names(&scores).unwrap();
    let found: Vec<_> = found
        .iter()
        .map(|one| (one.part, one.name.as_str(), one.nearest.as_deref()))
        .collect();
    assert_eq!(
        found,
        [
            ("iteration", "1", None),
            ("dataset", "crop7", Some("ds_crop7")),
            ("dataset", "other", None),
            ("parameters", "threshold_12", Some("threshold_127")),
            ("run", "unknown", None),
        ]
    );
}

#[test]
fn runs_and_iterations_of_scores_that_are_not_recorded_are_named() {
    let (_folder, registry) = base();
    for iteration in [1000, 2000] {
        let path = format!("affinities/validation.zarr/{iteration}/d/prediction");
        registry.record(&key(&path)).unwrap();
    }
    let voi = |run, iteration| score(run, iteration, None, "voi", 0.5);
    let (known, mistyped) = (voi("affinities", 1100), voi("affinites", 1000));
    registry
        .require_scored_run(&[mistyped.clone(), known.clone()])
        .unwrap();
    registry.require_scored_run(&[]).unwrap();
    let refused = registry.require_scored_run(std::slice::from_ref(&mistyped));
    let refused = refused.unwrap_err();
    assert_eq!(refused.code(), "not-recorded");
    let says = "run affinites is not recorded; did you mean \"affinities\"?";
    assert_eq!(refused.to_string(), says);
    let unknown = registry.unknown_names(&[known, mistyped]).unwrap();
    let unknown: Vec<_> = unknown
        .iter()
        .map(|one| (one.part, one.name.as_str(), one.nearest.as_deref()))
        .collect();
    assert_eq!(
        unknown,
        [
            ("run", "affinites", Some("affinities")),
            ("iteration", "1100", Some("1000, 2000")),
        ]
    );
}

#[test]
fn a_query_of_scores_names_what_neither_a_score_nor_an_artifact_has() {
    let (_folder, registry) = base();
    registry
        .record(&key("a/validation.zarr/1/ds_crop7/prediction"))
        .unwrap();
    // Nothing is recorded of b, as after a removal.
    let scores = [
        score("a", 1, None, "voi_split", 0.5),
        score("b", 9, Some("old"), "voi_split", 0.5),
    ];
    registry.score(&scores).unwrap();
    let named = |of: Filter, metrics: &[&str]| -> Vec<String> {
        let metrics: Vec<Pattern> = metrics.iter().map(|name| (*name).into()).collect();
        let query = ScoreQuery::new(of).metrics(&metrics);
        let unmatched = registry.unmatched_scores(&query).unwrap();
        unmatched.iter().map(ToString::to_string).collect()
    };
    let none: [&str; 0] = [];
    let of = |runs: &[&str]| Filter::default().runs(runs.iter().copied());
    assert_eq!(named(of(&["a", "b"]), &["voi_split", "v*"]), none);
    assert_eq!(named(of(&["b"]).iterations([9.into()]), &[]), none);
    assert_eq!(named(of(&["b"]).datasets(["old"]), &[]), none);
    assert_eq!(named(of(&["a", "c"]), &[]), ["no run \"c\""]);
    assert_eq!(
        named(
            of(&["a"]).datasets(["crop7"]).iterations([3.into()]),
            &["voi_spilt"]
        ),
        [
            "no dataset \"crop7\"; did you mean \"ds_crop7\"?",
            "no iteration 3; iterations near 3: 1",
            "no metric \"voi_spilt\"; did you mean \"voi_split\"?",
        ]
    );
}

#[test]
fn scores_are_listed_in_order_and_by_name() {
    let (_folder, registry) = base();
    let scores = [
        score("b", 10_000, None, "voi", 1.0),
        score("b", 9000, None, "voi", 1.0),
        score("b", 9900, Some("x"), "f1", 1.0),
        score("a", -5, None, "voi split", 1.0),
    ];
    registry.score(&scores).unwrap();
    let order = [
        "a|-5|-|voi split=1",
        "b|9000|-|voi=1",
        "b|9900|x|f1=1",
        "b|10000|-|voi=1",
    ];
    assert_eq!(all(&registry), order);
    assert_eq!(listed(&registry, of_run("a"), &[]), order[..1]);
    assert_eq!(
        listed(&registry, Filter::default(), &["voi".into()]).len(),
        2
    );
    assert_eq!(
        listed(&registry, Filter::default(), &["voi*".into()]).len(),
        3
    );
    let of = Filter::default().datasets(["x"]);
    assert_eq!(listed(&registry, of, &[]), order[2..3]);
}

#[test]
fn names_with_spaces_commas_and_slashes_come_through() {
    let (_folder, registry) = base();
    let csv = "run,iteration,dataset,parameters,metric,value\n\
               \"my run, the 2nd/a\",5,\"crop 1, left/b\",\"P(x=1, y=\"\"2\"\")\",f1/2,0.5\n";
    let scores = score::parse(csv).unwrap();
    registry.score(&scores).unwrap();
    let mut found = Vec::new();
    registry
        .scores(&ScoreQuery::default(), |score| {
            found.push(score);
            Ok(())
        })
        .unwrap();
    assert_eq!(found, scores);
    assert_eq!(found[0].run.as_str(), "my run, the 2nd/a");
    assert_eq!(
        found[0].parameters.as_ref().unwrap().as_str(),
        "P(x=1, y=\"2\")"
    );
}
