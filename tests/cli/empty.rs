//! Registries, runs and plans of which there is nothing: what to type then.

use crate::world::World;

#[test]
fn an_empty_registry_sends_to_scan() {
    let world = World::runs();
    world.transcript("init --here --quiet");
    for line in [
        "gc --keep-last 1",
        "gc --keep-last 1 --table",
        "gc --keep-last 1 --all --table",
        "rm --kind output --yes",
        "rm --kind output --dry-run",
        "rm --run nothing --yes",
        "list",
        "list --table",
        "runs --table",
    ] {
        let text = world.transcript(line);
        assert!(text.contains("nothing is recorded yet"), "{text}");
        assert!(
            text.contains("what is on disk with: dalsegno scan"),
            "{text}"
        );
        assert!(!text.contains("no artifact matches"), "{text}");
    }
}

#[test]
fn a_run_that_is_not_scanned_is_called_so_by_every_command() {
    let world = World::scanned();
    world.write_array("newrun/validation.zarr/1/crop1/prediction");
    let checkpoint = world.base.join("only/checkpoints/iterations/1");
    std::fs::create_dir_all(checkpoint.parent().unwrap()).unwrap();
    std::fs::write(checkpoint, "weights").unwrap();
    for line in [
        "list newrun",
        "list --run newrun",
        "show newrun",
        "show --run newrun er",
        "rm newrun --yes",
        "rm newrun --dry-run",
        "rm --run newrun --yes",
        "rm newrun er --yes",
        "show er newrun",
        "history newrun",
    ] {
        let text = world.transcript(line);
        let words = "run \"newrun\" is on disk, and not scanned";
        assert!(text.contains(words), "{text}");
        assert!(text.contains("take it in with: dalsegno scan"), "{text}");
        assert!(text.contains("error[not-recorded]: run"), "{text}");
        assert!(text.ends_with("exit 1\n"), "{text}");
    }
    let text = world.transcript("rm only --yes");
    assert!(text.contains("has only checkpoints on disk"), "{text}");
    assert!(text.contains("dalsegno scan --kind checkpoint"), "{text}");
    assert!(
        world
            .transcript("list er -0")
            .contains("er/validation.zarr")
    );
}

#[test]
fn a_selection_in_vain_has_a_code() {
    let world = World::scanned();
    for line in [
        "list --run x",
        "rm --run x --yes",
        "rm --kind best --yes",
        "pin a --reason b --run x",
        "unpin a --run x",
        "seal --run x",
    ] {
        let text = world.transcript(line);
        assert!(text.contains("error["), "{text}");
        assert!(!text.contains("error: "), "{text}");
    }
}

#[test]
fn a_plan_that_removes_nothing_says_why_all_stays() {
    let world = World::scanned();
    world.transcript("pin figure-3 --reason plots --run er --quiet");
    let why = "err| nothing to remove: 11 within the last hour, 1 pinned\n";
    for line in [
        "gc --keep-last 1",
        "gc --keep-last 1 --table",
        "gc --keep-last 1 --all --table",
        "gc --keep-last 1 --apply --yes",
    ] {
        let text = world.transcript(line);
        assert!(text.contains(why), "{text}");
    }
    // A document has the reasons.
    let text = world.transcript("gc --keep-last 1 --json");
    assert!(!text.contains("nothing to remove"), "{text}");
}
