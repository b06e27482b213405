//! Schema versions: ordered files, each applied once, with a checksum. A file that was applied is never edited.

use rusqlite::{Connection, params};
use sha2::{Digest as _, Sha256};

use crate::StoreError;
use crate::sqlite::engine;

/// Says that a file is one of ours ("PSH1").
pub(crate) const APPLICATION_ID: i32 = 0x5053_4831;

const MIGRATIONS: &[&str] = &[
    include_str!("../migrations/0001_init.sql"),
    include_str!("../migrations/0002_rows_in_order.sql"),
    include_str!("../migrations/0003_whole.sql"),
];

pub(crate) fn run(connection: &mut Connection) -> Result<(), StoreError> {
    let corrupt = |what| StoreError::Corrupt { table: String::from("(schema)"), what };
    let application: i32 = connection.query_row("PRAGMA application_id", [], |r| r.get(0)).map_err(engine)?;
    let tables: i64 = connection.query_row("SELECT COUNT(*) FROM sqlite_master", [], |r| r.get(0)).map_err(engine)?;
    if application != APPLICATION_ID && (application != 0 || tables != 0) {
        return Err(corrupt("the file belongs to another program"));
    }
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate).map_err(engine)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID).map_err(engine)?;
    transaction
        .execute_batch("CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY, checksum BLOB NOT NULL)")
        .map_err(engine)?;
    let applied: Vec<Vec<u8>> = transaction
        .prepare("SELECT checksum FROM migrations ORDER BY number")
        .and_then(|mut s| s.query_map([], |r| r.get(0))?.collect())
        .map_err(engine)?;
    if applied.len() > MIGRATIONS.len() {
        return Err(corrupt("the file was written by a newer version"));
    }
    for (number, sql) in MIGRATIONS.iter().enumerate() {
        let checksum = Sha256::digest(sql.as_bytes()).to_vec();
        match applied.get(number) {
            Some(before) if *before == checksum => {}
            Some(_) => return Err(corrupt("a schema version was edited after it had been applied")),
            None => {
                transaction.execute_batch(sql).map_err(engine)?;
                transaction
                    .execute("INSERT INTO migrations (number, checksum) VALUES (?1, ?2)", params![number, checksum])
                    .map_err(engine)?;
            }
        }
    }
    transaction.commit().map_err(engine)
}
