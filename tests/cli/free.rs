//! `gc --min-free` night after night, on a small file system of its own.

use std::process::{Command, Stdio};

use crate::left_out::left_out;
use crate::mounts;
use crate::world::World;

/// Five runs of one array of 1 MB on 8 MiB.
const FIVE_RUNS: &str = r#"
set -e
mount -t tmpfs -o size=8m tmpfs "$PWD"
cd "$PWD"
for run in 1 2 3 4 5; do
    array=r$run/validation.zarr/1/v/prediction
    mkdir -p $array
    echo '{"zarr_format":3,"node_type":"array"}' >$array/zarr.json
    head -c 1000000 /dev/zero >$array/0
done
find r* -depth -exec touch -d '2 days ago' {} +
"$1" init --here --quiet
"#;

/// After [`FIVE_RUNS`], three nights; after each, the runs that are left.
const NIGHTS: &str = r#"
printf '[trash]\nkeep = "72h"\n' >>.dalsegno/config.toml
"$1" scan --quiet
for night in 1 2 3; do
    "$1" gc --keep-within 1h --min-free 4MiB --allow-empty-group --apply --yes $2 >&2
    echo r*/validation.zarr/1/v/prediction/0 | wc -w
done
"#;

/// Three predictions and three outputs of 1 MB on 8 MiB; what goes by rules for both kinds at once,
/// and by a policy with rules for each.
const KINDS: &str = r#"
set -e
mount -t tmpfs -o size=8m tmpfs "$PWD"
cd "$PWD"
for iteration in 1 2 3; do
    for kind in prediction output/t; do
        array=r/validation.zarr/$iteration/v/$kind
        mkdir -p $array
        echo '{"zarr_format":3,"node_type":"array"}' >$array/zarr.json
        head -c 1000000 /dev/zero >$array/0
    done
done
find r -depth -exec touch -d '2 days ago' {} +
"$1" init --here --quiet
for kind in prediction output; do
    printf '[policy.night.%s]\nmin-free = "4MiB"\nallow-empty-group = true\n' $kind >>.dalsegno/config.toml
done
"$1" scan --quiet
for rules in '--kind prediction,output --min-free 4MiB --allow-empty-group' '--policy night'; do
    "$1" gc $rules --allow-incomplete --jsonl | grep -c '"decision":"remove"'
done
"#;

/// A plan, as JSON and as text, with a percentage of 64 MiB by a flag, and as JSON by a policy and
/// for whole runs.
const PERCENT: &str = r#"
set -e
mount -t tmpfs -o size=64m tmpfs "$PWD"
cd "$PWD"
for run in 1 2; do
    array=r$run/validation.zarr/1/v/prediction
    mkdir -p $array
    echo '{"zarr_format":3,"node_type":"array"}' >$array/zarr.json
    head -c 1000000 /dev/zero >$array/0
done
find r* -depth -exec touch -d '2 days ago' {} +
"$1" init --here --quiet
printf '[policy.night.prediction]\nmin-free = "%s"\nallow-empty-group = true\n' "$2" \
    >>.dalsegno/config.toml
"$1" scan --quiet
"$1" gc --min-free "$2" --allow-empty-group --table
"$1" gc --min-free "$2" --allow-empty-group --json
"$1" gc --policy night --json
"$1" gc --runs --keep-last 1 --min-free "$2" --json
"#;

/// After [`FIVE_RUNS`], as many of them as `$2` says are removed into the trash and expire; prints
/// the arrays that are left after `gc`, and in the trash.
const EXPIRED: &str = r#"
printf '[trash]\nkeep = "1h"\n' >>.dalsegno/config.toml
"$1" scan --quiet
for run in $(seq "$2"); do
    "$1" rm --run r$run --yes --quiet
done
sqlite3 .dalsegno/catalog.sqlite3 'UPDATE removal SET purge_after = removed_at'
"$1" gc --min-free 4MiB --allow-empty-group --apply --yes >&2
echo r*/validation.zarr/1/v/prediction/0 | wc -w
find .dalsegno/trash -type f -name 0 | wc -l
"#;

/// The runs that are left after each night, and what the program said; none if nothing can be
/// mounted here.
fn nights(flag: &str) -> Option<(String, String)> {
    on_small_disk(&[FIVE_RUNS, NIGHTS].concat(), flag)
}

/// What a script prints and says on a small file system of its own; none if nothing can be mounted
/// here.
fn on_small_disk(script: &str, flag: &str) -> Option<(String, String)> {
    let world = World::new();
    let what = "min-free night after night";
    let output = mounts::run(what, script, &world.program(), &[flag], &world.base)?;
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let (left, said) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{left}{said}");
    Some((left, said))
}

#[test]
fn the_trash_frees_nothing_and_the_next_night_takes_no_more() {
    let Some((left, said)) = nights("") else {
        return;
    };
    assert_eq!(left, "3\n3\n3\n", "{said}");
    let first = "min-free 4.0 MiB: what the plan removes, 1.9 MiB, goes to the trash and frees \
                 nothing until it has been there for 3d";
    assert_eq!(said.matches(first).count(), 1, "{said}");
    let trash = "the trash has 1.9 MiB, which are free only when it is emptied";
    assert_eq!(said.matches(trash).count(), 2, "{said}");
}

#[test]
fn without_the_trash_a_plan_frees_at_once() {
    let Some((left, said)) = nights("--no-trash") else {
        return;
    };
    assert_eq!(left, "3\n3\n3\n", "{said}");
    assert!(!said.contains("frees nothing"), "{said}");
}

#[test]
fn a_policy_has_one_budget_for_all_its_kinds() {
    let Some((gone, said)) = on_small_disk(KINDS, "") else {
        return;
    };
    let (at_once, by_kind) = gone.trim().split_once('\n').unwrap();
    assert_eq!(at_once, by_kind, "{said}");
    assert_ne!(at_once, "0", "{said}");
    assert!(!said.contains("would be free"), "{said}");
}

#[test]
fn a_percentage_is_of_the_file_system_of_the_base_directory() {
    let Some((plans, said)) = on_small_disk(PERCENT, "99%") else {
        return;
    };
    // 99 % of 64 MiB, rounded up.
    let (setting, bytes) = ("99 % of 64.0 MiB", 66_437_776);
    let goal = format!("min-free {setting}, which is 63.4 MiB");
    assert_eq!(said.matches(&goal).count(), 1, "{said}");
    assert!(said.contains("by min-free 99%"), "{said}");
    let reason = format!("min-free {setting}: oldest first");
    assert!(plans.contains(&reason), "{plans}");
    let plans = &plans[plans.find('{').unwrap()..];
    let plans = serde_json::Deserializer::from_str(plans).into_iter::<serde_json::Value>();
    let goals: Vec<_> = plans
        .map(|plan| plan.unwrap()["plan"]["min_free"].clone())
        .collect();
    let goal = serde_json::json!({ "setting": setting, "bytes": bytes });
    assert_eq!(goals, [goal.clone(), goal.clone(), goal], "{said}");
}

#[test]
fn a_percentage_that_holds_always_or_never_is_refused() {
    let world = World::scanned();
    for (percent, says) in [
        ("0%", "write more than 0%, such as 10%"),
        ("100.5%", "write at most 100%, such as 10%"),
        ("ten%", "is not a percentage; write 10%"),
    ] {
        let said = world.transcript(&format!("gc --keep-last 1 --min-free {percent}"));
        assert!(said.contains(says), "{said}");
        assert!(said.contains("exit 2"), "{said}");
    }
}

#[test]
fn expired_trash_is_emptied_first_and_counts() {
    let has_sqlite3 = Command::new("sqlite3")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_ok();
    if !has_sqlite3 {
        return left_out("sqlite3 is not installed: min-free with expired trash");
    }
    // Two arrays have to go for 4 MiB, whether from the trash or by the plan.
    for (expired, left, in_trash) in [("1", "3", "1"), ("2", "3", "0"), ("3", "2", "0")] {
        let Some((found, said)) = on_small_disk(&[FIVE_RUNS, EXPIRED].concat(), expired) else {
            return;
        };
        assert_eq!(found, format!("{left}\n{in_trash}\n"), "{said}");
        // What was emptied is free, and nothing is left to wait for.
        assert!(!said.contains("free only when it is emptied"), "{said}");
    }
}
