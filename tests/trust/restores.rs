//! What of a removal comes back if this user may not open, or not move, a part of it.

use crate::scene::{MEMBER, ROOT, Scene, VICTIM, array, close, give};

/// Both runs are removed by root; whose data is `is_closed` nobody but its owner may open.
fn removed(is_closed: bool) -> Option<(Scene, Vec<String>, String)> {
    let scene = Scene::new()?;
    let rows = scene.run(VICTIM, "look");
    if is_closed {
        let path = scene.base.join(array("private"));
        close(&path);
        // Into the folders above it all may write.
        for above in path
            .ancestors()
            .skip(1)
            .take_while(|above| *above != scene.base)
        {
            give(above, VICTIM, 0o2775);
        }
    }
    let removal = scene.run(ROOT, "remove-all").remove(0);
    assert!(
        scene
            .data()
            .keys()
            .all(|path| !path.ends_with("prediction"))
    );
    Some((scene, rows, removal))
}

fn assert_part(scene: &Scene, is_closed: bool, said: &str) {
    assert!(said.starts_with("back 1; not-movable "), "{said}");
    let path = scene.base.join(array("private")).display().to_string();
    assert!(said.contains(&path), "{said}");
    assert!(said.contains(&format!("belongs to {VICTIM}")), "{said}");
    assert!(said.contains("chmod -R g+rwX "), "{said}");
    assert_eq!(
        said.contains("in the trash it belongs to "),
        is_closed,
        "{said}"
    );
}

#[test]
fn what_this_user_may_not_move_stays_and_the_rest_comes_back() {
    for is_closed in [false, true] {
        let Some((scene, rows, removal)) = removed(is_closed) else {
            return;
        };
        let said = scene.run(MEMBER, &format!("parts {removal}"));
        assert_eq!(said[0], said[1], "the dry run says the same");
        assert_part(&scene, is_closed, &said[0]);
        assert!(scene.base.join(array("shared")).is_dir());
        assert!(!scene.base.join(array("private")).exists());
        assert_eq!(scene.run(MEMBER, "count"), ["1"]);
        // Again nothing can come back: that is an error.
        let said = scene.run(MEMBER, &format!("parts {removal}"));
        assert!(
            said.iter().all(|said| said.starts_with("not-movable ")),
            "{said:?}"
        );
        assert_eq!(scene.run(VICTIM, &format!("restore {removal}")), ["ok 1"]);
        assert_eq!(scene.run(VICTIM, "look"), rows, "ids and seals");
    }
}

#[test]
fn an_undo_brings_back_what_this_user_may_move() {
    for is_closed in [false, true] {
        let Some((scene, rows, _)) = removed(is_closed) else {
            return;
        };
        assert_eq!(scene.run(MEMBER, "undo"), ["back 1 not-movable"]);
        assert!(scene.base.join(array("shared")).is_dir());
        assert_eq!(scene.run(ROOT, "parts")[1], "back 1");
        assert_eq!(scene.run(VICTIM, "look"), rows, "ids and seals");
    }
}

#[test]
fn a_removal_that_this_user_may_not_open_holds_up_no_other() {
    let Some(scene) = Scene::new() else { return };
    let rows = scene.run(VICTIM, "look");
    let own = scene.run(MEMBER, "remove shared").remove(0);
    let closed = scene.run(ROOT, "remove private").remove(0);
    let folder = scene.trash().join(&closed);
    give(&folder, VICTIM, 0o700);
    let said = scene.run(MEMBER, "parts");
    assert_eq!(said[0], said[1], "the dry run says the same");
    assert!(said[1].starts_with("back 1; not-movable "), "{said:?}");
    assert!(
        said[1].contains(&closed) && !said[1].contains(&own),
        "{said:?}"
    );
    assert!(
        said[1].contains(&format!("belongs to {VICTIM}")),
        "{said:?}"
    );
    assert!(scene.base.join(array("shared")).is_dir());
    assert_eq!(scene.run(VICTIM, "parts")[1], "back 1");
    assert_eq!(scene.run(VICTIM, "look"), rows, "ids and seals");
}
