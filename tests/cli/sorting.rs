//! Orders, columns, limits and totals of `list`, `runs` and `iterations`, and what tells containers
//! apart.

use crate::assert_transcript;
use crate::gc::date;
use crate::world::World;

/// Predictions that differ in size, age, seal, pin and score; two arrays of one name.
fn world() -> World {
    let world = World::new();
    for (iteration, days) in [(1000, 30), (2000, 50), (3000, 40)] {
        let path = format!("mito/validation.zarr/{iteration}/crop1/prediction");
        world.write_array(&path);
        for chunk in 0..iteration / 1000 {
            let chunk = world.base.join(&path).join(format!("{chunk}.1"));
            std::fs::write(chunk, [0; 100]).unwrap();
        }
        date(&world, &format!("{path}/.zarray"), days);
    }
    for container in ["first.zarr", "second.zarr"] {
        world.write_array(&format!("er/{container}/mesh"));
        date(&world, &format!("er/{container}/mesh/.zarray"), 5);
    }
    for call in [
        "init --here --quiet",
        "scan --quiet",
        "refresh --measure --quiet",
        "seal --quiet mito/validation.zarr/2000/crop1/prediction",
        "pin best --reason x mito/validation.zarr/3000/crop1/prediction --quiet",
        "score --run mito --iteration 1000 voi=0.5 --quiet",
        "score --run mito --iteration 3000 voi=0.1 --quiet",
        "score --run mito --iteration 3000 voi=0.7 --dataset crop1 --quiet",
    ] {
        let text = world.transcript(call);
        assert!(!text.contains("exit"), "{text}");
    }
    world
}

#[test]
fn artifacts_are_sorted_by_what_is_asked_for() {
    let world = world();
    let text = world.transcript(
        "list --sort size --reverse --table
        list --sort age --columns run,iteration,age --table
        list --sort age --reverse --limit 2 --columns iteration
        list --sort score:voi --columns iteration,score:voi --table
        list --sort score:voi --reverse --columns iteration,score:voi
        list --sort sealed --limit 1 --columns iteration
        list --sort pinned --limit 1 --columns iteration,pinned --table
        list --sort container --run er --columns container --limit 1
        list --sort nothing
        list --reverse",
    );
    assert_transcript!("sorted_list", text);
}

#[test]
fn runs_and_iterations_are_sorted_and_summed() {
    let world = world();
    let text = world.transcript(
        "runs --sort size --reverse --table
        runs --sort last --table
        iterations --sort size --reverse --table
        iterations --sort iteration --reverse
        runs --sort nothing",
    );
    assert_transcript!("sorted_runs", text);
}

#[test]
fn runs_and_iterations_have_the_columns_and_the_number_that_were_asked_for() {
    let world = world();
    let text = world.transcript(
        "score --run er --iteration 5 voi=0.3 --quiet
        runs --columns run,age,sealed,pinned,score:voi,score:voi:max --sort score:voi --table
        runs --columns run,last,size,files,written,damaged --limit 1 --table
        runs --columns run,pinned,score:voi --dataset crop2
        iterations --columns iteration,datasets,complete,score:voi --sort score:voi --table
        iterations --columns iteration,sealed,pinned,chunks_there,missing --sort age --limit 2
        iterations --columns iteration,score:voi:max --sort pinned --reverse --limit 1
        iterations --limit 1 --table
        runs --limit 0 --table
        iterations --limit 2 --jsonl
        runs --limit 1 --jsonl
        runs --columns 'LAST,written (utc),score:voi' --limit 1
        iterations --columns run,CHUNKS,Written --sort CHUNKS --limit 1
        runs --columns kind
        runs --columns score:quality
        iterations --sort score:quality
        iterations --columns age --json",
    );
    assert_transcript!("run_columns", text);
    // In TSV the age is a number.
    let text = world.transcript("iterations --columns age,pinned --sort age --reverse");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], "out| age_seconds\tpinned", "{text}");
    let age = lines[2].strip_prefix("out| ").unwrap().split('\t').next();
    let days = age.unwrap().parse::<u64>().unwrap() / 86_400;
    assert_eq!(days, 50, "{text}");
}

#[test]
fn a_wrong_name_to_sort_by_is_answered_with_the_names_of_columns() {
    let world = world();
    for command in ["list", "runs", "iterations"] {
        let text = world.transcript(&format!("{command} --sort foo"));
        let names = text.split("sort by ").nth(1).unwrap();
        let names = names
            .lines()
            .next()
            .unwrap()
            .replace(" or score:METRIC", "");
        let names: Vec<&str> = names.split(", ").collect();
        assert!(names.len() > 10 && names.contains(&"size"), "{text}");
        for name in names {
            assert!(
                !name.ends_with("_bytes") && !name.ends_with("_at"),
                "{text}"
            );
            for flag in ["--sort", "--columns"] {
                let text = world.transcript(&format!("{command} {flag} {name} --limit 1"));
                assert!(!text.contains("exit"), "{text}");
            }
        }
        let text = world.transcript(&format!("{command} --sort siz"));
        assert!(text.contains("did you mean size?"), "{text}");
    }
}

#[test]
fn a_total_of_fewer_rows_than_match_says_so() {
    let world = world();
    for (call, total) in [
        ("list --limit 2 --table", "2 of 5 artifacts, "),
        ("list --run er --limit 2 --table", "2 artifacts, "),
        (
            "list --sort size --reverse --limit 1 --table",
            "1 of 5 artifacts, ",
        ),
        ("runs --limit 1 --table", "1 of 2 runs, "),
        ("runs --limit 2 --table", "2 runs, "),
        ("iterations --limit 9 --table", "3 iterations, "),
        ("iterations --limit 1 --table", "1 of 3 iterations, "),
    ] {
        let text = world.transcript(call);
        assert!(text.contains(&format!("err| {total}")), "{text}");
    }
}

#[test]
fn runs_and_iterations_can_be_sorted_by_each_of_their_columns() {
    let world = world();
    for (command, rows) in [("runs", 2), ("iterations", 3)] {
        let text = world.transcript(command);
        let header = text
            .lines()
            .nth(1)
            .and_then(|line| line.strip_prefix("out| "));
        let fields = header.unwrap().split('\t').map(str::to_owned);
        let others = ["age", "size", "written", "score:voi", "score:x:max"];
        for column in fields.chain(others.map(str::to_owned)) {
            for reverse in ["", " --reverse"] {
                let text = world.transcript(&format!("{command} --sort {column}{reverse}"));
                assert_eq!(text.matches("\nout| ").count(), rows + 1, "{text}");
                assert!(!text.contains("exit"), "{text}");
            }
            // An absent value is an empty line.
            let text = world.transcript(&format!("{command} --columns {column}"));
            assert_eq!(text.matches("\nout|").count(), rows + 1, "{text}");
        }
    }
}

#[test]
fn every_column_can_be_sorted_by_in_both_directions() {
    let world = world();
    for column in [
        "run",
        "iteration",
        "kind",
        "dataset",
        "parameters",
        "container",
        "state",
        "size",
        "files",
        "disk_bytes",
        "recorded",
        "written",
        "age",
        "sealed",
        "pinned",
        "score:voi",
        "score:x",
    ] {
        for reverse in ["", " --reverse"] {
            let text = world.transcript(&format!("list --sort {column}{reverse}"));
            assert_eq!(text.matches("\nout| ").count(), 6, "{text}");
            assert!(!text.contains("exit"), "{text}");
        }
    }
}

#[test]
fn the_score_that_sorts_is_shown() {
    let world = world();
    let columns = |line: &str| {
        let text = world.transcript(line);
        let heading = text.lines().nth(1).unwrap().to_owned();
        (heading, text)
    };
    let (heading, text) = columns("list --run mito --sort score:voi --table");
    assert!(heading.contains("  SCORE:voi"), "{text}");
    // The score of the array itself comes before that of its iteration.
    assert!(text.lines().nth(3).unwrap().contains("0.7"), "{text}");
    let (heading, text) = columns("list --run mito --sort score:voi --reverse");
    assert!(heading.ends_with("\tvoi"), "{text}");
    assert!(text.lines().nth(2).unwrap().ends_with("\t0.7"), "{text}");
    for line in ["runs", "iterations"] {
        let (heading, text) = columns(&format!("{line} --sort score:voi --table"));
        assert!(heading.contains("SCORE:voi"), "{text}");
        assert!(text.contains("0.1"), "{text}");
    }
    // Columns that are named are those that are wanted.
    let (heading, text) = columns("list --sort score:voi --columns run --table");
    assert_eq!(heading, "out| RUN", "{text}");
}

#[test]
fn runs_and_iterations_are_left_out_by_their_own_size() {
    let world = world();
    let sizes = world.transcript("list --columns run,bytes --sort size");
    let none = world.transcript("list --min-size 500 --columns run");
    assert!(!none.contains("out| mito"), "{sizes}");
    let runs = world.transcript("runs --min-size 500 --columns run");
    assert_eq!(
        runs, "$ dalsegno runs --min-size 500 --columns run\nout| run\nout| mito\n",
        "{sizes}"
    );
    let text = world.transcript("runs --min-size 500 --limit 0 --table");
    assert!(text.contains("0 of 1 run"), "{text}");
    let text = world.transcript("iterations --min-size 200 --columns iteration --limit 1 --table");
    assert!(text.contains("1 of 2 iterations"), "{text}");
    for form in ["", " --table"] {
        let text = world.transcript(&format!("runs --min-size 5GiB --columns run{form}"));
        assert!(text.contains("err| no run matches"), "{text}");
    }
}

#[test]
fn a_least_size_says_how_many_arrays_were_never_counted() {
    let world = World::new();
    for number in 0..3 {
        world.write_array(&format!("r/validation.zarr/{number}/d/prediction"));
    }
    world.transcript("init --here --quiet\nscan --quiet");
    let words = "3 arrays were never counted, so their sizes are unknown; count them with: dalsegno \
                 scan --measure";
    for command in ["list", "runs", "iterations"] {
        for form in ["--table", ""] {
            let text = world.transcript(&format!("{command} --min-size 1B {form}"));
            assert!(text.contains(words), "{text}");
        }
        let text = world.transcript(&format!("{command} --table"));
        assert!(!text.contains("never counted"), "{text}");
    }
    world.transcript("scan --measure --quiet");
    for command in ["list", "runs", "iterations"] {
        let text = world.transcript(&format!("{command} --min-size 1TB --table"));
        assert!(!text.contains("never counted"), "{text}");
    }
    world.write_array("r/validation.zarr/4/d/prediction");
    world.transcript("scan --quiet");
    let text = world.transcript("list --min-size 1B --table");
    assert!(text.contains("1 array was never counted"), "{text}");
}
