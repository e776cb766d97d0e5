//! Tables, triggers, views and values that another member of the group wrote into the catalog.

use super::scene::{Scene, rm};

const ENDLESS: &str = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x, 1, 0 FROM c WHERE x < 0";

/// Runs SQL on a database, as whoever may write the file can.
fn forge(path: &std::path::Path, sql: &str) {
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

/// Every command ends with an error that holds `said`, changes nothing, and `doctor` ends too.
fn all_refuse(scene: &Scene, said: &str) {
    let record = [
        "record",
        "prediction",
        "--run",
        "x",
        "--iteration",
        "1",
        "--dataset",
        "c",
    ];
    for arguments in [
        &rm("1")[..],
        &["list"],
        &["runs"],
        &["du"],
        &["verify"],
        &["scan"],
        &["history"],
        &["gc", "--keep-last", "1"],
    ] {
        let text = scene.fails(arguments);
        assert!(text.contains(said), "{arguments:?}: {text}");
        assert!(text.contains("catalog-damaged"), "{arguments:?}: {text}");
    }
    // A path needs no catalog, so that is printed, and noted.
    let text = scene.succeeds(&record);
    assert!(text.contains(said), "{text}");
    assert!(text.contains("catalog-damaged"), "{text}");
    scene.run(&["doctor"]);
    assert!(
        scene
            .base()
            .join("run/validation.zarr/1/d/prediction/.zarray")
            .exists()
    );
    scene.outside_is_untouched(said);
}

#[test]
fn a_trigger_or_view_that_never_ends_is_named_and_not_run() {
    for (sql, said) in [
        (
            format!(
                "CREATE TRIGGER waits AFTER INSERT ON operation
                 BEGIN INSERT INTO folded {ENDLESS}; END"
            ),
            "its trigger waits is not one",
        ),
        (
            "ALTER TABLE run RENAME TO run0; DROP VIEW artifact_view; DROP VIEW pin_view;
             DROP VIEW score_view; DROP VIEW removal_view; DROP VIEW history_view;"
                .to_owned()
                + &format!("CREATE VIEW run AS SELECT x AS id, x AS name FROM ({ENDLESS})")
                    .replace("SELECT x, 1, 0", "SELECT x"),
            "is not one that dalsegno makes",
        ),
        (
            "CREATE TABLE more (x TEXT, y INT AS (x LIKE '%a%a%a%a%a%a%a%b'))".to_owned(),
            "its table more is not one",
        ),
        (
            "CREATE INDEX more ON run (hex(name))".to_owned(),
            "its index more is not one",
        ),
    ] {
        let scene = Scene::new();
        forge(&scene.own("catalog.sqlite3"), &sql);
        all_refuse(&scene, said);
    }
}

#[test]
fn what_a_message_advises_takes_a_trigger_out() {
    let scene = Scene::new();
    let path = scene.own("catalog.sqlite3");
    let sql = "CREATE TRIGGER \"a \"\"b\" AFTER INSERT ON operation BEGIN SELECT 1; END";
    forge(&path, sql);
    let text = scene.fails(&["list"]);
    let advice = text
        .split("take it out: ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    forge(&path, advice);
    assert!(scene.succeeds(&["list"]).contains("prediction"));
}

#[test]
fn a_backup_with_a_trigger_is_passed_over() {
    let scene = Scene::new();
    scene.succeeds(&["rm", "--run", "run", "--iteration", "9", "--yes"]);
    let backups = scene.own("backups");
    let newest = std::fs::read_dir(&backups)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.extension().is_some_and(|ending| ending == "sqlite3"))
        .expect("a removal makes a backup");
    let sql = format!(
        "CREATE TRIGGER waits AFTER INSERT ON operation BEGIN INSERT INTO folded {ENDLESS}; END"
    );
    forge(&newest, &sql);
    std::fs::remove_file(scene.own("catalog.sqlite3")).unwrap();
    scene.run(&["rebuild"]);
    assert!(scene.succeeds(&["list"]).contains("prediction"));
}

#[test]
fn a_value_of_a_gigabyte_takes_no_memory() {
    for sql in [
        "UPDATE container SET path = hex(zeroblob(40000000))",
        "UPDATE run SET name = hex(zeroblob(40000000))",
        // Short enough to be read.
        "UPDATE container SET path = hex(zeroblob(4000000))",
        "UPDATE run SET name = hex(zeroblob(4000000))",
    ] {
        let scene = Scene::new();
        forge(&scene.own("catalog.sqlite3"), sql);
        for arguments in [&["list"][..], &["verify"], &["scan"], &rm("1")] {
            let output = scene.run(arguments);
            let text = super::scene::text(&output);
            assert!(
                text.len() < 100_000,
                "{arguments:?} says {} bytes",
                text.len()
            );
        }
        let text = scene.fails(&["list"]);
        assert!(text.contains("too big"), "{text}");
        scene.outside_is_untouched(sql);
    }
}
