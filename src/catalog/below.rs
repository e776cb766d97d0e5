//! Paths of a filter to SQL: what is at them or below them.
//!
//! A run has a name, its containers have paths that begin with it, and an array has a path in its
//! container. So a path is compared with each by bounds on an index. First with the names of runs,
//! of which there are few: the rows of all other runs are not gone through.

use super::lookup::below;
use super::query::Query;
use super::rows;
use crate::model::key::Kind;
use crate::model::name::BasePath;

/// A run that has rows. A path that is its name means that run alone.
const IS_RUN: &str = "EXISTS (SELECT 1 FROM run AS named \
     CROSS JOIN artifact AS of ON of.run_id = named.id WHERE named.name = ?)";
/// Containers at a path and below it.
const CONTAINERS: &str = "SELECT id FROM container WHERE path = ? \
     UNION ALL SELECT id FROM container WHERE path >= ? AND path < ?";

/// The paths of the folders above a path, each with what follows it.
fn above(path: &str) -> impl Iterator<Item = (&str, &str)> {
    let slashes = path.match_indices('/');
    slashes.map(|(at, _)| (&path[..at], &path[at + 1..]))
}

impl Query {
    /// Adds the condition that a run has something at one of these paths or below it.
    pub(super) fn runs_at(&mut self, paths: &[BasePath]) {
        self.any(paths, |query, path| {
            let path = path.as_str();
            let (first, end) = below(path);
            // Without an index: the names are gone through in their order, which the rows have.
            query
                .sql
                .push_str("+run.name = ? OR +run.name >= ? AND +run.name < ?");
            query.push_texts([path, &first, &end]);
            for (folder, _) in above(path) {
                query.sql.push_str(" OR +run.name = ?");
                query.push_texts([folder]);
            }
        });
    }

    /// Adds the condition that an artifact is at one of these paths or below it. Checkpoints are
    /// left out, unless `checkpoints` says otherwise or the path leads into the folder of their run.
    pub(super) fn below(&mut self, paths: &[BasePath], checkpoints: bool) {
        self.runs_at(paths);
        self.any(paths, |query, path| {
            let path = path.as_str();
            let (first, end) = below(path);
            query.sql.push_str("(+run.name = ?");
            query.push_texts([path]);
            query.sql.push_str(&format!(
                " OR NOT {IS_RUN} AND +run.name >= ? AND +run.name < ?)"
            ));
            query.push_texts([path, &first, &end]);
            if !checkpoints {
                query.sql.push_str(" AND a.kind_id <> ?");
                let checkpoint = rows::kind_number(Kind::Checkpoint);
                query.values.push(checkpoint.into());
            }
            let folders: Vec<(&str, &str)> = above(path).collect();
            if folders.is_empty() {
                return;
            }
            query.sql.push_str(&format!(" OR NOT {IS_RUN} AND (0"));
            query.push_texts([path]);
            for (folder, _) in &folders {
                query.sql.push_str(" OR +run.name = ?");
                query.push_texts([*folder]);
            }
            query
                .sql
                .push_str(&format!(") AND (+a.container_id IN ({CONTAINERS})"));
            query.push_texts([path, &first, &end]);
            for (folder, rest) in folders {
                let (first, end) = below(rest);
                query.sql.push_str(
                    " OR +a.container_id = (SELECT id FROM container WHERE path = ?) \
                     AND (a.array = ? OR a.array >= ? AND a.array < ?)",
                );
                query.push_texts([folder, rest, &first, &end]);
            }
            query.sql.push(')');
        });
    }

    fn push_texts<const N: usize>(&mut self, texts: [&str; N]) {
        let texts = texts.map(|text| text.to_owned().into());
        self.values.extend(texts);
    }
}
