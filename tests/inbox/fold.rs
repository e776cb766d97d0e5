//! What folding makes of notes.

use std::fs;

use dalsegno::model::clock::{FixedClock, Timestamp};
use dalsegno::model::filter::Filter;
use dalsegno::model::note::{Note, ScoreNote, SealNote};
use dalsegno::model::operation::Action;
use dalsegno::model::progress::Silent;
use dalsegno::model::score::Score;
use dalsegno::{
    Inbox, Options, Registry, ScoreQuery, Target, VerifyClass, VerifyFinding, VerifyOptions,
};

use crate::common::write_array;
use crate::{base, file, key, note, operations, prediction, record, refused, rows, waiting};

#[test]
fn notes_become_operations_of_who_left_them_at_that_time() {
    let base = base();
    note(base.path(), &[prediction(1), prediction(2)]);
    let text = fs::read_to_string(file(base.path())).unwrap();
    let lines: Vec<serde_json::Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let found: Vec<_> = rows(base.path()).into_iter().map(|row| row.key).collect();
    assert_eq!(found, [prediction(1), prediction(2)]);
    assert_eq!(waiting(base.path()), Vec::<String>::new());
    let operations = operations(base.path());
    assert_eq!(operations.len(), 2);
    for (operation, line) in operations.iter().zip(&lines) {
        assert_eq!(operation.action, Action::Record);
        assert_eq!(operation.at.to_string(), line["at"]);
        assert_eq!(operation.agent.actor.user, line["user"]);
        assert_eq!(operation.agent.actor.host, line["host"]);
        assert_eq!(operation.agent.actor.pid, std::process::id());
        assert_eq!(operation.agent.version, env!("CARGO_PKG_VERSION"));
        assert!(operation.reason.as_deref().unwrap().contains("inbox"));
    }
}

#[test]
fn a_note_of_a_clock_that_is_wrong_is_folded_at_the_nearest_time() {
    let base = base();
    let inbox = Inbox::open(base.path()).unwrap();
    for (iteration, at) in [(1, -1), (2, i64::MAX)] {
        inbox
            .note_at(Timestamp(at), record(&prediction(iteration)))
            .unwrap();
    }
    assert_eq!(rows(base.path()).len(), 2);
    assert_eq!(refused(base.path()), Vec::<String>::new());
    assert_eq!(operations(base.path())[0].at, Timestamp(0));
}

#[test]
fn opening_says_how_many_notes_it_folded() {
    let base = base();
    note(base.path(), &[prediction(1), prediction(2)]);
    let registry = Registry::open(base.path()).unwrap();
    assert_eq!(registry.recovery().folded, 2);
    assert_eq!(registry.recovery().problems, Vec::<String>::new());
    assert_eq!(Registry::open(base.path()).unwrap().recovery().folded, 0);
}

#[test]
fn a_registry_that_is_open_for_reading_leaves_the_inbox_alone() {
    let base = base();
    note(base.path(), &[prediction(1)]);
    let before = fs::read(file(base.path())).unwrap();
    drop(Registry::open_read_only(base.path()).unwrap());
    assert_eq!(fs::read(file(base.path())).unwrap(), before);
}

#[test]
fn a_file_that_comes_back_after_it_was_folded_is_not_folded_again() {
    let base = base();
    note(base.path(), &[prediction(1)]);
    let path = file(base.path());
    let text = fs::read(&path).unwrap();
    let registry = Registry::open(base.path()).unwrap();
    registry
        .remove_artifact(&Target::Key(prediction(1)))
        .unwrap();
    drop(registry);
    // A power cut: the unlinking was not durable.
    fs::write(&path, text).unwrap();
    assert!(rows(base.path()).is_empty());
    assert!(waiting(base.path()).is_empty());
}

#[test]
fn a_process_that_lives_goes_on_in_a_new_file_after_a_fold() {
    let base = base();
    let inbox = Inbox::open(base.path()).unwrap();
    inbox.note(record(&prediction(1))).unwrap();
    let first = file(base.path());
    assert_eq!(rows(base.path()).len(), 1);
    inbox.note(record(&prediction(2))).unwrap();
    assert_ne!(file(base.path()), first);
    inbox.note(record(&prediction(3))).unwrap();
    assert_eq!(rows(base.path()).len(), 3);
}

#[test]
fn what_is_appended_while_a_file_is_folded_is_folded_the_next_time() {
    let base = base();
    note(base.path(), &[prediction(1), prediction(2)]);
    let path = file(base.path());
    let text = fs::read_to_string(&path).unwrap();
    let (first, second) = text.split_once('\n').unwrap();
    // The lock is held: the process is in the middle of its second line.
    let writer = fs::File::options().append(true).open(&path).unwrap();
    writer.lock().unwrap();
    fs::write(&path, format!("{first}\n{}", &second[..20])).unwrap();
    assert_eq!(rows(base.path()).len(), 1);
    fs::write(&path, format!("{first}\n{second}")).unwrap();
    writer.unlock().unwrap();
    assert_eq!(rows(base.path()).len(), 2);
    assert!(waiting(base.path()).is_empty() && refused(base.path()).is_empty());
    assert_eq!(operations(base.path()).len(), 2);
}

#[test]
fn a_torn_last_line_is_set_aside_and_the_others_are_folded() {
    let base = base();
    note(base.path(), &[prediction(1), prediction(2)]);
    let path = file(base.path());
    let text = fs::read(&path).unwrap();
    let torn = &text[..text.len() - 5];
    fs::write(&path, torn).unwrap();
    let registry = Registry::open(base.path()).unwrap();
    let problems = &registry.recovery().problems;
    assert!(problems[0].contains("last line is cut off"), "{problems:?}");
    drop(registry);
    assert_eq!(rows(base.path()).len(), 1);
    assert!(waiting(base.path()).is_empty());
    let kept = base.path().join(".dalsegno/inbox/refused");
    let kept = kept.join(&refused(base.path())[0]);
    assert_eq!(fs::read(kept).unwrap(), torn);
}

#[test]
fn a_refused_file_that_is_corrected_and_put_back_is_folded() {
    let base = base();
    note(base.path(), &[prediction(1), prediction(2)]);
    let path = file(base.path());
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"run\":\"r\"", "\"run\":\"../r\"", 1)).unwrap();
    assert_eq!(rows(base.path()).len(), 1);
    let kept = base.path().join(".dalsegno/inbox/refused");
    fs::rename(kept.join(&refused(base.path())[0]), &path).unwrap();
    fs::write(&path, text).unwrap();
    assert_eq!(rows(base.path()).len(), 2);
    assert!(waiting(base.path()).is_empty() && refused(base.path()).is_empty());
}

#[test]
fn a_refused_file_is_folded_whole_though_a_kill_left_its_old_name_in_the_catalog() {
    let base = base();
    note(base.path(), &[prediction(1), prediction(2)]);
    let path = file(base.path());
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replacen("\"run\":\"r\"", "\"run\":\"../../r\"", 1),
    )
    .unwrap();
    assert_eq!(rows(base.path()).len(), 1);
    let catalog = rusqlite::Connection::open(base.path().join(".dalsegno/catalog.sqlite3"));
    let left = "INSERT INTO folded (name, bytes, refused) VALUES (?1, ?2, 1)";
    catalog
        .unwrap()
        .execute(left, (name, text.len() + 6))
        .unwrap();
    let inbox = base.path().join(".dalsegno/inbox");
    for count in 1..=2 {
        let kept = refused(base.path()).remove(0);
        assert!(
            kept.ends_with(&format!(".put-aside-{count}.jsonl")),
            "{kept}"
        );
        let back = inbox.join(&kept);
        fs::rename(inbox.join("refused").join(&kept), &back).unwrap();
        // Corrected wrongly, then well: it has fewer bytes than were folded.
        let text = if count == 1 {
            text.replacen("\"run\":\"r\"", "\"run\":\"/\"", 1)
        } else {
            text.clone()
        };
        fs::write(&back, text).unwrap();
        rows(base.path());
    }
    assert_eq!(rows(base.path()).len(), 2);
    assert!(waiting(base.path()).is_empty() && refused(base.path()).is_empty());
}

/// What `verify` finds in the inbox.
fn findings(base: &std::path::Path) -> Vec<String> {
    let registry = Registry::open_read_only(base).unwrap();
    let report = registry
        .verify(
            &Filter::default(),
            VerifyOptions::default(),
            &dalsegno::model::progress::Silent,
        )
        .unwrap();
    report
        .findings
        .into_iter()
        .filter(|finding| finding.class == VerifyClass::InboxRefused)
        .map(|finding| format!("{}: {}", finding.path, finding.detail))
        .collect()
}

#[test]
fn a_file_that_has_fewer_bytes_than_were_folded_is_found_and_set_aside_and_not_lost() {
    let base = base();
    note(base.path(), &[prediction(1), prediction(2)]);
    let path = file(base.path());
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(rows(base.path()).len(), 2);
    // A note that was never folded, in a file that was: as another file put in its place has it.
    note(base.path(), &[prediction(3)]);
    fs::rename(file(base.path()), &path).unwrap();
    let catalog = rusqlite::Connection::open(base.path().join(".dalsegno/catalog.sqlite3"));
    let left = "INSERT INTO folded (name, bytes, refused) VALUES (?1, 4000, 0)";
    catalog
        .unwrap()
        .execute(&left.replace("INSERT", "INSERT OR REPLACE"), [&name])
        .unwrap();
    let found = findings(base.path());
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(
        found[0].contains(&name) && found[0].contains("4000 bytes"),
        "{found:?}"
    );

    let registry = Registry::open(base.path()).unwrap();
    let problems = registry.recovery().problems.join("\n");
    drop(registry);
    assert!(problems.contains("was changed after"), "{problems}");
    let kept = refused(base.path()).remove(0);
    assert!(problems.contains(&kept), "{problems}");
    assert!(waiting(base.path()).is_empty());
    let found = findings(base.path());
    assert!(found.len() == 1 && found[0].contains(&kept), "{found:?}");

    // Under either name, it is folded from its beginning.
    let inbox = base.path().join(".dalsegno/inbox");
    fs::rename(inbox.join("refused").join(&kept), &path).unwrap();
    assert_eq!(rows(base.path()).len(), 3);
    assert!(waiting(base.path()).is_empty() && refused(base.path()).is_empty());
    assert_eq!(findings(base.path()), Vec::<String>::new());
}

#[test]
fn a_file_whose_folded_part_ends_within_a_line_now_is_set_aside() {
    let base = base();
    note(base.path(), &[prediction(1), prediction(2)]);
    let name = waiting(base.path()).remove(0);
    let catalog = rusqlite::Connection::open(base.path().join(".dalsegno/catalog.sqlite3"));
    let left = "INSERT INTO folded (name, bytes, refused) VALUES (?1, 40, 0)";
    catalog.unwrap().execute(left, [&name]).unwrap();
    assert_eq!(findings(base.path()).len(), 1);
    assert!(rows(base.path()).is_empty());
    assert_eq!(refused(base.path()).len(), 1);
}

#[test]
fn a_refused_file_that_is_put_back_as_a_copy_replaces_no_other() {
    let base = base();
    note(base.path(), &[prediction(1)]);
    let path = file(base.path());
    fs::write(&path, "no note\n").unwrap();
    let inbox = base.path().join(".dalsegno/inbox");
    for copies in 1..=3 {
        rows(base.path());
        let kept = refused(base.path());
        assert_eq!(kept.len(), copies);
        fs::copy(inbox.join("refused").join(&kept[0]), &path).unwrap();
    }
}

#[test]
fn a_key_whose_path_is_taken_is_refused_and_the_others_are_folded() {
    let base = base();
    let registry = Registry::open(base.path()).unwrap();
    registry.record(&prediction(1)).unwrap();
    drop(registry);
    let same_path = dalsegno::model::key::Key::Output {
        run: "r".parse().unwrap(),
        iteration: 1,
        dataset: "a".parse().unwrap(),
        parameters: "x".parse().unwrap(),
        container: None,
    };
    let other = key("r/validation.zarr/1/a/output/x");
    assert_eq!(other, same_path);
    let taken = dalsegno::model::key::Key::Array {
        run: "r".parse().unwrap(),
        container: "validation.zarr".parse().unwrap(),
        dataset: Some("1/a/prediction".parse().unwrap()),
    };
    note(base.path(), &[taken, prediction(2)]);
    let registry = Registry::open(base.path()).unwrap();
    let problems = registry.recovery().problems.join("\n");
    drop(registry);
    assert!(problems.contains("line 1"), "{problems}");
    assert_eq!(rows(base.path()).len(), 2);
    assert_eq!(refused(base.path()).len(), 1);
}

fn seal_note(base: &std::path::Path) -> Note {
    let registry = Registry::open(base).unwrap();
    let sealed = registry.seal(&Target::Key(prediction(1))).unwrap();
    registry.unseal(std::slice::from_ref(&sealed)).unwrap();
    Note::Seal(SealNote::new(
        prediction(1),
        sealed.written_at.unwrap(),
        sealed.size.unwrap(),
    ))
}

#[test]
fn a_seal_holds_if_the_data_is_still_what_was_sealed() {
    let base = base();
    let registry = Registry::open(base.path()).unwrap();
    write_array(&registry.record(&prediction(1)).unwrap().artifact.path());
    drop(registry);
    let note = seal_note(base.path());
    Inbox::open(base.path())
        .unwrap()
        .note(note.clone())
        .unwrap();
    let row = rows(base.path()).remove(0);
    assert!(row.sealed_at.is_some());
    assert_eq!(row.size.unwrap().files, 3);

    let registry = Registry::open(base.path()).unwrap();
    registry.unseal(std::slice::from_ref(&row)).unwrap();
    drop(registry);
    let later = fs::File::options()
        .write(true)
        .open(row.path().join(".zarray"))
        .unwrap();
    later
        .set_modified(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    Inbox::open(base.path()).unwrap().note(note).unwrap();
    assert_eq!(rows(base.path())[0].sealed_at, None);
    assert_eq!(refused(base.path()).len(), 1);
}

#[test]
fn a_failure_takes_an_older_seal_back_and_not_a_later_one() {
    let base = base();
    let registry = Registry::open(base.path()).unwrap();
    write_array(&registry.record(&prediction(1)).unwrap().artifact.path());
    registry.seal(&Target::Key(prediction(1))).unwrap();
    drop(registry);
    let failed = || Note::Failed(prediction(1));
    Inbox::open(base.path()).unwrap().note(failed()).unwrap();
    assert_eq!(rows(base.path())[0].sealed_at, None);

    Inbox::open(base.path()).unwrap().note(failed()).unwrap();
    let later = FixedClock(Timestamp(4_000_000_000_000));
    // Read-only opening does not fold, so the seal is older than its fold only.
    let kept = file(base.path());
    let aside = base.path().join("aside");
    fs::rename(&kept, &aside).unwrap();
    let registry = Options::new().clock(later).open(base.path()).unwrap();
    registry.seal(&Target::Key(prediction(1))).unwrap();
    drop(registry);
    fs::rename(&aside, &kept).unwrap();
    assert!(rows(base.path())[0].sealed_at.is_some());
    assert!(waiting(base.path()).is_empty());
}

#[test]
fn a_score_is_folded_unless_a_later_one_is_there() {
    let base = base();
    let score = |value| {
        let (run, metric) = ("r".parse().unwrap(), "voi".parse().unwrap());
        Score::new(run, 1, metric, value)
    };
    let values = || {
        let registry = Registry::open(base.path()).unwrap();
        let mut values = Vec::new();
        registry
            .scores(&ScoreQuery::default(), |score| {
                values.push(score.value);
                Ok(())
            })
            .unwrap();
        values
    };
    let inbox = Inbox::open(base.path()).unwrap();
    let note = |value| inbox.note(Note::Score(ScoreNote::from(&score(value))));
    note(0.5).unwrap();
    assert_eq!(values(), [0.5]);
    note(0.25).unwrap();
    let kept = file(base.path());
    let aside = base.path().join("aside");
    fs::rename(&kept, &aside).unwrap();
    let later = FixedClock(Timestamp(4_000_000_000_000));
    let registry = Options::new().clock(later).open(base.path()).unwrap();
    registry.score(&[score(0.75)]).unwrap();
    drop(registry);
    fs::rename(&aside, &kept).unwrap();
    assert_eq!(values(), [0.75]);
}

#[test]
fn a_time_in_the_future_counts_as_now() {
    let base = base();
    note(base.path(), &[prediction(1)]);
    let path = file(base.path());
    let text = fs::read_to_string(&path).unwrap();
    let at = text.find("\"at\":\"").unwrap() + 6;
    fs::write(&path, format!("{}9{}", &text[..at], &text[at + 1..])).unwrap();
    let now = Timestamp(1_900_000_000_000);
    let registry = Options::new()
        .clock(FixedClock(now))
        .open(base.path())
        .unwrap();
    drop(registry);
    assert_eq!(rows(base.path())[0].recorded_at, now);
}

#[test]
fn while_another_process_writes_a_command_does_not_wait_to_fold() {
    let base = base();
    note(base.path(), &[prediction(1)]);
    let catalog = base.path().join(".dalsegno/catalog.sqlite3");
    let other = rusqlite::Connection::open(catalog).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let registry = Registry::open(base.path()).unwrap();
    assert_eq!(registry.recovery().folded, 0);
    assert_eq!(registry.recovery().problems, Vec::<String>::new());
    drop(registry);
    other.execute_batch("ROLLBACK").unwrap();
    drop(other);
    assert_eq!(rows(base.path()).len(), 1);
}

/// Each line that was refused is named, with why.
#[test]
fn a_file_that_was_set_aside_has_a_cause_for_each_line() {
    let base = base();
    let registry = Registry::open(base.path()).unwrap();
    registry.record(&prediction(1)).unwrap();
    drop(registry);
    let taken = dalsegno::model::key::Key::Array {
        run: "r".parse().unwrap(),
        container: "validation.zarr".parse().unwrap(),
        dataset: Some("1/a/prediction".parse().unwrap()),
    };
    note(base.path(), &[taken, prediction(2), prediction(3)]);
    let path = base
        .path()
        .join(".dalsegno/inbox")
        .join(&waiting(base.path())[0]);
    let text = fs::read_to_string(&path).unwrap();
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = regex::Regex::new(r#""at":"[^"]*""#).unwrap();
    lines[1] = at
        .replace(&lines[1], r#""at":"1969-12-31T23:59:59.000Z""#)
        .into_owned();
    lines.push("no note".to_owned());
    fs::write(&path, lines.join("\n") + "\nhalf").unwrap();
    let registry = Registry::open(base.path()).unwrap();
    let options = VerifyOptions::default();
    let report = registry.verify(&Filter::default(), options, &Silent);
    let findings = report.unwrap().findings;
    let refused = |found: &&VerifyFinding| found.class == VerifyClass::InboxRefused;
    let found: Vec<_> = findings.iter().filter(refused).collect();
    assert_eq!(found.len(), 1);
    let mut rest = found[0].detail.as_str();
    for (line, why) in [
        ("line 1: the record of ", "is recorded already"),
        ("; line 2: the record of ", "before 1970"),
        ("; line 4: ", "not a note"),
        ("; its last line is cut off", ""),
    ] {
        let (before, after) = rest.split_once(line).expect(line);
        assert!(!before.contains("line "), "{before}");
        assert!(after.contains(why), "{after}");
        rest = after;
    }
    assert_eq!(rest, "");
}
