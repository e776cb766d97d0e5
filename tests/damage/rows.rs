//! Rows that were edited by hand: paths that lead elsewhere, unknown kinds and states, references
//! to missing rows. Rows are input: refused or found, never followed.

use std::path::Path;

use crate::calls::{CALLS, Call, code, meet};
use crate::scene::{PINNED, Scene, VICTIM, sql};

/// The row of [`VICTIM`].
const ROW: &str =
    "run_id = (SELECT id FROM run WHERE name = 'a') AND iteration = 1 AND kind_id = 1";
/// The row of `a/snapshot.zarr/volumes/raw`.
const NESTED: &str = "array = 'volumes/raw'";
/// A row that `gc` looks at.
const OF_GC: &str = "run_id = (SELECT id FROM run WHERE name = 'b') AND iteration = 1";

pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) sql: String,
    /// Calls that must not succeed: `(call, codes)`.
    refused: &'static [(Call, &'static [&'static str])],
    /// Classes that a verification finds, possibly among others.
    found: &'static [&'static str],
}

const ROW_DAMAGED: &[&str] = &["catalog-row-damaged"];

pub(crate) fn cases() -> Vec<Case> {
    let update = |set: &str, row: &str| format!("UPDATE artifact SET {set} WHERE {row}");
    let case = |name, sql, refused, found| Case {
        name,
        sql,
        refused,
        found,
    };
    vec![
        case(
            "an array outside of the base directory",
            update("array = '../../../beside/validation.zarr/1/crop/prediction'", OF_GC),
            &[
                (Call::List, ROW_DAMAGED),
                (Call::Gc, ROW_DAMAGED),
                (Call::GcApply, ROW_DAMAGED),
            ],
            &["row-damaged"],
        ),
        case(
            "a container outside of the base directory",
            "UPDATE container SET path = '../beside/validation.zarr' WHERE path = 'b/validation.zarr'"
                .to_owned(),
            &[(Call::Gc, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["row-damaged"],
        ),
        case(
            "an absolute container",
            "UPDATE container SET path = '/etc' WHERE path = 'b/validation.zarr'".to_owned(),
            &[(Call::Gc, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["row-damaged"],
        ),
        case(
            "a run that is the folder above",
            "UPDATE run SET name = '..' WHERE name = 'c'".to_owned(),
            &[(Call::List, ROW_DAMAGED)],
            &["row-damaged"],
        ),
        case(
            "a dataset that leads up",
            "INSERT INTO dataset (id, name) VALUES (99, '../../../../beside');
             UPDATE artifact SET dataset_id = 99 WHERE "
                .to_owned()
                + OF_GC,
            &[(Call::List, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["row-damaged"],
        ),
        case(
            "two rows on one path",
            format!(
                "DROP INDEX artifact_path;
                 INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, container_id,
                     array, origin, state, recorded_at)
                 SELECT run_id, kind_id, iteration + 70, dataset_id, container_id, array, origin,
                     state, recorded_at FROM artifact WHERE {ROW};"
            ),
            &[(Call::List, ROW_DAMAGED), (Call::Remove, ROW_DAMAGED)],
            &["row-damaged"],
        ),
        case(
            "two rows of one key on one path",
            format!(
                "DROP INDEX artifact_path;
                 INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, container_id,
                     array, origin, state, recorded_at)
                 SELECT run_id, kind_id, iteration, dataset_id, container_id, array, origin,
                     state, recorded_at FROM artifact WHERE {ROW};"
            ),
            &[(Call::Remove, ROW_DAMAGED)],
            &["two-rows-one-path"],
        ),
        case(
            "an unknown kind",
            update("kind_id = 77", OF_GC),
            &[(Call::List, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["row-damaged", "catalog-damaged"],
        ),
        case(
            "an unknown state",
            update("state = 9", OF_GC),
            &[(Call::List, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["row-damaged"],
        ),
        case(
            "an unknown state of what is to be removed",
            update("state = 9", ROW),
            &[(Call::Remove, ROW_DAMAGED)],
            &["row-damaged"],
        ),
        case(
            "a negative number of bytes",
            update("bytes = -1", OF_GC),
            &[(Call::List, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["row-damaged"],
        ),
        case(
            "an unknown dataset",
            update("dataset_id = 999", OF_GC),
            &[(Call::List, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["row-damaged", "catalog-damaged"],
        ),
        case(
            "an unknown container",
            update("container_id = 999", OF_GC),
            &[(Call::List, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["row-damaged", "catalog-damaged"],
        ),
        case(
            "unknown parameters of what has none",
            update("parameters_id = 999", OF_GC),
            &[],
            &["catalog-damaged"],
        ),
        case(
            "an unknown run",
            update("run_id = 999", ROW),
            &[(Call::Remove, ROW_DAMAGED)],
            &["catalog-damaged"],
        ),
        case(
            "an unknown run of what lies in a container",
            update("run_id = 999", NESTED),
            &[(Call::RemoveContainer, ROW_DAMAGED)],
            &["catalog-damaged"],
        ),
        case(
            "a pin that is gone, and what it bound",
            "DELETE FROM pin".to_owned(),
            &[(Call::Gc, ROW_DAMAGED), (Call::GcApply, ROW_DAMAGED)],
            &["catalog-damaged", "row-damaged"],
        ),
        case(
            "a moved path outside of the base directory",
            "UPDATE moved SET path = '../beside/validation.zarr/9'".to_owned(),
            &[(Call::Restore, &["path-outside", "catalog-row-damaged", "name-dot-dot"])],
            &["catalog-damaged"],
        ),
        case(
            "a removal that is no id",
            "UPDATE removal SET id = '../../..';
             UPDATE moved SET removal_id = '../../..'; UPDATE removed SET removal_id = '../../..'"
                .to_owned(),
            &[],
            &["catalog-damaged"],
        ),
        case(
            "an unknown state of a removal",
            "UPDATE removal SET state = -5".to_owned(),
            &[],
            &["catalog-damaged"],
        ),
        case(
            "a removed row with an unknown run",
            "UPDATE removed SET run_id = 999".to_owned(),
            &[(Call::Restore, ROW_DAMAGED)],
            &["catalog-damaged"],
        ),
        case(
            "no registry in the catalog",
            "DELETE FROM registry".to_owned(),
            &[(Call::List, &["catalog-damaged"]), (Call::Remove, &["catalog-damaged"])],
            &[],
        ),
    ]
}

#[test]
fn a_row_that_breaks_the_rules_is_refused_or_found_and_never_followed() {
    for case in cases() {
        for call in CALLS {
            let answer = meet(case.name, &|base: &Path| sql(base, &case.sql), call);
            let found = code(&answer);
            if let Some((_, codes)) = case.refused.iter().find(|(refused, _)| *refused == call) {
                assert!(codes.contains(&found), "{}, {call:?}: {found}", case.name);
            }
            if call == Call::Verify
                && let Ok(answer) = answer
            {
                for class in case.found {
                    let is_there = answer.listed.iter().any(|found| found == class);
                    assert!(is_there, "{}: {class} of {:?}", case.name, answer.listed);
                }
            }
        }
    }
}

/// A pinned artifact stays although the row of its pin is gone.
#[test]
fn what_a_lost_pin_bound_is_not_removed() {
    let scene = Scene::with(&|base| sql(base, "DELETE FROM pin"));
    let registry = crate::scene::open(&scene.base(), crate::scene::NOW, false).unwrap();
    let pinned = dalsegno::Target::Path(PINNED.into());
    let error = registry.remove_artifact(&pinned).unwrap_err();
    assert_eq!(error.code(), "catalog-row-damaged");
    scene.assert_nothing_lost(&[], "lost pin");
    let free = dalsegno::Target::Path(VICTIM.into());
    registry.remove_artifact(&free).unwrap();
}
