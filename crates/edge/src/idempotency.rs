//! Answers to repeated requests (draft-ietf-httpapi-idempotency-key-header): the first answer again, whatever happened since.
//!
//! The handler writes the answer in the same commit as the change ([`Key::answer`]); so an answer exists exactly when the
//! change does.

use axum::extract::FromRequestParts;
use axum::http::{StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response};
use parcelshelf_core::time::Timestamp;
use parcelshelf_store::{AnswerWrite, Engine, StoredAnswer};
use sha2::{Digest as _, Sha256};

use crate::problem::Problem;

/// Longest key, characters.
const KEY_MAX: usize = 64;

/// The `Idempotency-Key` header: 8 to 64 visible ASCII characters.
#[derive(Debug, Clone)]
pub struct IdempotencyKey(String);

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let value = parts.headers.get("idempotency-key").and_then(|v| v.to_str().ok());
        let good = |v: &str| (8..=KEY_MAX).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_graphic());
        match value {
            Some(v) if good(v) => Ok(Self(v.to_owned())),
            Some(_) => {
                Err(Problem::new(400, "idempotency_key_wrong", "an idempotency key has 8 to 64 visible characters"))
            }
            None => {
                Err(Problem::new(400, "idempotency_key_missing", "send an Idempotency-Key header: a fresh random text")
                    .detail("repeat the request with the same key when no answer came; it will not happen twice"))
            }
        }
    }
}

/// A key of one principal for one request.
#[derive(Debug, Clone)]
pub struct Key {
    principal: String,
    key: String,
    request_hash: [u8; 32],
}

impl IdempotencyKey {
    /// Binds the key to who asks and to what is asked.
    #[must_use]
    pub fn bind(self, principal: &str, route: &str, body: &[u8]) -> Key {
        let mut hash = Sha256::new();
        hash.update(route.as_bytes());
        hash.update([0]);
        hash.update(body);
        Key { principal: principal.to_owned(), key: self.0, request_hash: hash.finalize().into() }
    }
}

impl Key {
    /// The first answer, if there was one.
    ///
    /// # Errors
    /// `idempotency_key_reused` when the key came with another request; `store_unavailable`.
    pub async fn earlier(&self, store: &dyn Engine) -> Result<Option<Response>, Problem> {
        match store.replay(&self.principal, &self.key).await {
            Ok(Some(stored)) => self.replay(stored).map(Some),
            Ok(None) => Ok(None),
            Err(e) => Err(Problem::store(&e)),
        }
    }

    /// The name under which the answer is kept: who asked, and the key.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        [self.principal.as_bytes(), b"\0", self.key.as_bytes()].concat()
    }

    /// The stored answer as it lies there, for a service that seals its answers.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub async fn stored(&self, store: &dyn Engine) -> Result<Option<StoredAnswer>, Problem> {
        store.replay(&self.principal, &self.key).await.map_err(|e| Problem::store(&e))
    }

    /// A stored answer as a response.
    ///
    /// # Errors
    /// `idempotency_key_reused`.
    pub fn replay(&self, stored: StoredAnswer) -> Result<Response, Problem> {
        if stored.request_hash != self.request_hash {
            return Err(Problem::new(409, "idempotency_key_reused", "this key was used for another request"));
        }
        let status = StatusCode::from_u16(stored.status).unwrap_or(StatusCode::OK);
        let headers = [
            (header::CONTENT_TYPE, "application/json"),
            (header::HeaderName::from_static("idempotent-replay"), "true"),
        ];
        Ok((status, headers, stored.body).into_response())
    }

    /// What to put into the batch.
    #[must_use]
    pub fn answer(&self, status: u16, body: Vec<u8>, at: Timestamp) -> AnswerWrite {
        AnswerWrite {
            principal: self.principal.clone(),
            key: self.key.clone(),
            answer: StoredAnswer { request_hash: self.request_hash, status, body, at },
        }
    }
}
