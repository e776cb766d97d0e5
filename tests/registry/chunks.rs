//! What metadata says of an array, and how many of its chunks are there.

use std::fs;
use std::path::Path;

use dalsegno::model::artifact::{Artifact, State};
use dalsegno::model::filter::Filter;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;
use dalsegno::{
    RefreshOptions, Registry, RemoveOptions, RestoreTarget, ScanOptions, SealOptions, Target,
    VerifyClass, VerifyOptions,
};

use crate::code;
use crate::common::create;

const PATH: &str = "r/validation.zarr/1/a/prediction";

const V2: &str = r#"{"zarr_format":2,"shape":[4,6],"chunks":[2,3],"dtype":"|u1","fill_value":0,
    "compressor":{"id":"blosc"},"order":"C","filters":null,"dimension_separator":"."}"#;
const V2_NESTED: &str = r#"{"zarr_format":2,"shape":[4,6],"chunks":[2,3],"dtype":"|u1",
    "dimension_separator":"/"}"#;
const V3: &str = r#"{"zarr_format":3,"node_type":"array","shape":[4,6],"data_type":"uint8",
    "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[2,3]}},
    "chunk_key_encoding":{"name":"default","configuration":{"separator":"/"}},
    "codecs":[{"name":"bytes"}],"fill_value":"NaN"}"#;
const SHARDED: &str = r#"{"zarr_format":3,"node_type":"array","shape":[4,6],"data_type":"uint8",
    "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[4,3]}},
    "chunk_key_encoding":{"name":"v2","configuration":{"separator":"."}},
    "codecs":[{"name":"sharding_indexed","configuration":{"chunk_shape":[1,1],
      "codecs":[{"name":"bytes"},{"name":"gzip"}]}}],"fill_value":0}"#;
const N5: &str = r#"{"dimensions":[6,4],"blockSize":[3,2],"dataType":"uint8",
    "compression":{"type":"raw"}}"#;
const POINT: &str = r#"{"zarr_format":3,"node_type":"array","shape":[],"data_type":"uint8",
    "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[]}},
    "chunk_key_encoding":"default","codecs":["bytes"],"fill_value":0}"#;

/// Writes files of an array, with a line in each that is no metadata.
fn write(array: &Path, (name, text): (&str, &str), files: &[&str]) {
    for file in files {
        let file = array.join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "a chunk").unwrap();
    }
    fs::create_dir_all(array).unwrap();
    fs::write(array.join(name), text).unwrap();
}

fn scan(registry: &Registry) {
    let options = ScanOptions::default().measure(true);
    let report = registry.scan(options, &Silent).unwrap();
    assert_eq!(report.notices, []);
}

fn get(registry: &Registry) -> Artifact {
    let target = Target::Path(registry.base().join(PATH));
    registry.get(&target).unwrap().unwrap()
}

fn seal(registry: &Registry, complete: bool) -> Result<(), dalsegno::Error> {
    let options = SealOptions::new().complete(complete);
    registry.seal_many(&[get(registry)], options, &Silent)
}

/// The details of what a verification finds.
fn findings(registry: &Registry) -> Vec<String> {
    let (filter, options) = (Filter::default(), VerifyOptions::new());
    let report = registry.verify(&filter, options, &Silent).unwrap();
    let found = report.findings.into_iter();
    found
        .inspect(|found| assert_eq!(found.class, VerifyClass::ChangedFiles))
        .map(|found| found.detail)
        .collect()
}

#[test]
fn chunks_are_counted_as_each_format_names_them() {
    let cases = [
        (".zarray", V2, ["0.0", "1.1", "0.2", "0/0", "c/0/0"], (2, 4)),
        (
            ".zarray",
            V2_NESTED,
            ["0/0", "1/1", "2/0", "0.0", "1/1.tmp"],
            (2, 4),
        ),
        (
            "zarr.json",
            V3,
            ["c/0/0", "c/1/1", "c/1/01", "0/0", "c.0.1"],
            (2, 4),
        ),
        (
            "zarr.json",
            SHARDED,
            ["0.0", "0.1", "1.0", "c/0/0", "0.0.0"],
            (2, 2),
        ),
        (
            "attributes.json",
            N5,
            ["0/0", "1/1", "0/2", "0.1", "c/0/0"],
            (2, 4),
        ),
        ("zarr.json", POINT, ["c", "0", "c/0", "x", "y"], (1, 1)),
    ];
    for (name, text, files, counts) in cases {
        let base = tempfile::tempdir().unwrap();
        let registry = create(base.path());
        // Of the point, a file and a folder cannot both be `c`.
        let files: Vec<&str> = files
            .into_iter()
            .filter(|it| text != POINT || *it != "c/0")
            .collect();
        write(&base.path().join(PATH), (name, text), &files);
        scan(&registry);
        let row = get(&registry);
        assert_eq!(row.chunk_counts(), Some(counts), "{text}");
        assert_eq!(row.size.unwrap().files, files.len() as u64 + 1);
        // The same if the path is known.
        fs::write(base.path().join(PATH).join("stray"), "x").unwrap();
        let options = RefreshOptions::new().all(true).measure(true);
        registry
            .refresh(&Filter::default(), options, &Silent)
            .unwrap();
        assert_eq!(get(&registry).chunk_counts(), Some(counts), "{text}");
        assert_eq!(registry.check_history(None).unwrap().broken, None);
    }
}

/// An array as zarr-python 2 or 3 wrote it.
#[derive(serde::Deserialize)]
struct Form {
    name: String,
    file: String,
    metadata: serde_json::Value,
    chunks: Vec<String>,
    there: Option<u64>,
    expected: Option<u64>,
}

#[test]
fn chunks_are_counted_in_each_form_that_zarr_python_writes() {
    let forms = include_str!("../data/chunk_forms.json");
    let forms: Vec<Form> = serde_json::from_str(forms).unwrap();
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let place = |at: usize| {
        base.path()
            .join(format!("r/validation.zarr/{at}/a/prediction"))
    };
    for (at, form) in forms.iter().enumerate() {
        let chunks: Vec<&str> = form.chunks.iter().map(String::as_str).collect();
        let text = form.metadata.to_string();
        write(&place(at), (&form.file, &text), &chunks);
    }
    scan(&registry);
    for (at, form) in forms.iter().enumerate() {
        let row = registry.get(&Target::Path(place(at))).unwrap().unwrap();
        assert_eq!(row.state, State::Present, "{}", form.name);
        let found = (row.chunks_there, row.chunks_expected());
        assert_eq!(found, (form.there, form.expected), "{}", form.name);
    }
}

#[test]
fn metadata_is_in_the_row_and_goes_where_the_row_goes() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    write(&base.path().join(PATH), (".zarray", V2), &["0.0"]);
    scan(&registry);
    let row = get(&registry);
    let says = row.metadata.as_deref().unwrap();
    assert_eq!(says.shape, Some(vec![4, 6]));
    assert_eq!(says.chunks, Some(vec![2, 3]));
    assert_eq!(says.dtype.as_deref(), Some("|u1"));
    assert_eq!(says.fill_value.as_deref(), Some("0"));
    assert_eq!(says.compressor.as_deref(), Some("blosc"));
    let json = serde_json::to_value(&row).unwrap();
    assert_eq!(json["shape"], serde_json::json!([4, 6]));
    assert_eq!(json["fill_value"], 0);
    assert_eq!(
        (
            json["chunks_there"].as_u64(),
            json["chunks_expected"].as_u64()
        ),
        (Some(1), Some(4))
    );

    seal(&registry, false).unwrap();
    let sealed = get(&registry);
    assert!(sealed.sealed_chunks.is_some());
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    let target = Target::Id(sealed.id);
    let report = registry.remove_target(&target, &options, &Silent).unwrap();
    registry
        .restore(&RestoreTarget::Removal(report.removal.unwrap()))
        .unwrap();
    assert_eq!(get(&registry), sealed);
    assert_eq!(registry.check_history(None).unwrap().broken, None);
}

#[test]
fn a_row_without_metadata_gets_it_from_the_next_scan() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    write(&base.path().join(PATH), (".zarray", V2), &["0.0"]);
    scan(&registry);
    let sql = rusqlite::Connection::open(registry.catalog_path()).unwrap();
    sql.execute("UPDATE artifact SET metadata_id = NULL, chunks = NULL", [])
        .unwrap();
    assert_eq!(get(&registry).metadata, None);
    scan(&registry);
    assert_eq!(get(&registry).chunk_counts(), Some((1, 4)));
    let again = registry.scan(ScanOptions::default(), &Silent).unwrap();
    assert_eq!(again.updated, 0);
}

#[test]
fn what_is_not_understood_is_unknown_and_damages_nothing() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let odd = r#"{"zarr_format":3,"node_type":"array","shape":[4],"data_type":{"name":"new"},
        "chunk_grid":{"name":"rectilinear","configuration":{"chunk_shapes":[[1,3]]}},
        "chunk_key_encoding":{"name":"fanout"},"codecs":[{"name":"new"}],
        "fill_value":123456789012345678901234567890}"#;
    write(&base.path().join(PATH), ("zarr.json", odd), &["c/0"]);
    scan(&registry);
    let row = get(&registry);
    assert_eq!((row.state, row.chunk_counts()), (State::Present, None));
    assert_eq!(row.chunks_there, None);
    let says = row.metadata.clone().unwrap();
    assert_eq!(says.dtype.as_deref(), Some(r#"{"name":"new"}"#));
    assert_eq!(says.compressor.as_deref(), Some("new"));
    assert_eq!(
        says.fill_value.as_deref(),
        Some("123456789012345678901234567890")
    );
    assert_eq!(code(seal(&registry, true)), Some("chunks-unknown"));
    seal(&registry, false).unwrap();
}

#[test]
fn a_seal_as_complete_insists_on_every_chunk() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let array = base.path().join(PATH);
    write(&array, ("zarr.json", V3), &["c/0/0", "c/1/1"]);
    scan(&registry);
    let error = seal(&registry, true).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} has 2 of 4 chunks: chunks c/0/1, c/1/0 are missing",
            array.display()
        )
    );
    assert_eq!(get(&registry).sealed_at, None);
    write(&array, ("zarr.json", V3), &["c/0/1", "c/1/0"]);
    seal(&registry, true).unwrap();
    assert_eq!(get(&registry).chunk_counts(), Some((4, 4)));
}

#[test]
fn a_chunk_that_a_sealed_array_lost_is_named() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    let array = base.path().join(PATH);
    let keys = ["c/0/0", "c/0/1", "c/1/0", "c/1/1"];
    // All of them at the seal, or some: what was left out then is not missing.
    for sealed in [&keys[..], &keys[1..]] {
        let _ = fs::remove_dir_all(&array);
        write(&array, ("zarr.json", V3), sealed);
        scan(&registry);
        seal(&registry, false).unwrap();
        assert_eq!(findings(&registry), Vec::<String>::new());
        fs::remove_file(array.join("c/0/1")).unwrap();
        let found = findings(&registry);
        assert!(found[0].ends_with(": chunk c/0/1 is missing"), "{found:?}");
        // Another file in its place makes the number of files right, and the array no more whole.
        fs::write(array.join("stray"), "a chunk").unwrap();
        let found = findings(&registry);
        assert!(found[0].ends_with(": chunk c/0/1 is missing"), "{found:?}");
        let report = registry
            .scan(ScanOptions::default().measure(true), &Silent)
            .unwrap();
        assert!(
            report.notices[0]
                .detail
                .contains(": chunk c/0/1 is missing"),
            "{report:?}"
        );
        fs::remove_file(array.join("c/1/0")).unwrap();
        let found = findings(&registry);
        assert!(
            found[0].ends_with(": chunks c/0/1, c/1/0 are missing"),
            "{found:?}"
        );
        registry.unseal(&[get(&registry)]).unwrap();
    }
}

#[test]
fn iterations_sum_the_chunks_that_were_counted() {
    let base = tempfile::tempdir().unwrap();
    let registry = create(base.path());
    write(&base.path().join(PATH), (".zarray", V2), &["0.0"]);
    let other = base.path().join("r/validation.zarr/1/a/output/t");
    write(&other, ("zarr.json", SHARDED), &["0.0", "0.1"]);
    let third = base.path().join("r/validation.zarr/1/b/prediction");
    write(&third, (".zarray", "{}"), &["0.0"]);
    scan(&registry);
    let mut rows = Vec::new();
    registry
        .iterations(&Filter::default(), |row| {
            rows.push((row.chunks_there, row.chunks_expected));
            Ok(())
        })
        .unwrap();
    assert_eq!(rows, [(3, 6)]);
}
