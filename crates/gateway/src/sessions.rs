//! Sessions: who is logged in at the wallet. A session reads and stops; whatever opens is signed by a passkey itself.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use parcelshelf_core::id::WalletId;
use parcelshelf_edge::cookie;
use parcelshelf_edge::json::{Nothing, StrictJson};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::{b64, from_b64, sha256};
use parcelshelf_protocol::jws::VerifyingKey;
use parcelshelf_protocol::nonce;
use parcelshelf_protocol::statement::{Said, Statement};
use parcelshelf_protocol::webauthn::{self, Assertion, Passkey};
use parcelshelf_store::{Batch, Check, CommitError, JournalWrite, Put, Version};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::rows::{
    self, ACCOUNTS, AccountRow, CREDENTIALS, CredentialRow, SEED_BOXES, SESSIONS, SeedBoxRow, SessionRow,
    credential_name, wallet_owner,
};
use crate::{Front, relay, store_problem};

/// A session that is not used again ends after this many days.
const SESSION_DAYS: i64 = 30;
pub(crate) const COOKIE: &str = "__Host-psh";

async fn fresh_session(front: &Front, wallet: WalletId) -> Result<(String, Put, JournalWrite), Problem> {
    let token = b64(front.host.random::<32>());
    let id = *sha256(&token).as_bytes();
    let row = SessionRow {
        v: 1,
        wallet: wallet.to_string(),
        expires_ms: front.host.now().plus_seconds(SESSION_DAYS * 86_400).unix_millis(),
    };
    let index = rows::of_wallet_until(wallet, row.expires_ms);
    let put = front.sealed(&wallet_owner(wallet), SESSIONS, &id, &row, index).await?;
    Ok((token, put, rows::entry(SESSIONS, &id, "session_begun")))
}

fn not_logged_in() -> Problem {
    Problem::new(401, "session_missing", "log in first")
        .detail("send Authorization: Bearer <token of POST /v1/sessions>")
}

/// A program's bearer token, or the cookie of the wallet's own page.
fn token_id(front: &Front, headers: &HeaderMap) -> Option<[u8; 32]> {
    let token = match headers.get(header::AUTHORIZATION) {
        Some(bearer) => bearer.to_str().ok()?.strip_prefix("Bearer ")?,
        None => cookie::token(headers, COOKIE, &front.config.wallet_origin)?,
    };
    (token.len() == 43).then(|| *sha256(token).as_bytes())
}

/// A new session as an answer: the token in the body for a program, in a cookie for the wallet's page.
fn answered(front: &Front, headers: &HeaderMap, wallet: &str, token: String) -> Response {
    let to_page = cookie::asked(headers, &front.config.wallet_origin);
    let set = cookie::set(COOKIE, &token, SESSION_DAYS * 86_400);
    let body = Json(SessionOut { wallet: wallet.to_owned(), token: Some(token).filter(|_| !to_page) });
    if to_page {
        (StatusCode::CREATED, [(header::SET_COOKIE, set)], body).into_response()
    } else {
        (StatusCode::CREATED, body).into_response()
    }
}

/// Whose session a request carries.
pub(crate) async fn of(front: &Front, headers: &HeaderMap) -> Result<WalletId, Problem> {
    let id = token_id(front, headers).ok_or_else(not_logged_in)?;
    let row: SessionRow = front.opened(SESSIONS, &id).await?.ok_or_else(not_logged_in)?;
    if front.host.now().unix_millis() >= row.expires_ms {
        return Err(not_logged_in());
    }
    WalletId::parse(&row.wallet).map_err(|e| Problem::internal(&e))
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChallengeOut {
    nonce: String,
}

/// A challenge for logging in, good for five minutes.
#[utoipa::path(post, path = "/v1/sessions/challenges", request_body = Nothing, responses((status = 200, body = ChallengeOut)))]
pub(crate) async fn challenge(State(front): State<Arc<Front>>, _: StrictJson<Nothing>) -> Json<ChallengeOut> {
    Json(ChallengeOut { nonce: nonce::issue_challenge(&front.nonces, front.host.now(), &*front.host.entropy) })
}

/// A passkey's answer to a challenge.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    #[schema(min_length = 54, max_length = 54)]
    nonce: String,
    #[schema(value_type = AssertionParts)]
    assertion: Assertion,
}
/// An `AuthenticatorAssertionResponse`, each part base64url.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssertionParts {
    #[schema(min_length = 2, max_length = 1364)]
    credential_id: String,
    #[schema(min_length = 50, max_length = 1366)]
    authenticator_data: String,
    #[schema(min_length = 2, max_length = 2732)]
    client_data_json: String,
    #[schema(min_length = 11, max_length = 107)]
    signature: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SessionOut {
    wallet: String,
    /// Shown once; `null` for a page that asked for a cookie with `parcelshelf-session: cookie`.
    token: Option<String>,
}

/// Logs in with a passkey.
#[utoipa::path(post, path = "/v1/sessions", request_body = Login, responses((status = 201, body = SessionOut)))]
pub(crate) async fn begin(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    StrictJson { value, .. }: StrictJson<Login>,
) -> Result<Response, Problem> {
    let no = |code: &'static str| Problem::new(403, code, "this does not log in").detail("ask for a new challenge");
    nonce::check_challenge(&front.nonces, &value.nonce, front.host.now()).map_err(|r| no(r.code()))?;
    let unknown = || no("credential_unknown");
    let id = credential_name(value.assertion.credential_id());
    let account: CredentialRow = front.opened(CREDENTIALS, &id).await?.ok_or_else(unknown)?;
    let key = VerifyingKey::parse_jwk(account.jwk.as_bytes()).map_err(|e| Problem::internal(&e))?;
    let credential_id = from_b64(&account.credential_id).ok_or_else(unknown)?;
    let challenge = webauthn::session_challenge(&front.config.aud, &value.nonce);
    webauthn::verify(&value.assertion, &challenge, &[Passkey { credential_id, key }], &front.rp)
        .map_err(|r| no(r.code()))?;
    let wallet = WalletId::parse(&account.wallet).map_err(|e| Problem::internal(&e))?;
    let (token, session, journal) = fresh_session(&front, wallet).await?;
    let batch = Batch { at: Some(front.host.now()), puts: vec![session], journal: vec![journal], ..Batch::default() };
    front.commit(batch).await.map_err(store_problem)?;
    Ok(answered(&front, &headers, &account.wallet, token))
}

/// Logs out.
#[utoipa::path(delete, path = "/v1/sessions", security(("session" = [])), responses((status = 204)))]
pub(crate) async fn end(State(front): State<Arc<Front>>, headers: HeaderMap) -> Result<Response, Problem> {
    let id = token_id(&front, &headers).ok_or_else(not_logged_in)?;
    let row = front.engine.get(SESSIONS, &id).await.map_err(|e| Problem::store(&e))?.ok_or_else(not_logged_in)?;
    let gone = Check { table: SESSIONS.to_owned(), id: id.to_vec(), version: row.expected() };
    let journal = vec![rows::entry(SESSIONS, &id, "session_ended")];
    let batch = Batch { at: Some(front.host.now()), deletes: vec![gone], journal, ..Batch::default() };
    front.commit(batch).await.map_err(store_problem)?;
    Ok((StatusCode::NO_CONTENT, [(header::SET_COOKIE, cookie::cleared(COOKIE))]).into_response())
}

/// What opens everything that was sealed to the owner, itself wrapped by a passkey's PRF output: ciphertext, kept so that
/// a new device of the same owner needs the passkey only.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SeedBox {
    /// base64url.
    #[schema(min_length = 1, max_length = 256)]
    r#box: String,
}

/// Keeps the wrapped seed of this wallet; the newest one counts.
#[utoipa::path(post, path = "/v1/wallet/seed-box", request_body = SeedBox, security(("session" = [])),
    responses((status = 204)))]
pub(crate) async fn keep_seed_box(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    StrictJson { value, .. }: StrictJson<SeedBox>,
) -> Result<StatusCode, Problem> {
    let wallet = of(&front, &headers).await?;
    if !(1..=256).contains(&value.r#box.len()) || from_b64(&value.r#box).is_none() {
        return Err(Problem::new(422, "body_wrong_member", "the box is not base64url, or too long"));
    }
    let known = front.engine.get(SEED_BOXES, wallet.as_bytes()).await.map_err(|e| Problem::store(&e))?;
    let row = SeedBoxRow { v: 1, wrapped: value.r#box };
    let index = rows::of_wallet(wallet);
    let mut put = front.sealed(&wallet_owner(wallet), SEED_BOXES, wallet.as_bytes(), &row, index).await?;
    put.expected = known.map_or(Version::Absent, |row| row.expected());
    let journal = vec![rows::entry(SEED_BOXES, wallet.as_bytes(), "seed_box_kept")];
    let batch = Batch { at: Some(front.host.now()), puts: vec![put], journal, ..Batch::default() };
    front.commit(batch).await.map_err(store_problem)?;
    Ok(StatusCode::NO_CONTENT)
}

/// The wrapped seed of this wallet.
#[utoipa::path(get, path = "/v1/wallet/seed-box", security(("session" = [])), responses((status = 200, body = SeedBox)))]
pub(crate) async fn seed_box(State(front): State<Arc<Front>>, headers: HeaderMap) -> Result<Json<SeedBox>, Problem> {
    let wallet = of(&front, &headers).await?;
    let row: Option<SeedBoxRow> = front.opened(SEED_BOXES, wallet.as_bytes()).await?;
    let row = row.ok_or_else(|| Problem::new(404, "seed_box_unknown", "no wrapped seed is kept here"))?;
    Ok(Json(SeedBox { r#box: row.wrapped }))
}

/// A statement and the passkey's assertion over it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewWallet {
    #[schema(min_length = 1, max_length = 5464)]
    pub statement: String,
    #[schema(value_type = AssertionParts)]
    pub assertion: Assertion,
}

/// A new wallet: the keyholder checks the statement and makes it, the front keeps its passkey for logging in.
#[utoipa::path(post, path = "/v1/wallets", request_body = NewWallet, responses((status = 201, body = SessionOut)))]
pub(crate) async fn create_wallet(
    State(front): State<Arc<Front>>,
    headers: HeaderMap,
    StrictJson { value, bytes }: StrictJson<NewWallet>,
) -> Result<Response, Problem> {
    let body = String::from_utf8(bytes.to_vec()).map_err(|_| Problem::new(400, "body_not_json", "not UTF-8"))?;
    let answer = relay::ask(&front, "/v1/wallets", body).await?;
    if answer.status != StatusCode::CREATED {
        return Ok(answer.into_response());
    }
    let said: Value = serde_json::from_slice(&answer.body).map_err(|e| Problem::internal(&e))?;
    let odd = || Problem::unavailable("keyholder_unavailable", "the keyholder's answer cannot be read", 2);
    let wallet = said["wallet"].as_str().and_then(|w| WalletId::parse(w).ok()).ok_or_else(odd)?;
    let statement = from_b64(&value.statement).and_then(|s| Statement::parse(&s).ok()).ok_or_else(odd)?;
    let Said::Wallet { passkey, .. } = statement.said else { return Err(odd()) };
    if passkey.credential_id != value.assertion.credential_id() {
        return Err(odd());
    }
    let (name, credential_id, jwk) = (wallet.to_string(), b64(&passkey.credential_id), passkey.key.to_jwk());
    let account = AccountRow { v: 1, wallet: name.clone(), credential_id: credential_id.clone(), jwk: jwk.clone() };
    let login = CredentialRow { v: 1, wallet: name, credential_id, jwk };
    let (token, session, begun) = fresh_session(&front, wallet).await?;
    let (id, owner) = (wallet.as_bytes(), wallet_owner(wallet));
    let index = || rows::of_wallet(wallet);
    let credential = credential_name(&passkey.credential_id);
    let batch = Batch {
        at: Some(front.host.now()),
        // Each is new: a statement that comes twice gives no second session.
        puts: vec![
            front.sealed(&owner, ACCOUNTS, id, &account, index()).await?,
            front.sealed(&owner, CREDENTIALS, &credential, &login, index()).await?,
            session,
        ],
        journal: vec![rows::entry(ACCOUNTS, id, "account_kept"), begun],
        ..Batch::default()
    };
    match front.commit(batch).await {
        Ok(()) => {}
        Err(CommitError::Conflict(_)) => {
            return Err(Problem::new(409, "wallet_known", "this wallet exists").detail("log in with its passkey"));
        }
        Err(other) => return Err(store_problem(other)),
    }
    Ok(answered(&front, &headers, &wallet.to_string(), token))
}
