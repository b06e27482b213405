//! Somebody in a car who stops what others may do with it: no account, only the doors.

use parcelshelf_protocol::content::Occupant as Said;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::keys::{Keys, VerifiedKeys};
use parcelshelf_protocol::seal::{self, Context, Purpose};
use serde_json::{Value, json};

use crate::http::text;
use crate::{Failure, Host, Http};

/// A session at one gateway for one car.
#[derive(Debug, Clone)]
pub struct Occupant {
    http: Http,
    id: String,
    first: String,
}

impl Occupant {
    /// Begins a session for the car with this VIN, sealed to the keyholder whose keys were pinned.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn begin(origin: &str, pinned: &VerifiedKeys, vin: &str, host: &Host) -> Result<Self, Failure> {
        let http = Http::new(origin, &host.client);
        let answer = http.get("/v1/keys", &[]).await?;
        let claims = pinned.claims();
        let keys = Keys::verify(&text(&answer, "keys")?, &claims.log, &claims.iss, Moment::Used(host.now()))?;
        let keys = keys.claims();
        let context = Context { sender: "occupant", recipient: &keys.iss, delivery: "", seq: 0 };
        let said = Said { vin: vin.to_owned() };
        let sealed = seal::seal(&*host.entropy, &keys.seal, Purpose::Occupant, &context, &said.to_bytes())?;
        let begun = http.post("/v1/occupants", &[], &json!({"box": b64(sealed)})).await?;
        Ok(Self { id: text(&begun, "occupant")?, first: text(&begun, "next")?, http })
    }

    /// The door to open and close first.
    #[must_use]
    pub fn first_door(&self) -> &str {
        &self.first
    }

    async fn ask(&self, what: &str) -> Result<Value, Failure> {
        self.http.post(&format!("/v1/occupants/{}/{what}", self.id), &[], &json!({})).await
    }

    /// Which door is next, or once possession is proved which grants there are.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn check(&self) -> Result<Value, Failure> {
        self.ask("check").await
    }
    /// Stops everything for this car.
    ///
    /// # Errors
    /// [`Failure`]; `possession_not_proved`.
    pub async fn stop(&self) -> Result<Value, Failure> {
        self.ask("stop").await
    }
    /// Lifts a stop that is at least 72 hours old.
    ///
    /// # Errors
    /// [`Failure`]; `possession_not_proved`, `not_stopped`, `lift_too_soon`.
    pub async fn lift(&self) -> Result<Value, Failure> {
        self.ask("lift").await
    }
}
