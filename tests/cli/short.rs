//! What commands say of arrays that lack chunks, and of what is not an array of a validation.

use std::fs;
use std::os::unix::fs::symlink;

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
    world.transcript("init -q");
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
fn a_seal_says_that_chunks_are_missing() {
    let world = World::new();
    write(&world, "a/validation.zarr/1/v/prediction", &["0.0", "0.1"]);
    write(&world, "a/validation.zarr/1/w/prediction", &["0.0"]);
    let whole = ["0.0", "0.1", "1.0", "1.1"];
    write(&world, "a/validation.zarr/2/v/prediction", &whole);
    world.transcript("init -q\nscan -q");
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
    world.transcript("init -q\nscan -q");
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
    world.transcript("init -q");
    let text = world.transcript("scan -q\nlist --json\nverify\nrm --yes -q a/x.zr3/v/w");
    for path in arrays {
        assert!(text.contains(path), "{text}");
    }
    assert!(!text.contains("exit"), "{text}");
    assert!(!world.base.join("a/x.zr3/v").exists());
}
