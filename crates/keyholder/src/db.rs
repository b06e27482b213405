//! Rows in domain words over the engine port, each with its MAC, and changes that commit together with their leaves.
//!
//! A row that belongs to a delivery or a wallet is sealed as a whole under that owner's data key; what is readable of it in the
//! file is its table, its id, whose it is, and its index keys, all of which are random names. Whoever destroys the key has
//! erased the row, in every copy: such a row does not exist any more.

use std::collections::BTreeMap;
use std::sync::Arc;

use parcelshelf_core::id::{AccessPointId, DeliveryId, GrantId, WalletId};
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::Host;
use parcelshelf_log::record::{Built, ChainHead, Kind, Opening, RecordBuilder};
use parcelshelf_protocol::encoding::{b64, from_b64};
use parcelshelf_protocol::records::{Entry, Event};
use parcelshelf_store::{
    Append, Batch, Check, Committed, Engine, JournalWrite, ListQuery, PAGE_ROWS_MAX, Page, Put, StoreError, Version,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use zeroize::Zeroizing;

use crate::erasure::OWNER;
use crate::failure::Failure;
use crate::known_rows::KnownRows;
use crate::rows::{HeadRow, PapersRow, RecordRow};
use crate::vault::{Row, Vault};

/// The stream of log entries.
pub(crate) const LEAVES: &str = "leaves";
pub(crate) const MAC_BYTES: usize = 32;
/// Times of journal entries are multiples of this.
const JOURNAL_MINUTES: i64 = 15;

/// A type of row.
pub(crate) trait RowType: Serialize + DeserializeOwned + Clone + Send + Sync + 'static {
    const TABLE: &'static str;
    /// Whether papers belong to it: a row of the same id that is read with it and written by whoever changes them.
    const HAS_PAPERS: bool = false;
    /// Whether a row that was read is kept in memory.
    const REMEMBERED: bool = true;
    /// Whose data key seals the row; `None`: nothing in it is about a person.
    fn owner(&self, _id: &[u8]) -> Option<String> {
        None
    }
    /// They were read. Whether they are not older than the row.
    fn set_papers(&mut self, _papers: PapersRow) -> bool {
        true
    }
}

/// A row that was read, with the version to expect when it is written.
#[derive(Debug, Clone)]
pub(crate) struct Stored<T> {
    pub value: T,
    pub id: Vec<u8>,
    pub version: Version,
}

impl<T: RowType> Stored<T> {
    /// That the row is still as it was read.
    pub fn check(&self) -> Check {
        Check { table: T::TABLE.to_owned(), id: self.id.clone(), version: self.version }
    }
}

pub(crate) type Index = BTreeMap<String, Vec<u8>>;

/// The store with its vault.
pub(crate) struct Db {
    engine: Arc<dyn Engine>,
    known: KnownRows,
    pub vault: Arc<Vault>,
}

impl Db {
    pub fn new(engine: Arc<dyn Engine>, vault: Arc<Vault>) -> Self {
        Self { engine, known: KnownRows::default(), vault }
    }
    pub fn engine(&self) -> &dyn Engine {
        &*self.engine
    }
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// The row, if there is one and it is ours.
    pub async fn get<T: RowType>(&self, id: &[u8]) -> Result<Option<Stored<T>>, StoreError> {
        match self.engine.get(T::TABLE, id).await? {
            Some(row) => self.stored(row).await,
            None => Ok(None),
        }
    }

    /// Whether there is such a row, whatever is in it.
    pub async fn has<T: RowType>(&self, id: &[u8]) -> Result<bool, StoreError> {
        Ok(self.engine.get(T::TABLE, id).await?.is_some())
    }

    async fn read<T: RowType>(&self, id: &[u8], state: &[u8]) -> Result<Option<T>, StoreError> {
        let Some(mac) = state.get(..MAC_BYTES) else { return Ok(None) };
        if let Some(known) = self.known.get(id, mac) {
            return Ok(Some(known));
        }
        let content = self.content(T::TABLE, id, state).await?;
        let Some(mut value) = content.and_then(|c| parsed::<T>(&c)) else { return Ok(None) };
        if T::HAS_PAPERS {
            // After the row: whoever changes them writes it as well, so that deciding on newer ones ends in a conflict.
            let Some(papers) = self.papers(id).await? else { return Ok(None) };
            if !value.set_papers(papers) {
                tracing::error!(table = T::TABLE, "a row is newer than its papers and is passed over");
                return Ok(None);
            }
        }
        if T::REMEMBERED {
            self.known.put(id, state, &value);
        }
        Ok(Some(value))
    }

    async fn papers(&self, id: &[u8]) -> Result<Option<PapersRow>, StoreError> {
        let Some(row) = self.engine.get(PapersRow::TABLE, id).await? else {
            tracing::error!(table = PapersRow::TABLE, "a row is missing");
            return Ok(None);
        };
        let content = self.content(PapersRow::TABLE, id, &row.state).await?;
        Ok(content.and_then(|c| parsed(&c)))
    }

    /// What a row holds, if it is ours and its key is there.
    async fn content(
        &self,
        table: &'static str,
        id: &[u8],
        state: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreError> {
        let Some((mac, content)) = state.split_at_checked(MAC_BYTES) else { return Ok(None) };
        if !self.vault.row_is_ours(table, id, content, mac) {
            tracing::error!(table, "a row does not carry our proof and is passed over");
            return Ok(None);
        }
        match self.vault.open_row(table, id, content).await? {
            Row::Open(content) => Ok(Some(content)),
            Row::Erased => Ok(None),
            Row::Broken => {
                tracing::error!(table, "a row cannot be opened");
                Ok(None)
            }
        }
    }

    /// Every row whose key in `index` begins with `prefix`, in the order of the keys.
    pub async fn list<T: RowType>(&self, index: &str, prefix: &[u8]) -> Result<Vec<Stored<T>>, StoreError> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let query = Self::query::<T>(index, prefix, cursor, PAGE_ROWS_MAX);
            let Page { rows, next } = self.engine.list(query).await?;
            for row in rows {
                all.extend(self.stored(row).await?);
            }
            match next {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    /// The first `limit` of them, one page at most.
    pub async fn first<T: RowType>(
        &self,
        index: &str,
        prefix: &[u8],
        limit: u32,
    ) -> Result<Vec<Stored<T>>, StoreError> {
        let page = self.engine.list(Self::query::<T>(index, prefix, None, limit)).await?;
        let mut all = Vec::with_capacity(page.rows.len());
        for row in page.rows {
            all.extend(self.stored(row).await?);
        }
        Ok(all)
    }

    /// The first `limit` rows of an index as they lie there, whether or not they can be read.
    pub async fn raw(
        &self,
        table: &'static str,
        index: &str,
        prefix: &[u8],
        limit: u32,
    ) -> Result<Vec<parcelshelf_store::Row>, StoreError> {
        let (table, index) = (table.to_owned(), index.to_owned());
        let query = ListQuery { table, index, prefix: prefix.to_vec(), cursor: None, limit };
        Ok(self.engine.list(query).await?.rows)
    }

    fn query<T: RowType>(index: &str, prefix: &[u8], cursor: Option<Vec<u8>>, limit: u32) -> ListQuery {
        ListQuery { table: T::TABLE.to_owned(), index: index.to_owned(), prefix: prefix.to_vec(), cursor, limit }
    }

    async fn stored<T: RowType>(&self, row: parcelshelf_store::Row) -> Result<Option<Stored<T>>, StoreError> {
        let version = row.expected();
        let value = self.read::<T>(&row.id, &row.state).await?;
        Ok(value.map(|value| Stored { value, id: row.id, version }))
    }

    /// A write of a row, sealed for its owner and with its MAC.
    async fn finished(&self, draft: Draft) -> Result<Put, Failure> {
        let Draft { mut put, owner, remember } = draft;
        let content = match &owner {
            Some(owner) => self.vault.seal_row(owner, &put.table, &put.id, &put.state).await?,
            None => put.state,
        };
        let mut state = self.vault.row_mac(&put.table, &put.id, &content);
        state.extend_from_slice(&content);
        remember(&self.known, &state);
        put.state = state;
        Ok(put)
    }
}

fn parsed<T: RowType>(content: &[u8]) -> Option<T> {
    let value = serde_json::from_slice(content);
    if value.is_err() {
        tracing::error!(table = T::TABLE, "a row is not what this version writes");
    }
    value.ok()
}

/// A row that is going to be written: sealed when everything about it is decided, for that may wait for a new key's flush.
struct Draft {
    /// With the content in the open.
    put: Put,
    owner: Option<String>,
    remember: Remember,
}
/// Keeps the value beside the state that it is stored as.
type Remember = Box<dyn FnOnce(&KnownRows, &[u8]) + Send>;
impl Draft {
    fn of<T: RowType>(id: &[u8], expected: Version, value: &T, index: Index) -> Self {
        // Row types hold texts, numbers and lists of them: all of which JSON can write.
        let state = serde_json::to_vec(value).expect("row types are plain data");
        let (name, known) = (id.to_vec(), T::REMEMBERED.then(|| value.clone()));
        Self {
            put: Put { table: T::TABLE.to_owned(), id: id.to_vec(), expected, state, index },
            owner: value.owner(id),
            remember: Box::new(move |rows, state| {
                if let Some(known) = known {
                    rows.put(&name, state, &known);
                }
            }),
        }
    }
}

/// Whose chain of records an event belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ChainOf {
    pub wallet: WalletId,
    pub access_point: AccessPointId,
}
impl ChainOf {
    fn id(self) -> Vec<u8> {
        [&self.wallet.as_bytes()[..], self.access_point.as_bytes()].concat()
    }
    /// The key of one record of this chain.
    pub fn place(self, seq: u64) -> Vec<u8> {
        [&self.id()[..], &seq.to_be_bytes()].concat()
    }
}

/// Everything that one transition changes, with its leaves.
pub(crate) struct Change<'a> {
    db: &'a Db,
    host: &'a Host,
    now: Timestamp,
    pub batch: Batch,
    drafts: Vec<Draft>,
    head: Option<(ChainOf, ChainHead, Version)>,
    /// Log entries of the records in this change.
    pub entries: Vec<[u8; 32]>,
}

impl<'a> Change<'a> {
    pub fn new(db: &'a Db, host: &'a Host) -> Self {
        let now = host.now();
        // The journal says in which order; when exactly an opening was, the sealed records say.
        let at = Some(now.rounded_down_to_minutes(JOURNAL_MINUTES));
        let batch = Batch { at, ..Batch::default() };
        Self { db, host, now, batch, drafts: Vec::new(), head: None, entries: Vec::new() }
    }
    pub const fn now(&self) -> Timestamp {
        self.now
    }

    pub fn put<T: RowType>(&mut self, id: &[u8], expected: Version, value: &T, index: Index) {
        self.drafts.push(Draft::of(id, expected, value, index));
    }
    pub fn update<T: RowType>(&mut self, stored: &Stored<T>, index: Index) {
        self.put(&stored.id, stored.version, &stored.value, index);
    }
    /// Writes a row that is another than it was; of one that is not, the version must hold all the same.
    pub fn update_from<T: RowType + PartialEq>(&mut self, before: &T, stored: &Stored<T>, index: Index) {
        if stored.value == *before && stored.version != Version::Absent {
            self.check(stored);
        } else {
            self.update(stored, index);
        }
    }
    pub fn delete<T: RowType>(&mut self, stored: &Stored<T>) {
        self.batch.deletes.push(stored.check());
    }
    pub fn check<T: RowType>(&mut self, stored: &Stored<T>) {
        self.batch.checks.push(stored.check());
    }
    /// A journal entry: ids and codes only.
    pub fn journal(&mut self, table: &str, id: &[u8], kind: &str, event: &serde_json::Value) {
        let (table, kind) = (table.to_owned(), kind.to_owned());
        self.batch.journal.push(JournalWrite { table, id: id.to_vec(), kind, event: event.to_string().into_bytes() });
    }

    /// Records an event that belongs to no delivery (keys, carriers, devices, passkeys); returns its log entry.
    pub async fn record(&mut self, event: Event, sealed_for: &str) -> Result<[u8; 32], Failure> {
        self.write_record(event, None, sealed_for, None, None).await
    }
    /// Records an event of a delivery, in the chain of its access point.
    /// `message`: the signed message that the record names, if it is kept nowhere else.
    pub async fn record_of(
        &mut self,
        event: Event,
        chain: ChainOf,
        delivery: DeliveryId,
        message: Option<&str>,
    ) -> Result<[u8; 32], Failure> {
        self.write_record(event, Some(chain), &delivery_key(delivery), Some(delivery), message).await
    }

    /// Records something that no case bundle holds, with the fields that its kind has.
    pub async fn note(&mut self, kind: Kind, fields: &[(&str, String)], sealed_for: &str) -> Result<[u8; 32], Failure> {
        let start = RecordBuilder::new(kind, self.host.random()).field("at", self.now);
        let builder = fields.iter().fold(start, |b, (name, value)| b.field(name, value));
        let built = builder.build().map_err(|e| Failure::Problem(parcelshelf_edge::problem::Problem::internal(&e)))?;
        let mut index = Index::new();
        if sealed_for != COMMON_KEY {
            index.insert(OWNER.to_owned(), sealed_for.as_bytes().to_vec());
        }
        self.keep(&built, kind.code(), sealed_for, None, index).await
    }

    /// A leaf of no record: 32 random bytes, like those of any other.
    pub fn pad(&mut self) {
        let bytes: [u8; 32] = self.host.random();
        self.batch.appends.push(Append { stream: LEAVES.to_owned(), bytes: bytes.to_vec() });
    }

    async fn write_record(
        &mut self,
        event: Event,
        chain: Option<ChainOf>,
        sealed_for: &str,
        delivery: Option<DeliveryId>,
        message: Option<&str>,
    ) -> Result<[u8; 32], Failure> {
        let kind = event.kind();
        let head = match chain {
            Some(of) => Some(self.head(of).await?),
            None => None,
        };
        let built = Entry { at: self.now, event }
            .build(self.host.random(), head.as_ref())
            .map_err(|e| Failure::Problem(parcelshelf_edge::problem::Problem::internal(&e)))?;
        if let (Some(head), Some((_, current, _))) = (head, self.head.as_mut()) {
            *current = head.after(&built.record);
        }
        let seq = head.map_or(0, |h| h.seq).to_be_bytes();
        let mut index = Index::new();
        if let Some(d) = delivery {
            index.insert("delivery".to_owned(), [&d.as_bytes()[..], &seq].concat());
        } else if sealed_for != COMMON_KEY {
            index.insert(OWNER.to_owned(), sealed_for.as_bytes().to_vec());
        }
        if let Some(of) = chain {
            index.insert("chain".to_owned(), of.place(head.map_or(0, |h| h.seq)));
        }
        self.keep(&built, kind, sealed_for, message, index).await
    }

    async fn keep(
        &mut self,
        built: &Built,
        kind: &str,
        sealed_for: &str,
        message: Option<&str>,
        index: Index,
    ) -> Result<[u8; 32], Failure> {
        let entry = built.record.entry();
        let openings = openings_json(&built.openings);
        let row = RecordRow {
            v: 1,
            bytes: b64(built.record.bytes()),
            openings_sealed: self.db.vault.seal(sealed_for, &b64(entry), &openings).await?,
            sealed_for: sealed_for.to_owned(),
            kind: kind.to_owned(),
            message: message.map(str::to_owned),
        };
        self.put(&entry, Version::Absent, &row, index);
        self.batch.appends.push(Append { stream: LEAVES.to_owned(), bytes: entry.to_vec() });
        self.journal("log", &entry, kind, &json!({}));
        self.entries.push(entry);
        Ok(entry)
    }

    async fn head(&mut self, of: ChainOf) -> Result<ChainHead, Failure> {
        if let Some((known, head, _)) = &self.head {
            debug_assert_eq!(*known, of, "one change touches one chain");
            return Ok(*head);
        }
        let stored = self.db.get::<HeadRow>(&of.id()).await?;
        let (head, version) = stored.map_or((ChainHead::default(), Version::Absent), |s| {
            let hash = from_b64(&s.value.hash).and_then(|h| h.try_into().ok()).unwrap_or_default();
            (ChainHead { seq: s.value.seq, hash }, s.version)
        });
        self.head = Some((of, head, version));
        Ok(head)
    }

    /// Commits everything, or nothing.
    pub async fn commit(mut self) -> Result<Committed, Failure> {
        if let Some((of, head, version)) = self.head.take() {
            let row = HeadRow { v: 1, seq: head.seq, hash: b64(head.hash) };
            self.put(&of.id(), version, &row, Index::new());
        }
        for draft in std::mem::take(&mut self.drafts) {
            self.batch.puts.push(self.db.finished(draft).await?);
        }
        Ok(self.db.engine.commit(self.batch).await?)
    }
}

/// The name of a delivery's data key.
pub(crate) fn delivery_key(delivery: DeliveryId) -> String {
    format!("delivery/{delivery}")
}
/// The name of a wallet's data key.
pub(crate) fn wallet_key(wallet: WalletId) -> String {
    format!("wallet/{wallet}")
}
/// The name of a standing rule's data key.
pub(crate) fn rule_key(rule: GrantId) -> String {
    format!("rule/{rule}")
}
/// The name of the data key for what concerns no owner: carriers, devices, own keys.
pub(crate) const COMMON_KEY: &str = "common";

fn openings_json(openings: &[Opening]) -> Vec<u8> {
    let all: Vec<_> = openings.iter().map(|o| json!([o.name, b64(o.salt), o.value])).collect();
    serde_json::Value::Array(all).to_string().into_bytes()
}

/// The openings of a record, read back.
pub(crate) fn openings_of(json: &[u8]) -> Option<Vec<Opening>> {
    let all: Vec<(String, String, String)> = serde_json::from_slice(json).ok()?;
    all.into_iter()
        .map(|(name, salt, value)| Some(Opening { name, salt: from_b64(&salt)?.try_into().ok()?, value }))
        .collect()
}

#[cfg(test)]
mod tests {
    use parcelshelf_store::keys::MemoryKeys;
    use parcelshelf_store::memory::MemoryEngine;
    use parcelshelf_vault::Epochs;

    use super::*;
    use crate::rows::{GrantRow, StatusPart, UsePart};

    const ID: [u8; 16] = [7; 16];

    fn grant(papers: &PapersRow) -> GrantRow {
        let use_state =
            UsePart { grant_id: String::from("g"), nbf_ms: 1, exp_ms: 2, epoch: 0, blocked_ms: None, uses: Vec::new() };
        GrantRow {
            v: 2,
            wallet: String::from("w"),
            cnf: String::from("c"),
            access_point: String::from("a"),
            use_state,
            parkings: Vec::new(),
            located: Vec::new(),
            attempts: 0,
            proofs: 0,
            ready_asked: Vec::new(),
            woken_ms: None,
            status: StatusPart { seq: 1, state: String::from("granted"), reason: None },
            denied: Vec::new(),
            hold: None,
            erasing: false,
            passed_on: papers.delegations.len(),
            rule: None,
            papers: Arc::new(papers.clone()),
        }
    }

    #[tokio::test]
    async fn a_grant_is_read_with_its_papers_which_are_not_written_with_it() {
        let host = Host::system();
        let engine: Arc<dyn Engine> = Arc::new(MemoryEngine::default());
        let kms = Arc::new(Epochs::derived(&[1; 32], Arc::clone(&host.entropy)));
        let vault = Arc::new(Vault::new(&[1; 32], kms, Arc::new(MemoryKeys::default()), Arc::clone(&host.entropy)));
        // Each remembers nothing of what the one before has read.
        let db = || Db::new(Arc::clone(&engine), Arc::clone(&vault));

        let papers = PapersRow { v: 1, grant: "signed".repeat(1_000), ..PapersRow::default() };
        let first = db();
        let mut change = Change::new(&first, &host);
        change.put(&ID, Version::Absent, &papers, Index::new());
        change.put(&ID, Version::Absent, &grant(&papers), Index::new());
        change.commit().await.unwrap();
        assert!(first.get::<GrantRow>(&ID).await.unwrap().is_some(), "as it is remembered");
        let second = db();
        let mut stored = second.get::<GrantRow>(&ID).await.unwrap().unwrap();
        assert_eq!(stored.value, grant(&papers));

        stored.value.attempts = 1;
        let mut change = Change::new(&second, &host);
        change.update(&stored, Index::new());
        change.commit().await.unwrap();
        assert_eq!(db().get::<GrantRow>(&ID).await.unwrap().unwrap().value, stored.value);
        let written = engine.get("grant", &ID).await.unwrap().unwrap();
        assert!(written.state.len() < 1_000, "{} bytes", written.state.len());
        let kept = engine.get("papers", &ID).await.unwrap().unwrap();
        assert_eq!((written.version, kept.version), (2, 1));

        // With somebody else's papers, or with none, there is no grant.
        let put = |state: Vec<u8>, expected| Put {
            table: String::from("papers"),
            id: ID.to_vec(),
            expected,
            state,
            index: Index::new(),
        };
        let mut bent = kept.state.clone();
        *bent.last_mut().unwrap() ^= 1;
        for (state, expected) in [(bent, Version::Is(1)), (written.state.clone(), Version::Is(2))] {
            engine.commit(Batch { puts: vec![put(state, expected)], ..Batch::default() }).await.unwrap();
            assert!(db().get::<GrantRow>(&ID).await.unwrap().is_none());
        }
        let gone = Check { table: String::from("papers"), id: ID.to_vec(), version: Version::Is(3) };
        engine.commit(Batch { deletes: vec![gone], ..Batch::default() }).await.unwrap();
        assert!(db().get::<GrantRow>(&ID).await.unwrap().is_none());
        // Papers from before it was passed on are no papers any more.
        engine
            .commit(Batch { puts: vec![put(kept.state.clone(), Version::Absent)], ..Batch::default() })
            .await
            .unwrap();
        let third = db();
        let mut passed_on = third.get::<GrantRow>(&ID).await.unwrap().unwrap();
        passed_on.value.passed_on = 1;
        let mut change = Change::new(&third, &host);
        change.update(&passed_on, Index::new());
        change.commit().await.unwrap();
        assert!(db().get::<GrantRow>(&ID).await.unwrap().is_none());
        passed_on = Stored { version: Version::Is(3), ..passed_on };
        passed_on.value.passed_on = 0;
        let mut change = Change::new(&third, &host);
        change.update(&passed_on, Index::new());
        change.commit().await.unwrap();
        // And with the key both go.
        assert!(db().get::<GrantRow>(&ID).await.unwrap().is_some());
        vault.erase(&delivery_key(DeliveryId::from_bytes(ID)), host.now()).await.unwrap();
        assert!(db().get::<GrantRow>(&ID).await.unwrap().is_none());
        assert!(db().get::<PapersRow>(&ID).await.unwrap().is_none());
    }
}
