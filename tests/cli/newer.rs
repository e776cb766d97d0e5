//! A container that is removed while a training records in it.

use crate::terminal::spoken_after;
use crate::world::World;

const CONTAINER: &str = "mito/validation.zarr";

#[test]
fn what_is_recorded_in_a_container_after_the_question_is_not_taken_and_the_message_says_so() {
    let world = World::scanned();
    let record = "record prediction --run mito --iteration 3010 --dataset crop9";
    let records = || {
        let said = world.transcript(record);
        assert!(!said.contains("error"), "{said}");
    };
    let mut program = world.call(&format!("rm {CONTAINER}"));
    let plain = [("NO_COLOR", "1")];
    let (said, code) = spoken_after(&mut program, 200, "[y/N]", &records, "y\n", &plain);
    assert_eq!(code, Some(1), "{said}");
    let row = "mito/validation.zarr/3010/crop9/prediction was recorded since it was planned";
    assert!(said.contains("error[changed-since-plan]"), "{said}");
    assert!(said.contains(row), "{said}");
    assert!(said.contains("run the same command again"), "{said}");
    let listed = world.transcript("list --run mito --no-refresh");
    assert!(listed.contains("crop9"), "{listed}");
    // The same command shows it, and takes it.
    let said = world.transcript(&format!("rm {CONTAINER} --yes"));
    assert!(!said.contains("exit"), "{said}");
}
