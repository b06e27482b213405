//! What an attempt asks a maker about its commands. Nothing here sends anything to a car.

use std::sync::Arc;
use std::time::Duration;

use parcelshelf_access::{AccessError, Prepared, Reconciled, Sent};
use parcelshelf_core::actuation::Outcome;
use parcelshelf_core::time::Timestamp;

use crate::Keyholder;
use crate::attempts::Ids;
use crate::db::delivery_key;
use crate::makers::Line;

/// Which of an attempt's two kinds of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Open,
    Lock,
}

/// A command whose result the maker gives later.
#[derive(Debug, Default)]
pub(crate) struct Asked {
    /// Of the newest command.
    pub number: u32,
    /// The next question is due then.
    pub at: Option<Timestamp>,
    /// No more questions after that: a maker that still has no answer will have none.
    pub until: Option<Timestamp>,
}

impl Which {
    /// Under which name its handle is sealed.
    pub(crate) const fn handle_name(self) -> &'static str {
        match self {
            Self::Open => "handle",
            Self::Lock => "lock_handle",
        }
    }
    /// Under which name its bytes are sealed.
    pub(crate) const fn prepared_name(self) -> &'static str {
        match self {
            Self::Open => "prepared",
            Self::Lock => "lock",
        }
    }
    pub(crate) const fn before_ask(self) -> &'static str {
        match self {
            Self::Open => "before:ask_open",
            Self::Lock => "before:ask_lock",
        }
    }
    pub(crate) const fn kept(self) -> &'static str {
        match self {
            Self::Open => "after:keep_open_handle",
            Self::Lock => "after:keep_lock_handle",
        }
    }
}

pub(crate) const fn nothing_more(outcome: Outcome) -> Sent {
    Sent { outcome, may_act_until: None, ready_until: None, handle: None, retry_after: None }
}

/// What the maker says became of a command. Silence and a quota tell nothing of the car: with the handle it is asked again.
pub(crate) async fn ask(
    k: &Arc<Keyholder>,
    line: &Line,
    ids: &Ids,
    which: Which,
    prepared: &str,
    handle: Option<&str>,
) -> Sent {
    let key = delivery_key(ids.delivery);
    let handle = match handle {
        Some(sealed) => k.db.vault.open(&key, which.handle_name(), sealed).await.ok().flatten(),
        None => None,
    };
    let prepared = k.db.vault.open(&key, which.prepared_name(), prepared).await.ok().flatten();
    let later = |retry_after: Option<Duration>| Sent {
        handle: handle.as_ref().map(|h| h.to_vec()),
        retry_after,
        ..nothing_more(Outcome::Unknown)
    };
    let Some(prepared) = prepared.map(|bytes| Prepared::from_bytes(bytes.to_vec())) else {
        return nothing_more(Outcome::Unknown);
    };
    let Ok(session) = k.session(ids.wallet, line.facts().maker).await else { return later(None) };
    match line.reconcile(&session, &prepared, handle.as_ref().map(|h| h.as_slice())).await {
        Ok(Reconciled::Outcome(sent)) => sent,
        // Only the car tells.
        Ok(Reconciled::AskTheCar) => nothing_more(Outcome::Unknown),
        Err(AccessError::RateLimited { retry_after }) => later(retry_after),
        Err(_) => later(None),
    }
}
