//! `mv`: what it asks, says and renames.

use std::fs;
use std::os::unix::fs::symlink;

use crate::assert_transcript;
use crate::world::World;

#[test]
fn mv_renames_a_run_with_all_that_belongs_to_it() {
    let world = World::scanned();
    let stats = world.base.join("stats/validation_scores");
    fs::create_dir_all(&stats).unwrap();
    fs::write(stats.join("mito"), "").unwrap();
    fs::create_dir_all(world.base.join("mito/checkpoints/crop1")).unwrap();
    symlink(
        world.base.join("mito/checkpoints/iterations/9000"),
        world.base.join("mito/checkpoints/crop1/voi"),
    )
    .unwrap();
    let text = world.transcript(
        "score --run mito --iteration 1000 voi=0.5
        pin paper --reason p --run mito --iteration 9000
        rm --run mito --dataset crop2 --iteration 1000 --trash --yes --quiet
        mv mito mitochondria
        mv mito er --dry-run
        mv mito mitochondria --dry-run --json
        mv mito mitochondria --yes
        list --run 'mito*' --kind prediction --table
        score --table
        pin --list --table
        mv mito other --yes
        mv mitochondria ../other
        mv mitochondria er
        mv mitochondria m/1 --yes --reason shorter --json
        history --action rename --table
        undo 99
        verify",
    );
    assert!(world.base.join("m/1/validation.zarr").is_dir());
    assert_transcript!("mv", text);
}
