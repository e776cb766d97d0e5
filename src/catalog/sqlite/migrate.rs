//! Migrations: refinery, inside the one write transaction that the caller began.
//!
//! As it comes, refinery commits a migration and its version row apart unless grouped, and
//! processes that race for a new catalog collide. Both end here: refinery sees a transaction
//! that is already open, so everything it does commits together, and `BEGIN IMMEDIATE` lets one
//! process migrate while the others wait and then find nothing to do.

use refinery_core::Migration;
use refinery_core::traits::sync::{Migrate, Query, Transaction};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::error::BoxError;

mod embedded {
    refinery::embed_migrations!("migrations");
}

/// The newest version that this program knows: that of the last file in `migrations/`, counted when
/// it is built, because asking refinery would cost each open more than the open itself.
pub(crate) const NEWEST: i64 = match i64::from_str_radix(env!("DALSEGNO_NEWEST_MIGRATION"), 10) {
    Ok(newest) => newest,
    Err(_) => 0,
};

/// Brings the catalog to the newest version. The caller holds a write transaction and commits.
///
/// # Errors
/// Whatever refinery or SQLite reports; the caller rolls back.
pub(crate) fn migrate(connection: &Connection) -> Result<(), BoxError> {
    // The text of a constraint is changed by one of them, and SQLite's defences forbid that.
    let defences = DbConfig::SQLITE_DBCONFIG_DEFENSIVE;
    let had_them = connection.db_config(defences)?;
    connection.set_db_config(defences, false)?;
    let applied = apply(connection, embedded::migrations::runner().get_migrations());
    // The last migration says the version too, unless all of them are in the history already: then
    // another program has overwritten the number, and it would stay so.
    let applied = applied.and_then(|()| {
        let set = connection.pragma_update(None, "user_version", NEWEST);
        set.map_err(BoxError::from)
    });
    // After a failure too: the connection is used again.
    connection.set_db_config(defences, had_them)?;
    applied
}

fn apply(connection: &Connection, migrations: &[Migration]) -> Result<(), BoxError> {
    let (abort_divergent, abort_missing, grouped) = (true, true, true);
    InTransaction(connection).migrate(
        migrations,
        abort_divergent,
        abort_missing,
        grouped,
        refinery_core::Target::Latest,
        "refinery_schema_history",
    )?;
    Ok(())
}

/// Makes the tables of an older version in a new database.
#[cfg(test)]
pub(super) fn migrate_to(connection: &Connection, version: usize) -> Result<(), BoxError> {
    let mut migrations = embedded::migrations::runner().get_migrations().clone();
    migrations.sort();
    apply(connection, &migrations[..version])
}

/// A connection whose transaction is the caller's business.
struct InTransaction<'a>(&'a Connection);

#[derive(Debug, thiserror::Error)]
enum HistoryError {
    #[error("SQLite refused it")]
    Sql(#[from] rusqlite::Error),
    #[error("the migration history has an invalid time: {0}")]
    Time(#[from] time::error::Parse),
    #[error("the migration history has an invalid checksum: {0}")]
    Checksum(#[from] std::num::ParseIntError),
}

impl Transaction for InTransaction<'_> {
    type Error = HistoryError;

    fn execute<'a, T: Iterator<Item = &'a str>>(
        &mut self,
        queries: T,
    ) -> Result<usize, HistoryError> {
        let mut count = 0;
        for query in queries {
            self.0.execute_batch(query)?;
            count += 1;
        }
        Ok(count)
    }
}

impl Query<Vec<Migration>> for InTransaction<'_> {
    fn query(&mut self, query: &str) -> Result<Vec<Migration>, HistoryError> {
        let mut statement = self.0.prepare(query)?;
        let mut rows = statement.query([])?;
        let mut applied = Vec::new();
        while let Some(row) = rows.next()? {
            let applied_on: String = row.get(2)?;
            let checksum: String = row.get(3)?;
            applied.push(Migration::applied(
                row.get(0)?,
                row.get(1)?,
                OffsetDateTime::parse(&applied_on, &Rfc3339)?,
                checksum.parse()?,
            ));
        }
        Ok(applied)
    }
}

impl Migrate for InTransaction<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_version_is_the_last_migration() {
        let newest = embedded::migrations::runner()
            .get_migrations()
            .iter()
            .map(Migration::version)
            .max();
        assert_eq!(newest.map(i64::from), Some(NEWEST));
    }

    #[test]
    fn a_migrated_catalog_says_its_version_and_migrates_no_more() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection).unwrap();
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, NEWEST);
        migrate(&connection).unwrap();
    }

    #[test]
    fn a_version_that_was_overwritten_is_that_of_the_history_again() {
        let connection = Connection::open_in_memory().unwrap();
        migrate(&connection).unwrap();
        let version = || -> i64 {
            let read = |row: &rusqlite::Row<'_>| row.get(0);
            connection
                .query_row("PRAGMA user_version", [], read)
                .unwrap()
        };
        connection.pragma_update(None, "user_version", 0).unwrap();
        migrate(&connection).unwrap();
        assert_eq!(version(), NEWEST);
    }

    #[test]
    fn a_migration_leaves_the_defences_as_they_were() {
        let connection = Connection::open_in_memory().unwrap();
        let defences = DbConfig::SQLITE_DBCONFIG_DEFENSIVE;
        connection.set_db_config(defences, true).unwrap();
        migrate(&connection).unwrap();
        assert!(connection.db_config(defences).unwrap());
        let edit = "UPDATE sqlite_schema SET sql = '' WHERE name = 'artifact'";
        assert!(connection.execute(edit, []).is_err());
    }

    #[test]
    fn a_failing_migration_leaves_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        let migrations = [
            Migration::unapplied("V1__one", "CREATE TABLE one (a);").unwrap(),
            Migration::unapplied("V2__two", "CREATE TABLE two (a); CREATE TABLE one (a);").unwrap(),
        ];
        let transaction = connection.transaction().unwrap();
        assert!(apply(&transaction, &migrations).is_err());
        transaction.rollback().unwrap();
        let tables: i64 = connection
            .query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))
            .unwrap();
        assert_eq!(tables, 0);
    }

    #[test]
    fn a_catalog_migrates_from_every_older_version() {
        let mut connection = Connection::open_in_memory().unwrap();
        let migrations = [
            Migration::unapplied("V1__one", "CREATE TABLE one (a); PRAGMA user_version = 1;")
                .unwrap(),
            Migration::unapplied("V2__two", "CREATE TABLE two (a); PRAGMA user_version = 2;")
                .unwrap(),
        ];
        for last in 1..=2 {
            let transaction = connection.transaction().unwrap();
            apply(&transaction, &migrations[..last]).unwrap();
            transaction.commit().unwrap();
        }
        let version: i64 = connection
            .query_row("PRAGMA user_version", [], |row| row.get(0))
            .unwrap();
        assert_eq!(version, 2);
    }

    #[test]
    fn an_edited_migration_is_refused() {
        let connection = Connection::open_in_memory().unwrap();
        apply(
            &connection,
            &[Migration::unapplied("V1__one", "CREATE TABLE one (a);").unwrap()],
        )
        .unwrap();
        let edited = Migration::unapplied("V1__one", "CREATE TABLE one (b);").unwrap();
        assert!(apply(&connection, &[edited]).is_err());
    }

    #[test]
    fn rows_of_every_older_version_come_along() {
        let runner = embedded::migrations::runner();
        let mut migrations = runner.get_migrations().clone();
        migrations.sort();
        for version in 1..migrations.len() {
            let connection = Connection::open_in_memory().unwrap();
            apply(&connection, &migrations[..version]).unwrap();
            connection
                .execute_batch(
                    "INSERT INTO run (id, name) VALUES (1, 'r');
                     INSERT INTO dataset (id, name) VALUES (1, 'd');
                     INSERT INTO container (id, run_id, path) VALUES (1, 1, 'r/validation.zarr');
                     INSERT INTO artifact (run_id, kind_id, iteration, dataset_id, container_id,
                         array, origin, state, bytes, files, recorded_at)
                     VALUES (1, 1, 1000, 1, 1, '1000/d/prediction', 0, 1, 7, 2, 0)",
                )
                .unwrap();
            migrate(&connection).unwrap();
            let row: (String, i64, Option<i64>) = connection
                .query_row("SELECT path, bytes, owner FROM artifact_view", [], |row| {
                    Ok((row.get(0)?, row.get(1)?, row.get(2)?))
                })
                .unwrap();
            let path = "r/validation.zarr/1000/d/prediction".to_owned();
            assert_eq!(row, (path, 7, None), "from version {version}");
            let check: String = connection
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(check, "ok");
            let change = "UPDATE artifact SET state = ?1";
            for state in 0..=3 {
                assert_eq!(connection.execute(change, [state]), Ok(1));
            }
            for state in [-1, 4] {
                assert!(connection.execute(change, [state]).is_err(), "{state}");
            }
        }
    }
}
