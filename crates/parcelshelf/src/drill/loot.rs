//! Everything that the carrier has stored, opened with its keys by whoever has stolen both.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::bail;
use parcelshelf_edge::Host;
use parcelshelf_keyholder::keys::read_key;
use parcelshelf_protocol::encoding::from_b64;
use parcelshelf_simulator::canary::Needles;
use parcelshelf_store::sqlite::Options;
use parcelshelf_store::storage::Storage;
use parcelshelf_store::{Engine, JournalEntry, ListQuery, PAGE_ROWS_MAX};
use parcelshelf_vault::{Epochs, Row, Vault};

/// Shorter words hold no message.
const WORD_MIN: usize = 24;
/// Signed messages inside of signed messages.
const DEPTH_MAX: usize = 4;
/// So much is searched at once.
const PIECE: usize = 1 << 20;
/// Between two rows: further apart than the halves of a place may stand.
const APART: [u8; 512] = [b'.'; 512];

/// Rows of every table by their ids, and the journal.
pub struct Loot {
    pub rows: BTreeMap<&'static str, BTreeMap<Vec<u8>, Vec<u8>>>,
    pub journal: Vec<JournalEntry>,
}

impl Loot {
    /// # Errors
    /// When the thief, who has the carrier's keys, cannot read something.
    pub async fn open(dir: &Path) -> anyhow::Result<Self> {
        let store = Storage::Disk.engine(&dir.join("data"), "carrier", Options::default())?;
        let entropy = Arc::clone(&Host::system().entropy);
        let storage = read_key(&dir.join("storage.key")).map_err(anyhow::Error::msg)?;
        let epochs = Epochs::open(&dir.join("epochs"), &storage, Arc::clone(&entropy))?;
        let vault = Vault::new(Arc::new(epochs), Storage::Disk.keys(&dir.join("data"), "carrier")?, entropy);
        let mut rows = BTreeMap::new();
        for (table, _) in parcelshelf_carrier::tables() {
            rows.insert(table, table_of(&*store, &vault, table).await?);
        }
        let (mut journal, mut after) = (Vec::new(), 0);
        loop {
            let entries = store.journal_all(after, PAGE_ROWS_MAX).await?;
            let Some(last) = entries.last() else { break };
            after = last.seq;
            journal.extend(entries);
        }
        store.close().await;
        Ok(Self { rows, journal })
    }

    /// How many rows there are in each table.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<&'static str, usize> {
        self.rows.iter().map(|(table, rows)| (*table, rows.len())).collect()
    }

    /// The names of those needles that stand in a row or in the journal, signed messages unpacked; how many bytes were searched.
    #[must_use]
    pub fn search(&self, needles: &Needles) -> (Vec<String>, usize) {
        let (mut found, mut piece, mut bytes) = (BTreeSet::new(), Vec::new(), 0);
        let contents = self.rows.values().flat_map(BTreeMap::values);
        for content in contents.chain(self.journal.iter().map(|e| &e.event)) {
            unpack(content, 0, &mut piece);
            if piece.len() > PIECE {
                bytes += piece.len();
                found.extend(seen(needles, &piece));
                piece.clear();
            }
        }
        found.extend(seen(needles, &piece));
        (found.into_iter().collect(), bytes + piece.len())
    }
}

/// What is seen in a piece. Six characters of a geohash stand in the middle of some long word by chance.
fn seen(needles: &Needles, piece: &[u8]) -> Vec<String> {
    let inside_a_word = |at: usize| at.checked_sub(1).and_then(|before| piece.get(before)).is_some_and(is_of_a_word);
    let all = needles.search("", piece).into_iter();
    all.filter(|s| !(s.needle.ends_with("geohash") && inside_a_word(s.offset))).map(|s| s.needle).collect()
}

const fn is_of_a_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || *byte == b'_' || *byte == b'-'
}

async fn table_of(store: &dyn Engine, vault: &Vault, table: &str) -> anyhow::Result<BTreeMap<Vec<u8>, Vec<u8>>> {
    let (mut rows, mut cursor) = (BTreeMap::new(), None);
    loop {
        let (index, prefix) = (String::new(), Vec::new());
        let page =
            store.list(ListQuery { table: table.to_owned(), index, prefix, cursor, limit: PAGE_ROWS_MAX }).await?;
        for row in page.rows {
            let Row::Open(content) = vault.open_row(table, &row.id, &row.state).await? else {
                bail!("the thief has the carrier's keys and cannot read a row of {table}");
            };
            rows.insert(row.id, content.to_vec());
        }
        match page.next {
            Some(next) => cursor = Some(next),
            None => return Ok(rows),
        }
    }
}

/// A content, and after it everything in it that is base64url of something: signed messages hide what a search looks for.
fn unpack(content: &[u8], depth: usize, into: &mut Vec<u8>) {
    into.extend_from_slice(content);
    into.extend_from_slice(&APART);
    for word in content.split(|b| !is_of_a_word(b)).filter(|w| w.len() >= WORD_MIN) {
        let inside = std::str::from_utf8(word).ok().and_then(from_b64);
        if let Some(inside) = inside.filter(|_| depth < DEPTH_MAX) {
            unpack(&inside, depth + 1, into);
        }
    }
}

#[cfg(test)]
mod tests {
    use parcelshelf_protocol::encoding::b64;
    use parcelshelf_simulator::canary::Canary;

    use super::*;

    #[test]
    fn what_stands_inside_of_signed_messages_is_found_and_halves_of_two_rows_are_no_place() {
        let place = Canary::Place { what: String::from("place"), latitude: 30.267_153, longitude: -97.743_061 };
        let plate = Canary::Text { what: String::from("plate"), value: String::from("TX00042") };
        let needles = Needles::new(&[place, plate]);
        let loot = |rows: Vec<Vec<u8>>| {
            let rows = rows.into_iter().enumerate().map(|(n, row)| (vec![u8::try_from(n).unwrap()], row)).collect();
            Loot { rows: BTreeMap::from([("delivery", rows)]), journal: Vec::new() }
        };
        let inner = b64(r#"{"alg":"ES256","plate":"TX00042"}"#);
        let outer = b64(format!(r#"{{"inside":"{inner}.e30.x"}}"#));
        let found = loot(vec![format!(r#"{{"request":"{outer}"}}"#).into_bytes()]).search(&needles).0;
        assert!(found.iter().any(|name| name.starts_with("plate")), "{found:?}");
        let halves = |a: &[u8], b: &[u8]| loot(vec![a.to_vec(), b.to_vec()]).search(&needles).0;
        assert!(halves(br#"{"latitude":30.267153}"#, br#"{"longitude":-97.743061}"#).is_empty());
        assert!(!halves(br#"{"latitude":30.267153,"longitude":-97.743061}"#, b"{}").is_empty());
    }
}
