//! `doctor`: a report, also if the registry cannot be opened.

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;

use crate::world::World;

/// The report in JSON, the exit code, and what was said on stderr.
fn report(command: &mut Command) -> (Value, i32, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.args(["doctor", "--json"]).output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(!stderr.contains("panicked"), "{stderr}");
    let document: Value = serde_json::from_slice(&stdout).unwrap();
    assert_eq!(document["schema_version"], 1);
    (document["doctor"].clone(), status.code().unwrap(), stderr)
}

/// What is in every report, whatever became of the registry.
fn assert_machine(report: &Value) {
    for place in [
        "/program/version",
        "/program/target",
        "/program/profile",
        "/program/sqlite",
        "/machine/system",
        "/machine/kernel",
        "/machine/architecture",
        "/user/umask",
        "/base/path",
    ] {
        let text = report.pointer(place).and_then(Value::as_str);
        assert!(text.is_some_and(|text| !text.is_empty()), "{place}");
    }
    let options = report["program"]["sqlite_options"].as_array().unwrap();
    assert!(options.iter().any(|option| option == "THREADSAFE=1"));
}

/// Every report has these groups, in this order.
const GROUPS: [&str; 10] = [
    "program",
    "machine",
    "user",
    "environment",
    "base",
    "catalog",
    "config",
    "registry",
    "pending",
    "error",
];

#[test]
fn a_healthy_registry_is_described_in_full() {
    let world = World::scanned();
    world.transcript("pin paper --run er --reason 'figure 3'");
    let config = world.base.join(".dalsegno/config.toml");
    let mut text = fs::read_to_string(&config).unwrap();
    text.push_str("[trash]\nkeep = \"72h\"\n[policy.default.prediction]\nkeep-last = 3\n");
    fs::write(&config, text).unwrap();
    let (report, exit, stderr) = report(&mut world.program());
    assert_eq!((exit, stderr.as_str()), (0, ""));
    assert_machine(&report);
    let names: Vec<&String> = report.as_object().unwrap().keys().collect();
    assert!(
        GROUPS
            .iter()
            .all(|group| names.iter().any(|name| name == group))
    );
    for (place, expected) in [
        ("/registry/counts/artifacts", Value::from(12)),
        ("/registry/counts/present", Value::from(12)),
        ("/registry/counts/runs", Value::from(2)),
        ("/registry/counts/pins", Value::from(1)),
        ("/registry/journal_mode", "wal".into()),
        ("/registry/synchronous", "full".into()),
        ("/registry/page_size", Value::from(4096)),
        ("/registry/operations", Value::from(2)),
        ("/registry/trash/bytes", Value::from(0)),
        ("/registry/lock_holder", Value::Null),
        ("/catalog/stands", "a file".into()),
        ("/config/trash.keep", "3days".into()),
        ("/config/policies/0", "default".into()),
        ("/base/file_system/may_write", true.into()),
        ("/base/file_system/is_read_only", false.into()),
        ("/base/file_system/network", Value::Null),
        ("/error", Value::Null),
    ] {
        assert_eq!(report.pointer(place), Some(&expected), "{place}");
    }
    let system = &report["base"]["file_system"];
    assert!(system["free_bytes"].as_u64().unwrap() <= system["bytes"].as_u64().unwrap());
    assert!(system["type"].is_string());
    assert_eq!(
        report["config"]["catalog.registry"],
        report["registry"]["id"]
    );
}

#[test]
fn only_variables_that_matter_are_shown() {
    let world = World::scanned();
    let mut program = world.program();
    program
        .env("LANG", "C.UTF-8")
        .env("AWS_SECRET_ACCESS_KEY", "hidden-1")
        .env("WANDB_API_KEY", "hidden-2")
        .env("DALSEGNO_TOKEN_OF_MINE", "hidden-3")
        .env("TERMINAL", "hidden-4");
    let (report, ..) = report(&mut program);
    let expected = serde_json::json!({"DALSEGNO_TOKEN_OF_MINE": "(set)", "LANG": "C.UTF-8"});
    assert_eq!(report["environment"], expected);
    assert!(!report.to_string().contains("hidden"));
}

#[test]
fn where_the_registry_cannot_be_opened_the_error_is_part_of_the_report() {
    type Damage = fn(&World);
    let cases: [(&str, i32, Damage); 6] = [
        ("catalog-damaged", 12, |world| {
            fs::write(world.catalog(), vec![7; 9000]).unwrap();
        }),
        ("catalog-missing", 12, |world| {
            fs::remove_file(world.catalog()).unwrap()
        }),
        ("catalog-not-a-file", 12, |world| {
            fs::remove_file(world.catalog()).unwrap();
            fs::create_dir(world.catalog()).unwrap();
        }),
        ("catalog-too-new", 13, |world| {
            let catalog = rusqlite::Connection::open(world.catalog()).unwrap();
            catalog.pragma_update(None, "user_version", 99).unwrap();
        }),
        ("config-invalid", 1, |world| {
            fs::write(world.base.join(".dalsegno/config.toml"), "no toml").unwrap();
        }),
        ("no-registry", 10, |world| {
            fs::rename(world.base.join(".dalsegno"), world.dir.join("aside")).unwrap();
        }),
    ];
    for (code, exit, damage) in cases {
        let world = World::scanned();
        damage(&world);
        let before = world.tree();
        let (report, found, stderr) = report(&mut world.program());
        assert_eq!(found, exit, "{code}: {stderr}");
        assert_machine(&report);
        assert_eq!(report["error"]["code"], code);
        assert!(report["error"]["message"].is_string());
        assert!(report["error"]["next"].is_string(), "{code}");
        assert!(stderr.contains(&format!("error[{code}]: ")), "{stderr}");
        assert_eq!(report["registry"], Value::Null);
        // If there is a catalog, or is to be one, it shows what is at its path.
        assert_eq!(
            report["catalog"].is_object(),
            code != "no-registry",
            "{code}"
        );
        let text = world.transcript("doctor --table");
        assert!(
            text.contains(&format!("out|   code                  {code}\n")),
            "{text}"
        );
        assert!(world.tree() == before, "{code}: something changed");
    }
}

#[test]
fn a_registry_that_others_hold_is_shown_as_locked() {
    let world = World::scanned();
    let holder = rusqlite::Connection::open(world.catalog()).unwrap();
    holder
        .execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; PRAGMA user_version")
        .unwrap();
    holder.execute("CREATE TABLE held (x)", []).unwrap();
    let mut program = world.program();
    let (report, exit, _) = report(program.args(["--lock-timeout", "100ms"]));
    assert_eq!(
        (exit, &report["error"]["code"]),
        (11, &"lock-timeout".into())
    );
    assert_machine(&report);
}

#[test]
fn a_registry_that_cannot_be_written_says_so() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::scanned();
    let folder = world.base.join(".dalsegno");
    let readable = |mode| fs::Permissions::from_mode(mode);
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        // What is not readable stays so: a lock that readers could take would be a finding.
        let is_lock = [".turn", ".queue"].iter().any(|end| {
            path.as_os_str()
                .as_encoded_bytes()
                .ends_with(end.as_bytes())
        });
        fs::set_permissions(path, readable(if is_lock { 0o400 } else { 0o444 })).unwrap();
    }
    fs::set_permissions(&folder, readable(0o555)).unwrap();
    let (report, exit, _) = report(&mut world.program_of_a_stranger());
    fs::set_permissions(&folder, readable(0o755)).unwrap();
    assert_eq!(exit, 0);
    assert_eq!(report["catalog"]["file_system"]["may_write"], false);
    let notice = report["registry"]["notice"].as_str().unwrap();
    assert!(notice.contains("cannot be written here"), "{notice}");
    assert_eq!(report["registry"]["counts"]["artifacts"], 12);
}

#[test]
fn a_redacted_report_has_no_paths_of_its_user() {
    let world = World::scanned();
    let mut program = world.program();
    let output = program
        .env("USER", "somebody")
        .env("DALSEGNO_BASE", &world.base)
        .args(["doctor", "--redact", "--json"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("[BASE]/.dalsegno/catalog.sqlite3"), "{text}");
    let host = rustix::system::uname();
    for secret in [
        world.dir.to_str().unwrap(),
        host.nodename().to_str().unwrap(),
    ] {
        assert!(!text.contains(&format!("\"{secret}")), "{secret}: {text}");
    }
}

#[test]
fn a_table_fits_eighty_columns_but_for_what_is_one_word() {
    let world = World::scanned();
    let text = world.transcript("doctor");
    for group in GROUPS {
        let heading = format!("out| {}{}\n", group[..1].to_uppercase(), &group[1..]);
        assert!(text.contains(&heading), "{heading}");
    }
    for line in text.lines().filter_map(|line| line.strip_prefix("out| ")) {
        let is_one_word = line.split_whitespace().count() == 1;
        assert!(line.chars().count() <= 80 || is_one_word, "{line}");
    }
}

#[test]
fn the_error_of_a_redacted_report_is_redacted_too() {
    let world = World::scanned();
    std::fs::write(world.catalog(), "no database").unwrap();
    let base = world.base.to_str().unwrap();
    let plain = world.call("doctor").output().unwrap();
    let said = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said(&plain).contains(base), "{}", said(&plain));
    for line in ["doctor --redact", "doctor --redact --json"] {
        let output = world.call(line).output().unwrap();
        let (errors, report) = (said(&output), String::from_utf8(output.stdout).unwrap());
        assert!(errors.contains("error[catalog-"), "{errors}");
        assert!(
            !errors.contains(base) && !report.contains(base),
            "{errors}{report}"
        );
        assert_eq!(output.status.code(), plain.status.code());
    }
}

#[test]
fn the_hints_of_a_redacted_report_do_not_name_the_base_directory() {
    let world = World::scanned();
    let base = world.base.to_str().unwrap();
    let inbox = world.base.join(".dalsegno/inbox");
    fs::create_dir_all(&inbox).unwrap();
    fs::write(inbox.join("stranger"), "").unwrap();
    let said = |redact: &[&str]| {
        let mut program = world.program();
        let program = program
            .args(["--base", base, "doctor", "--json"])
            .args(redact);
        String::from_utf8(program.output().unwrap().stderr).unwrap()
    };
    let (plain, redacted) = (said(&[]), said(&["--redact"]));
    assert!(plain.contains(base), "{plain}");
    assert!(redacted.contains("dalsegno verify"), "{redacted}");
    assert!(!redacted.contains(base), "{redacted}");
}

#[test]
fn a_file_of_the_inbox_that_is_shorter_than_what_was_folded_of_it_is_a_finding() {
    let world = World::scanned();
    let inbox = world.base.join(".dalsegno/inbox");
    fs::create_dir_all(&inbox).unwrap();
    fs::write(inbox.join("host-1-a.jsonl"), "cut").unwrap();
    let catalog = rusqlite::Connection::open(world.base.join(".dalsegno/catalog.sqlite3"));
    let folded = "INSERT INTO folded (name, bytes, refused) VALUES ('host-1-a.jsonl', 400, 0)";
    catalog.unwrap().execute(folded, []).unwrap();
    let (report, code, said) = report(&mut world.call(""));
    assert_eq!(report["inbox"]["changed"][0]["name"], "host-1-a.jsonl");
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("dalsegno verify"), "{said}");
}

#[test]
fn an_inbox_that_cannot_be_read_is_the_error_of_the_report() {
    let world = World::scanned();
    let inbox = world.base.join(".dalsegno/inbox");
    if inbox.exists() {
        fs::remove_dir_all(&inbox).unwrap();
    }
    std::os::unix::fs::symlink(&world.dir, &inbox).unwrap();
    let (report, code, said) = report(&mut world.call(""));
    assert_eq!(report["inbox"], Value::Null);
    assert_eq!(report["error"]["code"], "symlink", "{report}");
    assert!(said.contains(".dalsegno/inbox"), "{said}");
    assert_eq!(code, 1);
}

#[test]
fn what_is_in_the_way_of_writers_is_the_error_of_the_report() {
    for (name, is_link) in [
        ("catalog.sqlite3.turn", true),
        ("catalog.sqlite3.queue", true),
        ("catalog.sqlite3.turn", false),
        ("backups", true),
    ] {
        let world = World::scanned();
        let path = world.base.join(".dalsegno").join(name);
        let _ = fs::remove_file(&path);
        let _ = fs::remove_dir_all(&path);
        match is_link {
            true => std::os::unix::fs::symlink(world.dir.join("elsewhere"), &path).unwrap(),
            false => fs::create_dir(&path).unwrap(),
        }
        let (report, code, said) = report(&mut world.call(""));
        assert_ne!(report["error"], Value::Null, "{name}: {report}");
        assert_eq!(code, 1, "{name}");
        assert!(said.contains(name), "{name}: {said}");
        if name != "backups" {
            let output = world
                .call("record prediction --run q --iteration 1 --dataset c")
                .output();
            let said = String::from_utf8(output.unwrap().stderr).unwrap();
            assert!(said.contains("move"), "{name}: {said}");
        }
    }
}

#[test]
fn a_folder_in_the_trash_that_nothing_explains_is_left_alone_and_said_to_be() {
    let world = World::scanned();
    let folder = world.base.join(".dalsegno/trash/20261129-014548-a0ce52");
    fs::create_dir_all(folder.join("0")).unwrap();
    fs::write(folder.join("0/x"), "x").unwrap();
    for manifest in [None, Some("{")] {
        if let Some(manifest) = manifest {
            fs::write(folder.join("manifest.json"), manifest).unwrap();
        }
        let (report, _, said) = report(&mut world.call(""));
        let left_alone = report["pending"]["left_alone"].to_string();
        assert!(left_alone.contains("20261129-014548-a0ce52"), "{report}");
        assert!(!said.contains("resolves"), "{said}");
        let output = world.call("list").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("alone"), "{said}");
        assert!(!said.contains("resolves"), "{said}");
    }
    assert!(folder.join("0/x").exists());
}

#[test]
fn a_report_begins_with_a_verdict() {
    let world = World::scanned();
    let first = |text: &str| text.lines().nth(1).unwrap_or_default().to_owned();
    let text = world.transcript("doctor --table");
    assert_eq!(first(&text), "out|   all is well", "{text}");
    let not_seen = "out|   the arrays on disk are looked at by: dalsegno verify";
    assert_eq!(text.lines().nth(2), Some(not_seen), "{text}");
    let stranger = world.base.join(".dalsegno/trash/mine");
    fs::create_dir_all(stranger).unwrap();
    let text = world.transcript("doctor --table");
    assert!(first(&text).contains("no removal explains"), "{text}");
    assert!(
        text.contains("dalsegno verify") && text.ends_with("exit 4\n"),
        "{text}"
    );
    let nothing = World::new();
    let text = nothing.transcript("doctor --table");
    assert!(first(&text).contains("no registry"), "{text}");
    assert!(!text.contains("all is well"), "{text}");
}

#[test]
fn damaged_and_missing_arrays_are_part_of_the_verdict() {
    let world = World::scanned();
    for damaged in ["1000/crop1/prediction", "1000/crop2/prediction"] {
        let path = format!("mito/validation.zarr/{damaged}/.zarray");
        fs::write(world.base.join(path), "{").unwrap();
    }
    fs::remove_dir_all(world.base.join("er/validation.zarr/500/crop1/prediction")).unwrap();
    // The catalog answers, so what no command has looked at is not known.
    assert!(world.transcript("doctor").contains("all is well"));
    world.transcript("refresh --all");
    let text = world.transcript("doctor --table");
    let text = text.replace("\nout|  ", "").replace("  ", " ");
    assert!(!text.contains("all is well"), "{text}");
    for says in [
        "2 recorded artifacts are damaged (their metadata cannot be read); see why with: dalsegno \
         verify; list with: dalsegno list --state damaged",
        "1 recorded artifact is missing (its data is gone); list with: dalsegno list --state missing; \
         if their folder was renamed by hand: dalsegno verify --repair; else take the rows out with: \
         dalsegno rm --state missing",
        "exit 4",
    ] {
        assert!(text.contains(says), "{says}: {text}");
    }
    let (report, code, said) = report(&mut world.call(""));
    assert_eq!(report["registry"]["counts"]["damaged"], 2);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("list --state damaged"), "{said}");
}
