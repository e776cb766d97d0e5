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
        let name = command.replace(' ', "_");
        assert_transcript!(format!("help_{name}"), text);
    }
}

#[test]
fn help_without_a_command_lists_the_commands() {
    let world = World::new();
    assert_transcript!("help", world.transcript("--help\n-h\nlist -h"));
    // Without a word the help is an error: nothing was done.
    let text = world.say("", &mut world.program());
    assert!(
        text.contains("err| Usage: dalsegno [OPTIONS] <COMMAND>"),
        "{text}"
    );
    assert!(text.ends_with("exit 2\n"), "{text}");
}
