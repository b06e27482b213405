//! Legs: a delegation for one courier's device and one stop, durable before it leaves, the same bytes until it arrived.

use parcelshelf_core::id::{CourierId, DelegationId, DeliveryId};
use parcelshelf_core::time::{Timestamp, Window};
use parcelshelf_delivery::delivery::{Event, LEG_MS_MAX};
use parcelshelf_edge::idempotency::Key;
use parcelshelf_edge::problem::Problem;
use parcelshelf_protocol::accepted::{Accepted, AcceptedClaims};
use parcelshelf_protocol::delegation::{Delegation, DelegationClaims};
use parcelshelf_protocol::encoding::{Hash, Thumbprint, b64};
use parcelshelf_protocol::narrow;
use serde_json::{Value, json};

use crate::Carrier;
use crate::db::{Change, DeliveryRow, Failure, LegPart, Stored, WATCH, again, apply, broken};
use crate::gateway::NotDone;
use crate::shipments::tail;

/// The gateway gave no answer to a delegation.
const GATEWAY_SILENT: &str = "gateway_unavailable";

impl Carrier {
    /// The courier sets out: signs, stores, hands in, and answers the stop page's address. Asking again gets the same
    /// delegation while it lives.
    pub(crate) async fn start_leg(&self, id: DeliveryId, courier: CourierId, key: &Key) -> Result<Value, Problem> {
        let _posting = self.posting.begin(id);
        again!(self.sign_leg(id, courier))?;
        let done = self.hand_in(id, Some(key)).await;
        if done.as_ref().is_err_and(|problem| problem.code() == GATEWAY_SILENT) {
            again!(self.hand_in_later(id))?;
        }
        done
    }

    /// Stores the intent with the very bytes that will be sent.
    async fn sign_leg(&self, id: DeliveryId, courier: CourierId) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let under_way = matches!(stored.value.state.phase.as_str(), "leg" | "at_stop");
        if under_way && stored.value.leg.is_some() && stored.value.state.courier == Some(courier.to_string()) {
            return Ok(());
        }
        let device = self.courier(courier).await?.value.device;
        let device = device.and_then(|d| Thumbprint::parse(&d)).ok_or_else(|| {
            Problem::new(409, "device_missing", "this courier has no enrolled device")
                .detail("enrol it at a depot first")
        })?;
        let accepted = self.accepted(&stored.value)?;
        let now = self.host.now();
        let delegation = DelegationId::from_bytes(self.host.random());
        let claims = self.delegation_claims(&stored.value, &accepted, delegation, device, now)?;
        narrow::check(&accepted.scope(), &claims.scope())
            .map_err(|r| Problem::new(409, r.code(), "the grant does not cover this leg"))?;
        let jws = Delegation::sign(&claims, &self.papers.delegation_key)
            .map_err(|r| Problem::new(409, r.code(), "the delegation cannot be signed"))?;
        let mut change = Change::new(self);
        let event = Event::LegStarted { courier, delegation, until: claims.window.end() };
        apply(&mut change, &mut stored, event, now)?;
        stored.value.leg = Some(LegPart { jws, posted: false });
        change.delivery(&stored);
        change.commit().await
    }

    /// The keyholder's word that this delivery rests on, verified when it came.
    pub(crate) fn accepted(&self, row: &DeliveryRow) -> Result<AcceptedClaims, Failure> {
        let jws = row
            .accepted
            .as_deref()
            .ok_or_else(|| Problem::new(409, "not_accepted", "the owner has not allowed this delivery"))?;
        Accepted::peek(jws).map_err(|_| broken("an acceptance cannot be read"))
    }

    fn delegation_claims(
        &self,
        row: &DeliveryRow,
        accepted: &AcceptedClaims,
        jti: DelegationId,
        cnf: Thumbprint,
        now: Timestamp,
    ) -> Result<DelegationClaims, Failure> {
        let too_early = || {
            Problem::new(409, "leg_window", "a leg lies inside the granted window").detail("set out when it has begun")
        };
        let whole = Timestamp::from_unix_seconds(now.unix_seconds());
        let start = whole.max(accepted.window.start());
        let end = start.plus_millis(LEG_MS_MAX).min(accepted.window.end());
        let window = Window::new(start, end).map_err(|_| too_early())?;
        if now < accepted.window.start() {
            return Err(too_early().into());
        }
        let labels = |direction: &str| {
            let of = row.state.parcels.iter().filter(|p| p.direction == direction && p.state == "planned");
            of.filter_map(|p| Hash::parse(&p.label)).collect::<Vec<_>>()
        };
        Ok(DelegationClaims {
            iss: self.papers.root,
            aud: self.config.aud.clone(),
            jti,
            iat: now,
            window,
            par: accepted.grant,
            delivery: accepted.delivery,
            cnf,
            purpose: accepted.purpose,
            opens: accepted.opens.clone(),
            uses: 1,
            area: accepted.area.clone(),
            disclose: accepted.disclose,
            put: labels("put"),
            take: labels("take"),
        })
    }

    /// Hands the stored delegation in, and answers when the gateway has it.
    pub(crate) async fn hand_in(&self, id: DeliveryId, key: Option<&Key>) -> Result<Value, Problem> {
        let stored = again!(self.delivery(id))?;
        let Some(leg) = stored.value.leg.clone() else {
            return Err(Problem::new(409, "wrong_state", "no leg is under way"));
        };
        let outcome = if leg.posted { Ok(()) } else { self.post_delegation(&leg.jws).await };
        match outcome {
            Ok(()) => {
                let answer = json!({"stop_url": self.stop_url(&stored, &leg.jws).map_err(problem)?});
                again!(self.note_posted(id, &leg.jws, key))?;
                Ok(answer)
            }
            Err(NotDone::Later) => Err(Problem::unavailable(
                GATEWAY_SILENT,
                "the gateway does not answer now; the leg is kept and will be handed in",
                3,
            )),
            Err(NotDone::Refused(code)) => {
                again!(self.end_leg(id, &leg.jws))?;
                Err(Problem::new(409, "delegation_refused", "the gateway refused the delegation")
                    .with("reason", json!(code)))
            }
        }
    }

    /// As soon as nobody does it by hand any more, and then again until it is done.
    async fn hand_in_later(&self, id: DeliveryId) -> Result<(), Failure> {
        let mut change = Change::new(self);
        change.job(WATCH, id.as_bytes(), self.kept_now());
        change.commit().await
    }

    async fn note_posted(&self, id: DeliveryId, jws: &str, key: Option<&Key>) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        let mut change = Change::new(self);
        if let Some(leg) = stored.value.leg.as_mut().filter(|l| l.jws == jws && !l.posted) {
            leg.posted = true;
            change.delivery(&stored);
            change.journal(crate::db::DELIVERIES, &stored.id, "leg_handed_in", &json!({}));
        }
        // The address names the second in which the leg began: it is made again for whoever asks again, not kept.
        change.answer(key, (crate::db::DELIVERIES, &stored.id), 201, &json!({"leg": true}));
        change.commit().await
    }

    /// The gateway refused this leg, or it is over: back on the van. A later leg of another courier is none of its business.
    pub(crate) async fn end_leg(&self, id: DeliveryId, jws: &str) -> Result<(), Failure> {
        let mut stored = self.delivery(id).await?;
        if stored.value.leg.as_ref().is_none_or(|leg| leg.jws != jws) {
            return Ok(());
        }
        let now = self.host.now();
        let mut change = Change::new(self);
        match apply(&mut change, &mut stored, Event::LegEnded, now) {
            Ok(_) => {}
            // It has moved on.
            Err(Failure::Problem(p)) if p.code() == "wrong_state" => return Ok(()),
            Err(other) => return Err(other),
        }
        stored.value.leg = None;
        change.delivery(&stored);
        change.commit().await
    }

    /// `{stop_origin}/s/{delivery}#{link 1}~{salt}~{tails and sizes}`: what stands behind `#` never reaches a server.
    fn stop_url(&self, stored: &Stored<DeliveryRow>, jws: &str) -> Result<String, Failure> {
        let personal = &stored.value.personal;
        let parcels: Vec<Value> = stored
            .value
            .state
            .parcels
            .iter()
            .zip(&personal.labels)
            .map(|(p, label)| json!({"direction": p.direction, "size_mm": p.size_mm, "tail": tail(label)}))
            .collect();
        let about = b64(Value::Array(parcels).to_string());
        let (origin, delivery) = (&self.config.stop_origin, b64(&stored.id));
        Ok(format!("{origin}/s/{delivery}#{jws}~{}~{about}", stored.value.salt))
    }
}

fn problem(failure: Failure) -> Problem {
    match failure {
        Failure::Problem(p) => p,
        Failure::Conflict => Problem::unavailable("busy", "too many at once here", 1),
    }
}
