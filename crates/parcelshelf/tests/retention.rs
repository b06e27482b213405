//! docs/retention.md and the code say the same: every table, every field, every column, and what is sealed.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use parcelshelf_store::backup;
use parcelshelf_store::keys::KeyFile;
use parcelshelf_store::sqlite::{Options, SqliteEngine};

type Tables = BTreeMap<String, BTreeSet<String>>;

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/retention.md")).unwrap()
}

/// Words in backticks.
fn coded(cell: &str) -> impl Iterator<Item = String> + '_ {
    cell.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Cells of the tables below a heading.
fn lines<'a>(page: &'a str, heading: &str) -> Vec<Vec<&'a str>> {
    let section = page.split("\n## ").find_map(|s| s.strip_prefix(heading)).expect("the section is there");
    let cells = |line: &'a str| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>();
    section.lines().filter(|l| l.starts_with("| `")).map(cells).collect()
}
fn told(page: &str, heading: &str) -> Tables {
    let mut tables = Tables::new();
    for cells in lines(page, heading) {
        for table in coded(cells[0]) {
            let fields = tables.entry(table.clone()).or_default();
            for field in coded(cells[1]) {
                assert!(fields.insert(field.clone()), "{table}.{field} is explained twice");
            }
        }
    }
    tables
}
fn coded_tables(all: &[(&str, &[&str])]) -> Tables {
    all.iter().map(|(table, fields)| ((*table).to_owned(), fields.iter().map(|f| (*f).to_owned()).collect())).collect()
}

#[test]
fn every_field_of_every_row_is_explained_and_nothing_else() {
    let page = page();
    assert_eq!(told(&page, "Carrier"), coded_tables(&parcelshelf_carrier::tables()));
    assert_eq!(told(&page, "Gateway front"), coded_tables(&parcelshelf_gateway::tables()));
    let keyholder = parcelshelf_keyholder::tables();
    let plain: Vec<(&str, &[&str])> = keyholder.iter().map(|(table, fields, _)| (*table, *fields)).collect();
    assert_eq!(told(&page, "Keyholder"), coded_tables(&plain));
    // And sealed is what is said to be.
    for cells in lines(&page, "Keyholder") {
        let table = coded(cells[0]).next().unwrap();
        let sealed = keyholder.iter().find(|(t, ..)| *t == table).unwrap().2;
        assert_eq!(sealed, !cells[3].starts_with('–'), "{table}: {}", cells[3]);
    }
}

#[test]
fn every_column_of_the_files_is_explained_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (store, keys) = (folder.path().join("s.db"), folder.path().join("k.db"));
    drop(SqliteEngine::open(&store, Options::default()).unwrap());
    drop(KeyFile::open(&keys).unwrap());
    let mut there = Tables::new();
    for (table, column) in [backup::columns(&store).unwrap(), backup::columns(&keys).unwrap()].concat() {
        there.entry(table).or_default().insert(column);
    }
    assert_eq!(told(&page(), "Every store"), there);
}

/// What the page says of settings is what the code has.
#[test]
fn the_defaults_on_the_page_are_the_defaults() {
    let page = page();
    let section = page.split("\n## ").find_map(|s| s.strip_prefix("Deadlines")).unwrap();
    let said = |party: &str, setting: &str| -> u32 {
        let line = section.lines().find(|l| {
            let cells: Vec<&str> = l.split('|').map(str::trim).collect();
            cells.get(1).is_some_and(|c| c.starts_with(party) || *c == "all three")
                && cells.get(2) == Some(&format!("`{setting}`").as_str())
        });
        line.unwrap_or_else(|| panic!("{party} {setting}")).split('|').nth(3).unwrap().trim().parse().unwrap()
    };
    let carrier = parcelshelf_carrier::Retention::default();
    let keyholder = parcelshelf_keyholder::config::Retention::default();
    let front = parcelshelf_gateway::Retention::default();
    for (party, setting, is) in [
        ("carrier", "deliveries_days", carrier.deliveries_days),
        ("carrier", "unfinished_days", carrier.unfinished_days),
        ("carrier", "answers_hours", carrier.answers_hours),
        ("keyholder", "deliveries_days", keyholder.deliveries_days),
        ("gateway front", "photos_days", front.photos_days),
        ("gateway front", "pushes_days", front.pushes_days),
        ("carrier", "journal_days", carrier.journal_days),
        ("keyholder", "journal_days", keyholder.journal_days),
        ("gateway front", "journal_days", front.journal_days),
        ("carrier", "backups_days", carrier.backups_days),
        ("keyholder", "backups_days", keyholder.backups_days),
        ("gateway front", "backups_days", front.backups_days),
    ] {
        assert_eq!(said(party, setting), is, "{party} {setting}");
    }
}
