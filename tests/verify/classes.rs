//! A case for every class: the damage, the finding, and what is left after a repair.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use dalsegno::RemoveOptions;
use dalsegno::Repair;
use dalsegno::RestoreTarget;
use dalsegno::SealOptions;
use dalsegno::model::progress::Silent;
use dalsegno::model::removal::TrashKeep;

use super::*;

struct Case {
    name: &'static str,
    class: VerifyClass,
    damage: fn(&World),
    options: VerifyOptions,
    kinds: &'static [Kind],
    found: &'static [&'static str],
    left: &'static [&'static str],
}

const DEFAULT: Case = Case {
    name: "",
    class: VerifyClass::RowWithoutData,
    damage: |_| {},
    options: VerifyOptions::new(),
    kinds: &[],
    found: &[],
    left: &[],
};

fn keep(world: &World, path: &str) {
    let target = Target::Path(path.into());
    let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
    world
        .registry
        .remove_target(&target, &options, &Silent)
        .unwrap();
}

/// The folder of the only removal in the trash.
fn in_trash(world: &World) -> PathBuf {
    let mut entries = fs::read_dir(world.path(".dalsegno/trash")).unwrap();
    entries.next().unwrap().unwrap().path()
}

fn cp(world: &World, from: &str, to: &str) {
    let mut command = Command::new("cp");
    command.arg("-r").args([world.path(from), world.path(to)]);
    assert!(command.status().unwrap().success());
}

const CASES: &[Case] = &[
    Case {
        name: "rm -rf of an array",
        damage: |world| fs::remove_dir_all(world.path(SEALED)).unwrap(),
        found: &["row-without-data a/validation.zarr/1/crop/prediction [mark-missing]"],
        ..DEFAULT
    },
    Case {
        name: "only empty folders are left",
        damage: |world| {
            fs::remove_dir_all(world.path(SEALED)).unwrap();
            fs::create_dir_all(world.path(SEALED).join("0/0")).unwrap();
        },
        found: &["row-without-data a/validation.zarr/1/crop/prediction [mark-missing]"],
        ..DEFAULT
    },
    Case {
        name: "a missing array is back",
        class: VerifyClass::DataIsBack,
        damage: |world| {
            let (place, away) = (world.path("a/snapshot.zarr/raw"), world.path("away"));
            fs::rename(&place, &away).unwrap();
            let found =
                world
                    .registry
                    .verify(&Filter::default(), VerifyOptions::default(), &Silent);
            world.repair(&found.unwrap().findings);
            fs::rename(&away, &place).unwrap();
        },
        found: &["data-is-back a/snapshot.zarr/raw [mark-present]"],
        ..DEFAULT
    },
    Case {
        name: "a new array",
        class: VerifyClass::DataWithoutRow,
        damage: |world| write(&world.path("b/validation.zarr/10/other/prediction")),
        found: &["data-without-row b/validation.zarr/10/other/prediction [adopt]"],
        ..DEFAULT
    },
    Case {
        name: "a new checkpoint, asked for",
        class: VerifyClass::DataWithoutRow,
        damage: |world| {
            fs::create_dir_all(world.path("a/checkpoints/iterations")).unwrap();
            fs::write(world.path("a/checkpoints/iterations/7"), "weights").unwrap();
        },
        kinds: &[Kind::Checkpoint],
        found: &["data-without-row a/checkpoints/iterations/7 [adopt]"],
        ..DEFAULT
    },
    Case {
        name: "three chunk files of a sealed array",
        class: VerifyClass::ChangedFiles,
        damage: |world| {
            for chunk in ["0.0", "0.1", "0.2"] {
                fs::remove_file(world.path(SEALED).join(chunk)).unwrap();
            }
        },
        found: &["changed-files a/validation.zarr/1/crop/prediction [note-anew]"],
        ..DEFAULT
    },
    Case {
        name: "a chunk file of an array that is not sealed, measured",
        class: VerifyClass::ChangedFiles,
        damage: |world| fs::remove_file(world.path("a/snapshot.zarr/raw/0.0")).unwrap(),
        options: DEFAULT.options.measure(true),
        found: &["changed-files a/snapshot.zarr/raw [note-anew]"],
        ..DEFAULT
    },
    Case {
        name: "a chunk that was cut",
        class: VerifyClass::ChangedSize,
        damage: |world| fs::write(world.path(SEALED).join("0.3"), "c").unwrap(),
        found: &["changed-size a/validation.zarr/1/crop/prediction [note-anew]"],
        ..DEFAULT
    },
    Case {
        name: "an array that was written again",
        class: VerifyClass::Rewritten,
        damage: |world| {
            let file = fs::File::open(world.path(SEALED).join(".zarray")).unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        },
        found: &["rewritten a/validation.zarr/1/crop/prediction [note-anew]"],
        ..DEFAULT
    },
    Case {
        name: "chunks without .zarray",
        class: VerifyClass::NoMetadata,
        damage: |world| fs::remove_file(world.path(SEALED).join(".zarray")).unwrap(),
        found: &["no-metadata a/validation.zarr/1/crop/prediction [mark-missing]"],
        left: &["no-metadata a/validation.zarr/1/crop/prediction [-]"],
        ..DEFAULT
    },
    Case {
        name: "empty metadata",
        class: VerifyClass::DamagedMetadata,
        damage: |world| fs::write(world.path(SEALED).join(".zarray"), "").unwrap(),
        found: &["damaged-metadata a/validation.zarr/1/crop/prediction [mark-damaged]"],
        left: &["damaged-metadata a/validation.zarr/1/crop/prediction [-]"],
        ..DEFAULT
    },
    Case {
        name: "metadata of zarr 3 that was cut off",
        class: VerifyClass::DamagedMetadata,
        damage: |world| {
            fs::remove_file(world.path(SEALED).join(".zarray")).unwrap();
            fs::write(world.path(SEALED).join("zarr.json"), "{").unwrap();
        },
        found: &["damaged-metadata a/validation.zarr/1/crop/prediction [mark-damaged]"],
        left: &["damaged-metadata a/validation.zarr/1/crop/prediction [-]"],
        ..DEFAULT
    },
    Case {
        name: "a file in the place of an array",
        class: VerifyClass::WrongType,
        damage: |world| {
            fs::remove_dir_all(world.path(SEALED)).unwrap();
            fs::write(world.path(SEALED), "mine").unwrap();
        },
        found: &["wrong-type a/validation.zarr/1/crop/prediction [mark-missing]"],
        left: &["wrong-type a/validation.zarr/1/crop/prediction [-]"],
        ..DEFAULT
    },
    Case {
        name: "an array that was moved elsewhere, and a link",
        class: VerifyClass::WrongType,
        damage: |world| {
            fs::rename(world.path(SEALED), world.path("big")).unwrap();
            symlink(world.path("big"), world.path(SEALED)).unwrap();
        },
        options: DEFAULT.options.quick(true),
        found: &["wrong-type a/validation.zarr/1/crop/prediction [-]"],
        left: &["wrong-type a/validation.zarr/1/crop/prediction [-]"],
        ..DEFAULT
    },
    Case {
        name: "a path that does not fit its key",
        class: VerifyClass::RowDamaged,
        damage: |world| {
            world.sql("UPDATE artifact SET array = '../../../etc' WHERE array = 'raw'");
            fs::remove_dir_all(world.path("a/snapshot.zarr")).unwrap();
        },
        found: &["row-damaged a/snapshot.zarr/../../../etc [-]"],
        left: &["row-damaged a/snapshot.zarr/../../../etc [-]"],
        ..DEFAULT
    },
    Case {
        name: "two rows on one path",
        class: VerifyClass::TwoRowsOnePath,
        damage: |world| {
            world.sql(
                "INSERT INTO container (run_id, path) SELECT run_id, 'a//snapshot.zarr'
                 FROM container WHERE path = 'a/snapshot.zarr';
                 INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, container_id, array,
                     origin, state, recorded_at)
                 SELECT a.run_id, kind_id, iteration, dataset_id, c.id, array, origin, state, 0
                 FROM artifact AS a, container AS c
                 WHERE a.array = 'raw' AND c.path = 'a//snapshot.zarr'",
            );
        },
        found: &["two-rows-one-path a//snapshot.zarr/raw [-]"],
        left: &["two-rows-one-path a//snapshot.zarr/raw [-]"],
        ..DEFAULT
    },
    Case {
        name: "a run folder that was renamed",
        class: VerifyClass::Moved,
        damage: |world| fs::rename(world.path("b"), world.path("c")).unwrap(),
        found: &["moved b [follow]"],
        ..DEFAULT
    },
    Case {
        name: "a container that was moved to another run",
        class: VerifyClass::Moved,
        damage: |world| {
            fs::rename(world.path("a/snapshot.zarr"), world.path("b/snapshot.zarr")).unwrap();
        },
        found: &["moved a/snapshot.zarr [follow]"],
        ..DEFAULT
    },
    Case {
        name: "a chunk that was replaced by one of the same size",
        class: VerifyClass::ChangedContent,
        damage: |world| {
            let target = Target::Path(SEALED.into());
            let row = world.registry.get(&target).unwrap().unwrap();
            let options = SealOptions::new().hash(true);
            world.registry.seal_many(&[row], options, &Silent).unwrap();
            fs::write(world.path(SEALED).join("0.3"), "CHUNK").unwrap();
        },
        options: DEFAULT.options.read_data(true),
        found: &["changed-content a/validation.zarr/1/crop/prediction [note-anew]"],
        ..DEFAULT
    },
    Case {
        name: "a run folder that was copied",
        class: VerifyClass::Copied,
        damage: |world| cp(world, "b", "b_copy"),
        found: &[
            "copied b_copy [with-parts]",
            "data-without-row b_copy/validation.zarr/9/other/prediction [adopt]",
        ],
        ..DEFAULT
    },
    Case {
        name: "a removal that was interrupted",
        class: VerifyClass::TrashUnsettled,
        damage: |world| {
            keep(world, SEALED);
            let id = in_trash(world);
            let id = id.file_name().unwrap().to_str().unwrap();
            // As if it had never been committed.
            world.sql(&format!(
                "INSERT INTO artifact (id, run_id, kind_id, iteration, dataset_id, parameters_id,
                     container_id, array, origin, state, bytes, files, recorded_at, written_at,
                     sealed_at, owner, content)
                 SELECT artifact_id, run_id, kind_id, iteration, dataset_id, parameters_id,
                     container_id, array, origin, state, bytes, files, recorded_at, written_at,
                     sealed_at, owner, content FROM removed;
                 DELETE FROM removed; DELETE FROM moved; DELETE FROM removal WHERE id = '{id}'"
            ));
        },
        found: &["trash-unsettled .dalsegno/trash/ID [settle]"],
        ..DEFAULT
    },
    Case {
        name: "a removal that is being purged",
        class: VerifyClass::TrashUnsettled,
        damage: |world| {
            keep(world, SEALED);
            world.sql("UPDATE removal SET state = 1");
        },
        found: &["trash-unsettled .dalsegno/trash/ID [-]"],
        left: &["trash-unsettled .dalsegno/trash/ID [-]"],
        ..DEFAULT
    },
    Case {
        name: "a foreign file in the trash",
        class: VerifyClass::TrashLeftover,
        damage: |world| {
            fs::create_dir_all(world.path(".dalsegno/trash/mine")).unwrap();
            let other = world.path(".dalsegno/trash/20200101-000000-abcdef");
            fs::create_dir_all(other.join("0")).unwrap();
        },
        found: &[
            "trash-leftover .dalsegno/trash/ID [-]",
            "trash-leftover .dalsegno/trash/mine [-]",
        ],
        left: &[
            "trash-leftover .dalsegno/trash/ID [-]",
            "trash-leftover .dalsegno/trash/mine [-]",
        ],
        ..DEFAULT
    },
    Case {
        name: "consolidated metadata lists what is gone",
        class: VerifyClass::StaleList,
        damage: |world| {
            let container = world.path(SEALED).ancestors().nth(3).unwrap().to_path_buf();
            let list = r#"{"metadata": {"9/gone/.zarray": {"fill_value": NaN}}}"#;
            fs::write(container.join(".zmetadata"), list).unwrap();
        },
        found: &["stale-list a/validation.zarr [rewrite-list]"],
        ..DEFAULT
    },
    Case {
        name: "the trash was emptied by hand",
        class: VerifyClass::TrashMissing,
        damage: |world| {
            keep(world, SEALED);
            fs::remove_dir_all(in_trash(world)).unwrap();
        },
        found: &["trash-missing .dalsegno/trash/ID/0 [-]"],
        left: &["trash-missing .dalsegno/trash/ID/0 [-]"],
        ..DEFAULT
    },
    Case {
        name: "what was lost in the trash was put back there after a restore of the rest",
        class: VerifyClass::TrashReturned,
        damage: |world| {
            let arrays = Filter::default().runs(["a"]);
            let arrays = arrays.kinds([Kind::Prediction, Kind::Output]);
            let options = RemoveOptions::default().keep(TrashKeep::UntilEmptied);
            let removed = world.registry.remove_many(&arrays, &options, &Silent);
            let id = removed.unwrap().removal.unwrap();
            let (item, aside) = (in_trash(world).join("1"), world.path("aside"));
            fs::rename(&item, &aside).unwrap();
            // Another one stays, and the removal with it.
            let taken = world.path("a/validation.zarr/2/crop/prediction");
            write(&taken);
            let report = world.registry.restore(&RestoreTarget::Removal(id));
            assert_eq!(report.unwrap().artifacts.len(), 1);
            fs::remove_dir_all(taken).unwrap();
            fs::rename(&aside, &item).unwrap();
        },
        found: &["trash-returned .dalsegno/trash/ID/1 [-]"],
        left: &["trash-returned .dalsegno/trash/ID/1 [-]"],
        ..DEFAULT
    },
    Case {
        name: "an array was written where one was removed",
        class: VerifyClass::TrashOccupied,
        damage: |world| {
            keep(world, SEALED);
            write(&world.path(SEALED));
            world
                .registry
                .scan(ScanOptions::default(), &Silent)
                .unwrap();
        },
        found: &["trash-occupied .dalsegno/trash/ID/0 [-]"],
        left: &["trash-occupied .dalsegno/trash/ID/0 [-]"],
        ..DEFAULT
    },
    Case {
        name: "a note that was refused",
        class: VerifyClass::InboxRefused,
        damage: |world| {
            let refused = world.path(".dalsegno/inbox/refused");
            fs::create_dir_all(&refused).unwrap();
            fs::write(refused.join("host-1-a.jsonl"), "{}\n").unwrap();
            fs::write(world.path(".dalsegno/inbox/mine"), "").unwrap();
        },
        found: &[
            "inbox-refused .dalsegno/inbox/mine [-]",
            "inbox-refused .dalsegno/inbox/refused/host-1-a.jsonl [-]",
        ],
        left: &[
            "inbox-refused .dalsegno/inbox/mine [-]",
            "inbox-refused .dalsegno/inbox/refused/host-1-a.jsonl [-]",
        ],
        ..DEFAULT
    },
    Case {
        name: "a row of a kind that does not exist",
        class: VerifyClass::CatalogDamaged,
        damage: |world| world.sql("UPDATE artifact SET kind_id = 77 WHERE array = 'raw'"),
        found: &[
            "catalog-damaged CATALOG [-]",
            "row-damaged a/snapshot.zarr/raw [-]",
        ],
        left: &[
            "catalog-damaged CATALOG [-]",
            "row-damaged a/snapshot.zarr/raw [-]",
        ],
        ..DEFAULT
    },
    Case {
        name: "an operation of the history was edited",
        class: VerifyClass::HistoryBroken,
        damage: |world| {
            world.sql(
                "DROP TRIGGER operation_stays_as_it_is;
                 UPDATE operation SET reason = 'none of mine' WHERE id = 1",
            );
        },
        found: &["history-broken CATALOG [-]"],
        left: &["history-broken CATALOG [-]"],
        ..DEFAULT
    },
];

fn described(world: &World, findings: &[VerifyFinding]) -> Vec<String> {
    let catalog = world.path(CATALOG);
    let hide = |line: String| {
        let parts = line.split('/').map(|part| {
            let is_id = part.len() >= 22 && part.as_bytes()[8] == b'-';
            match (is_id, part.split_once(' ')) {
                (true, Some((_, rest))) => format!("ID {rest}"),
                (true, None) => "ID".to_owned(),
                (false, _) => part.to_owned(),
            }
        });
        parts.collect::<Vec<_>>().join("/")
    };
    let lines = lines(findings).into_iter();
    lines
        .map(|line| line.replace(catalog.to_str().unwrap(), "CATALOG"))
        .map(hide)
        .collect()
}

#[test]
fn each_class_is_found_and_repaired_as_far_as_that_goes() {
    for case in CASES {
        let world = World::new();
        (case.damage)(&world);
        let filter = Filter::default().kinds(case.kinds.iter().copied());
        let report = world.verify_with(&filter, case.options);
        assert_eq!(
            described(&world, &report.findings),
            case.found,
            "{}",
            case.name
        );
        assert!(report.counts().contains_key(&case.class), "{}", case.name);
        assert!(report.is_complete, "{}", case.name);

        let is_settled = report
            .findings
            .iter()
            .any(|found| found.repair == Some(Repair::Settle));
        // Data of an interrupted removal is moved back.
        let repaired = match is_settled {
            true => world.registry.repair(&report.findings, &Silent).unwrap(),
            false => world.repair(&report.findings),
        };
        let mut left = repaired.left.clone();
        left.sort_by_key(|found| found.class);
        assert_eq!(described(&world, &left), case.left, "{}", case.name);
        let again = world.verify_with(&filter, case.options);
        assert_eq!(
            described(&world, &again.findings),
            case.left,
            "{}",
            case.name
        );
        // A second repair does no harm.
        let states = world.states_if_any();
        world.repair(&report.findings);
        assert_eq!(world.states_if_any(), states, "{}", case.name);
        if case.left.is_empty() {
            world.assert_agrees();
        }
    }
}

impl World {
    /// Every row as text; `None` if one cannot be read.
    fn states_if_any(&self) -> Option<BTreeMap<String, State>> {
        let rows = self.registry.select(&Filter::default()).ok()?.into_iter();
        Some(rows.map(|row| (row.location().path(), row.state)).collect())
    }
}

#[test]
fn each_class_but_what_takes_another_user_has_a_case() {
    for class in VerifyClass::ALL {
        let has = CASES.iter().any(|case| case.class == class);
        assert_eq!(has, class != VerifyClass::Unreadable, "{class}");
    }
}
