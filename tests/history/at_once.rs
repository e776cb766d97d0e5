//! Several threads and processes at once: numbers without a gap, one chain.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use dalsegno::Registry;

use crate::child::{answer, command, prediction, say};
use crate::{base, history, open};

const WRITERS: usize = 8;
const ROWS: i64 = 20;

/// The body of a child process.
pub(crate) fn act(action: &str, base: &Path) {
    let registry = Registry::open(base).unwrap();
    for iteration in 0..ROWS {
        registry.record(&prediction(action, iteration)).unwrap();
    }
    say("done");
}

fn check(registry: &Registry, operations: i64) {
    let ids: Vec<i64> = history(registry)
        .iter()
        .map(|operation| operation.id)
        .collect();
    assert_eq!(ids, (1..=operations).collect::<Vec<_>>());
    let report = registry.check_history(None).unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.operations, operations as u64);
}

#[test]
fn threads_number_their_operations_without_a_gap() {
    let (folder, registry) = base();
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (registry, base) = (&registry, folder.path());
            scope.spawn(move || {
                let own = (writer % 2 == 0).then(|| open(base));
                let registry = own.as_ref().unwrap_or(registry);
                for iteration in 0..ROWS {
                    let key = prediction(&format!("run{writer}"), iteration);
                    registry.record(&key).unwrap();
                }
            });
        }
    });
    check(&registry, WRITERS as i64 * ROWS);
}

#[test]
fn processes_number_their_operations_without_a_gap() {
    let (folder, registry) = base();
    let children: Vec<_> = (0..WRITERS)
        .map(|writer| {
            command(&[], &format!("run{writer}"), folder.path())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        assert_eq!(answer(&child.wait_with_output().unwrap()), ["done"]);
    }
    check(&registry, WRITERS as i64 * ROWS);
    let pids: BTreeSet<u32> = history(&registry)
        .iter()
        .map(|operation| operation.agent.actor.pid)
        .collect();
    assert_eq!(pids.len(), WRITERS);
}
