//! Copies of a store that a service goes on using, and their way back.
//!
//! A backup is one file: what was committed when it began, without free pages that would still hold what was removed. The key
//! store is never part of one; so whatever is erased later is bytes without meaning in every backup that was made before.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use crate::StoreError;
use crate::migrate::APPLICATION_ID;
use crate::sqlite::engine;

/// What a copy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Copied {
    pub bytes: u64,
    pub rows: u64,
}

fn io(error: std::io::Error) -> StoreError {
    StoreError::Engine(Box::new(error))
}
fn wrong(what: &'static str) -> StoreError {
    StoreError::Corrupt { table: String::from("(file)"), what }
}

fn sync_folder_of(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::File::open(folder)?.sync_all()
}

/// A name beside `path` that nothing else uses.
fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// Creates the file itself, readable by its owner only; never takes one that is there.
fn create_new(path: &Path) -> std::io::Result<fs::File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// What a store's file holds, if it is whole and one of ours.
fn looked_through(path: &Path) -> Result<Copied, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(engine)?;
    let application: i32 = connection
        .query_row("PRAGMA application_id", [], |r| r.get(0))
        .map_err(|_| wrong("this is not a backup of a store"))?;
    if application != APPLICATION_ID {
        return Err(wrong("this is not a backup of a store"));
    }
    let check: String = connection.query_row("PRAGMA integrity_check(1)", [], |r| r.get(0)).map_err(engine)?;
    if check != "ok" {
        return Err(wrong("the backup is damaged"));
    }
    let rows = connection.query_row("SELECT COUNT(*) FROM rows", [], |r| r.get(0)).map_err(engine)?;
    drop(connection);
    Ok(Copied { bytes: fs::metadata(path).map_err(io)?.len(), rows })
}

/// Tables and columns of a store's file or a key store's: what whoever says how long things are kept has to explain.
///
/// # Errors
/// [`StoreError`] when the file cannot be read.
pub fn columns(path: &Path) -> Result<Vec<(String, String)>, StoreError> {
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(engine)?;
    let mut statement = connection
        .prepare(
            "SELECT m.name, c.name FROM sqlite_master m, pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite_%' ORDER BY 1, c.cid",
        )
        .map_err(engine)?;
    let all = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?))).and_then(Iterator::collect);
    all.map_err(engine)
}

/// Every value of every column that holds a time (their names end in `_ms`), with table and column: for whoever looks at what
/// times tell.
///
/// # Errors
/// [`StoreError`] when the file cannot be read.
pub fn times(path: &Path) -> Result<Vec<(String, i64)>, StoreError> {
    let all = columns(path)?;
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(engine)?;
    let mut times = Vec::new();
    for (table, column) in all.into_iter().filter(|(_, column)| column.ends_with("_ms")) {
        // Names come from the file's own schema, which is one of ours.
        let mut statement = connection.prepare(&format!("SELECT {column} FROM {table}")).map_err(engine)?;
        let values = statement.query_map([], |r| r.get(0)).and_then(Iterator::collect::<Result<Vec<i64>, _>>);
        times.extend(values.map_err(engine)?.into_iter().map(|ms| (format!("{table}.{column}"), ms)));
    }
    Ok(times)
}

/// Copies the store at `from`, which may be in use, into the new file `to`; durable when this returns.
///
/// # Errors
/// [`StoreError`] when there is no store, `to` exists, or the copy could not be made; nothing is left of it then.
pub fn backup(from: &Path, to: &Path) -> Result<Copied, StoreError> {
    if !from.exists() {
        return Err(wrong("there is no store to back up"));
    }
    let text = to.to_str().ok_or_else(|| wrong("the name of a backup is plain text"))?;
    create_new(to).map_err(io)?;
    let copied = (|| {
        let connection = Connection::open_with_flags(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(engine)?;
        // One read transaction: what commits meanwhile is in the next backup. Only what is alive is copied.
        connection.execute("VACUUM INTO ?1", [text]).map_err(engine)?;
        drop(connection);
        fs::File::open(to).and_then(|f| f.sync_all()).map_err(io)?;
        sync_folder_of(to).map_err(io)?;
        looked_through(to)
    })();
    if copied.is_err() {
        let _ = fs::remove_file(to);
    }
    copied
}

/// Puts a backup in place of a store that is not there any more. The service must not run.
///
/// # Errors
/// [`StoreError`] when there is a store already, or the backup is not whole; nothing is changed then.
pub fn restore(from: &Path, to: &Path) -> Result<Copied, StoreError> {
    for there in [to.to_path_buf(), beside(to, "-wal"), beside(to, "-shm"), beside(to, "-journal")] {
        if there.exists() {
            return Err(wrong("there is a store already: a backup never overwrites one, move it away first"));
        }
    }
    let copied = looked_through(from)?;
    let on_its_way = beside(to, ".restoring");
    if on_its_way.exists() {
        fs::remove_file(&on_its_way).map_err(io)?;
    }
    let put = (|| {
        let (mut source, mut target) = (fs::File::open(from)?, create_new(&on_its_way)?);
        std::io::copy(&mut source, &mut target)?;
        target.sync_all()?;
        fs::rename(&on_its_way, to)?;
        sync_folder_of(to)
    })();
    put.map_err(io)?;
    Ok(copied)
}
