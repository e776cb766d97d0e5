//! Pyramids: groups whose arrays are levels of one artifact.

use std::fs;
use std::path::Path;

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::filter::Filter;
use dalsegno::model::key::Kind;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::model::score::Score;
use dalsegno::{
    NoticeClass, PinSelection, RefreshOptions, Registry, RemoveOptions, RestoreTarget, ScanOptions,
    ScoreQuery, SealOptions, Target,
};

use crate::common::create;
use crate::key;

const ARRAY_2: &str = r#"{"zarr_format":2,"shape":[4],"chunks":[2],"dtype":"|u1"}"#;
const ARRAY_3: &str = r#"{"zarr_format":3,"node_type":"array"}"#;
const ARRAY_N5: &str = r#"{"dimensions":[1],"dataType":"uint8","blockSize":[1]}"#;
const PYRAMID: &str = "r/validation.zarr/1000/val/prediction";

fn write(base: &Path, path: &str, text: &str) {
    let path = base.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A level of zarr v3 with one chunk.
fn level(base: &Path, path: &str) {
    write(base, &format!("{path}/zarr.json"), ARRAY_3);
    write(base, &format!("{path}/c/0"), "chunk");
}

fn scan(registry: &Registry, measure: bool) -> dalsegno::ScanReport {
    let options = ScanOptions::default().measure(measure);
    registry.scan(options, &Silent).unwrap()
}

fn rows(registry: &Registry) -> Vec<Artifact> {
    registry.select(&Filter::default()).unwrap()
}

fn paths(registry: &Registry) -> Vec<String> {
    let rows = rows(registry);
    rows.iter().map(|row| row.location().path()).collect()
}

fn target(path: &str) -> Target {
    Target::Path(path.into())
}

fn kept() -> RemoveOptions {
    RemoveOptions::default().keep(TrashKeep::UntilEmptied)
}

#[test]
fn a_group_is_one_artifact_in_every_form_of_pyramid() {
    let named = |paths: [&str; 2]| {
        let [one, two] = paths;
        format!(r#"[{{"datasets":[{{"path":"{one}"}},{{"path":"{two}"}}]}}]"#)
    };
    let group_3 = |attributes: &str| {
        format!(r#"{{"zarr_format":3,"node_type":"group","attributes":{{{attributes}}}}}"#)
    };
    let numbers = named(["0", "1"]);
    let forms = [
        (
            "ome 0.4",
            ".zarray",
            ARRAY_2,
            ["0", "1"],
            vec![
                (".zgroup", r#"{"zarr_format":2}"#.to_owned()),
                (
                    ".zattrs",
                    format!(r#"{{"voi":NaN,"multiscales":{numbers}}}"#),
                ),
            ],
        ),
        (
            "ome 0.5",
            "zarr.json",
            ARRAY_3,
            ["0", "1"],
            vec![(
                "zarr.json",
                group_3(&format!(
                    r#""ome":{{"version":"0.5","multiscales":{numbers}}}"#
                )),
            )],
        ),
        (
            "v3",
            "zarr.json",
            ARRAY_3,
            ["full", "half"],
            vec![(
                "zarr.json",
                group_3(&format!(r#""multiscales":{}"#, named(["full", "half"]))),
            )],
        ),
        (
            "n5",
            "attributes.json",
            ARRAY_N5,
            ["s0", "s1"],
            vec![(
                "attributes.json",
                format!(r#"{{"multiscales":{}}}"#, named(["s0", "s1"])),
            )],
        ),
        (
            "paintera",
            "attributes.json",
            ARRAY_N5,
            ["s0", "s1"],
            vec![("attributes.json", r#"{"multiScale":true}"#.to_owned())],
        ),
        (
            "group",
            ".zarray",
            ARRAY_2,
            ["s0", "s1"],
            vec![(".zgroup", "{}".to_owned())],
        ),
        (
            "no metadata",
            "zarr.json",
            ARRAY_3,
            ["s0", "s1"],
            Vec::new(),
        ),
    ];
    let places = [
        (PYRAMID, Kind::Prediction),
        (
            "r/validation.zarr/1000/val/output/threshold_127",
            Kind::Output,
        ),
        ("r/validation.zarr/inputs/raw", Kind::InputRaw),
        ("r/snapshot.zarr/volumes/raw", Kind::Snapshot),
        ("r/other.n5/volumes/raw", Kind::Array),
    ];
    for (form, marker, array, levels, metadata) in forms {
        for measure in [false, true] {
            let base = tempfile::tempdir().unwrap();
            for (place, _) in places {
                for (file, text) in &metadata {
                    write(base.path(), &format!("{place}/{file}"), text);
                }
                for level in levels {
                    write(base.path(), &format!("{place}/{level}/{marker}"), array);
                    write(base.path(), &format!("{place}/{level}/0/0"), "chunk");
                }
            }
            let registry = create(base.path());
            let report = scan(&registry, measure);
            assert_eq!((report.arrays, report.adopted), (5, 5), "{form} {report:?}");
            for (place, kind) in places {
                let row = registry.get(&target(place)).unwrap().unwrap();
                assert_eq!(row.key.kind(), kind, "{form} {place}");
                assert_eq!(row.levels, levels, "{form} {place}");
                assert_eq!(row.state, State::Present);
                let files = 4 + metadata.len() as u64;
                assert_eq!(row.size.map(|size| size.files), measure.then_some(files));
            }
            assert_eq!(scan(&registry, measure).updated, 0, "{form}");
        }
    }
}

#[test]
fn what_holds_artifacts_of_its_own_is_no_pyramid() {
    let base = tempfile::tempdir().unwrap();
    let said = r#"{"zarr_format":3,"node_type":"group","attributes":{"multiscales":[{"datasets":[{"path":"s0"}]}]}}"#;
    let arrays = [
        // A container, and the folder of an iteration.
        "r/validation.zarr/s0",
        "r/validation.zarr/2000/s0",
        // Something else lies beside the level.
        "r/validation.zarr/1000/val/prediction/mask",
        "r/validation.zarr/1000/val/prediction/s0",
        // Without metadata, names of chunks are not those of levels.
        "r/validation.zarr/1000/val/output/t1/0",
        "r/validation.zarr/1000/val/output/t1/1",
    ];
    for array in arrays {
        level(base.path(), array);
    }
    for group in ["r/validation.zarr", "r/validation.zarr/2000", PYRAMID] {
        write(base.path(), &format!("{group}/zarr.json"), said);
    }
    let registry = create(base.path());
    scan(&registry, false);
    let mut found = paths(&registry);
    found.sort();
    let mut expected = arrays.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(found, expected);
    assert!(rows(&registry).iter().all(|row| row.levels.is_empty()));
}

#[test]
fn a_damaged_level_makes_the_pyramid_damaged_and_no_level_gets_a_row() {
    let base = tempfile::tempdir().unwrap();
    let levels = ["s0", "s1"].map(|name| format!("{PYRAMID}/{name}"));
    let group = format!("{PYRAMID}/zarr.json");
    let faults = [
        (format!("{}/zarr.json", levels[0]), ""),
        (format!("{}/zarr.json", levels[1]), "{"),
        (group.clone(), "junk"),
    ];
    let registry = create(base.path());
    for (file, text) in faults {
        for measure in [false, true] {
            levels.iter().for_each(|path| level(base.path(), path));
            write(
                base.path(),
                &group,
                r#"{"zarr_format":3,"node_type":"group"}"#,
            );
            scan(&registry, measure);
            assert_eq!(rows(&registry)[0].state, State::Present, "{file}");
            write(base.path(), &file, text);
            let report = scan(&registry, measure);
            assert_eq!(report.notices.len(), 1, "{report:?}");
            assert_eq!(report.notices[0].class, NoticeClass::DamagedMetadata);
            let row = &rows(&registry)[0];
            assert_eq!((row.state, row.levels.len()), (State::Damaged, 2), "{file}");
            assert_eq!(paths(&registry), [PYRAMID]);
            assert_eq!(row.location().path(), PYRAMID);
        }
    }
    // Metadata of a level that is gone leaves chunks that nothing reads.
    levels.iter().for_each(|path| level(base.path(), path));
    fs::remove_file(base.path().join(&levels[1]).join("zarr.json")).unwrap();
    write(
        base.path(),
        &group,
        r#"{"zarr_format":3,"node_type":"group"}"#,
    );
    scan(&registry, false);
    assert_eq!(rows(&registry)[0].state, State::Damaged);
}

#[test]
fn seal_removal_and_restore_take_the_group_whole() {
    let base = tempfile::tempdir().unwrap();
    let levels = ["s0", "s1"].map(|name| format!("{PYRAMID}/{name}"));
    levels.iter().for_each(|path| level(base.path(), path));
    write(base.path(), &format!("{PYRAMID}/.zattrs"), "{}");
    let registry = create(base.path());
    let recorded = registry.record(&key(PYRAMID)).unwrap().artifact;
    assert_eq!(recorded.state, State::Reserved);
    let options = SealOptions::default().hash(true);
    registry
        .seal_many(std::slice::from_ref(&recorded), options, &Silent)
        .unwrap();
    let sealed = registry.get(&target(PYRAMID)).unwrap().unwrap();
    assert!(sealed.sealed_at.is_some() && sealed.content_hash.is_some());
    assert_eq!(sealed.size.unwrap().files, 5);
    assert_eq!(sealed.levels, ["s0", "s1"]);

    let report = registry
        .remove_target(&target(PYRAMID), &kept(), &Silent)
        .unwrap();
    assert_eq!((report.moved, report.artifacts.len()), (1, 1));
    assert!(!base.path().join(PYRAMID).exists());
    registry
        .restore(&RestoreTarget::Path(PYRAMID.into()))
        .unwrap();
    assert!(base.path().join(&levels[1]).join("c/0").exists());
    assert_eq!(registry.get(&target(PYRAMID)).unwrap().unwrap(), sealed);
    assert_eq!(scan(&registry, true).updated, 0);

    fs::remove_file(base.path().join(&levels[1]).join("c/0")).unwrap();
    let report = scan(&registry, true);
    assert_eq!(report.notices[0].class, NoticeClass::ChangedFiles);
}

#[test]
fn the_path_of_a_level_says_which_artifact_it_belongs_to() {
    let base = tempfile::tempdir().unwrap();
    level(base.path(), &format!("{PYRAMID}/s0"));
    let registry = create(base.path());
    scan(&registry, false);
    let of_level = target(&format!("{PYRAMID}/s0"));
    assert_eq!(registry.get(&of_level).unwrap(), None);
    let errors = [
        registry.seal(&of_level).unwrap_err(),
        registry.remove_artifact(&of_level).unwrap_err(),
    ];
    for error in errors {
        assert_eq!(error.code(), "not-recorded");
        let text = error.to_string();
        assert!(text.contains(&format!("a level of {PYRAMID}")), "{text}");
    }
}

/// A registry whose rows are the levels `s0` and `s1` of an output.
fn with_rows_of_levels(base: &Path) -> (Registry, &'static str, [Artifact; 2]) {
    let output = "r/validation.zarr/1000/val/output/t1";
    let registry = create(base);
    let levels = ["s0", "s1"].map(|name| {
        let path = format!("{output}/{name}");
        level(base, &path);
        registry.record(&key(&path)).unwrap().artifact
    });
    registry
        .refresh(&Filter::default(), RefreshOptions::new(), &Silent)
        .unwrap();
    (registry, output, levels)
}

#[test]
fn rows_of_levels_become_part_of_the_pyramid_with_pins_scores_and_seals() {
    let base = tempfile::tempdir().unwrap();
    let (registry, output, levels) = with_rows_of_levels(base.path());
    let pinned = PinSelection::Artifacts(vec![levels[1].clone()]);
    let name = "paper".parse().unwrap();
    registry.pin(&name, Some("figure 3"), &pinned).unwrap();
    let score = Score::new("r".parse().unwrap(), 1000, "voi".parse().unwrap(), 0.5);
    let of_level = score
        .dataset("val".parse::<dalsegno::model::name::DatasetName>().unwrap())
        .parameters(
            "t1/s0"
                .parse::<dalsegno::model::name::Parameters>()
                .unwrap(),
        );
    registry.score(&[of_level]).unwrap();
    registry
        .seal_many(&levels, SealOptions::default(), &Silent)
        .unwrap();
    // A chunk that is lost now is still found once the levels have one row.
    fs::remove_file(base.path().join(output).join("s1/c/0")).unwrap();

    let report = scan(&registry, false);
    assert_eq!((report.adopted, report.levels), (1, 2));
    assert_eq!(report.notices, []);
    let row = registry.get(&target(output)).unwrap().unwrap();
    assert_eq!(paths(&registry), [output]);
    assert_eq!(row.pins, ["paper"]);
    assert!(row.sealed_at.is_some());
    assert_eq!(row.size.unwrap().files, 4);
    let mut scores = Vec::new();
    registry
        .scores(&ScoreQuery::new(Filter::default()), |score| {
            scores.push((score.parameters.unwrap().to_string(), score.value));
            Ok(())
        })
        .unwrap();
    assert_eq!(scores, [("t1".to_owned(), 0.5)]);
    let error = registry.remove_artifact(&target(output)).unwrap_err();
    assert_eq!(error.code(), "pinned");

    let report = scan(&registry, true);
    assert_eq!(report.notices[0].class, NoticeClass::ChangedFiles);
    assert!(registry.check_history(None).unwrap().is_whole());
    // What was said about a level in the meantime moves too.
    let again = registry.record(&levels[0].key).unwrap();
    assert_ne!(again.artifact.id, levels[0].id);
    assert_eq!(scan(&registry, false).levels, 1);
    assert_eq!(paths(&registry), [output]);
}

#[test]
fn levels_of_which_some_are_sealed_keep_their_rows_until_all_are() {
    let base = tempfile::tempdir().unwrap();
    let (registry, output, levels) = with_rows_of_levels(base.path());
    registry.seal(&Target::Id(levels[0].id)).unwrap();
    let report = scan(&registry, false);
    assert_eq!((report.adopted, report.levels), (0, 0));
    assert_eq!(report.notices[0].class, NoticeClass::Levels);
    assert_eq!(rows(&registry).len(), 2);
    registry.seal(&Target::Id(levels[1].id)).unwrap();
    let report = scan(&registry, true);
    assert_eq!((report.levels, report.notices.len()), (2, 0));
    let row = registry.get(&target(output)).unwrap().unwrap();
    assert!(row.sealed_at.is_some());
    assert_eq!(scan(&registry, true).updated, 0);
}

#[test]
fn snapshots_say_which_iterations_they_hold() {
    let base = tempfile::tempdir().unwrap();
    let at = |path: &str| format!("r/snapshot.zarr/volumes/{path}");
    write(base.path(), &at("raw/.zarray"), ARRAY_2);
    write(
        base.path(),
        &at("raw/.zattrs"),
        r#"{"iterations":[0,200,100],"x":NaN}"#,
    );
    let v3 = r#"{"zarr_format":3,"node_type":"array","attributes":{"iterations":[7]}}"#;
    write(base.path(), &at("gt/zarr.json"), v3);
    write(base.path(), &at("mask/.zarray"), ARRAY_2);
    for measure in [false, true] {
        let registry = create(base.path());
        scan(&registry, measure);
        let held = |path: &str| {
            let row = registry.get(&target(&at(path))).unwrap().unwrap();
            (row.newest_iteration(), row.iterations)
        };
        assert_eq!(held("raw"), (Some(200), vec![0, 100, 200]));
        assert_eq!(held("gt"), (Some(7), vec![7]));
        assert_eq!(held("mask"), (None, Vec::new()));
    }
    let more = r#"{"iterations":[0,100,200,300]}"#;
    write(base.path(), &at("raw/.zattrs"), more);
    let registry = create(base.path());
    assert_eq!(scan(&registry, false).updated, 1);
    let row = registry.get(&target(&at("raw"))).unwrap().unwrap();
    assert_eq!(row.newest_iteration(), Some(300));
}

/// A pyramid of zarr v2 with two levels of two chunks and of one; only these chunks are there.
fn counted(base: &Path, iteration: u32, chunks: &[&str]) -> String {
    let pyramid = format!("r/validation.zarr/{iteration}/val/prediction");
    let attributes = r#"{"multiscales":[{"datasets":[{"path":"s0"},{"path":"s1"}]}]}"#;
    write(base, &format!("{pyramid}/.zgroup"), r#"{"zarr_format":2}"#);
    write(base, &format!("{pyramid}/.zattrs"), attributes);
    write(base, &format!("{pyramid}/s0/.zarray"), ARRAY_2);
    let half = ARRAY_2.replace("[4]", "[2]");
    write(base, &format!("{pyramid}/s1/.zarray"), &half);
    for chunk in chunks {
        write(base, &format!("{pyramid}/{chunk}"), "x");
    }
    pyramid
}

const ALL: [&str; 3] = ["s0/0", "s0/1", "s1/0"];

fn counts(registry: &Registry) -> Vec<(Option<u64>, Option<u64>)> {
    let rows = rows(registry);
    rows.iter()
        .map(|row| (row.chunks_there, row.chunks_expected()))
        .collect()
}

#[test]
fn its_chunks_are_those_of_its_levels() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    counted(base, 1, &ALL);
    counted(base, 2, &["s0/1"]);
    let registry = create(base);
    scan(&registry, true);
    assert_eq!(counts(&registry), [(Some(3), Some(3)), (Some(1), Some(3))]);
    let first = &rows(&registry)[0];
    let shape = first.metadata.as_ref().and_then(|says| says.shape.clone());
    assert_eq!(shape, Some(vec![4]));
}

#[test]
fn one_that_lacks_chunks_or_a_level_is_not_sealed_as_complete() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    let whole = counted(base, 1, &ALL);
    let short = counted(base, 2, &["s0/1", "s1/0"]);
    let torso = counted(base, 3, &["s0/0", "s0/1"]);
    fs::remove_dir_all(base.join(&torso).join("s1")).unwrap();
    let registry = create(base);
    scan(&registry, true);
    let options = SealOptions::default().complete(true);
    let seal = |path: &str| {
        let artifact = registry.get(&target(path)).unwrap().unwrap();
        registry.seal_many(&[artifact], options, &Silent)
    };
    seal(&whole).unwrap();
    let error = seal(&short).unwrap_err();
    assert_eq!(error.code(), "chunks-missing");
    assert!(error.to_string().contains("s0/0"), "{error}");
    let error = seal(&torso).unwrap_err();
    assert_eq!(error.code(), "levels-missing");
    assert!(error.to_string().contains("s1"), "{error}");
    let sealed = rows(&registry)
        .iter()
        .filter(|row| row.sealed_at.is_some())
        .count();
    assert_eq!(sealed, 1);
}

#[test]
fn a_torso_is_not_what_a_policy_keeps_as_complete() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path();
    for iteration in [1, 2] {
        counted(base, iteration, &ALL);
    }
    let registry = create(base);
    scan(&registry, true);
    let sealed = rows(&registry);
    registry
        .seal_many(&sealed, SealOptions::default(), &Silent)
        .unwrap();
    // Short of chunks, then of a level, then sealed and robbed of a chunk.
    let torsos: [&dyn Fn(); 3] = [
        &|| {
            counted(base, 3, &["s0/0"]);
        },
        &|| {
            let path = counted(base, 3, &["s0/1"]);
            fs::remove_dir_all(base.join(path).join("s1")).unwrap();
        },
        &|| {
            let path = counted(base, 3, &ALL);
            scan(&registry, true);
            let row = registry.get(&target(&path)).unwrap().unwrap();
            registry
                .seal_many(&[row], SealOptions::default(), &Silent)
                .unwrap();
            fs::remove_file(base.join(path).join("s1/0")).unwrap();
        },
    ];
    for torso in torsos {
        torso();
        scan(&registry, true);
        let mut complete = Vec::new();
        registry
            .iterations(&Filter::default(), |iteration| {
                complete.push(iteration.complete);
                Ok(())
            })
            .unwrap();
        assert_eq!(complete, [Some(true), Some(true), Some(false)]);
    }
}

/// Without attributes nothing but other iterations says how many levels there should be.
#[test]
fn a_pyramid_without_attributes_lacks_the_levels_that_others_have() {
    for last in [&["s0"][..], &["s0", "s1"]] {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        for (iteration, levels) in [(1, &["s0", "s1", "s2"][..]), (2, last)] {
            let pyramid = format!("r/validation.n5/{iteration}/val/prediction");
            for level in levels {
                let metadata = r#"{"dimensions":[4],"blockSize":[4],"dataType":"uint8"}"#;
                write(
                    base,
                    &format!("{pyramid}/{level}/attributes.json"),
                    metadata,
                );
                write(base, &format!("{pyramid}/{level}/0"), "x");
            }
        }
        let registry = create(base);
        scan(&registry, true);
        let mut missing = Vec::new();
        registry
            .iterations(&Filter::default(), |iteration| {
                missing.push((iteration.complete, iteration.missing));
                Ok(())
            })
            .unwrap();
        let lacks = format!("val/prediction (levels {}/3)", last.len());
        assert_eq!(missing, [(Some(true), vec![]), (Some(false), vec![lacks])]);
    }
}
