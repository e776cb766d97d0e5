//! The same through the command line: exit code, error code, hint.

use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::file::{CASES, catalog};
use crate::scene::{CATALOG, GC_RUN, Scene, Standing, VICTIM, sql};

const CALLS: [&[&str]; 6] = [
    &["list"],
    &["rm", "--yes", VICTIM],
    &["gc", "--run", GC_RUN, "--keep-last", "1"],
    &[
        "gc",
        "--run",
        GC_RUN,
        "--keep-last",
        "1",
        "--apply",
        "--yes",
    ],
    &["verify"],
    &["verify", "--repair"],
];

fn program(base: &Path, call: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dalsegno"))
        .arg("--base")
        .arg(base)
        .args(call)
        .current_dir(base)
        .env_clear()
        .env("HOME", base)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Returns error code, exit code and whether there was a hint; checks that the program never
/// panics.
fn answer(output: &Output) -> (Option<String>, i32, bool) {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!stderr.contains("panicked"), "{stderr}");
    let error = stderr.split("error[").nth(1);
    let code = error.and_then(|rest| rest.split(']').next());
    let exit = output.status.code().unwrap();
    (code.map(str::to_owned), exit, stderr.contains("  next: "))
}

#[test]
fn what_is_no_catalog_ends_every_command_with_exit_code_12_and_a_next_step() {
    for case in CASES {
        let exit = match case.code {
            "catalog-too-new" => 13,
            _ => 12,
        };
        for call in CALLS {
            if case.name == "a catalog whose tables are gone" && call[0] == "list" {
                continue;
            }
            let scene = Scene::with(&case.damage);
            let before = Standing::of(&catalog(&scene.base()));
            let output = program(&scene.base(), call);
            let name = format!("{}, {call:?}: {output:?}", case.name);
            let expected = (Some(case.code.to_owned()), exit, true);
            assert_eq!(answer(&output), expected, "{name}");
            assert!(output.stdout.is_empty(), "{name}");
            scene.assert_nothing_lost(&[], &name);
            scene.assert_no_new_catalog(&before, &name);
        }
    }
}

#[test]
fn a_damaged_row_ends_commands_that_need_it_with_exit_code_12() {
    let damage = |base: &Path| {
        sql(
            base,
            "UPDATE artifact SET array = '../../../beside/file' WHERE array = '1/crop/prediction'\n                 AND container_id IN (SELECT id FROM container WHERE path LIKE 'b/%')",
        );
    };
    for call in CALLS {
        let scene = Scene::with(&damage);
        let output = program(&scene.base(), call);
        let (code, exit, is_next) = answer(&output);
        match call[0] {
            "verify" => assert_eq!((code, exit), (None, 4), "{output:?}"),
            // The removal is not about that row.
            "rm" => assert_eq!((code, exit), (None, 0), "{output:?}"),
            _ => {
                assert_eq!(code.as_deref(), Some("catalog-row-damaged"), "{output:?}");
                assert_eq!((exit, is_next), (12, true), "{output:?}");
            }
        }
        let gone = if call[0] == "rm" {
            vec![VICTIM.to_owned()]
        } else {
            Vec::new()
        };
        scene.assert_nothing_lost(&gone, &format!("{call:?}"));
    }
}

#[test]
fn a_catalog_cut_in_the_middle_is_no_new_one() {
    for call in CALLS {
        let scene = Scene::with(&|base| {
            let path = catalog(base);
            let half = path.metadata().unwrap().len() / 8192 * 4096;
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(half).unwrap();
        });
        let before = Standing::of(&scene.base().join(CATALOG));
        let output = program(&scene.base(), call);
        let (code, exit, is_next) = answer(&output);
        if call[0] == "verify" && code.is_none() {
            assert!(matches!(exit, 3 | 4), "{output:?}");
        } else {
            assert_eq!(
                code.as_deref(),
                Some("catalog-damaged"),
                "{call:?} {output:?}"
            );
            assert_eq!((exit, is_next), (12, true), "{output:?}");
        }
        scene.assert_nothing_lost(&[], &format!("{call:?}"));
        scene.assert_no_new_catalog(&before, &format!("{call:?}"));
    }
}
