//! Checkpoints on the command line: only if the kind is named.

use std::fs;

use crate::assert_transcript;
use crate::world::World;

#[test]
fn checkpoints_are_taken_in_shown_and_removed_where_their_kind_is_named() {
    let world = World::runs();
    let folder = world.base.join("mito/checkpoints/iterations");
    fs::create_dir_all(&folder).unwrap();
    for iteration in [1000, 2000, 9000] {
        fs::write(folder.join(iteration.to_string()), [1; 70]).unwrap();
    }
    let text = world.transcript(
        "init --here --quiet
        scan --table
        scan --kind checkpoint --table
        scan --kind checkpoint,output --jsonl
        record checkpoint --run mito --iteration 1000
        record checkpoint --run mito --iteration 3000
        record checkpoint --run mito --iteration 3000 --dataset crop1
        record checkpoint --run mito
        list --run mito --iteration 9000 --table
        list --run mito --kind checkpoint --table
        seal mito/checkpoints/iterations/9000 --table
        seal mito/checkpoints/iterations/3000 --table
        du --kind checkpoint --table
        iterations --kind checkpoint --table
        rm mito/checkpoints --dry-run --table
        list mito/checkpoints --table
        list mito/checkpoints mito/validation.zarr/1000 --table
        list mito --table
        rm mito/checkpoints/iterations/1000 --yes --trash
        rm --run mito --kind checkpoint --iteration 2000 --dry-run --table
        restore --run mito
        restore mito/checkpoints/iterations/1000
        rm --run mito --yes --table",
    );
    let mut left: Vec<String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    assert_eq!(left, ["1000", "2000", "9000"]);
    assert_transcript!("checkpoints", text);
}

#[test]
fn what_is_at_the_path_of_a_checkpoint_is_left_alone() {
    let world = World::scanned();
    let folder = world.base.join("mito/checkpoints/iterations");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("5"), "weights").unwrap();
    let mut text = world.transcript("scan --kind checkpoint --table");
    fs::rename(folder.join("5"), world.dir.join("precious")).unwrap();
    std::os::unix::fs::symlink(world.dir.join("precious"), folder.join("5")).unwrap();
    text += &world.transcript("rm mito/checkpoints/iterations/5 --yes");
    fs::remove_file(folder.join("5")).unwrap();
    fs::create_dir(folder.join("5")).unwrap();
    text += &world.transcript("rm mito/checkpoints/iterations/5 --yes");
    assert!(folder.join("5").is_dir());
    assert_eq!(
        fs::read_to_string(world.dir.join("precious")).unwrap(),
        "weights"
    );
    assert_transcript!("checkpoint_refused", text);
}
