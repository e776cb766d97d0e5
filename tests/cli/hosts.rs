//! A catalog on one host, and what the commands say on another one.

use std::fs;

use crate::assert_transcript;
use crate::terminal::spoken_after;
use crate::world::World;

/// A base directory whose catalog is on the disk of the host `node1`.
fn world() -> World {
    kept(World::runs())
}

/// The same with runs that are there.
fn kept(world: World) -> World {
    fs::create_dir(world.dir.join("disk")).unwrap();
    let catalog = world.dir.join("disk/c.sqlite3");
    let init = format!("init --here --quiet --catalog {}", catalog.display());
    for call in [init.as_str(), "scan --quiet", "publish --quiet"] {
        let said = on(&world, "node1", call);
        assert_eq!(said, world.hide(&format!("$ dalsegno {call}\n")));
    }
    world
}

/// What commands say on a host.
fn on(world: &World, host: &str, calls: &str) -> String {
    let calls = calls.lines().map(str::trim).filter(|call| !call.is_empty());
    calls
        .map(|call| {
            let mut program = world.call(call);
            world.say(call, program.env("DALSEGNO_TEST_HOST", host))
        })
        .collect()
}

/// The age of a copy, which is seconds in a test.
fn without_age(text: &str) -> String {
    let age = regex::Regex::new(r#", \d+s ago|"age_seconds": ?\d+"#).unwrap();
    age.replace_all(text, "[AGE]").into_owned()
}

#[test]
fn another_host_answers_from_the_copy_and_names_the_keeper_for_changes() {
    let world = world();
    fs::rename(world.dir.join("disk"), world.dir.join("gone")).unwrap();
    let before = world.tree();
    let text = on(
        &world,
        "node2",
        "runs
        runs --quiet
        list --run er --json
        show --run er --json
        iterations --run er
        du --run er
        verify --jsonl
        rm --run er --dry-run
        rm --run er --yes
        scan
        refresh
        pin release --run er --reason paper
        score --run er --iteration 500 --remove voi
        restore --run er
        trash empty
        undo 1
        verify --repair
        publish
        rebuild
        rebuild --force --from-disk
        init
        init --catalog ../disk/c.sqlite3",
    );
    assert!(!text.contains(": dalsegno rebuild"), "a hint at rebuild");
    assert_transcript!("hosts", without_age(&text));
    for question in ["gc --kind prediction --keep-last 1", "history"] {
        let text = on(&world, "node2", question);
        assert!(text.contains("published copy of"), "{text}");
        assert!(!text.contains("exit"), "{text}");
    }
    let plan = world.dir.join("plan");
    let plan_out = format!(
        "gc --kind prediction --keep-last 1 --plan-out {}",
        plan.display()
    );
    assert!(!on(&world, "node2", &plan_out).contains("exit"));
    let apply = on(&world, "node2", &format!("gc --apply {}", plan.display()));
    assert!(apply.contains("error[catalog-elsewhere]"), "{apply}");
    assert!(world.tree() == before);
}

#[test]
fn a_keeper_that_moves_while_a_question_waits_for_its_answer_stops_what_was_asked() {
    for call in [
        "rm --run er",
        "rm --run er --trash",
        "rm --whole-run er",
        "gc --run mito --kind prediction --keep-last 1 --apply",
        "trash empty",
    ] {
        let world = World::runs();
        // A plan leaves what is recent.
        let old = "find . -exec touch -h -d 2026-01-01 {} +";
        let mut aged = std::process::Command::new("sh");
        let aged = aged.args(["-c", old]).current_dir(&world.base).status();
        assert!(aged.unwrap().success());
        let world = kept(world);
        let removal = "rm mito/validation.zarr/1000/crop1/prediction --trash --yes --quiet";
        assert!(!on(&world, "node1", removal).contains("error"));
        let left = std::cell::RefCell::new(Vec::new());
        let data = || {
            let mut tree = world.tree();
            let registry = world.base.join(".dalsegno");
            tree.retain(|(path, _)| {
                !path.starts_with(&registry) || path.starts_with(registry.join("trash"))
            });
            tree
        };
        let moves = || {
            let said = on(&world, "node2", "init --keeper");
            assert!(!said.contains("error"), "{said}");
            left.replace(data());
        };
        let host = [("DALSEGNO_TEST_HOST", "node1"), ("NO_COLOR", "1")];
        let mut program = world.call(call);
        let (said, code) = spoken_after(&mut program, 100, "[y/N]", &moves, "y\n", &host);
        assert!(said.contains("[y/N]"), "{call}: {said}");
        assert_eq!(code, Some(1), "{call}: {said}");
        assert!(said.contains("error[catalog-elsewhere]"), "{call}: {said}");
        assert!(said.contains("node2"), "{call}: {said}");
        assert!(data() == left.take(), "{call}: {said}");
        // The new keeper has all of it.
        let verified = on(&world, "node2", "verify --quick");
        assert!(!verified.contains("exit"), "{call}: {verified}");
    }
}

#[test]
fn what_another_host_records_is_noted_without_a_warning() {
    let world = world();
    let text = on(
        &world,
        "node2",
        "record prediction --run new --iteration 5 --dataset crop1
        record output --run new --iteration 5 --dataset crop1 --parameters t1 --json",
    );
    assert_transcript!("hosts_record", text);
    let inbox = fs::read_dir(world.base.join(".dalsegno/inbox")).unwrap();
    assert_eq!(inbox.count(), 2);
}

#[test]
fn what_another_host_seals_and_scores_is_taken_in_by_the_keeper() {
    let world = world();
    for number in 1..=3 {
        world.write_array(&format!("new/validation.zarr/{number}/crop1/prediction"));
    }
    let gone = world.dir.join("gone");
    fs::rename(world.dir.join("disk"), &gone).unwrap();
    let mut text = on(
        &world,
        "node2",
        "seal --run er --iteration 500 --kind prediction
        seal --hash new/validation.zarr/1/crop1/prediction --json
        seal new/validation.zarr/2/crop1/prediction --table
        seal --run unknown --table
        seal new/validation.zarr/9/crop1/prediction
        seal --id 999
        seal
        score --run new --iteration 1 --dataset crop1 voi=0.5 f1=nan
        score --run new --iteration 2 voi=0.25 --json
        score --run new --iteration 1 --remove voi",
    );
    // Without a copy, paths say what they are; a selection needs the copy.
    let copy = world.base.join(".dalsegno/published.sqlite3");
    fs::remove_file(&copy).unwrap();
    text += &on(
        &world,
        "node2",
        "seal new/validation.zarr/3/crop1/prediction
        seal --run er",
    );
    fs::rename(gone, world.dir.join("disk")).unwrap();
    // Written again after its seal was noted: that seal is of other data.
    let again = "new/validation.zarr/2/crop1/prediction/.zarray";
    fs::File::open(world.base.join(again))
        .unwrap()
        .set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(10))
        .unwrap();
    text += &on(
        &world,
        "node1",
        "record prediction --run new --iteration 4 --dataset crop1
        score
        list --run new --json
        list --run er --iteration 500 --kind prediction --json",
    );
    // Named for the process and with a random part.
    let file = regex::Regex::new(r"node2-\d+-[0-9a-f]+").unwrap();
    let text = file.replace_all(&text, "[FILE]");
    assert_transcript!("hosts_noted", without_age(&text));
    // Nothing had failed there.
    let history = on(&world, "node1", "history --json");
    assert!(history.contains("noted on node2"), "{history}");
    assert!(!history.contains("could not be written"), "{history}");
}

/// Its last bytes are the time at which it was made, which any program may have written.
#[test]
fn a_copy_that_says_no_time_is_of_an_unknown_time() {
    let world = world();
    let copy = world.base.join(".dalsegno/published.sqlite3");
    let mut bytes = fs::read(&copy).unwrap();
    let start = bytes.len() - 8;
    for time in [-1, i64::MIN, i64::MAX] {
        bytes[start..].copy_from_slice(&time.to_be_bytes());
        fs::write(&copy, &bytes).unwrap();
        let text = on(&world, "node2", "runs");
        let says = "its published copy, made at an unknown time\n";
        assert!(text.contains(says), "{text}");
        let text = on(&world, "node2", "runs --json --quiet");
        assert!(text.contains(r#""at":null,"age_seconds":null"#), "{text}");
        let text = on(&world, "node2", "verify\ndoctor");
        let shown = dalsegno::model::clock::Timestamp(time).to_string();
        assert!(!text.contains(&shown), "{text}");
    }
}

/// What a newcomer types: on the keeper, and at once on another host.
#[test]
fn a_scan_on_the_keeper_is_seen_at_once_elsewhere_and_hints_name_the_keeper() {
    let world = World::runs();
    fs::create_dir(world.dir.join("disk")).unwrap();
    let init = format!(
        "init --here --quiet --catalog {}",
        world.dir.join("disk/c").display()
    );
    let mut text = on(&world, "node1", &init);
    text += &on(&world, "node2", "runs\nverify --quick");
    text += &on(&world, "node1", "scan");
    text += &on(
        &world,
        "node2",
        "runs --run er\nverify\nshow er/none.zarr/1",
    );
    // Written after the copy, one of them by a process that noted it.
    text += &on(
        &world,
        "node2",
        "record prediction --run new --iteration 5 --dataset crop1",
    );
    for array in [
        "new/validation.zarr/5/crop1/prediction",
        "new/validation.zarr/6/crop1/prediction",
    ] {
        world.write_array(array);
    }
    text += &on(&world, "node2", "verify\nverify --json");
    fs::remove_dir_all(world.base.join("er/validation.zarr/500/crop1/prediction")).unwrap();
    text += &on(&world, "node2", "verify\nverify --table");
    // The keeper sees the note too, and takes it in.
    text += &on(&world, "node1", "verify --run new\nscan\nverify --run new");
    text += &on(&world, "node2", "runs --run new");
    assert_transcript!("hosts_newcomer", without_age(&text));
}

#[test]
fn a_keeper_with_another_name_says_so_and_a_lost_catalog_is_named_by_hand() {
    let world = world();
    let renamed = on(
        &world,
        "node7",
        "scan
        init --keeper
        scan",
    );
    let moved = on(&world, "node1", "scan");
    fs::rename(world.dir.join("disk"), world.dir.join("gone")).unwrap();
    let catalog = world.dir.join("disk/c.sqlite3");
    let rebuild = format!("rebuild --from-disk --catalog {}", catalog.display());
    let gone = on(&world, "node7", "runs\nrebuild");
    if let Ok(()) =
        std::os::unix::fs::chown(world.base.join(".dalsegno/config.toml"), Some(61_001), None)
    {
        // Root types nothing that another user wrote.
        let text = on(&world, "node7", "runs");
        assert!(text.contains("61001 wrote this path"), "{text}");
        assert!(!text.contains("rebuild --catalog"), "{text}");
        std::os::unix::fs::chown(world.base.join(".dalsegno/config.toml"), Some(0), None).unwrap();
    }
    fs::create_dir(world.dir.join("disk")).unwrap();
    let made = on(&world, "node7", &format!("rebuild\n{rebuild}\nruns"));
    assert_transcript!("hosts_keeper", format!("{renamed}{moved}{gone}{made}"));
}

#[test]
fn what_another_host_cannot_count_is_unknown_and_never_something_else() {
    let world = World::runs();
    let old = std::process::Command::new("find")
        .arg(&world.base)
        .args(["-exec", "touch", "-d", "2020-01-01", "{}", "+"])
        .status();
    assert!(old.unwrap().success());
    let world = kept(world);
    // Written since the copy was made, at a path that the copy has as reserved.
    on(
        &world,
        "node1",
        "record prediction --run er --iteration 9 --dataset crop1\npublish",
    );
    world.write_array("er/validation.zarr/9/crop1/prediction");
    fs::write(world.base.join("er/train.log"), "epoch 1\n").unwrap();
    let text = on(
        &world,
        "node2",
        "du --run er
        du --run er --json",
    );
    assert_transcript!("hosts_uncounted", without_age(&text));
    let gc = "gc --run mito --kind prediction --keep-iterations 7 --allow-empty-group";
    let text = on(&world, "node2", &format!("{gc}\n{gc} --json"));
    assert!(text.contains("? (not counted), ? on disk"), "{text}");
    assert!(
        text.contains("same command with --apply on host node1"),
        "{text}"
    );
    let json = text.split_once("\"removed\": {").unwrap().1;
    assert!(json.contains("\"disk_bytes\": null"), "{json}");
    let doctor = on(&world, "node2", "doctor");
    assert!(!doctor.contains("error below"), "{doctor}");
    assert!(
        doctor.contains("Pending\nout|   only the host that has the catalog knows"),
        "{doctor}"
    );
}

#[test]
fn record_prints_the_path_even_if_no_note_can_be_left() {
    let world = world();
    let inbox = world.base.join(".dalsegno/inbox");
    let clear = || match inbox.symlink_metadata() {
        Ok(found) if found.is_dir() => fs::remove_dir_all(&inbox).unwrap(),
        Ok(_) => fs::remove_file(&inbox).unwrap(),
        Err(_) => {}
    };
    let in_the_way: [(&str, &dyn Fn()); 3] = [
        ("a file", &|| fs::write(&inbox, "in the way").unwrap()),
        ("a link", &|| {
            std::os::unix::fs::symlink("..", &inbox).unwrap();
        }),
        ("a FIFO", &|| {
            let mode = rustix::fs::Mode::from_raw_mode(0o600);
            rustix::fs::mknodat(rustix::fs::CWD, &inbox, rustix::fs::FileType::Fifo, mode, 0)
                .unwrap();
        }),
    ];
    let call = "record prediction --run new --iteration 7 --dataset crop1 --quiet";
    let path = world
        .base
        .join("new/validation.zarr/7/crop1/prediction")
        .display()
        .to_string();
    for (what, place) in in_the_way {
        clear();
        place();
        for format in ["", " --json"] {
            let mut program = world.call(&format!("{call}{format}"));
            let output = program.env("DALSEGNO_TEST_HOST", "node2").output().unwrap();
            let (out, said) = (
                String::from_utf8(output.stdout).unwrap(),
                String::from_utf8(output.stderr).unwrap(),
            );
            assert_eq!(output.status.code(), Some(3), "{what}: {said}");
            assert!(out.contains(&path), "{what}: {out}");
            assert!(said.contains("could not note it"), "{what}: {said}");
            assert!(
                said.contains("on host node1 with: dalsegno"),
                "{what}: {said}"
            );
        }
    }
    clear();
    let said = on(&world, "node2", call);
    assert!(
        said.contains("new/validation.zarr/7") && !said.contains("exit"),
        "{said}"
    );
}

#[test]
fn a_seal_of_another_users_data_is_refused_where_the_keeper_would_refuse_its_note() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("left out: a user of another number needs root");
        return;
    }
    let world = world();
    let array = "new/validation.zarr/1/crop1/prediction";
    world.write_array(array);
    for format in ["--table", "--hash", "--json"] {
        let mut other = world.program_of_a_stranger();
        other
            .env("DALSEGNO_TEST_HOST", "node2")
            .args(["seal", array, format]);
        let output = other.output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{said}");
        assert!(said.contains("error[of-another-user]"), "{said}");
        assert!(said.contains("it is about data of another user"), "{said}");
        if format == "--table" {
            let seals = format!(
                "on host node1, which has the catalog, anyone who may write the registry can: dalsegno \
                 seal {}",
                world.base.join(array).display()
            );
            assert!(said.contains(&seals), "{said}");
        }
    }
    assert!(!world.base.join(".dalsegno/inbox").exists());
    // Root's word is taken about all data.
    let array = "new/validation.zarr/2/crop1/prediction";
    world.write_array(array);
    std::os::unix::fs::chown(world.base.join(array), Some(65534), None).unwrap();
    let text = on(&world, "node2", &format!("seal {array}"));
    assert!(text.contains("noted 1 seal"), "{text}");
}

#[test]
fn what_is_next_names_the_keeper_in_every_format() {
    let world = world();
    fs::create_dir_all(world.base.join(".dalsegno/trash/stranger")).unwrap();
    let next = "on host node1, look at it, and move it away; dalsegno leaves it alone";
    for format in ["", "--table", "--json", "--jsonl"] {
        let text = on(&world, "node2", &format!("verify {format}"));
        assert!(text.contains(next), "{text}");
    }
    let here = on(&world, "node1", "verify --json");
    assert!(here.contains("\"look at it, and move it away"), "{here}");
}

/// The text between two others.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap();
    rest.split_once(after).unwrap().0
}

#[test]
fn the_hints_after_the_keeper_is_lost_make_another_host_the_keeper() {
    for at in ["", " --catalog PATH"] {
        let world = world();
        on(&world, "node1", "pin keep --run er --reason paper");
        fs::remove_dir_all(world.dir.join("disk")).unwrap();
        let other = world.dir.join("other/c.sqlite3");
        let shell = |call: &str| {
            let mut shell = std::process::Command::new("sh");
            // The program of the hints, on the host that is to be the keeper.
            shell.arg("-c").arg(call).env("DALSEGNO_TEST_HOST", "node7");
            assert!(shell.status().unwrap().success(), "{call}");
        };
        let plain = |call: &str| {
            let mut program = world.call(call);
            let output = program.env("DALSEGNO_TEST_HOST", "node7").output().unwrap();
            String::from_utf8(output.stderr).unwrap()
        };
        // A rebuild would make a second catalog, so it sends to `init --keeper`.
        let rebuild = plain("rebuild");
        let call = rebuild.trim_end().rsplit("dalsegno ").next().unwrap();
        let init = format!("{call}{}", at.replace("PATH", other.to_str().unwrap()));
        let refused = plain(&init);
        assert!(refused.contains("error[catalog-not-copied]"), "{refused}");
        assert!(!refused.contains("rebuild"), "{refused}");
        shell(between(
            &refused,
            "published copy: ",
            "; then run the same command again",
        ));
        let made = plain(&init);
        assert!(made.contains("is on this host from now on"), "{made}");
        let text = on(&world, "node7", "scan\npin --list");
        assert!(!text.contains("exit") && text.contains("keep"), "{text}");
        let old = on(&world, "node1", "scan");
        assert!(old.contains("is on host node7"), "{old}");
    }
}

#[test]
fn a_file_that_was_never_the_catalog_makes_no_keeper() {
    let world = world();
    let config = || fs::read(world.base.join(".dalsegno/config.toml")).unwrap();
    let before = config();
    fs::write(world.dir.join("text"), "x".repeat(9000)).unwrap();
    fs::write(world.dir.join("empty"), "").unwrap();
    fs::create_dir(world.dir.join("folder")).unwrap();
    // On the keeper too: a path that it does not have yet is one to copy to.
    for host in ["node1", "node7"] {
        for name in ["text", "empty", "folder", "none", "none/c.sqlite3"] {
            let path = world.dir.join(name);
            let said = on(
                &world,
                host,
                &format!("init --keeper --catalog {}", path.display()),
            );
            assert!(said.contains("error[catalog-not-copied]"), "{said}");
            assert!(config() == before, "{name}");
        }
    }
}

#[test]
fn a_single_host_that_was_renamed_writes_again_and_init_says_what_it_changes() {
    let world = World::runs();
    let init = "init --single-host";
    let text = on(&world, "node1", &format!("{init}\nscan\n{init}"))
        + &on(
            &world,
            "node7",
            &format!("{init}\ninit --keeper\n{init}\nscan"),
        );
    let plain = World::scanned();
    let plain = on(&plain, "node7", "init --single-host\ninit --keeper");
    assert_transcript!("hosts_single", format!("{text}{plain}"));
}

#[test]
fn a_copy_that_is_missing_or_damaged_is_published_again() {
    let world = world();
    let copy = world.base.join(".dalsegno/published.sqlite3");
    fs::write(&copy, "damaged").unwrap();
    let damaged = on(&world, "node2", "runs");
    // Paths say their keys by themselves.
    world.write_array("new/validation.zarr/1/crop1/prediction");
    let sealed = on(
        &world,
        "node2",
        "seal new/validation.zarr/1/crop1/prediction\nseal --run er",
    );
    assert!(
        sealed.contains("noted 1 seal; node1 takes it into the catalog"),
        "{sealed}"
    );
    let refused = sealed.split_once("$ dalsegno seal --run er").unwrap().1;
    assert!(refused.contains("error[catalog-damaged]"), "{refused}");
    assert!(refused.contains("host node1 published"), "{refused}");
    fs::remove_file(&copy).unwrap();
    let missing = on(&world, "node2", "runs\ndu\nlist --json");
    let again = on(&world, "node1", "publish\npublish --json");
    let inside = World::scanned();
    let inside = on(&inside, "node1", "publish");
    assert_transcript!("hosts_copy", format!("{damaged}{missing}{again}{inside}"));
}

#[test]
fn doctor_names_the_keeper_and_the_age_of_the_copy() {
    let world = world();
    let report = |call: &str| on(&world, "node2", call);
    let text = report("doctor --redact");
    assert!(text.contains("catalog.host          [HOST]"), "{text}");
    assert!(text.contains("init --keeper"), "{text}");
    fs::rename(world.dir.join("disk"), world.dir.join("gone")).unwrap();
    let text = report("doctor");
    assert!(text.contains("catalog.host          node1"), "{text}");
    assert!(text.contains("  published             20"), "{text}");
    assert!(
        text.contains("the catalog is on host node1; see what"),
        "{text}"
    );
    assert!(!text.contains("rebuild"), "{text}");
}

/// The copy has none, or some, of the arrays in a folder.
#[test]
fn a_folder_is_sealed_with_what_the_copy_does_not_have() {
    let world = world();
    let arrays = [1, 2].map(|number| format!("new/validation.zarr/{number}/crop1/prediction"));
    for array in &arrays {
        world.write_array(array);
    }
    // What is not recorded is named on the keeper.
    let text = on(&world, "node1", "seal new/validation.zarr");
    assert!(text.contains("error[not-recorded]"), "{text}");
    let text = on(&world, "node2", "seal new/validation.zarr");
    assert!(text.contains("noted 2 seals"), "{text}");
    let text = on(&world, "node1", "list --run new --json");
    assert_eq!(text.matches(r#""sealed_at":"20"#).count(), 2, "{text}");
    // The copy has these two.
    let more = "new/validation.zarr/3/crop1/prediction";
    world.write_array(more);
    let text = on(&world, "node1", "publish --quiet\nseal new/validation.zarr");
    assert!(
        text.contains(&format!("not recorded, so not sealed: [BASE]/{more}"))
            && text.ends_with("exit 3\n"),
        "{text}"
    );
    let text = on(&world, "node2", "seal new\nseal new/validation.zarr/3");
    assert!(
        text.contains("noted 3 seals") && text.contains("noted 1 seal;"),
        "{text}"
    );
    // A folder without arrays.
    fs::create_dir(world.base.join("new/validation.zarr/4")).unwrap();
    let text = on(&world, "node2", "seal new/validation.zarr/4");
    assert!(text.contains("error[not-recorded]"), "{text}");
    // Without a copy too.
    fs::remove_file(world.base.join(".dalsegno/published.sqlite3")).unwrap();
    let text = on(&world, "node2", "seal new/validation.zarr");
    assert!(text.contains("noted 3 seals"), "{text}");
}

/// Whatever keeps the catalog from taking it in: the path is a function of the key.
#[test]
fn record_on_the_keeper_prints_the_path_and_leaves_a_note_if_the_catalog_cannot_be_written() {
    let world = world();
    let catalog = world.dir.join("disk/c.sqlite3");
    let config = world.base.join(".dalsegno/config.toml");
    let (sound, configured) = (fs::read(&catalog).unwrap(), fs::read(&config).unwrap());
    let record = |iteration: i64| {
        let call = format!(
            "record prediction --run er --iteration {iteration} --dataset new --lock-timeout 1s"
        );
        let mut program = world.call(&call);
        let done = program.env("DALSEGNO_TEST_HOST", "node1").output().unwrap();
        let [out, err] = [done.stdout, done.stderr].map(|text| String::from_utf8(text).unwrap());
        let path = format!("er/validation.zarr/{iteration}/new/prediction");
        assert_eq!(
            out.trim_end(),
            world.base.join(path).to_str().unwrap(),
            "{err}"
        );
        assert_eq!(done.status.code(), Some(0), "{err}");
        err
    };
    let is_noted = |said: &str, code: &str| {
        assert!(said.contains(code), "{code}: {said}");
        assert!(
            said.contains("noted for the next command that writes"),
            "{said}"
        );
        assert_eq!(said.lines().count(), 1, "{said}");
    };
    fs::write(&catalog, "no catalog".repeat(1000)).unwrap();
    is_noted(&record(9001), "(catalog-damaged)");
    fs::remove_file(&catalog).unwrap();
    is_noted(&record(9002), "(catalog-");
    fs::write(&catalog, &sound).unwrap();
    fs::write(&config, "catalog = [").unwrap();
    is_noted(&record(9003), "(config-invalid)");
    fs::write(&config, configured).unwrap();
    {
        let writer = rusqlite::Connection::open(&catalog).unwrap();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        is_noted(&record(9004), "(lock-timeout)");
    }
    let document = "record prediction --run er --iteration 9005 --dataset new --json --quiet";
    fs::write(&catalog, "no catalog".repeat(1000)).unwrap();
    let json = on(&world, "node1", document);
    assert!(json.contains("9005/new/prediction"), "{json}");
    assert!(json.contains("node1"), "{json}");
    fs::write(&catalog, &sound).unwrap();
    let taken_in = on(&world, "node1", "list --run er --dataset new --table");
    for iteration in 9001..=9005 {
        assert!(taken_in.contains(&iteration.to_string()), "{taken_in}");
    }
    // What is wrong with the call itself is an error as before.
    let wrong = on(
        &world,
        "node1",
        "record prediction --run er --iteration 1 --dataset a/../b",
    );
    assert!(wrong.contains("exit 2"), "{wrong}");
}

#[test]
fn record_where_nothing_can_be_noted_prints_the_path_with_a_warning() {
    let world = World::scanned();
    fs::write(world.catalog(), "no catalog".repeat(1000)).unwrap();
    fs::write(world.base.join(".dalsegno/inbox"), "in its place").unwrap();
    let said = world.transcript("record prediction --run er --iteration 9001 --dataset new");
    assert!(
        said.contains("out| [BASE]/er/validation.zarr/9001/new/prediction"),
        "{said}"
    );
    assert!(said.contains("could not note it"), "{said}");
    assert!(said.ends_with("exit 3\n"), "{said}");
}

#[test]
fn who_keeps_others_from_publishing_is_named_at_once_and_by_doctor() {
    let world = world();
    let path = world.dir.join("disk/c.sqlite3.publishing");
    let lock = crate::lock::take(&path);
    // As a program does that takes the lock and does not show itself.
    lock.unlock().unwrap();
    let start = std::time::Instant::now();
    let said = on(&world, "node1", "pin kept --run er --reason paper");
    assert!(
        start.elapsed() < std::time::Duration::from_secs(8),
        "{said}"
    );
    let this = format!("pid {}", std::process::id());
    let told = "could not be published for other hosts";
    assert_eq!(said.matches(told).count(), 1, "{said}");
    assert!(said.contains(&this), "{this}: {said}");
    assert!(!said.contains("exit"), "{said}");
    let report = on(&world, "node1", "doctor");
    assert!(report.contains("lacks what was changed since,"), "{report}");
    assert!(report.contains(&this), "{this}: {report}");
    assert!(report.ends_with("exit 4\n"), "{report}");
    let json = on(&world, "node1", "doctor --json");
    assert!(json.contains("\"is_held\": true"), "{json}");
    drop(lock);
    let said = on(&world, "node1", "pin more --run er --reason paper");
    assert!(!said.contains(told), "{said}");
    let report = on(&world, "node1", "doctor");
    assert!(!report.contains("lacks what"), "{report}");
    let pins = on(&world, "node2", "pin --list");
    assert!(pins.contains("kept") && pins.contains("more"), "{pins}");
}

#[test]
fn a_copy_is_as_old_as_it_says_itself_whatever_the_file_is_dated() {
    let world = world();
    let copy = world.base.join(".dalsegno/published.sqlite3");
    let published = || {
        let text = on(&world, "node2", "runs --json --quiet");
        let at = regex::Regex::new(r#""at": ?"([^"]+)""#).unwrap();
        at.captures(&text).unwrap_or_else(|| panic!("{text}"))[1].to_owned()
    };
    let first = published();
    let old = fs::read(&copy).unwrap();
    // Without a new operation: it is new all the same.
    on(&world, "node1", "publish");
    let second = published();
    assert!(second > first, "{second} {first}");
    fs::write(&copy, &old).unwrap();
    assert_eq!(published(), first);
    // One of an older version does not say it, and is as old as its last operation.
    fs::write(&copy, &old[..old.len() / 4096 * 4096]).unwrap();
    let by_operation = published();
    assert!(by_operation < first, "{by_operation} {first}");
    let newest = on(&world, "node2", "history --json --limit 1 --quiet");
    assert!(newest.contains(&by_operation), "{by_operation}: {newest}");
    // The keeper puts a new one in its place with the next change.
    on(&world, "node1", "pin kept --run er --reason paper");
    assert!(published() > second);
}

#[test]
fn a_section_that_config_toml_has_lost_is_named_on_each_host_with_what_to_type() {
    let world = world();
    on(&world, "node1", "pin keep --run er --reason paper --quiet");
    fs::write(world.base.join(".dalsegno/config.toml"), "").unwrap();
    let (disk, gone) = (world.dir.join("disk"), world.dir.join("gone"));
    fs::rename(&disk, &gone).unwrap();
    let catalog = disk.join("c.sqlite3");
    let init = format!("init --here --catalog {}", catalog.display());
    let mut text = on(
        &world,
        "node2",
        "runs
        rm --run er --yes
        rebuild
        rebuild --from-disk --force
        record prediction --run er --iteration 77 --dataset crop1",
    );
    text += &on(&world, "node2", &init);
    assert!(!world.base.join(".dalsegno/catalog.sqlite3").exists());
    fs::rename(&gone, &disk).unwrap();
    text += &on(
        &world,
        "node1",
        "runs
        rebuild
        init",
    );
    text += &on(&world, "node1", &init);
    text += &on(&world, "node1", "list --run er --iteration 77 --quiet");
    // Not in the transcript, because the number of a process is beside them.
    let pins = on(&world, "node1", "pin --list");
    assert!(pins.contains("\tpaper\t"), "{pins}");
    assert!(!text.contains(": dalsegno rebuild"), "a hint at rebuild");
    assert_transcript!("hosts_lost", without_age(&text));
}

/// What an older version did while the section was lost.
#[test]
fn doctor_names_a_second_catalog() {
    let world = world();
    let own = world.base.join(".dalsegno/catalog.sqlite3");
    let config = world.base.join(".dalsegno/config.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::copy(world.dir.join("disk/c.sqlite3"), &own).unwrap();
    let said = on(&world, "node1", "doctor");
    assert!(
        said.contains("there is a second catalog in .dalsegno"),
        "{said}"
    );
    assert!(said.contains("exit 4"), "{said}");
    fs::write(&config, "").unwrap();
    let said = on(&world, "node2", "doctor");
    assert!(said.contains("there is a second catalog,"), "{said}");
    assert!(said.contains("on host node1"), "{said}");
    let json = on(&world, "node2", "doctor --redact --json");
    assert!(!json.contains("disk/c.sqlite3"), "{json}");
    fs::write(&config, text).unwrap();
    fs::remove_file(&own).unwrap();
    let said = on(&world, "node1", "doctor");
    assert!(!said.contains("second catalog"), "{said}");
}
