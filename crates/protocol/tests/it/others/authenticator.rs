//! A software authenticator and client by somebody else, from registration to a confirmed grant.

use parcelshelf_protocol::encoding::Hash;
use parcelshelf_protocol::grant::Grant;
use parcelshelf_protocol::jws::{Moment, VerifyingKey};
use parcelshelf_protocol::webauthn::{self, Assertion, Passkey, RelyingParty};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use passkey::authenticator::{Authenticator, UiHint, UserCheck, UserValidationMethod};
use passkey::client::{Client, DefaultClientData};
use passkey::crypto::{AvailableBackend, coset::iana};
use passkey::types::Passkey as Stored;
use passkey::types::ctap2::{Aaguid, Ctap2Error};
use passkey::types::webauthn::{
    AuthenticatedPublicKeyCredential, CredentialCreationOptions, CredentialRequestOptions,
    PublicKeyCredentialCreationOptions, PublicKeyCredentialParameters, PublicKeyCredentialRequestOptions,
    PublicKeyCredentialRpEntity, PublicKeyCredentialType, PublicKeyCredentialUserEntity, UserVerificationRequirement,
};
use url::Url;

use crate::support::{AUD, NOW, ORIGIN, RP_ID, World};

/// An owner who touches, and may stop verifying after registration.
struct Owner {
    verifies: Arc<AtomicBool>,
}
#[async_trait::async_trait]
impl UserValidationMethod for Owner {
    type PasskeyItem = Stored;
    async fn check_user<'a>(
        &self,
        _hint: UiHint<'a, Stored>,
        presence: bool,
        _verification: bool,
    ) -> Result<UserCheck, Ctap2Error> {
        Ok(UserCheck { presence, verification: self.verifies.load(Ordering::Relaxed) })
    }
    fn is_presence_enabled(&self) -> bool {
        true
    }
    fn is_verification_enabled(&self) -> Option<bool> {
        Some(true)
    }
}

#[tokio::test]
async fn a_grant_confirmed_by_a_software_authenticator_holds() {
    let grant = Grant::sign(&World::new().grant, &World::new().grant_key).unwrap();
    let (passkey, assertion) = confirm(true, &grant.challenge()).await;
    let rp = RelyingParty { rp_id: RP_ID.into(), origins: vec![ORIGIN.into()] };
    let keys = [passkey];
    assert_eq!(webauthn::verify(&assertion, &grant.challenge(), &keys, &rp), Ok(&keys[0]));
    let other = RelyingParty { rp_id: RP_ID.into(), origins: vec!["https://other.example".into()] };
    let refused = webauthn::verify(&assertion, &grant.challenge(), &keys, &other).unwrap_err();
    assert_eq!(refused.code(), "assertion_wrong_origin");
    assert_eq!(grant.confirm(&assertion, &keys, &rp, AUD, Moment::Used(NOW)).unwrap().claims().aud, AUD);
}

#[tokio::test]
async fn a_touch_without_verification_is_not_enough() {
    let challenge = Hash::from_bytes([7; 32]);
    let (passkey, assertion) = confirm(false, &challenge).await;
    let rp = RelyingParty { rp_id: RP_ID.into(), origins: vec![ORIGIN.into()] };
    let refused = webauthn::verify(&assertion, &challenge, &[passkey], &rp).unwrap_err();
    assert_eq!(refused.code(), "assertion_no_user_verification");
}

async fn confirm(verifies: bool, challenge: &Hash) -> (Passkey, Assertion) {
    let origin = Url::parse(ORIGIN).unwrap();
    let store: Option<Stored> = None;
    let asked = Arc::new(AtomicBool::new(true));
    let mut client = Client::new(Authenticator::new(
        Aaguid::new_empty(),
        store,
        Owner { verifies: asked.clone() },
        AvailableBackend,
    ));
    let creation = CredentialCreationOptions { public_key: creation_options() };
    let created = client.register(&origin, creation, DefaultClientData).await.unwrap();
    let spki = created.response.public_key.unwrap();
    // SubjectPublicKeyInfo of P-256 ends with the uncompressed point.
    let point = &spki[spki.len() - 65..];
    let passkey = Passkey { credential_id: created.raw_id.to_vec(), key: VerifyingKey::from_point(point).unwrap() };

    asked.store(verifies, Ordering::Relaxed);
    let request = CredentialRequestOptions {
        public_key: PublicKeyCredentialRequestOptions {
            challenge: challenge.as_bytes().to_vec().into(),
            timeout: None,
            rp_id: Some(RP_ID.into()),
            allow_credentials: None,
            user_verification: if verifies {
                UserVerificationRequirement::Required
            } else {
                UserVerificationRequirement::Discouraged
            },
            hints: None,
            attestation: Default::default(),
            attestation_formats: None,
            extensions: None,
        },
    };
    let answer: AuthenticatedPublicKeyCredential =
        client.authenticate(&origin, request, DefaultClientData).await.unwrap();
    let r = answer.response;
    let assertion = Assertion::new(
        answer.raw_id.to_vec(),
        r.authenticator_data.to_vec(),
        r.client_data_json.to_vec(),
        r.signature.to_vec(),
    );
    (passkey, assertion.unwrap())
}

fn creation_options() -> PublicKeyCredentialCreationOptions {
    PublicKeyCredentialCreationOptions {
        rp: PublicKeyCredentialRpEntity { id: Some(RP_ID.into()), name: "Wallet".into() },
        user: PublicKeyCredentialUserEntity {
            id: vec![1; 16].into(),
            display_name: "Owner".into(),
            name: "owner".into(),
        },
        challenge: vec![2; 32].into(),
        pub_key_cred_params: vec![PublicKeyCredentialParameters {
            ty: PublicKeyCredentialType::PublicKey,
            alg: iana::Algorithm::ES256,
        }],
        timeout: None,
        exclude_credentials: None,
        authenticator_selection: None,
        hints: None,
        attestation: Default::default(),
        attestation_formats: None,
        extensions: None,
    }
}
