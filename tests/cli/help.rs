//! The help of every command.

use crate::assert_transcript;
use crate::world::World;

#[test]
fn help_of_each_command_names_every_flag() {
    let world = World::new();
    let commands = [
        "init",
        "record",
        "seal",
        "list",
        "show",
        "iterations",
        "runs",
        "du",
        "rm",
        "pin",
        "unpin",
        "score",
        "gc",
        "history",
        "history show",
        "history head",
        "history verify",
        "history export",
        "undo",
        "restore",
        "trash",
        "trash list",
        "trash empty",
        "scan",
        "refresh",
        "verify",
        "rebuild",
        "publish",
        "doctor",
        "demo",
        "completions",
        "man",
    ];
    for command in commands {
        let text = world.transcript(&format!("{command} --help"));
        for everywhere in ["--base", "--catalog", "--lock-timeout", "--quiet"] {
            assert!(text.contains(everywhere), "{command} {everywhere}");
        }
        assert!(text.contains("out| Examples:"), "{command}");
        let name = command.replace(' ', "_");
        assert_transcript!(format!("help_{name}"), text);
    }
}

#[test]
fn the_flags_that_select_come_first() {
    let world = World::new();
    for command in ["list", "iterations", "runs", "du"] {
        let text = world.transcript(&format!("{command} -h"));
        let flags = text
            .lines()
            .filter_map(|line| line.strip_prefix("out|       --"));
        assert!(flags.clone().count() > 9, "{text}");
        assert!(
            flags.into_iter().next().unwrap().starts_with("run "),
            "{text}"
        );
    }
}

#[test]
fn help_without_a_command_lists_the_commands() {
    let world = World::new();
    assert_transcript!("help", world.transcript("--help\n-h\nlist -h"));
    let help = world.transcript("help --help");
    for other in ["help help", "help -h"] {
        assert_eq!(
            world.transcript(other).lines().skip(1).collect::<Vec<_>>(),
            help.lines().skip(1).collect::<Vec<_>>()
        );
    }
    assert_transcript!("help_help", help);
    let text = world.transcript("trash help --help");
    assert!(text.contains("Usage: dalsegno trash help"), "{text}");
    // Flags that are used more come before those of every command.
    let short = world.transcript("list -h");
    let flags = short.lines().filter_map(|line| {
        line.trim_start_matches("out| ")
            .trim_start()
            .strip_prefix("--")
    });
    assert!(flags.take(1).all(|flag| flag.starts_with("run")), "{short}");
    // Nothing is asked of a path with such a name.
    let text = world.transcript("rm help -h");
    assert!(text.contains("Usage: dalsegno rm"), "{text}");
    // Without a word the help is an error: nothing was done.
    let text = world.say("", &mut world.program());
    assert!(
        text.contains("err| Usage: dalsegno [OPTIONS] <COMMAND>"),
        "{text}"
    );
    assert!(text.ends_with("exit 2\n"), "{text}");
}

#[test]
fn a_release_has_the_manual_pages_of_commands_below_commands() {
    let folder = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/man-pages.sh");
    let status = std::process::Command::new("bash")
        .args([script, env!("CARGO_BIN_EXE_dalsegno")])
        .arg(folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    let entries = std::fs::read_dir(folder.path()).unwrap();
    let names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    for name in [
        "",
        "-gc",
        "-history",
        "-history-verify",
        "-trash",
        "-trash-empty",
    ] {
        let file = format!("dalsegno{name}.1");
        assert!(names.contains(&file), "{file} is not in {names:?}");
        let page = std::fs::read_to_string(folder.path().join(&file)).unwrap();
        assert!(page.contains(".TH "), "{file}: {page}");
    }
    assert!(names.iter().all(|name| !name.contains("help")), "{names:?}");
}

#[test]
fn the_footer_of_a_manual_page_has_its_name() {
    let world = World::new();
    for (page, name) in [
        ("", "dalsegno"),
        ("list", "dalsegno-list"),
        ("trash empty", "dalsegno-trash-empty"),
    ] {
        let text = world.transcript(&format!("man {page}"));
        let name = name.replace('-', "\\-");
        let footer = format!("{name} {}", env!("CARGO_PKG_VERSION"));
        let title = text.lines().find(|line| line.contains(".TH ")).unwrap();
        assert!(
            title
                .replace('-', "\\-")
                .replace("\\\\", "\\")
                .contains(&footer),
            "{title}"
        );
    }
}
