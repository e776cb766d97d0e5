//! `rebuild`: what it prints to a user who has lost a catalog.

use std::fs;
use std::time::Duration;

use dalsegno::model::clock::{Clock, SystemClock, Timestamp};

use crate::assert_transcript;
use crate::world::World;

fn lose(world: &World) {
    for suffix in ["", "-wal", "-shm"] {
        let _ = fs::remove_file(format!("{}{suffix}", world.catalog().display()));
    }
}

/// The name of a backup of this time.
fn name_of(at: Timestamp) -> String {
    let seconds = at.to_string();
    let seconds = seconds.split('.').next().unwrap();
    format!("{}Z.sqlite3", seconds.replace(['-', ':'], ""))
}

#[test]
fn a_lost_catalog_is_rebuilt_from_the_disk() {
    let world = World::scanned();
    let sound = world.transcript("rebuild");
    lose(&world);
    let text = world.transcript(
        "list
        rebuild
        list --run er
        history --action rebuild --table
        verify --quick",
    );
    assert_transcript!("rebuild_gone", sound + &text);
}

#[test]
fn a_damaged_catalog_is_rebuilt_from_a_backup_and_the_trash() {
    let world = World::scanned();
    let backups = world.base.join(".dalsegno/backups");
    fs::create_dir_all(&backups).unwrap();
    let now = SystemClock.now();
    let newest = name_of(now);
    fs::write(backups.join(&newest), "damaged").unwrap();
    let before = name_of(now.minus(Duration::from_secs(1)));
    fs::copy(world.catalog(), backups.join(before)).unwrap();
    // One of the future is not the newest.
    let future = backups.join("20991231T235959Z.sqlite3");
    fs::write(future, "damaged").unwrap();
    world.transcript("rm mito/validation.zarr/1000/crop1/prediction --trash --yes --quiet");
    world.write_array("er/validation.zarr/600/crop1/prediction");
    fs::remove_dir_all(world.base.join("er/validation.zarr/500")).unwrap();
    lose(&world);
    fs::write(world.catalog(), "damaged").unwrap();
    let text = world.transcript(&format!(
        "rebuild
        list --run er
        trash list --table
        restore mito/validation.zarr/1000/crop1/prediction
        history --action rebuild --table
        rebuild --force --from-disk --jsonl
        rebuild --force --from .dalsegno/backups/{newest}
        rebuild --from FILE --from-disk",
    ));
    assert_transcript!("rebuild_backup", text);
}

#[test]
fn what_is_left_alone_in_the_trash_is_named_and_the_exit_code_tells() {
    let world = World::scanned();
    world.transcript("rm mito/validation.zarr/1000/crop1/prediction --trash --yes --quiet");
    let trash = fs::read_dir(world.base.join(".dalsegno/trash")).unwrap();
    for removal in trash {
        fs::write(removal.unwrap().path().join("manifest.json"), "{").unwrap();
    }
    lose(&world);
    let text = world.transcript(
        "rebuild --from-disk --json
        rebuild --from-disk --force",
    );
    assert_transcript!("rebuild_left_alone", text);
}

/// The folder of the only removal in the trash.
fn only_removal(world: &World) -> std::path::PathBuf {
    let mut trash = fs::read_dir(world.base.join(".dalsegno/trash")).unwrap();
    trash.next().unwrap().unwrap().path()
}

/// Starts the purge of a removal, as one that is killed after its first file.
fn begin_purge(folder: &std::path::Path) {
    fs::rename(folder.join("manifest.json"), folder.join("purging.json")).unwrap();
    fs::remove_file(folder.join("0/.zarray")).unwrap();
}

#[test]
fn a_removal_whose_purge_has_begun_is_never_said_to_be_restorable() {
    let world = World::scanned();
    world.transcript("rm mito/validation.zarr/1000/crop1/prediction --trash --yes --quiet");
    let folder = only_removal(&world);
    begin_purge(&folder);
    lose(&world);
    // Another process has it in hand, so that it is not over with the rebuild.
    let lock = fs::File::open(&folder).unwrap();
    lock.lock().unwrap();
    let mut text = world.transcript("rebuild --from-disk");
    drop(lock);
    text += &world.transcript("trash list --table\nrebuild --from-disk --force\ntrash empty");
    assert_transcript!("rebuild_in_purge", text);
}

#[test]
fn of_a_purge_that_was_over_new_data_is_not_called_its_old() {
    let world = World::scanned();
    let path = "mito/validation.zarr/1000/crop1/prediction";
    world.transcript(&format!("rm {path} --trash --yes --quiet"));
    let folder = only_removal(&world);
    begin_purge(&folder);
    fs::remove_dir_all(folder.join("0")).unwrap();
    world.write_array(path);
    lose(&world);
    let text = world.transcript(&format!("rebuild --from-disk\nshow {path} --json"));
    assert!(text.contains("has been unlinked"), "{text}");
    assert!(!text.contains("are back"), "{text}");
    assert!(!text.contains("restore one"), "{text}");
}

#[test]
fn what_nothing_in_the_trash_is_left_of_is_only_back_if_it_is_the_same() {
    let path = "mito/validation.zarr/1000/crop1/prediction";
    let rebuilt = |at_its_place: &dyn Fn(&World, &std::path::Path)| {
        let world = World::scanned();
        world.transcript(&format!("rm {path} --trash --yes --quiet"));
        let folder = only_removal(&world);
        at_its_place(&world, &folder.join("0"));
        lose(&world);
        let text = world.transcript("rebuild --from-disk");
        assert!(!folder.exists());
        text
    };
    let same = rebuilt(&|world, item| {
        fs::create_dir_all(world.base.join(path).parent().unwrap()).unwrap();
        fs::rename(item, world.base.join(path)).unwrap();
    });
    assert!(same.contains("its rows and data are back"), "{same}");
    let new = rebuilt(&|world, item| {
        fs::remove_dir_all(item).unwrap();
        world.write_array(path);
    });
    assert!(!new.contains("are back"), "{new}");
    let gone = rebuilt(&|_, item| fs::remove_dir_all(item).unwrap());
    assert!(gone.contains("gone from its place too"), "{gone}");
    assert!(!gone.contains("are back"), "{gone}");
}
