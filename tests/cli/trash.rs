//! `restore`, `trash`, `doctor`: what comes back, what is unlinked, what was interrupted.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

use crate::assert_transcript;
use crate::terminal::answered;
use crate::world::{World, stdout};

const ARRAY: &str = "mito/validation.zarr/1000/crop1/prediction";

/// A base directory with the prediction of `er` and the outputs of `mito` in the trash.
fn world() -> World {
    let world = World::scanned();
    world.transcript(
        "refresh --measure --quiet
        rm --run er --yes --trash --quiet
        rm --run mito --kind output --yes --trash --quiet --reason 'to be made anew'",
    );
    world
}

/// The ids in the trash, oldest first: those made within one second come in any order, so by the
/// number of artifacts.
fn ids(world: &World) -> Vec<String> {
    let list = stdout(&mut world.call("trash list"));
    let mut rows: Vec<Vec<&str>> = list
        .lines()
        .skip(1)
        .map(|line| line.split('\t').collect())
        .collect();
    rows.sort_by_key(|row| row[8].parse::<u64>().unwrap());
    rows.iter().map(|row| row[0].to_owned()).collect()
}

#[test]
fn what_was_deleted_in_the_trash_by_hand_is_named_and_the_rest_comes_back() {
    let lost = |world: &World| {
        let mito = ids(world).pop().unwrap();
        let item = world.base.join(".dalsegno/trash").join(&mito).join("0");
        fs::remove_dir_all(item).unwrap();
        mito
    };
    let world_of = world();
    let mito = lost(&world_of);
    let text = world_of.transcript(&format!(
        "restore {mito} --dry-run
        restore {mito}
        restore {mito}
        list --state missing
        history --action restore --table
        trash list --json"
    ));
    assert_transcript!("restore_lost", text);
    // The same by an undo, in JSON.
    let world_of = world();
    lost(&world_of);
    let text = world_of.transcript("undo last --json");
    assert!(text.contains("\"code\": \"lost-in-trash\""), "{text}");
    assert!(
        text.contains("1 artifact was deleted in the trash") && text.contains("exit 3"),
        "{text}"
    );
    // Of what is lost nothing can come back, and the hint leads out.
    let world_of = world();
    let er = ids(&world_of).remove(0);
    fs::remove_dir_all(world_of.base.join(".dalsegno/trash").join(&er).join("0")).unwrap();
    let text = world_of.transcript(&format!("restore {er}"));
    assert!(
        text.contains("error[lost-in-trash]") && text.contains("trash empty"),
        "{text}"
    );
    let text = world_of.transcript(&format!("trash empty {er} --yes\ntrash list"));
    assert!(
        !text.contains("error") && text.matches(&er).count() == 1,
        "{text}"
    );
}

#[test]
fn restore_takes_ids_paths_and_selections() {
    let world = world();
    let before = world.tree();
    let ids = ids(&world);
    let (er, mito) = (&ids[0], &ids[1]);
    let dry = world.transcript(&format!(
        "restore {er} --dry-run
        restore {mito} -n --table
        restore --run mito -n --json"
    ));
    assert!(world.tree() == before);
    let text = world.transcript(&format!(
        "restore {er}
        restore {er}
        restore mito/validation.zarr/1000/crop2/output/threshold_127
        restore --run mito --iteration 9000 --json
        restore --run mito --jsonl
        restore --run mito
        trash list --table
        list --run mito --kind output --table"
    ));
    assert_transcript!("restore", dry + &text);
}

#[test]
fn restore_says_which_removals_it_took_from_and_what_stays_of_older_ones() {
    let world = World::scanned();
    let array = "mito/validation.zarr/1000/crop1/prediction";
    let metadata = std::fs::read(world.base.join(array).join(".zarray")).unwrap();
    world.transcript(&format!("rm {array} --trash --yes -q"));
    std::fs::create_dir_all(world.base.join(array)).unwrap();
    std::fs::write(world.base.join(array).join(".zarray"), metadata).unwrap();
    world.transcript(&format!("scan -q\nrm {array} --trash --yes -q"));
    world.transcript("rm --run mito --iteration 9000 --trash --yes -q");
    let text = world.transcript("restore --run mito --last --dry-run --table\nrestore --run mito");
    for words in [
        "would restore 3 artifacts from removal 2",
        "restored 4 artifacts from removals 2",
        &format!("{array} of the older removal 2"),
        " stays in the trash",
    ] {
        assert!(text.contains(words), "{text}");
    }
    assert!(!text.contains("exit"), "{text}");
}

#[test]
fn what_has_no_counterpart_is_restored_beside_a_new_container() {
    let world = World::scanned();
    let _ = world.transcript("rm mito/validation.zarr --trash --yes");
    let place = world
        .base
        .join("mito/validation.zarr/1000/crop1/prediction");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("mine"), "mine").unwrap();
    let text = world.transcript(
        "restore mito/validation.zarr --dry-run
        restore mito/validation.zarr mito/validation.zarr --dry-run
        restore mito/validation.zarr --jsonl
        trash list --table
        restore mito/validation.zarr",
    );
    assert_eq!(fs::read(place.join("mine")).unwrap(), b"mine");
    assert_transcript!("restore_beside", text);
}

#[test]
fn what_is_in_the_way_of_a_restore_is_named_with_its_row() {
    let world = World::scanned();
    let metadata = fs::read(world.base.join(ARRAY).join(".zarray")).unwrap();
    world.transcript("rm --run mito --iteration 1000 --trash --yes -q");
    fs::create_dir_all(world.base.join(ARRAY)).unwrap();
    fs::write(world.base.join(ARRAY).join(".zarray"), metadata).unwrap();
    let text = world.transcript("scan -q\nrestore --run mito");
    let there = "there: a prediction, recorded at ";
    assert!(text.contains(there) && text.contains("exit 3"), "{text}");
    let see = format!("see: dalsegno show [BASE]/{ARRAY}");
    assert!(text.contains(&see), "{text}");
}

#[test]
fn what_the_registry_does_not_know_is_restored_by_the_id_of_its_removal() {
    let world = World::scanned();
    let notes = world.base.join("er/validation.zarr/notes");
    fs::write(&notes, "removed").unwrap();
    let _ = world.transcript("rm er/validation.zarr --trash --yes");
    fs::create_dir_all(notes.parent().unwrap()).unwrap();
    fs::write(&notes, "mine").unwrap();
    let id = ids(&world).remove(0);
    let mut text = world.transcript(&format!("restore {id}\n restore {id}"));
    assert_eq!(fs::read(&notes).unwrap(), b"mine");
    fs::remove_file(&notes).unwrap();
    text += &world.transcript(&format!(
        "restore {id} --dry-run\n restore {id}\n trash list"
    ));
    assert_eq!(fs::read(&notes).unwrap(), b"removed");
    assert_transcript!("restore_leftovers", text);
}

#[test]
fn what_cannot_be_restored_is_reported() {
    let world = world();
    let er = &ids(&world)[0];
    let place = world.base.join("er/validation.zarr/500/crop1/prediction");
    fs::create_dir_all(&place).unwrap();
    fs::write(place.join("mine"), "mine").unwrap();
    let occupied = world.transcript(&format!(
        "restore {er} --dry-run
        restore {er}
        restore --run er"
    ));
    assert_eq!(fs::read(place.join("mine")).unwrap(), b"mine");
    fs::remove_dir_all(&place).unwrap();
    let text = world.transcript(&format!(
        "trash empty --yes
        restore {er}
        restore 20200101-000000-000000
        restore er/validation.zarr/500/crop1/prediction
        restore /tmp/elsewhere
        restore"
    ));
    assert_transcript!("restore_refused", occupied + &text);
}

#[test]
fn an_empty_trash_is_said_to_be_empty() {
    let world = World::scanned();
    let text = world.transcript(
        "trash list
        trash list --table
        trash list --json
        trash list --jsonl
        trash empty
        trash empty --json
        restore --run mito",
    );
    assert_transcript!("trash_nothing", text);
}

#[test]
fn emptying_the_trash_asks() {
    let world = world();
    let before = world.tree();
    let mut text = world.transcript("trash empty");
    text.push_str(&answered(&world, "trash empty", "n\n"));
    text.push_str(&world.transcript("trash empty --older-than 1h --yes"));
    assert!(world.tree() == before);
    text.push_str(&world.transcript("rm mito/extra.zarr/mesh --yes --trash --quiet"));
    text.push_str(&answered(&world, "trash empty", "y\n"));
    text.push_str(&world.transcript("trash list --table"));
    let trash = fs::read_dir(world.base.join(".dalsegno/trash")).unwrap();
    assert_eq!(trash.count(), 0);
    assert_transcript!("trash_empty", text);
}

#[test]
fn disk_use_counts_the_trash() {
    let world = world();
    let text = world.transcript(
        "du --table
        du --by kind
        du --by iteration --json
        du --by dataset --jsonl
        du --run mito --table
        rm --run mito --yes --trash --quiet
        du --table
        trash empty --yes --quiet
        du --table",
    );
    assert_transcript!("du_trash", text);
}

#[test]
fn what_is_in_the_trash_and_was_never_counted_is_unknown() {
    let world = World::scanned();
    let text = world.transcript(
        "rm --run er --yes --trash --quiet --no-count
        du --no-refresh --table
        trash list --table",
    );
    assert_transcript!("du_trash_uncounted", text);
}

#[test]
fn what_cannot_be_unlinked_stays_in_the_trash_and_is_reported() {
    let world = World::scanned();
    let inner = world.base.join(ARRAY).join("0");
    fs::create_dir(&inner).unwrap();
    fs::write(inner.join("0"), "x").unwrap();
    if rustix::process::geteuid().is_root() {
        // Whose everything is but the inner folder, can move it and cannot unlink what is in it.
        let given = Command::new("chown")
            .args(["-R", "65534:65534"])
            .arg(&world.base)
            .status();
        assert!(given.unwrap().success());
        chown(&inner, Some(0), Some(0)).unwrap();
    } else {
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o555)).unwrap();
    }
    let mut text = String::new();
    for line in [
        &format!("rm {ARRAY} --yes"),
        &format!("rm {ARRAY} --trash --yes"),
        "trash list --table",
        "trash empty --yes",
        "doctor",
    ] {
        let mut call = world.program_of_a_stranger();
        call.args(line.split(' '));
        let said = world.say(line, &mut call);
        let shown = !line.starts_with("doctor");
        for line in said
            .lines()
            .filter(|line| shown || !line.starts_with("out|"))
        {
            text.push_str(&format!("{line}\n"));
        }
    }
    let trash = world.base.join(".dalsegno/trash");
    if rustix::process::geteuid().is_root() {
        // Root may unlink it, and is not made to by a user who may not.
        let refused = world.transcript("trash empty --yes");
        assert!(
            refused.contains("user 65534") && refused.contains("exit 3"),
            "{refused}"
        );
        let given = Command::new("chown")
            .args(["-R", "65534"])
            .arg(&trash)
            .status();
        assert!(given.unwrap().success());
    }
    let mended = Command::new("chmod")
        .args(["-R", "u+w"])
        .arg(trash)
        .status();
    assert!(mended.unwrap().success());
    text.push_str(&world.transcript("trash empty --yes\ntrash list --table"));
    assert_transcript!("trash_failures", text);
}

/// A crash between the renames of a removal and its commit: the catalog is as it was before, and
/// the data lies in the trash.
fn interrupted() -> World {
    let world = World::scanned();
    let catalog = world.catalog();
    let before = fs::read(&catalog).unwrap();
    world.transcript(&format!("rm {ARRAY} --yes --trash"));
    fs::write(&catalog, before).unwrap();
    world
}

#[test]
fn readers_and_doctor_tell_of_an_interrupted_removal_and_the_next_writer_settles_it() {
    let world = interrupted();
    assert!(!world.base.join(ARRAY).exists());
    // What a doctor says of the machine is another matter.
    let doctor = || {
        let text = world.transcript("doctor --table");
        let (_, pending) = text.split_once("out| Pending\n").unwrap();
        format!("$ dalsegno doctor --table\nout| Pending\n{pending}")
    };
    let mut text = world.transcript(&format!("show {ARRAY} --jsonl"));
    text.push_str(&doctor());
    text.push_str(&world.transcript("trash list --table\nrefresh --table"));
    text.push_str(&doctor());
    assert!(world.base.join(ARRAY).exists());
    assert_transcript!("doctor", text);
}

#[test]
fn an_interrupted_removal_whose_place_is_taken_is_said_to_stay_in_the_trash() {
    let world = interrupted();
    fs::create_dir_all(world.base.join(ARRAY)).unwrap();
    fs::write(world.base.join(ARRAY).join(".zarray"), r#"{"shape":[1]}"#).unwrap();
    let text = world.transcript("refresh");
    assert!(
        text.contains("something new is at the place of [BASE]/mito/"),
        "{text}"
    );
    assert!(
        text.contains("stays in the trash") && !text.contains("are back"),
        "{text}"
    );
    assert!(text.contains("dalsegno restore "), "{text}");
    // As it says.
    let id = ids(&world).remove(0);
    assert!(
        world
            .transcript(&format!("restore {id}"))
            .contains("error[occupied]")
    );
    fs::remove_dir_all(world.base.join(ARRAY)).unwrap();
    let text = world.transcript(&format!("restore {id}"));
    assert!(text.contains("restored 1 artifact"), "{text}");
    assert!(world.base.join(ARRAY).join("0.0").exists());
}

#[test]
fn what_had_no_data_is_not_said_to_be_restorable() {
    let gone = "mito/validation.zarr/1000/crop1/output";
    for (flag, is_said) in [("--trash", true), ("--no-trash", false)] {
        let world = World::scanned();
        fs::remove_dir_all(world.base.join(gone)).unwrap();
        let text = world.transcript(&format!("rm {gone} {flag} --yes"));
        assert!(text.contains("removed 1 artifact"), "{text}");
        assert_eq!(text.contains("nothing can be restored"), is_said, "{text}");
        assert!(!text.contains("restore it with"), "{text}");
    }
}

#[test]
fn a_link_in_place_of_the_trash_is_moved_away_and_not_what_it_points_to() {
    let world = World::scanned();
    let trash = world.base.join(".dalsegno/trash");
    let elsewhere = world.base.parent().unwrap().join("elsewhere");
    fs::create_dir_all(&elsewhere).unwrap();
    if trash.exists() {
        fs::remove_dir_all(&trash).unwrap();
    }
    std::os::unix::fs::symlink(&elsewhere, &trash).unwrap();
    for line in ["rm --run mito --yes", "rm --run mito --trash --yes"] {
        let output = world.call(line).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("error[symlink]"), "{line}: {said}");
        assert!(!said.contains("remove what it points to"), "{said}");
        assert!(
            said.contains("a link itself and not what it points to"),
            "{said}"
        );
    }
    // What needs no trash goes on, and says what is in its place.
    for line in [
        "record prediction --run q --iteration 1 --dataset c",
        "list",
        "iterations",
        "runs",
        "du",
        "history",
        "show mito/validation.zarr/1000/crop1/prediction",
    ] {
        let output = world.call(line).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}: {said}");
        assert_eq!(said.matches(".dalsegno/trash").count(), 1, "{line}: {said}");
        assert!(said.contains("until it is moved away"), "{line}: {said}");
    }
    assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 0);
}

/// The findings of `verify` of a class.
fn findings(world: &World, class: &str) -> Vec<serde_json::Value> {
    let output = world.call("verify --json").output().unwrap();
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let findings = document["verify"]["findings"].as_array().unwrap();
    let of_class = findings.iter().filter(|one| one["class"] == class);
    of_class.cloned().collect()
}

#[test]
fn a_removal_whose_place_is_taken_is_given_up_alone_as_its_finding_says() {
    let world = world();
    let again = "er/validation.zarr/500/crop1/prediction";
    world.write_array(again);
    world.transcript("scan --quiet");
    let found = findings(&world, "trash-occupied");
    let next = found[0]["next"].as_str().unwrap();
    let (_, call) = next.split_once("give it up with: dalsegno ").unwrap();
    let (call, _) = call.split_once(';').unwrap();
    let id = call.rsplit(' ').next().unwrap();
    assert!(ids(&world).contains(&id.to_owned()), "{next}");
    let text = world.transcript(&format!(
        "verify --table
        {call}
        {call} --yes
        {call} --yes
        trash empty {id} --older-than 1h
        trash empty none"
    ));
    assert_transcript!("trash_given_up", text);
    assert_eq!(findings(&world, "trash-occupied").len(), 0);
    // What is in its place stays, and so does the rest of the trash.
    assert!(world.base.join(again).join(".zarray").exists());
    assert_eq!(ids(&world).len(), 1);
}

#[test]
fn what_a_whole_run_took_besides_is_in_the_numbers_of_the_trash() {
    let world = World::scanned();
    let run = world.base.join("er");
    fs::create_dir_all(run.join("checkpoints/iterations")).unwrap();
    fs::write(run.join("checkpoints/iterations/500"), vec![1; 9000]).unwrap();
    fs::write(run.join("train.log"), vec![b'x'; 5000]).unwrap();
    let whole_run = "rm --whole-run er --trash --yes --quiet";
    world.transcript(&format!(
        "refresh --measure --quiet
        rm --run mito --kind output --trash --yes --quiet
        {whole_run}"
    ));
    let document = stdout(&mut world.call("du --json"));
    let document: serde_json::Value = serde_json::from_str(&document).unwrap();
    let usage = document["usage"].as_array().unwrap();
    let trash = usage.iter().find(|line| line["state"] == "trash").unwrap();
    // The numbers of a line that is all that the program du sees, but for the trash's own folders.
    let by_du = Command::new("du")
        .args(["-s", "--block-size=1", ".dalsegno/trash"])
        .current_dir(&world.base)
        .output()
        .unwrap();
    let by_du = String::from_utf8(by_du.stdout).unwrap();
    let by_du: u64 = by_du.split_whitespace().next().unwrap().parse().unwrap();
    let disk = trash["disk_bytes"].as_u64().unwrap();
    assert!(disk <= by_du && by_du - disk <= 40_000, "{disk} of {by_du}");
    let mut text =
        world.transcript("trash list --table\ntrash list\ntrash list --json\ntrash empty");
    text += &world.transcript("trash empty --yes\ntrash list");
    assert_transcript!("trash_others", text);
}

#[test]
fn what_was_lost_in_the_trash_and_put_back_is_named_and_comes_back() {
    let world = World::scanned();
    let arrays = [
        "mito/validation.zarr/1000/crop1/prediction",
        "mito/validation.zarr/1000/crop2/prediction",
        "mito/validation.zarr/9000/crop1/prediction",
    ];
    world.transcript(&format!("rm {} --trash --yes --quiet", arrays.join(" ")));
    let mut trash = fs::read_dir(world.base.join(".dalsegno/trash")).unwrap();
    let folder = trash.next().unwrap().unwrap().path();
    let id = folder.file_name().unwrap().to_str().unwrap().to_owned();
    let away = world.dir.join("away");
    fs::rename(folder.join("1"), &away).unwrap();
    let occupied = world.base.join(arrays[0]);
    fs::create_dir_all(&occupied).unwrap();
    fs::write(occupied.join("notes.txt"), "precious").unwrap();
    let said = world.transcript(&format!("restore {id}"));
    assert!(
        said.contains("was deleted in the trash") && said.contains("exit 3"),
        "{said}"
    );
    // What is in the way of one is in the way of none that is lost.
    let way = said.find("next: move away what is in the way").unwrap();
    let lost = said.find("is not there any more").unwrap();
    assert!(
        way < lost && said.contains("if data was moved away, move it to its old path"),
        "{said}"
    );
    fs::rename(&away, folder.join("1")).unwrap();
    fs::remove_dir_all(&occupied).unwrap();
    world.transcript(&format!("restore {}", arrays[0]));
    let said = world.transcript("trash list");
    assert!(said.contains("comes back with: dalsegno restore"), "{said}");
    world.transcript(&format!("restore {id}"));
    assert!(!folder.exists());
    let said = world.transcript(&format!("list {} --jsonl", arrays[1]));
    assert!(said.contains("\"state\":\"present\""), "{said}");
}

#[test]
fn show_says_where_a_removed_run_is_and_how_it_comes_back() {
    let world = World::scanned();
    world.transcript("rm er --trash --yes --reason superseded --quiet");
    world.transcript("rm mito/extra.zarr/mesh --trash --yes --quiet");
    let listed = stdout(world.program().args(["trash", "list"]));
    let ids: Vec<&str> = listed
        .lines()
        .skip(1)
        .map(|row| row.split('\t').next().unwrap())
        .collect();
    for call in [
        "show er",
        "show er --table",
        "show --run er",
        "show er/validation.zarr/500 --table",
        "show er --jsonl",
    ] {
        let text = world.transcript(call);
        let said = format!(
            "1 artifact is in the trash, in .dalsegno/trash/{}, removed by ",
            ids[0]
        );
        assert!(text.contains(&said), "{text}");
        let way = format!(": superseded; restore it with: dalsegno restore {}", ids[0]);
        assert!(text.contains(&way) && !text.contains("exit"), "{text}");
        assert!(text.contains("removed"), "{text}");
    }
    let way = format!(
        "in the trash, in .dalsegno/trash/{}; restore it with: dalsegno restore {}",
        ids[1], ids[1]
    );
    assert!(
        world
            .transcript("show mito/extra.zarr/mesh --table")
            .contains(&way)
    );
    let text = world.transcript("show mito/extra.zarr/mesh");
    assert!(
        text.contains(&format!("dalsegno restore {}", ids[1])),
        "{text}"
    );
    // What is left of a run is shown as it is; what was unlinked is in no trash.
    assert!(!world.transcript("show mito --table").contains("trash"));
    world.transcript("trash empty --yes --quiet");
    let text = world.transcript("show er");
    assert!(
        text.contains("not recorded") && text.ends_with("exit 1\n"),
        "{text}"
    );
}
