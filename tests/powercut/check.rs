//! What must hold after a power cut, given everything that was acknowledged before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use dalsegno::model::artifact::State;
use dalsegno::model::filter::Filter;
use dalsegno::{Registry, RestoreTarget, Target};

use crate::work::{Life, PER_RUN, files, path, renamed};

/// How much of an artifact is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum There {
    /// Row and data.
    Whole,
    /// Neither row nor data.
    Nothing,
    /// An unsealed row, with or without data: it was being written.
    Begun,
}

/// Opens the registry of a copied disk for writing, once, and returns what does not hold.
pub(crate) fn check(base: &Path, said: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut steps: BTreeMap<u64, Vec<&str>> = BTreeMap::new();
    for line in said {
        let (step, number) = line.split_once(' ').unwrap();
        let number = number.parse().unwrap();
        steps.entry(number).or_default().push(step);
    }
    let registry = match Registry::open(base) {
        Ok(registry) => registry,
        // The cut came before the registry was made.
        Err(error) if steps.is_empty() && error.code() == "no-registry" => return wrong,
        Err(error) => return vec![format!("it does not open: {error}")],
    };
    let recovery = registry.recovery();
    wrong.extend(recovery.problems.iter().cloned());

    // The catalog alone.
    let rows = registry.select(&Filter::default());
    if let Err(error) = &rows {
        wrong.push(format!("the rows cannot be read: {error}"));
    }
    for row in rows.iter().flatten() {
        let is_there = row.path().join(".zarray").exists();
        if row.state == State::Present && !is_there {
            wrong.push(format!("{} is present and not there", row.path().display()));
        }
    }

    // The trash holds what the catalog says.
    let known: BTreeSet<String> = registry
        .trash()
        .unwrap()
        .into_iter()
        .map(|it| it.id.to_string())
        .collect();
    let found: BTreeSet<String> = fs::read_dir(base.join(".dalsegno/trash"))
        .into_iter()
        .flatten()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    if known != found {
        wrong.push(format!("in the trash is {found:?}, known is {known:?}"));
    }

    // Acknowledged steps.
    let most = steps.keys().max().map_or(0, |most| most + 2 * PER_RUN);
    for number in 0..most {
        let steps = steps.get(&number).map_or(&[][..], Vec::as_slice);
        let has = |step| steps.contains(&step);
        let there = match look(&registry, number) {
            Ok(there) => there,
            Err(problem) => {
                wrong.push(problem);
                continue;
            }
        };
        let name = path(number);
        let kept = registry
            .restorable(&RestoreTarget::Path(name.clone().into()))
            .is_ok();
        match (Life::of(number), there) {
            (Life::Removed | Life::WithItsRun | Life::Kept, There::Whole | There::Begun)
                if has("removed") =>
            {
                wrong.push(format!("{name} was removed and is there"));
            }
            (Life::Kept, There::Nothing) if has("sealed") && !kept => {
                wrong.push(format!("{name} was kept and cannot be restored"));
            }
            (Life::Restored, There::Nothing) if has("restored") || (has("sealed") && !kept) => {
                wrong.push(format!("{name} was restored and is not there"));
            }
            (Life::Stays, There::Nothing) if has("sealed") => {
                wrong.push(format!("{name} was sealed and is not there"));
            }
            (_, There::Begun) if has("sealed") => {
                wrong.push(format!("{name} was sealed and is not"));
            }
            _ => {}
        }
        if there == There::Nothing && kept {
            let what = RestoreTarget::Path(name.clone().into());
            if let Err(error) = registry.restore(&what) {
                wrong.push(format!("{name} does not come back: {error}"));
            } else if look(&registry, number) != Ok(There::Whole) {
                wrong.push(format!("{name} comes back in part"));
            }
        }
    }
    // A run has its old name or its new one, with row and data.
    for (&number, steps) in &steps {
        let found = renamed(number).map(|path| look_at(&registry, &path, number));
        let is_right = match found {
            [Ok(There::Nothing), Ok(There::Whole)] => true,
            [Ok(There::Whole), Ok(There::Nothing)] => !steps.contains(&"renamed"),
            _ => !steps.contains(&"named"),
        };
        if !is_right {
            wrong.push(format!(
                "run {number} with its old and new name is {found:?}"
            ));
        }
    }
    // A removal of several takes all of them or none.
    for run in 0..most / PER_RUN {
        let numbers = run * PER_RUN..(run + 1) * PER_RUN;
        let is_sealed = |number: &u64| {
            steps
                .get(number)
                .is_some_and(|steps| steps.contains(&"sealed"))
        };
        if Life::of(run * PER_RUN) == Life::WithItsRun
            && numbers.clone().all(|number| is_sealed(&number))
        {
            let there: Vec<_> = numbers.map(|number| look(&registry, number)).collect();
            if there.iter().any(|it| *it != there[0]) {
                wrong.push(format!("of run{run} some is there: {there:?}"));
            }
        }
    }
    let catalog = registry.catalog_path().to_owned();
    drop(registry);
    let connection = rusqlite::Connection::open(&catalog).unwrap();
    let verdict = connection
        .query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0))
        .unwrap_or_else(|error| error.to_string());
    if verdict != "ok" {
        wrong.push(format!("the catalog is damaged: {verdict}"));
    }
    wrong
}

/// Looks for row and data of an artifact; an error if they do not agree.
fn look(registry: &Registry, number: u64) -> Result<There, String> {
    look_at(registry, &path(number), number)
}

/// The same of an artifact at `path` with the files of `number`.
fn look_at(registry: &Registry, path: &str, number: u64) -> Result<There, String> {
    let row = registry
        .get(&Target::Path(path.into()))
        .map_err(|error| format!("{path}: {error}"))?;
    let folder = registry.base().join(path);
    match row {
        None if folder.exists() => Err(format!("{path} was removed and is there")),
        None => Ok(There::Nothing),
        Some(row) if row.sealed_at.is_none() => Ok(There::Begun),
        Some(_) => {
            for (file, text) in files(number) {
                match fs::read_to_string(folder.join(file)) {
                    Ok(read) if read == text => {}
                    Ok(_) => return Err(format!("{path}/{file} has changed")),
                    Err(error) => return Err(format!("{path}/{file}: {error}")),
                }
            }
            Ok(There::Whole)
        }
    }
}
