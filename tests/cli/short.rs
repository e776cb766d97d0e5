//! What commands say of arrays that lack chunks, and of what is not an array of a validation.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::world::World;

/// An array of four chunks, of which these are there.
fn write(world: &World, path: &str, chunks: &[&str]) {
    let folder = world.base.join(path);
    fs::create_dir_all(&folder).unwrap();
    let metadata = br#"{"zarr_format":2,"shape":[4,4],"chunks":[2,2],"dtype":"|u1"}"#;
    fs::write(folder.join(".zarray"), metadata).unwrap();
    for chunk in chunks {
        fs::write(folder.join(chunk), [7; 4]).unwrap();
    }
}

#[test]
fn a_chunk_that_is_a_dangling_link_is_missing() {
    let world = World::new();
    let arrays = ["v/prediction", "w/prediction"].map(|path| format!("a/validation.zarr/1/{path}"));
    for path in &arrays {
        write(&world, path, &["0.0", "0.1", "1.0"]);
    }
    fs::write(world.dir.join("here"), [7; 4]).unwrap();
    for (path, target) in arrays.iter().zip(["gone", "here"]) {
        symlink(world.dir.join(target), world.base.join(path).join("1.1")).unwrap();
    }
    world.transcript("init --here -q");
    let text = world.transcript("scan --measure -q\nlist --table");
    assert!(text.contains(" 3/4\n"), "{text}");
    assert!(text.contains(" 4/4\n"), "{text}");
    let [dangling, whole] = &arrays;
    let text = world.transcript(&format!("seal --complete {dangling}"));
    assert!(text.contains("chunk 1.1 is missing"), "{text}");
    let text = world.transcript(&format!("seal --complete -q {whole}"));
    assert!(!text.contains("exit"), "{text}");
    for (path, words) in arrays.iter().zip(["leads to nothing", "not followed"]) {
        let text = world.transcript(&format!("seal --hash {path}"));
        for word in ["1.1", words, "git annex", "seal without hash"] {
            assert!(text.contains(word), "{text}");
        }
    }
}

#[test]
fn show_says_that_shards_are_counted() {
    let world = World::new();
    let path = "a/validation.zarr/1/v/prediction";
    let folder = world.base.join(path);
    fs::create_dir_all(folder.join("c")).unwrap();
    let metadata = br#"{"zarr_format":3,"node_type":"array","shape":[8],"data_type":"uint8",
        "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[4]}},"fill_value":0,
        "chunk_key_encoding":{"name":"default","configuration":{"separator":"/"}},
        "codecs":[{"name":"sharding_indexed","configuration":{"chunk_shape":[1],"codecs":["bytes"],
        "index_codecs":["bytes","crc32c"]}}]}"#;
    fs::write(folder.join("zarr.json"), metadata).unwrap();
    fs::write(folder.join("c/1"), [7; 4]).unwrap();
    world.transcript("init --here -q\nscan -q --measure");
    let text = world.transcript(&format!("show --table {path}"));
    assert!(text.contains("chunks      1/2 (shards)\n"), "{text}");
    assert!(
        text.contains("chunk shape 1\nout| shard shape 4\n"),
        "{text}"
    );
}

#[test]
fn a_seal_says_that_chunks_are_missing() {
    let world = World::new();
    write(&world, "a/validation.zarr/1/v/prediction", &["0.0", "0.1"]);
    write(&world, "a/validation.zarr/1/w/prediction", &["0.0"]);
    let whole = ["0.0", "0.1", "1.0", "1.1"];
    write(&world, "a/validation.zarr/2/v/prediction", &whole);
    world.transcript("init --here -q\nscan -q");
    let text = world.transcript("seal --table a/validation.zarr/1/v/prediction");
    let words = "missing: [BASE]/a/validation.zarr/1/v/prediction (chunks 2/4); that is right";
    assert!(text.contains(words), "{text}");
    let text = world.transcript("seal --table --run a");
    assert!(text.contains("(chunks 2/4) and 1 more; that"), "{text}");
    let text = world.transcript("seal --table a/validation.zarr/2/v/prediction");
    assert!(!text.contains("missing"), "{text}");
}

#[test]
fn an_iteration_without_a_validation_is_not_said_to_lack_something() {
    let world = World::new();
    write(&world, "b/snapshot.zarr/3/raw", &["0.0"]);
    write(&world, "b/validation.zarr/1/v/prediction", &["0.0"]);
    write(&world, "c/snapshot.zarr/5/raw", &["0.0"]);
    world.transcript("init --here -q\nscan -q");
    let text = world.transcript("iterations --table");
    let rows: Vec<Vec<&str>> = text
        .lines()
        .filter_map(|line| line.strip_prefix("out| "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    let ends: Vec<_> = rows
        .iter()
        .map(|row| row[row.len() - 2..].to_vec())
        .collect();
    let expected = [
        vec!["COMPLETE", "MISSING"],
        vec!["yes", "-"],
        vec!["-", "-"],
        vec!["-", "-"],
    ];
    assert_eq!(ends, expected, "{text}");
}

#[test]
fn doctor_counts_runs_that_have_something() {
    let world = World::scanned();
    let text = world.transcript(
        "mv mito mitochondria --yes
        score --run er --iteration 1 voi=0.5
        score --run ghost --iteration 1 voi=0.5
        doctor --json",
    );
    assert!(
        text.contains("\"runs\": 2") || text.contains("\"runs\":2"),
        "{text}"
    );
}

#[test]
fn containers_of_zarr_3_have_endings_of_their_own() {
    let world = World::new();
    let arrays = ["a/x.zr3/v/w", "a/x.zarr3", "b/c/y.n5/z"];
    for path in arrays {
        write(&world, path, &["0.0"]);
    }
    world.transcript("init --here -q");
    let text = world.transcript("scan -q\nlist --json\nverify\nrm --yes -q a/x.zr3/v/w");
    for path in arrays {
        assert!(text.contains(path), "{text}");
    }
    assert!(!text.contains("exit"), "{text}");
    assert!(!world.base.join("a/x.zr3/v").exists());
}

#[test]
fn the_path_of_a_level_leads_to_its_pyramid() {
    let world = World::new();
    let pyramid = "a/validation/1000/v/prediction";
    for level in ["s0", "s1"] {
        write(&world, &format!("{pyramid}/{level}"), &["0.0"]);
    }
    world.transcript("init --here -q\nscan -q");
    let text = world.transcript(&format!("show {pyramid}/s0"));
    let says = format!("is a level of {pyramid}; name that path");
    assert!(text.contains(&says), "{text}");
    assert!(text.contains("name the path of the pyramid"), "{text}");
    assert!(text.contains("exit 1"), "{text}");
    let text = world.transcript(&format!("show {pyramid}"));
    assert!(text.contains("s0") && text.contains("s1"), "{text}");
    assert!(text.contains("\tprediction\t1000\tv\t"), "{text}");
    assert!(!text.contains("exit"), "{text}");
}

/// Dates all that is in a folder.
fn date(folder: &Path, time: SystemTime) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => date(&path, time),
            false => File::open(&path).unwrap().set_modified(time).unwrap(),
        }
    }
    File::open(folder).unwrap().set_modified(time).unwrap();
}

/// An array of two chunks in zarr v2 or v3, and the paths of its chunks.
fn write_pair(world: &World, path: &str, version: u8) -> [PathBuf; 2] {
    let folder = world.base.join(path);
    let (name, metadata, chunks) = match version {
        2 => (
            ".zarray",
            r#"{"zarr_format":2,"shape":[4],"chunks":[2],"dtype":"|u1","compressor":null,
                "fill_value":0,"order":"C","filters":null}"#,
            ["0", "1"],
        ),
        _ => (
            "zarr.json",
            r#"{"zarr_format":3,"node_type":"array","shape":[4],"data_type":"uint8",
                "chunk_grid":{"name":"regular","configuration":{"chunk_shape":[2]}},
                "chunk_key_encoding":{"name":"default","configuration":{"separator":"/"}},
                "fill_value":0,"codecs":[{"name":"bytes"}]}"#,
            ["c/0", "c/1"],
        ),
    };
    let chunks = chunks.map(|chunk| folder.join(chunk));
    fs::create_dir_all(chunks[0].parent().unwrap()).unwrap();
    fs::write(folder.join(name), metadata).unwrap();
    for chunk in &chunks {
        fs::write(chunk, [7; 2]).unwrap();
    }
    chunks
}

/// Iterations that were sealed whole, of which all but the first have lost chunks.
fn torn(iterations: u8, version: u8) -> World {
    let world = World::new();
    let two_days_ago = SystemTime::now() - Duration::from_secs(48 * 3600);
    let path = |iteration| format!("a/validation.zarr/{iteration}/v/prediction");
    let chunks: Vec<_> = (1..=iterations)
        .map(|iteration| write_pair(&world, &path(iteration), version))
        .collect();
    date(&world.base.join("a"), two_days_ago);
    world.transcript("init --here -q\nscan -q\nseal -q --hash --run a");
    for (at, [first, second]) in chunks.iter().enumerate().skip(1) {
        fs::remove_file(second).unwrap();
        if at > 1 {
            fs::remove_file(first).unwrap();
        }
    }
    date(&world.base.join("a"), two_days_ago);
    world
}

#[test]
fn sealed_arrays_that_lost_chunks_do_not_make_an_iteration_complete() {
    let looks = ["", "verify -q\n", "scan --measure -q\n"];
    for (iterations, version) in [(2, 2), (2, 3), (3, 2), (3, 3)] {
        for look in looks {
            let world = torn(iterations, version);
            let text = world.transcript(&format!("{look}gc --keep-last 1 --apply --yes"));
            let whole = world.base.join("a/validation.zarr/1/v/prediction");
            assert!(whole.exists(), "{iterations} {version} {text}");
        }
    }
}

#[test]
fn what_only_an_age_a_pin_or_a_number_keeps_is_not_taken_for_whole() {
    for (before, rule) in [
        ("", "--keep-within 36h"),
        (
            "pin p --reason r --run a --iteration 2 -q\n",
            "--keep-within 1h --allow-empty-group",
        ),
        ("", "--keep-iterations 2"),
    ] {
        let world = torn(2, 2);
        let yesterday = SystemTime::now() - Duration::from_secs(24 * 3600);
        date(&world.base.join("a/validation.zarr/2"), yesterday);
        let text = world.transcript(&format!("{before}gc {rule} --apply --yes"));
        let whole = world.base.join("a/validation.zarr/1/v/prediction/0");
        assert!(whole.exists(), "{rule}: {text}");
    }
}

/// A pyramid that names two levels, and has these with a chunk each.
fn write_pyramid(world: &World, path: &str, levels: &[&str]) {
    for level in levels {
        write_pair(world, &format!("{path}/{level}"), 2);
    }
    let named = r#"{"multiscales":[{"datasets":[{"path":"s0"},{"path":"s1"}]}]}"#;
    let group = world.base.join(path);
    fs::write(group.join(".zgroup"), r#"{"zarr_format":2}"#).unwrap();
    fs::write(group.join(".zattrs"), named).unwrap();
}

#[test]
fn a_pyramid_that_lacks_a_level_is_shown_with_its_levels() {
    let world = World::new();
    write_pyramid(&world, "a/validation.zarr/1/v/prediction", &["s0", "s1"]);
    write_pyramid(&world, "a/validation.zarr/2/v/prediction", &["s0"]);
    world.transcript("init --here -q\nscan -q --measure");
    let text = world.transcript("list --table");
    assert!(text.contains(" 4/4\n"), "{text}");
    assert!(text.contains(" 2/?, levels 1/2\n"), "{text}");
    let text = world.transcript("show --table a/validation.zarr/2/v/prediction");
    for words in ["2/?, levels 1/2", "s1 (missing)"] {
        assert!(text.contains(words), "{text}");
    }
    let text = world.transcript("iterations --table");
    assert!(
        text.contains("v/prediction (level s1 is missing)"),
        "{text}"
    );
}

#[test]
fn a_torso_of_a_pyramid_does_not_take_the_place_of_a_whole_one() {
    for (is_sealed, is_level_there) in [(true, true), (true, false), (false, false)] {
        for measure in ["", "scan -q --measure\n"] {
            let world = World::new();
            let path = |iteration: u8| format!("a/validation.zarr/{iteration}/v/prediction");
            write_pyramid(&world, &path(1), &["s0", "s1"]);
            write_pyramid(&world, &path(2), &["s0", "s1"]);
            let torn = world.base.join(path(2)).join("s1");
            match is_level_there {
                true => ["0", "1"]
                    .iter()
                    .for_each(|chunk| fs::remove_file(torn.join(chunk)).unwrap()),
                false => fs::remove_dir_all(&torn).unwrap(),
            }
            let two_days_ago = SystemTime::now() - Duration::from_secs(48 * 3600);
            date(&world.base.join("a"), two_days_ago);
            world.transcript("init --here -q\nscan -q");
            if is_sealed {
                world.transcript(&format!("seal -q {}", path(1)));
            }
            let text = world.transcript(&format!("{measure}gc --keep-last 1 --apply --yes"));
            let whole = world.base.join(path(1)).join("s1/0");
            assert!(
                whole.exists(),
                "{is_sealed} {is_level_there} {measure}: {text}"
            );
        }
    }
}

#[test]
fn a_plan_is_carried_out_with_a_look_at_what_stays() {
    let world = World::new();
    let path = |iteration| format!("a/validation.zarr/{iteration}/v/prediction");
    write_pair(&world, &path(1), 3);
    let [_, second] = write_pair(&world, &path(2), 3);
    let two_days_ago = SystemTime::now() - Duration::from_secs(48 * 3600);
    date(&world.base.join("a"), two_days_ago);
    let plan = world.dir.join("plan.json");
    let plan = plan.display();
    world.transcript("init --here -q\nscan -q\nseal -q --run a");
    world.transcript(&format!("gc --keep-last 1 --plan-out {plan}"));
    fs::remove_file(second).unwrap();
    let text = world.transcript(&format!("gc --apply {plan} --yes"));
    assert!(world.base.join(path(1)).exists(), "{text}");
    assert!(text.contains("last complete iteration"), "{text}");
}

#[test]
fn a_measurement_notes_how_many_chunks_sealed_arrays_have_left() {
    for look in ["scan --measure", "refresh --measure --all"] {
        let world = torn(3, 3);
        let text = world.transcript(&format!("{look}\n{look}"));
        assert_eq!(text.matches("changed-files").count(), 4, "{text}");
        let text = world.transcript("list --table\niterations --table");
        for words in ["1/2", "0/2", "v/prediction (chunks 1/2)", "(chunks 0/2)"] {
            assert!(text.contains(words), "{text}");
        }
        let text = world.transcript("list --json --iterations 2");
        assert!(!text.contains("\"sealed_at\": null"), "{text}");
        // What came back is whole again, as it was sealed.
        let folder = world.base.join("a/validation.zarr/2/v/prediction");
        fs::write(folder.join("c/1"), [7; 2]).unwrap();
        world.transcript("scan --measure -q");
        let text = world.transcript("iterations --table");
        assert!(!text.contains("chunks 1/2"), "{text}");
        let text = world.transcript("verify --read-data --run a");
        assert!(!text.contains("2/v/prediction"), "{text}");
    }
}
