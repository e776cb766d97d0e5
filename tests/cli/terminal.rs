//! What a person sees: the program on a pseudo terminal.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};

use crate::assert_transcript;
use crate::gc::date;
use crate::world::World;

/// Runs a line of arguments on a terminal of this many columns, and gives what the program wrote
/// to it.
fn on_terminal(world: &World, columns: u16, line: &str, environment: &[(&str, &str)]) -> String {
    let (text, code) = spoken(&mut world.call(line), columns, "", environment);
    assert_eq!(code, Some(0), "{text}");
    text
}

/// What a person sees who answers with `answer`, with the exit code.
pub(crate) fn answered(world: &World, line: &str, answer: &str) -> String {
    answered_in(world, "", line, answer)
}

/// The same in a folder of the base directory.
pub(crate) fn answered_in(world: &World, folder: &str, line: &str, answer: &str) -> String {
    let mut command = world.call(line);
    command.current_dir(world.base.join(folder));
    // So wide that nothing is folded: the folder of a test has a name of another length each time.
    let (text, code) = spoken(&mut command, 400, answer, &[("NO_COLOR", "1")]);
    let text = format!("$ dalsegno {line}\n{text}exit {}\n", code.unwrap());
    world.hide(&text)
}

/// Runs a program on a terminal; stdin is the terminal if there is an answer.
pub(crate) fn spoken(
    command: &mut Command,
    columns: u16,
    answer: &str,
    environment: &[(&str, &str)],
) -> (String, Option<i32>) {
    spoken_after(command, columns, "", &|| {}, answer, environment)
}

/// The same, with something that happens while the program waits at its question.
pub(crate) fn spoken_after(
    command: &mut Command,
    columns: u16,
    question: &str,
    meanwhile: &dyn Fn(),
    answer: &str,
    environment: &[(&str, &str)],
) -> (String, Option<i32>) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let size = Winsize {
        ws_row: 24,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    tcsetwinsize(&master, size).unwrap();
    // What is typed would show at a moment of its own.
    let mut modes = tcgetattr(&master).unwrap();
    modes.local_modes.remove(LocalModes::ECHO);
    tcsetattr(&master, OptionalActions::Now, &modes).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    let slave = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(OsStr::from_bytes(name.as_bytes()))
        .unwrap();
    if !answer.is_empty() {
        command.stdin(slave.try_clone().unwrap());
    }
    command
        .env("TERM", "xterm-256color")
        .envs(environment.iter().copied())
        .stdout(slave.try_clone().unwrap())
        .stderr(slave);
    let mut child = command.spawn().unwrap();
    let nothing = || Stdio::null();
    command.stdin(nothing()).stdout(nothing()).stderr(nothing());
    let mut master = File::from(master);
    let mut written = Vec::new();
    let asks = |written: &[u8]| String::from_utf8_lossy(written).contains(question);
    while !asks(&written) {
        let mut some = [0; 4096];
        match master.read(&mut some) {
            Ok(length) if length > 0 => written.extend_from_slice(&some[..length]),
            // It ended without a question.
            _ => break,
        }
    }
    meanwhile();
    // It waits in the terminal until it is read.
    master.write_all(answer.as_bytes()).unwrap();
    // The end of a terminal is an error once no process has it open.
    let _ = master.read_to_end(&mut written);
    let code = child.wait().unwrap().code();
    let text = String::from_utf8(written).unwrap().replace("\r\n", "\n");
    (text, code)
}

#[test]
fn a_terminal_gets_tables_as_wide_as_it_is() {
    let world = World::scanned();
    let mut text = String::new();
    for columns in [120, 80] {
        for line in [
            "list --run mito --iteration 0..",
            "iterations",
            "runs",
            "du --no-refresh",
        ] {
            text.push_str(&format!("$ dalsegno {line}\n"));
            text.push_str(&on_terminal(&world, columns, line, &[("NO_COLOR", "1")]));
        }
    }
    for line in text.lines().skip_while(|line| !line.ends_with("COMPLETE")) {
        assert!(line.chars().count() <= 120, "{line}");
    }
    assert_transcript!("terminal", text);
}

#[test]
fn a_column_of_a_score_that_is_not_recorded_is_said() {
    let world = World::scanned();
    world.transcript("score --run mito --iteration 1000 voi=0.5 --quiet");
    for call in [
        "list --columns run,score:voj",
        "list --columns run,score:voj:min",
        "runs --columns run,score:voj:min",
    ] {
        let text = world.transcript(call);
        let warning = "no metric \"voj\"; did you mean \"voi\"?";
        assert!(text.contains(warning), "{call}: {text}");
    }
    let text =
        world.transcript("list --run mito --iteration 1000 --columns score:voi:min --limit 1");
    assert!(text.contains("0.5") && !text.contains("warning"), "{text}");
}

#[test]
fn list_prints_the_columns_and_the_number_that_were_asked_for() {
    let world = World::scanned();
    let text = world.transcript(
        "scan --measure --quiet
        seal --run er --quiet
        pin paper --run er --reason figure --quiet
        list --columns run,iteration,array,bytes,pins,parameters --run er --table
        list --columns run,bytes,files --limit 2 --table --run mito
        list --columns path,bytes --limit 1
        list --columns path --min-size 64B --run er
        list --columns path --min-size 65B --run er
        list --limit 0 --jsonl
        list --limit 3 --columns container,array
        list --columns 'RUN,Size,SEALED (UTC),pinned,Chunks There' --limit 1 --run er
        list --columns 'size,pinned,chunks_there,chunks' --limit 1 --run er --table
        list --sort 'ON DISK' --columns run,SIZE --limit 1 --table
        list --columns ages
        list --columns zzz
        list --columns age --json",
    );
    assert_transcript!("list_columns", text);
    let text = world.transcript("list --limit 3 -0");
    assert_eq!(text.matches('\0').count(), 3, "{text}");
    // In TSV the age is a number.
    let text = world.transcript("list --columns age,sealed_at --run er");
    let age = text
        .lines()
        .nth(2)
        .and_then(|line| line.strip_prefix("out| "));
    let (age, sealed) = age.and_then(|line| line.split_once('\t')).unwrap();
    assert!(
        age.parse::<u64>().is_ok() && sealed.ends_with('Z'),
        "{text}"
    );
}

/// Outputs of parameter sets that differ in their middle, at two iterations.
fn with_long_parameters() -> World {
    let world = World::runs();
    for (iteration, id, bias) in [(100, 3, "0.75"), (100, 4, "0.5"), (200, 3, "0.75")] {
        world.write_array(&format!(
            "a_run_with_quite_a_long_name/validation.zarr/{iteration}/crop_with_a_name/output/\
             WatershedPostProcessorParameters(id={id}, bias={bias}, context=(32, 32, 32))"
        ));
    }
    world.transcript("init --here --quiet\nscan --quiet");
    world
}

#[test]
fn no_line_of_a_table_is_wider_than_its_terminal() {
    let world = with_long_parameters();
    for columns in [20, 40, 60, 80, 130, 300] {
        for line in [
            "list",
            "iterations",
            "runs",
            "du --by iteration",
            "du --by kind",
            "gc --keep-last 1",
        ] {
            let text = on_terminal(&world, columns, line, &[("NO_COLOR", "1")]);
            let mut lines = 0;
            for line in text.lines() {
                // What is said below the table is text, which a terminal may wrap.
                let said = ["total ", "would "]
                    .iter()
                    .any(|word| line.starts_with(word));
                if said || line.ends_with("(not counted)") {
                    break;
                }
                let is_word = line.trim().split(' ').count() == 1;
                assert!(
                    line.chars().count() <= usize::from(columns) || is_word,
                    "{columns}: {line}"
                );
                lines += 1;
            }
            assert!(lines > 2, "{text}");
        }
    }
}

#[test]
fn what_differs_stays_in_sight_where_a_terminal_is_narrow() {
    let world = with_long_parameters();
    let mut text = String::new();
    for (columns, line) in [
        (130, "list --kind output"),
        (80, "list --kind output"),
        (60, "list --kind output"),
        (60, "list --kind output --wide"),
        (60, "runs"),
        (60, "iterations"),
    ] {
        text.push_str(&format!("{columns} columns$ dalsegno {line}\n"));
        text.push_str(&on_terminal(&world, columns, line, &[("NO_COLOR", "1")]));
    }
    assert_transcript!("terminal_narrow", text);
}

#[test]
fn columns_that_were_asked_for_are_cut_before_they_are_left_out() {
    let world = with_long_parameters();
    let mut text = String::new();
    for (columns, line) in [
        (
            60,
            "list --kind output --columns run,iteration,kind,dataset,parameters,size,sealed",
        ),
        (
            60,
            "list --columns run,kind,dataset,parameters,state,size,sealed,levels,pinned",
        ),
        (
            80,
            "iterations --columns run,iteration,sealed,complete,missing,chunks,size",
        ),
        (40, "runs --columns last,present,size,sealed,reserved,run"),
        (12, "runs --columns run,present"),
    ] {
        text.push_str(&format!("{columns} columns$ dalsegno {line}\n"));
        let said = on_terminal(&world, columns, line, &[("NO_COLOR", "1")]);
        let is_row = |row: &&str| !row.contains("room for") && !row.contains("not counted");
        for row in said.lines().take_while(is_row) {
            assert!(row.chars().count() <= usize::from(columns), "{row}");
        }
        text.push_str(&said);
    }
    assert_transcript!("terminal_chosen", text);
    // The day stays of a time.
    let line = "runs --columns run,written,last,present,missing";
    let said = on_terminal(&world, 45, line, &[("NO_COLOR", "1")]);
    let days = said.lines().filter(|line| line.matches('-').count() == 2);
    assert_eq!(days.count(), 3, "{said}");
    assert!(said.contains("WRITTEN (U…"), "{said}");
}

#[test]
fn gc_shows_the_kind_on_a_narrow_terminal() {
    let world = World::runs();
    for iteration in [100, 200] {
        for array in [
            "prediction",
            "output/WatershedPostProcessorParameters(id=3, bias=0.75)",
            "output/WatershedPostProcessorParameters(id=4, bias=0.75)",
        ] {
            let run = "a_run_with_quite_a_long_name";
            let path = format!("{run}/validation.zarr/{iteration}/crop_with_a_name/{array}");
            world.write_array(&path);
            date(&world, &format!("{path}/.zarray"), 3);
        }
    }
    world.transcript("init --here --quiet\nscan --quiet");
    let run = "--run a_run_with_quite_a_long_name";
    for (columns, command) in [
        (60, "gc --keep-last 1"),
        (80, "gc --keep-last 1"),
        // On 60 columns, DECISION has the place.
        (80, "gc --keep-last 1 --all"),
        (60, "list"),
        (80, "list"),
    ] {
        let line = format!("{command} {run}");
        let text = on_terminal(&world, columns, &line, &[("NO_COLOR", "1")]);
        let mut headings = text.lines().filter(|line| line.starts_with("RUN"));
        assert!(
            headings.any(|line| line.contains("KIND")),
            "{columns}: {text}"
        );
    }
}

#[test]
fn du_draws_bars_where_there_is_room() {
    let world = World::scanned();
    world.transcript("record prediction --run er --iteration 600 --dataset crop1");
    world.transcript("rm --run mito --iteration 1000 --dataset crop2 --trash --yes");
    let mut text = String::new();
    let utf8 = ("LANG", "en_US.UTF-8");
    for (columns, line, locale) in [
        (80, "du", utf8),
        (80, "du", ("LC_ALL", "C")),
        (80, "du --by dataset", utf8),
        (69, "du", utf8),
        (68, "du", utf8),
        (80, "du --run er", utf8),
        (80, "du --by run --no-refresh --quiet", utf8),
        (80, "du --jsonl", utf8),
    ] {
        let environment = [("NO_COLOR", "1"), locale];
        text.push_str(&format!("$ {}={} dalsegno {line}\n", locale.0, locale.1));
        text.push_str(&on_terminal(&world, columns, line, &environment));
    }
    assert_transcript!("terminal_bars", text);
}

#[test]
fn colour_is_for_terminals_that_want_it() {
    let world = World::scanned();
    let coloured = on_terminal(&world, 80, "runs", &[]);
    assert!(coloured.starts_with("\u{1b}[1mRUN"), "{coloured}");
    let empty = on_terminal(&world, 80, "runs", &[("NO_COLOR", "")]);
    assert_eq!(empty, coloured);
    let plain = on_terminal(&world, 80, "runs", &[("NO_COLOR", "1")]);
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert_eq!(
        coloured.replace("\u{1b}[1m", "").replace("\u{1b}[0m", ""),
        plain
    );
}

#[test]
fn short_work_shows_no_progress_bar() {
    let world = World::runs();
    on_terminal(&world, 80, "init", &[]);
    let text = on_terminal(&world, 80, "scan --measure", &[]);
    assert_eq!(
        text,
        "12 arrays, 768 B in 24 files: 12 new, 0 updated, 0 notices\n"
    );
    assert_eq!(on_terminal(&world, 80, "scan --quiet", &[]), "");
}

#[test]
fn a_single_call_that_takes_long_shows_that_it_goes_on() {
    let world = World::scanned();
    let held = crate::lock::take(&world.base.join(".dalsegno/catalog.sqlite3.turn"));
    let text = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(std::time::Duration::from_secs(4));
            drop(held);
        });
        on_terminal(
            &world,
            80,
            "pin paper --run mito --reason x",
            &[("NO_COLOR", "1")],
        )
    });
    assert!(text.contains("pinning"), "{text}");
    // It goes away before the result is printed.
    let last = text.rsplit(['\r', '\n']).find(|line| !line.is_empty());
    assert!(!last.unwrap().contains("pinning"), "{text}");
}

/// Lines that are wider than the terminal, but for words of a command.
fn wider(text: &str, columns: usize) -> Vec<&str> {
    let is_wide = |line: &&str| line.chars().count() > columns;
    let is_one_word = |line: &&str| line.trim().trim_end_matches('\\').trim().contains(' ');
    text.lines().filter(is_wide).filter(is_one_word).collect()
}

#[test]
fn what_is_said_and_what_history_shows_is_folded_between_words() {
    let world = with_long_parameters();
    let array = "a_run_with_quite_a_long_name/validation.zarr/100/crop_with_a_name/output/\
                 WatershedPostProcessorParameters(id=3, bias=0.75, context=(32, 32, 32))";
    world.transcript(&format!("rm '{array}' --trash --yes --reason superseded"));
    let last = world.transcript("history --limit 1 --jsonl");
    let last = last
        .split("{\"id\":")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    for columns in [60, 80, 130] {
        let mut text = String::new();
        for line in [
            "history".to_owned(),
            format!("history show {last}"),
            format!("show '{array}'"),
            "gc --keep-last 1".to_owned(),
            format!(
                "gc --keep-last 1 --explain '{}'",
                array.replace("id=3, bias=0.75", "id=4, bias=0.5")
            ),
            "refresh".to_owned(),
        ] {
            text += &on_terminal(&world, columns, &line, &[("NO_COLOR", "1")]);
        }
        let (said, code) = spoken(
            &mut world.call("list --run a_run_with_quite_a_long_nam"),
            columns,
            "",
            &[("NO_COLOR", "1")],
        );
        assert_eq!(code, Some(1));
        text += &said;
        assert_eq!(wider(&text, columns.into()), Vec::<&str>::new(), "{text}");
        // Parameters are broken between words, and what goes on is indented.
        assert!(!text.lines().any(|line| line.starts_with("32)")), "{text}");
    }
    // Without a terminal nothing is folded.
    let piped = world.transcript("list --run a_run_with_quite_a_long_nam --table");
    assert!(
        piped.contains(
            "no run \"a_run_with_quite_a_long_nam\"; did you mean \"a_run_with_quite_a_long_name\"?"
        ),
        "{piped}"
    );
}

#[test]
fn a_command_to_type_is_never_broken_in_a_word() {
    let world = World::runs();
    world.transcript("init --base mito --here --quiet");
    let base = world.base.to_str().unwrap();
    let (said, _) = spoken(
        &mut world.call("scan --base mito"),
        60,
        "",
        &[("NO_COLOR", "1")],
    );
    let said = said.replace(" \\\n", " ").replace('\n', " ");
    let said: Vec<&str> = said.split_whitespace().collect();
    let typed = format!(
        "rm -r {base}/mito/.dalsegno && dalsegno --base {base} init && dalsegno --base {base} scan"
    );
    assert!(said.join(" ").contains(&typed), "{said:?}");
}

#[test]
fn a_plan_that_removes_nothing_says_so_on_a_narrow_terminal() {
    let world = with_long_parameters();
    let text = on_terminal(&world, 60, "gc --keep-last 9", &[("NO_COLOR", "1")]);
    let heading = text.lines().next().unwrap();
    assert!(heading.contains("KEEPS  REMOVES"), "{text}");
}

#[test]
fn what_is_left_out_has_one_sign() {
    let world = with_long_parameters();
    for (iteration, id, bias) in [(100, 3, "0.75"), (100, 4, "0.5"), (200, 3, "0.75")] {
        let call = format!(
            "score --run a_run_with_quite_a_long_name --iteration {iteration} --parameters \
             'WatershedPostProcessorParameters(id={id}, bias={bias}, context=(32, 32, 32))' voi=0.5"
        );
        assert!(!world.transcript(&call).contains("exit"));
    }
    for columns in 30..130 {
        for call in ["score", "list", "list --columns parameters,path,run"] {
            let text = on_terminal(&world, columns, call, &[("NO_COLOR", "1")]);
            assert!(!text.contains("……"), "{columns}: {text}");
        }
    }
}

#[test]
fn a_chosen_column_of_words_has_its_heading_in_every_form() {
    let world = World::scanned();
    let call = "iterations --columns run,iteration,datasets,outputs,predictions,written,missing";
    for columns in [60, 80, 130] {
        let text = on_terminal(&world, columns, call, &[("NO_COLOR", "1")]);
        let mut lines = text.lines();
        assert!(
            lines.any(|line| line.trim_end().ends_with("MISSING")),
            "{columns}: {text}"
        );
        assert!(
            text.contains("crop2/output/threshold_127"),
            "{columns}: {text}"
        );
        assert_eq!(wider(&text, columns.into()), Vec::<&str>::new(), "{text}");
    }
}

/// A run with a space in its name, and parameters in one long word.
fn with_a_space() -> World {
    let world = World::new();
    for array in [
        "1/crop1/prediction",
        "2/crop1/prediction",
        "2/crop1/output/threshold_of_38_letters_without_a_mark",
    ] {
        world.write_array(&format!("my run/validation.zarr/{array}"));
        date(
            &world,
            &format!("my run/validation.zarr/{array}/.zarray"),
            9,
        );
    }
    world.transcript("init --here --quiet\nscan --measure --quiet");
    world
}

#[test]
fn numbers_keep_their_units_and_names_with_spaces_their_words() {
    let world = with_a_space();
    let output = "my run/validation.zarr/2/crop1/output/threshold_of_38_letters_without_a_mark";
    world.transcript(&format!("rm '{output}' --trash --yes --quiet"));
    let units = [
        "B",
        "KiB",
        "MiB",
        "GiB",
        "TiB",
        "file",
        "files",
        "artifact",
        "artifacts",
    ];
    for columns in [50, 60, 80] {
        for line in [
            "history",
            "doctor",
            "gc --keep-last 1",
            "gc --keep-last 1 --explain 'my run/validation.zarr/2/crop1/prediction'",
            "rm --run 'my run' --dry-run",
            "show 'my run/validation.zarr/2/crop1/prediction'",
        ] {
            let mut command = world.call(line);
            let (text, _) = spoken(&mut command, columns, "", &[("NO_COLOR", "1")]);
            assert_eq!(wider(&text, columns.into()), Vec::<&str>::new(), "{text}");
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2) {
                let last = pair[0].split(' ').next_back().unwrap_or_default();
                let first = pair[1].split_whitespace().next().unwrap_or_default();
                let is_unit = units.contains(&first.trim_end_matches([',', ';', ')']));
                let is_number = last.trim_start_matches('(').starts_with(char::is_numeric);
                // There, each value is followed by a name.
                let is_report = line == "doctor";
                assert!(!(is_number && is_unit) || is_report, "{columns}: {text}");
                assert!(!pair[0].ends_with("my"), "{columns}: {text}");
            }
            let is_history = line == "history" && columns > 50;
            let whole = text.contains("threshold_of_38_letters_without_a_mark");
            assert!(!is_history || whole, "{columns}: {text}");
        }
    }
}

#[test]
fn a_size_stays_rather_than_text_that_is_hardly_legible() {
    let world = World::new();
    for array in [
        "inputs/crop_a/raw",
        "inputs/crop_a/gt",
        "2000/crop_with_a_name/prediction",
        "2000/crop_with_a_name/output/WatershedPostProcessorParameters(id=3, bias=0.75)",
        "2000/crop_with_a_name/output/WatershedPostProcessorParameters(id=4, bias=0.75)",
    ] {
        world.write_array(&format!("distances_12/validation.zarr/{array}"));
    }
    world.transcript("init --here --quiet\nscan --measure --quiet");
    for columns in 50..100 {
        let text = on_terminal(&world, columns, "list", &[("NO_COLOR", "1")]);
        let heading = text.lines().next().unwrap();
        let column = |name: &str| heading.find(name).map(|at| heading[at..].to_owned());
        // From a heading to the next one, with two spaces between them.
        let width = column("PARAMETERS").map(|rest| match rest[10..].find(char::is_alphabetic) {
            Some(next) => 10 + next - 2,
            None => usize::MAX,
        });
        let is_legible = width.is_none_or(|width| width >= 12);
        assert!(
            heading.contains("SIZE") || is_legible,
            "{columns}: {width:?}\n{text}"
        );
        assert!(
            column("PARAMETERS").is_some() || heading.contains("SIZE"),
            "{text}"
        );
    }
}
