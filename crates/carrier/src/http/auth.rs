//! Who asks: a merchant's or dispatch's key, a courier's code, or the session of a courier's or staff's page. Only hashes
//! are kept.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use parcelshelf_core::id::CourierId;
use parcelshelf_edge::cookie;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::sha256;
use parcelshelf_store::ListQuery;
use subtle::ConstantTimeEq as _;

use super::sites::Site;
use crate::db::{COURIERS, CourierRow, Failure};
use crate::people::{COOKIE, StaffId, StaffRole, Who};
use crate::{Carrier, Role};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    Merchant(String),
    Dispatch(String),
    Courier(CourierId),
    Staff(StaffId, StaffRole),
}

impl Principal {
    /// The name under which answers to idempotency keys are kept.
    pub fn name(&self) -> String {
        match self {
            Self::Merchant(name) => format!("merchant/{name}"),
            Self::Dispatch(name) => format!("dispatch/{name}"),
            Self::Courier(id) => format!("courier/{id}"),
            Self::Staff(id, _) => format!("staff/{id}"),
        }
    }
    pub fn merchant(self) -> Result<String, Problem> {
        match self {
            Self::Merchant(name) => Ok(name),
            _ => Err(forbidden()),
        }
    }
    /// Dispatch's key, or staff who may do what dispatch does.
    pub fn dispatch(&self) -> Result<(), Problem> {
        self.at_least(StaffRole::Dispatcher)
    }
    /// Dispatch's key, or any staff.
    pub fn reads(&self) -> Result<(), Problem> {
        self.at_least(StaffRole::Viewer)
    }
    /// Dispatch's key, or staff with this role or one above.
    pub fn at_least(&self, needed: StaffRole) -> Result<(), Problem> {
        match self {
            Self::Dispatch(_) => Ok(()),
            Self::Staff(_, role) if *role >= needed => Ok(()),
            _ => Err(forbidden()),
        }
    }
    /// A person with a name, who answers for what is done.
    pub fn person(&self, needed: StaffRole) -> Result<StaffId, Problem> {
        match self {
            Self::Staff(id, role) if *role >= needed => Ok(*id),
            _ => Err(forbidden()),
        }
    }
    pub fn courier(&self) -> Result<CourierId, Problem> {
        if let Self::Courier(id) = self { Ok(*id) } else { Err(forbidden()) }
    }
}

pub(crate) fn forbidden() -> Problem {
    Problem::new(403, "not_allowed", "this key may not do that")
}
fn unknown() -> Problem {
    Problem::new(401, "key_unknown", "send Authorization: Bearer <key>")
}

/// How a courier's token is found again.
pub(crate) fn token_index(token: &str) -> Vec<u8> {
    sha256(token).as_bytes().to_vec()
}

impl FromRequestParts<Arc<Carrier>> for Principal {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, carrier: &Arc<Carrier>) -> Result<Self, Problem> {
        let Some(header) = parts.headers.get(header::AUTHORIZATION) else { return by_session(parts, carrier).await };
        let header = header.to_str().ok();
        let key = header.and_then(|h| h.strip_prefix("Bearer ")).filter(|k| (8..=256).contains(&k.len()));
        let key = key.ok_or_else(unknown)?;
        let hash: String = sha256(key).as_bytes().iter().map(|b| format!("{b:02x}")).collect();
        for known in &carrier.config.api_keys {
            if bool::from(known.sha256.as_bytes().ct_eq(hash.as_bytes())) {
                return Ok(match known.role {
                    Role::Merchant => Self::Merchant(known.name.clone()),
                    Role::Dispatch => Self::Dispatch(known.name.clone()),
                });
            }
        }
        let (id, _) = courier_by_code(carrier, key).await?.ok_or_else(unknown)?;
        carrier.live.hear(id, carrier.host.now());
        Ok(Self::Courier(id))
    }
}

/// The session of a page of the host that was asked.
async fn by_session(parts: &Parts, carrier: &Arc<Carrier>) -> Result<Principal, Problem> {
    let site = parts.extensions.get::<Site>().copied().unwrap_or(Site::Interface);
    let origin = carrier.sites.origin(site).ok_or_else(unknown)?;
    let over = || Problem::new(401, "session_missing", "log in first");
    let token = cookie::token(&parts.headers, COOKIE, origin).ok_or_else(over)?;
    let (who, with) = carrier.session(token).await.map_err(problem)?.ok_or_else(over)?;
    match (site, who) {
        (Site::Courier, Who::Courier(id)) => {
            let row = carrier.courier(id).await.map_err(problem)?;
            // A new code ends what began with the old one.
            if row.value.token != with {
                return Err(over());
            }
            carrier.live.hear(id, carrier.host.now());
            Ok(Principal::Courier(id))
        }
        (Site::Ops, Who::Staff(id)) => {
            let row = carrier.staff(id).await.map_err(problem)?.ok_or_else(over)?;
            if row.value.credential.as_ref() != Some(&with) {
                return Err(over());
            }
            Ok(Principal::Staff(id, row.value.role))
        }
        // A session of the other host.
        _ => Err(over()),
    }
}

/// Whose code this is, and what is kept of it.
pub(crate) async fn courier_by_code(carrier: &Carrier, code: &str) -> Result<Option<(CourierId, String)>, Problem> {
    let query = ListQuery {
        table: COURIERS.to_owned(),
        index: "token".to_owned(),
        prefix: token_index(code),
        cursor: None,
        limit: 1,
    };
    let (rows, _) = carrier.rows::<CourierRow>(query).await.map_err(problem)?;
    let row = rows.into_iter().next();
    Ok(row.and_then(|r| Some((CourierId::from_bytes(r.id.try_into().ok()?), r.value.token))))
}

/// What a failure looks like from outside.
pub(crate) fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Problem(p) => p,
        Failure::Conflict => Problem::unavailable("busy", "too many at once here", 1),
    }
}
