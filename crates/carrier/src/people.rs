//! People with a session in a browser: couriers by the code they were hired with, staff by a passkey of the operations
//! host. A session is a row under the hash of its token; whoever reads the store cannot log in.

use std::fmt;

use axum::http::HeaderValue;
use parcelshelf_core::id::CourierId;
use parcelshelf_edge::cookie;
use parcelshelf_protocol::encoding::{b64, from_b64, sha256};
use parcelshelf_store::{Check, ListQuery, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Carrier;
use crate::db::{Change, Failure, Index, SessionRow, StaffRow, Stored};

pub(crate) const STAFF: &str = "staff";
pub(crate) const SESSIONS: &str = "session";
/// Sessions by whose they are, and by when they end.
const PERSON: &str = "person";
const ENDS: &str = "ends";
pub(crate) const COOKIE: &str = "__Host-psh";
/// A long shift.
const SESSION_HOURS: i64 = 16;
/// Sessions that are looked at or removed at once.
const SWEPT: u32 = 32;
pub(crate) const INVITATION_HOURS: i64 = 24;

/// Somebody of the carrier's staff; never leaves the carrier.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct StaffId([u8; 16]);
impl StaffId {
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
    pub fn parse(text: &str) -> Option<Self> {
        from_b64(text)?.try_into().ok().map(Self)
    }
}
impl fmt::Display for StaffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&b64(self.0))
    }
}
impl fmt::Debug for StaffId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StaffId({self})")
    }
}

/// What somebody may do; each includes those before. None locates or opens: there is nothing here that could.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StaffRole {
    /// Sees boards and timelines.
    Viewer,
    /// Loads, reassigns, sends to fallbacks, acknowledges, looks up whom a parcel is for.
    Dispatcher,
    /// Invites and removes staff, reads who looked up whom, stops and resumes deliveries to cars.
    Lead,
}

impl StaffRow {
    pub fn index(&self) -> Index {
        let mut index = Index::new();
        for (name, value) in [("invitation", &self.invitation), ("credential", &self.credential)] {
            if let Some(bytes) = value.as_deref().and_then(from_b64) {
                // Credential ids may be long, and an index takes their hash as well.
                index.insert(name.to_owned(), sha256(bytes).as_bytes().to_vec());
            }
        }
        index
    }
}

/// Whose session it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Who {
    Courier(CourierId),
    Staff(StaffId),
}

fn session_check(session: &Stored<SessionRow>) -> Check {
    Check { table: SESSIONS.to_owned(), id: session.id.clone(), version: session.version }
}

fn session_id(token: &str) -> [u8; 32] {
    *sha256(token).as_bytes()
}

impl Carrier {
    /// A new session, as the cookie that carries it.
    pub(crate) async fn begin_session(&self, who: Who, with: &str) -> Result<HeaderValue, Failure> {
        let token = b64(self.host.random::<32>());
        let (courier, staff, person) = match who {
            Who::Courier(id) => (Some(id.to_string()), None, id.as_bytes().to_vec()),
            Who::Staff(id) => (None, Some(id.to_string()), id.as_bytes().to_vec()),
        };
        let expires = self.kept_now().plus_seconds(SESSION_HOURS * 3_600);
        let row = SessionRow { v: 1, courier, staff, with: with.to_owned(), expires_ms: expires.unix_millis() };
        let mut change = Change::new(self);
        let id = session_id(&token);
        let ends = row.expires_ms.to_be_bytes().to_vec();
        let index = Index::from([(PERSON.to_owned(), person), (ENDS.to_owned(), ends)]);
        change.put(SESSIONS, &id, Version::Absent, &row, index);
        change.journal(SESSIONS, &id, "session_begun", &json!({}));
        change.commit().await?;
        Ok(cookie::set(COOKIE, &token, SESSION_HOURS * 3_600))
    }

    /// Removes sessions that are over, whosever they were. False: there may be more.
    pub(crate) async fn sweep_sessions(&self) -> Result<bool, Failure> {
        let now = self.host.now().unix_millis();
        let mut over = self.sessions(ENDS, &[]).await?;
        over.retain(|session| session.value.expires_ms <= now);
        if !over.is_empty() {
            let mut change = Change::new(self);
            change.batch.deletes.extend(over.iter().map(session_check));
            change.journal(SESSIONS, &[], "sessions_over", &json!({"rows": over.len()}));
            change.commit().await?;
        }
        Ok(over.len() < SWEPT as usize)
    }
    /// What is removed with a person who is erased: they are nobody's sessions then.
    pub(crate) async fn sessions_of(&self, person: &[u8]) -> Result<Vec<Check>, Failure> {
        Ok(self.sessions(PERSON, person).await?.iter().map(session_check).collect())
    }
    async fn sessions(&self, index: &str, prefix: &[u8]) -> Result<Vec<Stored<SessionRow>>, Failure> {
        let (table, index, prefix) = (SESSIONS.to_owned(), index.to_owned(), prefix.to_vec());
        Ok(self.rows(ListQuery { table, index, prefix, cursor: None, limit: SWEPT }).await?.0)
    }

    /// Whose session a token is, while it lasts, and with what they logged in.
    pub(crate) async fn session(&self, token: &str) -> Result<Option<(Who, String)>, Failure> {
        let Some(row) = self.row::<SessionRow>(SESSIONS, &session_id(token)).await? else { return Ok(None) };
        if self.host.now().unix_millis() >= row.value.expires_ms {
            return Ok(None);
        }
        let courier = row.value.courier.as_deref().and_then(|c| CourierId::parse(c).ok()).map(Who::Courier);
        let who = courier.or_else(|| row.value.staff.as_deref().and_then(StaffId::parse).map(Who::Staff));
        Ok(who.map(|w| (w, row.value.with)))
    }

    pub(crate) async fn end_session(&self, token: &str) -> Result<(), Failure> {
        let id = session_id(token);
        let Some(row) = self.row::<SessionRow>(SESSIONS, &id).await? else { return Ok(()) };
        let mut change = Change::new(self);
        change.batch.deletes.push(Check { table: SESSIONS.to_owned(), id: row.id, version: row.version });
        change.journal(SESSIONS, &id, "session_ended", &json!({}));
        change.commit().await
    }

    pub(crate) async fn staff(&self, id: StaffId) -> Result<Option<Stored<StaffRow>>, Failure> {
        Ok(self.row(STAFF, id.as_bytes()).await?.filter(|s: &Stored<StaffRow>| !s.value.removed))
    }
    /// Staff by an open invitation or by their passkey.
    pub(crate) async fn staff_by(&self, index: &str, bytes: &[u8]) -> Result<Option<Stored<StaffRow>>, Failure> {
        let query = ListQuery {
            table: STAFF.to_owned(),
            index: index.to_owned(),
            prefix: sha256(bytes).as_bytes().to_vec(),
            cursor: None,
            limit: 2,
        };
        Ok(self.rows(query).await?.0.into_iter().find(|s: &Stored<StaffRow>| !s.value.removed))
    }
}
