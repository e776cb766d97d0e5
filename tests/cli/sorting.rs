//! Orders of `list`, `runs` and `iterations`, their totals, and what tells containers apart.

use crate::assert_transcript;
use crate::gc::date;
use crate::world::World;

/// Predictions that differ in size, age, seal, pin and score; two arrays of one name.
fn world() -> World {
    let world = World::new();
    for (iteration, days) in [(1000, 30), (2000, 50), (3000, 40)] {
        let path = format!("mito/validation.zarr/{iteration}/crop1/prediction");
        world.write_array(&path);
        for chunk in 0..iteration / 1000 {
            let chunk = world.base.join(&path).join(format!("{chunk}.1"));
            std::fs::write(chunk, [0; 100]).unwrap();
        }
        date(&world, &format!("{path}/.zarray"), days);
    }
    for container in ["first.zarr", "second.zarr"] {
        world.write_array(&format!("er/{container}/mesh"));
        date(&world, &format!("er/{container}/mesh/.zarray"), 5);
    }
    for call in [
        "init --quiet",
        "scan --quiet",
        "refresh --measure --quiet",
        "seal --quiet mito/validation.zarr/2000/crop1/prediction",
        "pin best --reason x mito/validation.zarr/3000/crop1/prediction --quiet",
        "score --run mito --iteration 1000 voi=0.5 --quiet",
        "score --run mito --iteration 3000 voi=0.1 --quiet",
        "score --run mito --iteration 3000 voi=0.7 --dataset crop1 --quiet",
    ] {
        let text = world.transcript(call);
        assert!(!text.contains("exit"), "{text}");
    }
    world
}

#[test]
fn artifacts_are_sorted_by_what_is_asked_for() {
    let world = world();
    let text = world.transcript(
        "list --sort size --reverse --table
        list --sort age --columns run,iteration,age --table
        list --sort age --reverse --limit 2 --columns iteration
        list --sort score:voi --columns iteration,score:voi --table
        list --sort score:voi --reverse --columns iteration,score:voi
        list --sort sealed --limit 1 --columns iteration
        list --sort pinned --limit 1 --columns iteration,pinned --table
        list --sort container --run er --columns container --limit 1
        list --sort nothing
        list --reverse",
    );
    assert_transcript!("sorted_list", text);
}

#[test]
fn runs_and_iterations_are_sorted_and_summed() {
    let world = world();
    let text = world.transcript(
        "runs --sort size --reverse --table
        runs --sort last --table
        iterations --sort size --reverse --table
        iterations --sort iteration --reverse
        runs --sort nothing",
    );
    assert_transcript!("sorted_runs", text);
}

#[test]
fn every_column_can_be_sorted_by_in_both_directions() {
    let world = world();
    for column in [
        "run",
        "iteration",
        "kind",
        "dataset",
        "parameters",
        "container",
        "state",
        "size",
        "files",
        "disk_bytes",
        "recorded",
        "written",
        "age",
        "sealed",
        "pinned",
        "score:voi",
        "score:x",
    ] {
        for reverse in ["", " --reverse"] {
            let text = world.transcript(&format!("list --sort {column}{reverse}"));
            assert_eq!(text.matches("\nout| ").count(), 6, "{text}");
            assert!(!text.contains("exit"), "{text}");
        }
    }
}
