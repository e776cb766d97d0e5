//! `mv`: what it asks, says and renames.

use std::fs;
use std::os::unix::fs::symlink;

use crate::assert_transcript;
use crate::mounts;
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

#[test]
fn a_run_that_was_renamed_by_hand_and_scanned_gets_back_what_belonged_to_it() {
    let world = World::scanned();
    world.transcript(
        "score --run mito --iteration 1000 voi=0.5
        pin paper --reason p --run mito --iteration 9000
        seal mito/extra.zarr/mesh",
    );
    let rename = |from: &str, to: &str| {
        fs::rename(world.base.join(from), world.base.join(to)).unwrap();
    };
    rename("mito", "muto");
    let text = world.transcript("scan -q\nverify --json");
    let detail = "it is now muto, where a scan took its data for new: 11 arrays, 1 pin and 1 score \
                  follow";
    assert!(text.contains(detail), "{text}");
    assert_eq!(text.matches("\"class\"").count(), 1, "{text}");
    let text = world.transcript("verify --repair");
    assert!(text.contains("1 finding repaired, 0 left"), "{text}");
    let text = world.transcript(
        "verify
        list --table
        score
        pin --list --table
        show --table muto/extra.zarr/mesh",
    );
    assert!(
        !text.contains("exit") && !text.contains("missing"),
        "{text}"
    );
    assert!(!text.contains("mito"), "{text}");
    for word in ["voi\t0.5", "paper"] {
        assert!(text.contains(word), "{text}");
    }
    let seal = text.lines().find(|line| line.starts_with("out| sealed"));
    assert!(seal.is_some_and(|line| !line.ends_with('-')), "{text}");
    let text = world.transcript("gc --run muto --kind prediction --keep-first 1 --table --all");
    assert!(text.contains("paper"), "{text}");
}

#[test]
fn a_copy_does_not_take_what_belongs_to_a_run_that_is_gone() {
    let world = World::scanned();
    world.transcript("pin paper --reason p --run er");
    let (from, to) = (world.base.join("er"), world.base.join("copy"));
    let copied = std::process::Command::new("cp")
        .arg("-a")
        .args([&from, &to])
        .status();
    assert!(copied.unwrap().success());
    world.transcript("scan -q");
    fs::remove_dir_all(&from).unwrap();
    // Seen to be gone; the rows of the copy are those of a scan, and its times are the same.
    world.transcript("refresh -q");
    let text = world.transcript("verify --repair\nlist --table --run er\npin --list --table");
    assert!(!text.contains("moved"), "{text}");
    assert!(text.contains("missing"), "{text}");
}

#[test]
fn what_belongs_to_another_run_by_its_time_is_not_removed_before_its_rows_follow() {
    let world = World::scanned();
    world.transcript("pin paper --reason p --run mito");
    // As by hand: `mito` gets the name of a run that has other data at the same places.
    let base = &world.base;
    let array = "validation.zarr/1000/crop1/prediction";
    let metadata = base.join("er").join(array);
    fs::create_dir_all(&metadata).unwrap();
    fs::write(metadata.join(".zarray"), r#"{"shape":[9]}"#).unwrap();
    let long_ago = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
    fs::File::open(metadata.join(".zarray"))
        .unwrap()
        .set_modified(long_ago)
        .unwrap();
    world.transcript("scan -q");
    fs::rename(base.join("er"), base.join("old")).unwrap();
    fs::rename(base.join("mito"), base.join("er")).unwrap();
    let select = "rm --run er --iteration 1000 --kind prediction";
    let text = world.transcript(&format!("{select} --dry-run"));
    assert!(text.contains("the data of mito/"), "{text}");
    assert!(text.contains("which is pinned: paper"), "{text}");
    assert!(text.contains("must stay"), "{text}");
    let text = world.transcript(&format!("{select} --yes"));
    assert!(text.contains("error[of-another-run]"), "{text}");
    assert!(text.contains("the data of [BASE]/mito/"), "{text}");
    assert!(
        text.contains("verify --repair") && text.contains("exit 1"),
        "{text}"
    );
    assert!(base.join("er").join(array).exists());
    let one = format!("er/{array}");
    for call in [
        "seal --run er --iteration 1000 --kind prediction".to_owned(),
        format!("pin x --reason r {one}"),
        "pin x --reason r --run er".to_owned(),
        "score --run er --iteration 1000 voi=0.5".to_owned(),
    ] {
        let text = world.transcript(&call);
        assert!(text.contains("error[of-another-run]"), "{text}");
        assert!(
            text.contains("verify --repair") && text.contains("exit 1"),
            "{text}"
        );
    }
}

#[test]
fn the_row_of_a_folder_that_was_renamed_by_hand_is_not_removed_without_a_word() {
    let world = World::scanned();
    let at = |path: &str| world.base.join(path);
    let old = "mito/validation.zarr/1000/crop1";
    fs::rename(at(old), at("mito/validation.zarr/1000/crop1_old")).unwrap();
    let text = world.transcript(&format!("rm {old} --dry-run"));
    assert!(
        text.contains("because 2 artifacts, ? (not counted) must stay"),
        "{text}"
    );
    let text = world.transcript(&format!("rm {old} --yes"));
    assert!(text.contains("error[renamed-by-hand]"), "{text}");
    assert!(text.contains("1000/crop1_old/"), "{text}");
    assert!(
        text.contains("verify --repair") && text.contains("--force-pinned"),
        "{text}"
    );
    assert!(text.contains("exit 1"), "{text}");
    let text = world.transcript(&format!("rm {old} --yes --keep-going"));
    assert!(
        text.contains("nothing was removed") && text.contains("exit 3"),
        "{text}"
    );
    // Also after the repair, which gives the data rows of its own.
    world.transcript("verify --repair");
    let text = world.transcript(&format!("rm {old} --yes"));
    assert!(text.contains("error[renamed-by-hand]"), "{text}");
    let text = world.transcript(&format!("rm {old} --yes --force-pinned"));
    assert!(text.contains("removed 2 artifacts"), "{text}");
    assert!(at("mito/validation.zarr/1000/crop1_old/prediction/.zarray").exists());
}

#[test]
fn a_run_that_may_not_be_opened_is_not_movable_and_says_whose_it_is() {
    use std::os::unix::fs::PermissionsExt;

    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: a user without rights needs root");
        return;
    }
    let world = World::scanned();
    let modes = |path: &str, mode| {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(world.base.join(path), mode).unwrap();
    };
    let call = |words: &[&str]| {
        let output = world.program_of_a_stranger().args(words).output().unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    modes("", 0o777);
    modes("mito", 0o000);
    let said = call(&["mv", "mito", "other", "--dry-run"]);
    assert!(said.contains("error[not-movable]"), "{said}");
    let words = "it belongs to root, group root, mode ---------, and this user may not open";
    assert!(said.contains(words), "{said}");
}

#[test]
fn mv_says_what_in_the_trash_binds_the_old_name_and_how_it_is_freed() {
    let world = World::scanned();
    world.transcript("rm mito/validation.zarr/1000/crop1/prediction --trash --yes -q");
    let trash = fs::read_dir(world.base.join(".dalsegno/trash")).unwrap();
    let id = trash
        .last()
        .unwrap()
        .unwrap()
        .file_name()
        .into_string()
        .unwrap();
    let free = format!("dalsegno trash empty {id}");
    let preview = world.transcript("mv mito other --dry-run");
    assert!(preview.contains(&free), "{preview}");
    // Before the run is renamed, or the user asked.
    let said = world.transcript("mv mito other --yes");
    let (warning, renamed) = (said.find(&free), said.find("renamed run"));
    assert!(warning.is_some() && warning < renamed, "{said}");
    let refused = world.transcript("mv other mito --yes");
    assert!(
        refused.contains(&format!("in the trash, removal {id}")),
        "{refused}"
    );
    assert!(refused.contains(&free), "{refused}");
    let freed = world.transcript(&format!("trash empty {id} --yes\nmv other mito --yes"));
    assert!(freed.contains("renamed run other to mito"), "{freed}");
}

/// Renames runs that are mount points, of another disk and of this one, and one with a mount in it.
const MOUNTED: &str = r#"
for run in disk bound inner; do
    mkdir -p base/$run/validation.zarr/1/a/prediction
    echo '{"zarr_format":3,"node_type":"array"}' >base/$run/validation.zarr/1/a/prediction/zarr.json
done
mkdir base/inner/logs
cp -r base/disk kept; cp -r base/bound other
mount -t tmpfs tmpfs base/disk; cp -r kept/. base/disk
mount --bind other base/bound
mount -t tmpfs tmpfs base/inner/logs
"$1" --base base init -q; "$1" --base base scan -q
for run in disk bound inner; do "$1" --base base mv $run new --yes 2>&1; done
"#;

#[test]
fn a_run_that_is_or_holds_a_mount_point_is_not_renamed_and_what_to_unmount_is_said() {
    let world = World::new();
    let mut program = world.program();
    program.env_remove("DALSEGNO_BASE");
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("base")).unwrap();
    let Some(output) = mounts::run("a mounted run", MOUNTED, &program, &[], folder.path()) else {
        return;
    };
    let said = String::from_utf8(output.stdout).unwrap();
    let base = folder.path().canonicalize().unwrap().join("base");
    for run in ["disk", "bound", "inner/logs"] {
        let path = base.join(run);
        let path = path.display();
        let error = format!("error[mount-point]: a file system is mounted at {path}, ");
        assert!(said.contains(&error), "{said}");
        assert!(
            said.contains(&format!("with: umount {path}; then")),
            "{said}"
        );
    }
    assert!(!said.contains("trash"), "{said}");
}
