//! Who asks: a merchant's or dispatch's key, or a courier's token. Only hashes are kept.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use parcelshelf_core::id::CourierId;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::sha256;
use parcelshelf_store::ListQuery;
use subtle::ConstantTimeEq as _;

use crate::db::{COURIERS, CourierRow, Failure};
use crate::{Carrier, Role};

/// Who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Principal {
    Merchant(String),
    Dispatch(String),
    Courier(CourierId),
}

impl Principal {
    /// The name under which answers to idempotency keys are kept.
    pub fn name(&self) -> String {
        match self {
            Self::Merchant(name) => format!("merchant/{name}"),
            Self::Dispatch(name) => format!("dispatch/{name}"),
            Self::Courier(id) => format!("courier/{id}"),
        }
    }
    pub fn merchant(self) -> Result<String, Problem> {
        match self {
            Self::Merchant(name) => Ok(name),
            _ => Err(forbidden()),
        }
    }
    pub fn dispatch(&self) -> Result<(), Problem> {
        if matches!(self, Self::Dispatch(_)) { Ok(()) } else { Err(forbidden()) }
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
        let header = parts.headers.get(header::AUTHORIZATION).and_then(|h| h.to_str().ok());
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
        let query = ListQuery {
            table: COURIERS.to_owned(),
            index: "token".to_owned(),
            prefix: token_index(key),
            cursor: None,
            limit: 1,
        };
        let (rows, _) = carrier.rows::<CourierRow>(query).await.map_err(|f| match f {
            Failure::Problem(p) => p,
            Failure::Conflict => unknown(),
        })?;
        let id = rows.into_iter().next().and_then(|r| r.id.try_into().ok()).ok_or_else(unknown)?;
        Ok(Self::Courier(CourierId::from_bytes(id)))
    }
}
