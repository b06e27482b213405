//! Staff: invited once, then by passkey. The passkey belongs to the operations host alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use parcelshelf_edge::cookie;
use parcelshelf_edge::json::{Nothing, StrictJson, StrictPath};
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::encoding::{b64, sha256};
use parcelshelf_protocol::jws::VerifyingKey;
use parcelshelf_protocol::nonce;
use parcelshelf_protocol::webauthn::{self, Assertion, Passkey};
use parcelshelf_store::{ListQuery, Version};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::auth::{Principal, forbidden, problem};
use super::bodies::AssertionParts;
use super::routes::bounded;
use super::sites::Site;
use crate::Carrier;
use crate::db::{Change, Failure, Stored, again};
use crate::people::{INVITATION_HOURS, STAFF, StaffId, StaffRole, StaffRow, Who};

/// People of one carrier who use these pages.
const STAFF_MAX: u32 = 500;

type C = State<Arc<Carrier>>;
type Answer = Result<Response, Problem>;

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvitationIn {
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    role: StaffRole,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InvitationOut {
    staff: String,
    /// Shown once; good for one passkey and a day.
    url: String,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ChallengeOut {
    nonce: String,
    /// What passkeys belong to.
    rp_id: String,
    /// What the assertion's challenge is made of, besides the nonce.
    aud: String,
}
/// A new passkey with its first answer, which proves that it is there and asks its person.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrationIn {
    #[schema(min_length = 43, max_length = 43)]
    invitation: String,
    #[schema(min_length = 54, max_length = 54)]
    nonce: String,
    /// The passkey's public key, ES256.
    #[schema(min_length = 1, max_length = 256)]
    jwk: String,
    #[schema(value_type = AssertionParts)]
    assertion: Assertion,
}
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaffLogin {
    #[schema(min_length = 54, max_length = 54)]
    nonce: String,
    #[schema(value_type = AssertionParts)]
    assertion: Assertion,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StaffOut {
    staff: String,
    name: String,
    role: StaffRole,
    /// Has a passkey.
    registered: bool,
}
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct StaffList {
    staff: Vec<StaffOut>,
}

fn refused(code: &'static str) -> Problem {
    Problem::new(403, code, "this does not log in").detail("ask for a new challenge")
}

/// Invites somebody: the answer holds an address that is good for one passkey.
#[utoipa::path(post, path = "/v1/staff/invitations", request_body = InvitationIn, security(("key" = [])),
    responses((status = 201, body = InvitationOut)))]
pub(crate) async fn invite(State(c): C, who: Principal, StrictJson { value, .. }: StrictJson<InvitationIn>) -> Answer {
    who.at_least(StaffRole::Lead)?;
    bounded(&value.name, 200, "a name has 1 to 200 characters")?;
    let no_host = || Problem::new(409, "no_pages", "this carrier shows no pages");
    let origin = c.sites.origin(Site::Ops).ok_or_else(no_host)?;
    let (id, token) = (StaffId::from_bytes(c.host.random()), c.host.random::<32>());
    let row = StaffRow {
        v: 1,
        name_sealed: c.vault.seal(id.as_bytes(), value.name.as_bytes()),
        role: value.role,
        invitation: Some(sha256(b64(token)).to_string()),
        invited_until_ms: c.kept_now().plus_seconds(INVITATION_HOURS * 3_600).unix_millis(),
        credential: None,
        jwk: None,
        removed: false,
    };
    let mut change = Change::new(&c);
    change.put(STAFF, id.as_bytes(), Version::Absent, &row, row.index());
    change.journal(STAFF, id.as_bytes(), "invited", &json!({"by": who.name(), "role": value.role}));
    change.commit().await.map_err(problem)?;
    let url = format!("{origin}/join#{}", b64(token));
    Ok((StatusCode::CREATED, Json(InvitationOut { staff: id.to_string(), url })).into_response())
}

/// A challenge for logging in, good for five minutes.
#[utoipa::path(post, path = "/v1/staff/challenges", request_body = Nothing, responses((status = 200, body = ChallengeOut)))]
pub(crate) async fn challenge(State(c): C, _: StrictJson<Nothing>) -> Answer {
    let rp = c.sites.relying_party().ok_or_else(forbidden)?;
    let nonce = nonce::issue_challenge(&c.nonces, c.host.now(), &*c.host.entropy);
    let aud = c.sites.origin(Site::Ops).unwrap_or_default().to_owned();
    Ok(Json(ChallengeOut { nonce, rp_id: rp.rp_id.clone(), aud }).into_response())
}

impl Carrier {
    /// Whether this passkey answered this challenge on the operations host's own page.
    fn check_passkey(&self, nonce: &str, assertion: &Assertion, jwk: &str) -> Result<VerifyingKey, Problem> {
        let (Some(rp), Some(aud)) = (self.sites.relying_party(), self.sites.origin(Site::Ops)) else {
            return Err(forbidden());
        };
        nonce::check_challenge(&self.nonces, nonce, self.host.now()).map_err(|r| refused(r.code()))?;
        let key = VerifyingKey::parse_jwk(jwk.as_bytes()).map_err(|r| refused(r.code()))?;
        let passkey = Passkey { credential_id: assertion.credential_id().to_vec(), key: key.clone() };
        let challenge = webauthn::session_challenge(aud, nonce);
        webauthn::verify(assertion, &challenge, &[passkey], rp).map_err(|r| refused(r.code()))?;
        Ok(key)
    }

    /// Only the page itself gets a session.
    fn ops_page(&self, site: Site, headers: &HeaderMap) -> Result<(), Problem> {
        let origin = self.sites.origin(site).filter(|_| site == Site::Ops).ok_or_else(forbidden)?;
        if cookie::asked(headers, origin) { Ok(()) } else { Err(forbidden()) }
    }

    fn staff_out(&self, row: &Stored<StaffRow>) -> StaffOut {
        StaffOut {
            staff: b64(&row.id),
            name: self.name_of(&row.id, &row.value.name_sealed),
            role: row.value.role,
            registered: row.value.credential.is_some(),
        }
    }

    async fn register(
        &self,
        invitation: &str,
        credential: &[u8],
        key: &VerifyingKey,
    ) -> Result<Stored<StaffRow>, Failure> {
        let none =
            || Problem::new(403, "invitation_over", "this invitation is over or was used").detail("ask for a new one");
        let hash = *sha256(invitation).as_bytes();
        let mut stored = self.staff_by("invitation", &hash).await?.ok_or_else(none)?;
        if self.host.now().unix_millis() >= stored.value.invited_until_ms {
            return Err(none().into());
        }
        stored.value.invitation = None;
        stored.value.credential = Some(b64(credential));
        stored.value.jwk = Some(key.to_jwk());
        let mut change = Change::new(self);
        change.put(STAFF, &stored.id, stored.version, &stored.value, stored.value.index());
        change.journal(STAFF, &stored.id, "passkey_registered", &json!({}));
        change.commit().await?;
        Ok(stored)
    }

    async fn logged_in(&self, row: &Stored<StaffRow>) -> Answer {
        let id = <[u8; 16]>::try_from(row.id.as_slice()).map(StaffId::from_bytes).map_err(|_| forbidden())?;
        let with = row.value.credential.clone().unwrap_or_default();
        let set = again!(self.begin_session(Who::Staff(id), &with))?;
        Ok((StatusCode::CREATED, [(header::SET_COOKIE, set)], Json(self.staff_out(row))).into_response())
    }
}

/// Takes up an invitation with a new passkey.
#[utoipa::path(post, path = "/v1/staff/registrations", request_body = RegistrationIn,
    responses((status = 201, body = StaffOut)))]
pub(crate) async fn register(
    State(c): C,
    Extension(site): Extension<Site>,
    headers: HeaderMap,
    StrictJson { value, .. }: StrictJson<RegistrationIn>,
) -> Answer {
    c.ops_page(site, &headers)?;
    let key = c.check_passkey(&value.nonce, &value.assertion, &value.jwk)?;
    let row = again!(c.register(&value.invitation, value.assertion.credential_id(), &key))?;
    c.logged_in(&row).await
}

/// Logs in with a passkey.
#[utoipa::path(post, path = "/v1/staff/sessions", request_body = StaffLogin, responses((status = 201, body = StaffOut)))]
pub(crate) async fn begin(
    State(c): C,
    Extension(site): Extension<Site>,
    headers: HeaderMap,
    StrictJson { value, .. }: StrictJson<StaffLogin>,
) -> Answer {
    c.ops_page(site, &headers)?;
    let row = c.staff_by("credential", value.assertion.credential_id()).await.map_err(problem)?;
    let row = row.ok_or_else(|| refused("credential_unknown"))?;
    let jwk = row.value.jwk.clone().ok_or_else(|| refused("credential_unknown"))?;
    c.check_passkey(&value.nonce, &value.assertion, &jwk)?;
    c.logged_in(&row).await
}

/// Who is logged in.
#[utoipa::path(get, path = "/v1/staff/me", security(("key" = [])), responses((status = 200, body = StaffOut)))]
pub(crate) async fn me(State(c): C, who: Principal) -> Answer {
    let id = who.person(StaffRole::Viewer)?;
    let row = c.staff(id).await.map_err(problem)?.ok_or_else(forbidden)?;
    Ok(Json(c.staff_out(&row)).into_response())
}

/// Everybody who may use these pages.
#[utoipa::path(get, path = "/v1/staff", security(("key" = [])), responses((status = 200, body = StaffList)))]
pub(crate) async fn list(State(c): C, who: Principal) -> Answer {
    who.at_least(StaffRole::Lead)?;
    let query =
        ListQuery { table: STAFF.to_owned(), index: String::new(), prefix: Vec::new(), cursor: None, limit: STAFF_MAX };
    let (rows, _) = c.rows::<StaffRow>(query).await.map_err(problem)?;
    let staff = rows.iter().filter(|r| !r.value.removed).map(|r| c.staff_out(r)).collect();
    Ok(Json(StaffList { staff }).into_response())
}

/// Somebody leaves: their passkey and sessions are worth nothing from now on.
#[utoipa::path(post, path = "/v1/staff/{staff}/remove", params(("staff" = String, Path)), request_body = Nothing,
    security(("key" = [])), responses((status = 204)))]
pub(crate) async fn remove(
    State(c): C,
    who: Principal,
    StrictPath(staff): StrictPath<String>,
    _: StrictJson<Nothing>,
) -> Answer {
    who.at_least(StaffRole::Lead)?;
    let none = || Problem::new(404, "staff_unknown", "there is nobody of that id");
    let id = StaffId::parse(&staff).ok_or_else(none)?;
    again!(c.remove_staff(id, &who.name()))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
impl Carrier {
    async fn remove_staff(&self, id: StaffId, by: &str) -> Result<(), Failure> {
        let none = || Problem::new(404, "staff_unknown", "there is nobody of that id");
        let mut stored = self.staff(id).await?.ok_or_else(none)?;
        stored.value.removed = true;
        (stored.value.invitation, stored.value.credential, stored.value.jwk) = (None, None, None);
        let mut change = Change::new(self);
        change.put(STAFF, &stored.id, stored.version, &stored.value, stored.value.index());
        change.journal(STAFF, &stored.id, "removed", &json!({ "by": by }));
        change.commit().await
    }
}

#[cfg(test)]
mod tests {
    use parcelshelf_protocol::encoding::from_b64;

    use super::*;

    #[test]
    fn an_invitation_is_found_by_the_hash_of_its_text() {
        let token = b64([7; 32]);
        let row = StaffRow {
            v: 1,
            name_sealed: String::new(),
            role: StaffRole::Viewer,
            invitation: Some(sha256(&token).to_string()),
            invited_until_ms: 0,
            credential: Some(b64([9; 400])),
            jwk: None,
            removed: false,
        };
        let index = row.index();
        assert_eq!(index["invitation"], sha256(sha256(&token).as_bytes()).as_bytes());
        assert_eq!(index["credential"], sha256([9; 400]).as_bytes(), "long ids fit, too");
        assert_eq!(from_b64(row.invitation.as_deref().unwrap()).unwrap(), sha256(&token).as_bytes());
    }
}
