//! `pin`, `unpin` and `score`: what they say, and what others say of what they noted.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::assert_transcript;
use crate::world::World;

const ARRAY: &str = "mito/validation.zarr/1000/crop1/prediction";

/// Takes out who pinned, which the table does not mark, and the room that the name takes.
fn hide_user(text: &str) -> String {
    let user = nix_name(rustix::process::getuid().as_raw());
    let lines = text.lines().map(|line| {
        let line = line.replace(&format!("  {user} "), "  [WHO] ");
        match line.split_once("  BY ") {
            Some((start, end)) => format!("{start}  BY  {}\n", end.trim_start()),
            None => line + "\n",
        }
    });
    lines.collect()
}

fn nix_name(uid: u32) -> String {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of_uid = |line: &&str| line.split(':').nth(2) == Some(&uid.to_string());
    let line = passwd.lines().find(of_uid);
    line.and_then(|line| line.split(':').next())
        .map_or(uid.to_string(), str::to_owned)
}

#[test]
fn pins_are_listed_of_a_selection() {
    let world = World::scanned();
    world.transcript(&format!(
        "pin figure-3 {ARRAY} --reason 'Figure 3'
        pin paper --run mito --iteration 2000..9000 --reason 'the paper'
        pin other --run er --reason 'another run'"
    ));
    let names = |line: &str| {
        let text = world.transcript(&format!("pin --list {line}"));
        let rows = text.lines().filter_map(|line| line.strip_prefix("out| "));
        let names = rows.filter_map(|row| row.split('\t').next());
        let names: Vec<&str> = names.filter(|name| *name != "name").collect();
        (names.join(" "), text.clone())
    };
    for (line, expected) in [
        ("", "figure-3 other paper"),
        ("--run mito", "figure-3 paper"),
        ("--run 'm*'", "figure-3 paper"),
        ("--run er", "other"),
        ("--run mito --kind prediction --iteration 1000", "figure-3"),
        // Nothing is recorded there yet.
        ("--run mito --iteration 9000", "paper"),
    ] {
        let (found, text) = names(line);
        assert_eq!(found, expected, "{line}: {text}");
    }
    let (found, text) = names("--run mitp");
    assert_eq!(found, "");
    assert!(
        text.contains("no run \"mitp\"") && text.contains("exit 1"),
        "{text}"
    );
    let (found, text) = names("--run mito --kind snapshot --table");
    assert_eq!(found, "");
    assert!(
        text.contains("nothing of what is selected is pinned"),
        "{text}"
    );
}

#[test]
fn pins_are_made_listed_and_taken_away() {
    let world = World::scanned();
    let text = world.transcript(&format!(
        "pin --list
        pin figure-3 {ARRAY}
        pin figure-3 {ARRAY} --reason 'Figure 3'
        pin figure-3 {ARRAY}
        pin figure-3 {ARRAY} --reason 'Figure 4'
        pin figure-3 mito/snapshot.zarr
        pin paper --run mito --iteration 1000..9000 --reason 'the paper'
        pin paper --run er
        pin --list --table
        list --pinned --kind prediction --table
        show {ARRAY}
        unpin figure-3 {ARRAY}
        unpin paper {ARRAY}
        unpin paper --run er
        unpin paper --iteration 9000
        unpin paper
        unpin paper
        unpin figure-3
        pin --list --json"
    ));
    assert_transcript!("pins", hide_user(&text));
}

#[test]
fn pins_are_in_what_programs_read() {
    let world = World::scanned();
    let text = world.transcript(&format!(
        "pin b {ARRAY} --reason x --json
        pin a --run mito --iteration 1000 --reason y --jsonl
        list --pinned --kind prediction --json
        show {ARRAY} --jsonl
        list --pinned --kind prediction --dataset crop1
        unpin b --json"
    ));
    assert!(text.contains(r#""pins":["a","b"]"#), "{text}");
    assert_transcript!("pins_json", text);
}

#[test]
fn a_pin_that_cannot_be_is_refused() {
    let world = World::scanned();
    let text = world.transcript(
        "pin
        pin a
        pin a --reason x
        pin 'a b' --run mito --reason x
        pin a,b --run mito --reason x
        pin '' --run mito --reason x
        pin a --run mito --reason ''
        pin a --run nothing --reason x
        pin a --run mito --iteration 77 --dataset no --reason x
        pin a no.zarr/a --reason x
        pin --list --reason x
        unpin
        unpin nothing
        pin --list",
    );
    assert_transcript!("pins_refused", text);
}

#[test]
fn what_is_pinned_stays_unless_that_is_forced() {
    let world = World::scanned();
    let text = world.transcript(&format!(
        "pin figure-3 {ARRAY} --reason 'Figure 3'
        rm {ARRAY} --yes
        rm mito/validation.zarr --yes
        rm --run mito --iteration 1000 --kind prediction --yes
        rm --run mito --iteration 1000 --kind prediction --yes --keep-going
        rm {ARRAY} --yes --keep-going
        rm {ARRAY} --yes --force-pinned
        pin --list --table
        unpin figure-3"
    ));
    assert_transcript!("pins_rm", hide_user(&text));
}

#[test]
fn a_run_that_is_pinned_binds_what_comes_later() {
    let world = World::scanned();
    let text = world.transcript(
        "pin all --run er --reason x
        record prediction --run er --iteration 700 --dataset crop9
        list --run er --pinned --table
        rm --run er --iteration 700 --yes",
    );
    assert_transcript!("pins_later", text);
}

#[test]
fn scores_are_noted_listed_and_taken_away() {
    let world = World::scanned();
    let odd = "record prediction --run 'my run, the 2nd/a' --iteration -5 --dataset d --quiet";
    world.transcript(odd);
    let text = world.transcript(
        "score
        score --run mito --iteration 1000 voi=0.31 f1=0.8
        score --run mito --iteration 1000 --dataset crop1 voi=nan --json
        score --run mito --iteration 1000 --dataset crp1 --parameters nothing voi=0.5 --json
        score --run mito --iteration 1000 --dataset crp1 --parameters nothing voi --remove
        score --run mito --iteration 1000 voi=-inf
        score --run mito --iteration 77 voi=1
        score --run 'my run, the 2nd/a' --iteration -5 --parameters 'P(x=1, y=2)' 'voi split=1e-3'
        score --table
        score --run mito voi --json
        score --run mito 'v*' --iteration 1000..2000
        score --run mito --iteration 1000 --remove voi f1
        score --run mito --iteration 1000 --remove voi
        score --run mito --iteration 1000
        score --run nothing --table
        score --run mito --iteration 5 --remove",
    );
    assert_transcript!("score", text);
}

#[test]
fn a_score_that_makes_no_sense_is_refused() {
    let world = World::scanned();
    let text = world.transcript(
        "score voi=1
        score --run mito voi=1
        score --run mito --iteration 1..2 voi=1
        score --run mito --iteration 1 voi=high
        score --run mito --iteration 1 voi=
        score --run mito --iteration 1 =1
        score --run mito --iteration 1 voi=1 f1
        score --run mito --iteration 1 a:b=1
        score --run ../x --iteration 1 voi=1
        score --run mito --iteration 1 --remove
        score --run mito --iteration 1 --remove voi=1
        score --import x.csv voi=1
        score --import nothing.csv
        score",
    );
    assert_transcript!("score_refused", text);
}

#[test]
fn scores_come_from_files_all_or_none() {
    let world = World::scanned();
    let file = |name: &str, text: &str| fs::write(world.dir.join(name), text).unwrap();
    file(
        "long.csv",
        "run,iteration,dataset,parameters,metric,value\nmito,1000,crop1,,voi,0.5\n\
         mito,9000,,\"threshold_127\",voi,nan\n",
    );
    file(
        "wide.csv",
        "iteration,run,voi,f1\n1000,mito,0.4,\n9000,mito,,inf\n",
    );
    file(
        "lines.jsonl",
        "{\"run\":\"mito\",\"iteration\":1000,\"voi\":0.25}\n{\"run\":\"q\",\"iteration\":1,\"voi\":null,\"f1\":\"-inf\"}\n",
    );
    file("bad.csv", "run,iteration,voi\nmito,1,0.5\nmito,x,0.5\n");
    file(
        "bad.jsonl",
        "{\"run\":\"mito\",\"iteration\":1,\"voi\":1}\n{\"run\":\"mito\"}\n",
    );
    file("head.csv", "name,iteration,voi\nmito,1,0.5\n");
    file("empty.csv", "");
    let mut text = world.transcript(
        "score --import ../bad.csv
        score --import ../bad.jsonl
        score --import ../head.csv
        score --import ../empty.csv
        score
        score --import ../long.csv
        score --import ../wide.csv
        score --import ../lines.jsonl --jsonl
        score --table",
    );
    let mut child = world
        .call("score --import -")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let csv = b"run,iteration,voi\nmito,1000,0.125\n";
    child.stdin.take().unwrap().write_all(csv).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    text.push_str(&String::from_utf8(output.stderr).unwrap());
    text.push_str(&world.transcript("score --run mito --iteration 1000 --json"));
    assert_transcript!("score_import", text);
}
