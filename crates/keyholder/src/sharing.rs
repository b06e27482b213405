//! Several wallets at one car or door: any of them stops everything for all, none undoes another's stop in silence, and
//! each reads what the others do there.
//!
//! A stop lies in the row of the thing itself, which every transaction that shows or opens it reads and checks.

use std::sync::Arc;

use parcelshelf_core::id::{AttemptId, VehicleId, WalletId};
use parcelshelf_core::reason::Purpose as What;
use parcelshelf_core::time::Timestamp;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::attempt::Event as AttemptEvent;
use parcelshelf_opening::conditions::Denial;
use parcelshelf_opening::halt::{Event, Halt, Put, Refused, Told, Wish};
use parcelshelf_opening::links::{self, Verdict};
use parcelshelf_opening::possession::{Standing, standing};
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::seal::Purpose;
use parcelshelf_protocol::statement::{Said, VerifiedStatement};
use parcelshelf_store::Version;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::attempts;
use crate::db::{Change, Index, Stored, wallet_key};
use crate::failure::{Failure, again, broken};
use crate::housekeeping::expires_at;
use crate::rows::{AttemptRow, CarLinkPart, CarRow, HaltPart, SharedRow, VehicleRow};
use crate::wallets::wrong_statement;

/// Lines in one answer: they fit one sealed box.
const LISTED_MAX: usize = 100;
const DAY_MS: i64 = 86_400_000;
const QUARTER_MINUTES: i64 = 15;
/// Lines of one thing.
pub(crate) const OF_VEHICLE: &str = "vehicle";

impl HaltPart {
    fn put(&self) -> Option<Put> {
        let at = Timestamp::from_unix_millis;
        let wish = match (self.asked_ms, self.kept) {
            (_, true) => Wish::Kept,
            (Some(ms), false) => Wish::Asked { at: at(ms) },
            (None, false) => Wish::Nothing,
        };
        let by = VehicleId::parse(&self.by).ok()?;
        Some(Put { by, since: at(self.since_ms), until: at(self.until_ms), wish })
    }
    fn of(put: &Put) -> Self {
        Self {
            by: put.by.to_string(),
            since_ms: put.since.unix_millis(),
            until_ms: put.until.unix_millis(),
            asked_ms: match put.wish {
                Wish::Asked { at } => Some(at.unix_millis()),
                Wish::Nothing | Wish::Kept => None,
            },
            kept: put.wish == Wish::Kept,
        }
    }
}

impl CarRow {
    pub(crate) fn halt(&self) -> Halt {
        Halt::from_puts(self.halts.iter().filter_map(HaltPart::put).collect())
    }
    /// Whether somebody who shares it has stopped everything.
    pub(crate) fn halted(&self, now: Timestamp) -> Result<(), Denial> {
        if self.halt().stands(now) { Err(Denial::Halted) } else { Ok(()) }
    }
    /// Somebody who is in a car or shares it has stopped it: nothing leaves for it any more.
    pub(crate) fn stands_still(&self, now: Timestamp) -> bool {
        self.stopped(now).is_some() || self.halted(now).is_err()
    }
    /// Whether a link may be used: its possession is proved and nobody who is heard stands against it.
    fn shares(&self, part: &CarLinkPart, now: Timestamp) -> bool {
        let Some(link) = part.link() else { return false };
        let stands = matches!(standing(link.proved_at, now), Standing::Stands { .. } | Standing::Due { .. });
        stands && links::judge(&link, &self.links(), now) == Verdict::Free
    }
    /// Takes over what somebody has said of a stop.
    fn say(&mut self, by: VehicleId, event: Event, now: Timestamp) -> Result<Vec<Told>, Refused> {
        let (halt, told) = self.halt().handle(by, event, now)?;
        self.halts = halt.puts().iter().map(HaltPart::of).collect();
        Ok(told)
    }
    /// Possession is proved anew: what this wallet has stopped stands for as long.
    pub(crate) fn halt_goes_on(&mut self, vehicle: VehicleId, now: Timestamp) {
        if let Standing::Stands { until } | Standing::Due { until } = standing(Some(now), now)
            && let Ok(told) = self.say(vehicle, Event::Proved { until }, now)
        {
            debug_assert!(told.is_empty(), "a proof is told to nobody");
        }
    }
}

/// What is told to everybody who shares a thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    /// Of a stop: for all, also for whoever said it.
    Halt(Told),
    /// A grant: for what, and until when. Only others are told.
    Allowed { purpose: What, until: Timestamp },
    /// A standing rule, and until when.
    RuleMade { until: Timestamp },
    /// Somebody was shown where the car stands. Where that is, nobody is told here.
    PlaceShown,
    /// A command to open was about to leave.
    Opening,
}
impl Line {
    /// A grant for this purpose.
    pub(crate) const fn allowed(purpose: What, until: Timestamp) -> Self {
        Self::Allowed { purpose, until }
    }
    const fn code(self) -> &'static str {
        match self {
            Self::Halt(Told::Stopped) => "stopped",
            Self::Halt(Told::Lifted) => "lifted",
            Self::Halt(Told::LiftAsked { .. }) => "lift_asked",
            Self::Halt(Told::Kept) => "kept",
            Self::Allowed { purpose: What::Guest, .. } => "allowed_guest",
            Self::Allowed { purpose: What::Rehearsal, .. } => "allowed_rehearsal",
            // What a parcel or a service is for is its owner's.
            Self::Allowed { purpose: What::Delivery | What::Pickup | What::Service, .. } => "allowed",
            Self::RuleMade { .. } => "rule_made",
            Self::PlaceShown => "place_shown",
            Self::Opening => "opening",
        }
    }
    const fn ends(self) -> Option<Timestamp> {
        match self {
            Self::Halt(Told::LiftAsked { ends }) => Some(ends),
            Self::Allowed { until, .. } | Self::RuleMade { until } => Some(until),
            Self::Halt(_) | Self::PlaceShown | Self::Opening => None,
        }
    }
    /// Whoever does it reads it in a timeline of their own.
    const fn for_others_only(self) -> bool {
        !matches!(self, Self::Halt(_))
    }
}
const fn kind_of(told: Told) -> Kind {
    match told {
        Told::Stopped => Kind::Halted,
        Told::Lifted => Kind::HaltLifted,
        Told::LiftAsked { .. } => Kind::HaltLiftAsked,
        Told::Kept => Kind::HaltKept,
    }
}

fn refused(why: Refused) -> Failure {
    let problem = match why {
        Refused::NotStopped => Problem::new(409, "not_stopped", "nothing is stopped here"),
        Refused::KeptByAnother => Problem::new(409, "halt_kept", "somebody who shares it keeps it stopped")
            .detail("only they can lift it; docs/operations/sharing.md says what else can be done"),
        Refused::AskedAlready { ends } => Problem::new(409, "lift_asked_already", "its end was asked for already")
            .with("ends", json!(ends.to_rfc3339())),
        Refused::NotAsked => Problem::new(409, "lift_not_asked", "nobody has asked for its end"),
        Refused::TooMany => Problem::new(409, "halted_too_often", "it is stopped by as many as may be"),
    };
    problem.into()
}

impl Keyholder {
    /// Stops everything at this car or door, for all who share it. Nothing opens from here on; `settled` says whether a command
    /// may still act that had left before.
    pub(crate) async fn halt(self: &Arc<Self>, wallet: WalletId, id: VehicleId) -> Result<Value, Failure> {
        let car = again!(self.keep_halt(wallet, id))?;
        let until = self.withdraw_at(&car).await?;
        self.log.ring();
        Ok(json!({"halted": true, "settled": until.is_none(), "may_act_until": until.map(Timestamp::to_rfc3339)}))
    }

    async fn keep_halt(&self, wallet: WalletId, id: VehicleId) -> Result<CarRow, Failure> {
        let vehicle = self.vehicle(wallet, id).await?;
        let car = self.car_of(&vehicle).await?;
        let until = self.shares_until(&vehicle, &car.value)?;
        self.keep_said(&vehicle, car, Event::Stop { until }).await
    }

    /// Until when this wallet is known to have the thing; refuses one that may not use it.
    fn shares_until(&self, vehicle: &Stored<VehicleRow>, car: &CarRow) -> Result<Timestamp, Failure> {
        let (Standing::Stands { until } | Standing::Due { until }) =
            standing(vehicle.value.proved_at(), self.host.now())
        else {
            return Err(Problem::new(409, "possession_not_proved", "prove first that you stand there").into());
        };
        match self.link_verdict(vehicle, car) {
            Verdict::Free => Ok(until),
            Verdict::Waits { .. } | Verdict::Refused => {
                Err(Problem::new(409, "link_not_confirmed", "this link waits for a word or for its time").into())
            }
        }
    }

    /// Takes back what this wallet has stopped, and asks for the end of what others have: a passkey's word, for whoever
    /// holds a session must not undo it.
    pub(crate) async fn lift_halt(&self, s: &VerifiedStatement) -> Result<Value, Failure> {
        let Said::LiftHalt { wallet, vehicle } = s.said() else { return Err(wrong_statement().into()) };
        let car = again!(self.keep_lifted(*wallet, *vehicle))?;
        self.log.ring();
        let ends = car.halt().standing(self.host.now()).map(Put::ends).max();
        Ok(json!({"lifted": ends.is_none(), "ends": ends.map(Timestamp::to_rfc3339)}))
    }

    async fn keep_lifted(&self, wallet: WalletId, id: VehicleId) -> Result<CarRow, Failure> {
        let vehicle = self.vehicle(wallet, id).await?;
        let car = self.car_of(&vehicle).await?;
        // What one has stopped oneself can be taken back in any case.
        let own = car.value.halt().of(id, self.host.now()).is_some();
        let asks = match self.shares_until(&vehicle, &car.value) {
            Ok(_) => true,
            Err(_) if own => false,
            Err(refused) => return Err(refused),
        };
        self.keep_said(&vehicle, car, Event::Lift { asks }).await
    }

    /// What this wallet has stopped stays stopped, although somebody asks for its end. A session is enough to say so.
    pub(crate) async fn keep_halted(&self, wallet: WalletId, id: VehicleId) -> Result<(), Failure> {
        again!(self.keep_kept(wallet, id))?;
        self.log.ring();
        Ok(())
    }
    async fn keep_kept(&self, wallet: WalletId, id: VehicleId) -> Result<CarRow, Failure> {
        let vehicle = self.vehicle(wallet, id).await?;
        let car = self.car_of(&vehicle).await?;
        self.keep_said(&vehicle, car, Event::Keep).await
    }

    /// Writes what was said, and tells everybody who shares the thing, in one transaction.
    async fn keep_said(
        &self,
        vehicle: &Stored<VehicleRow>,
        mut car: Stored<CarRow>,
        event: Event,
    ) -> Result<CarRow, Failure> {
        let by = VehicleId::parse(&b64(&vehicle.id)).map_err(|_| broken("a car's id is none"))?;
        let mut change = Change::new(&self.db, &self.host);
        let (now, before) = (change.now(), car.value.clone());
        let told = car.value.say(by, event, now).map_err(refused)?;
        let mut woken = Vec::new();
        for said in told {
            woken.extend(self.tell_sharers(&mut change, &before, by, Line::Halt(said), Some(kind_of(said))).await?);
        }
        change.update(&car, car.value.index());
        change.journal("car", b"", "halt", &json!({}));
        change.commit().await?;
        woken.into_iter().for_each(|wallet| self.waking.shared(wallet));
        Ok(car.value)
    }

    /// Writes a line for every wallet that shares the thing. Answers which are to be woken: all but the one whose doing it is.
    pub(crate) async fn tell_sharers(
        &self,
        change: &mut Change<'_>,
        car: &CarRow,
        by: VehicleId,
        line: Line,
        record: Option<Kind>,
    ) -> Result<Vec<WalletId>, Failure> {
        let now = change.now();
        let by = by.to_string();
        let mut woken = Vec::new();
        for part in &car.links {
            let mine = by == part.vehicle;
            // Who has stopped is told of every word, whatever became of their link since.
            let has_put = record.is_some() && car.halts.iter().any(|put| put.by == part.vehicle);
            let told = if mine { !line.for_others_only() } else { has_put || car.shares(part, now) };
            if !told {
                continue;
            }
            let Ok(wallet) = WalletId::parse(&part.wallet) else { continue };
            if let Some(kind) = record {
                let whose = if mine { "this_wallet" } else { "another_wallet" };
                let fields = [("vehicle", part.vehicle.clone()), ("by", whose.to_owned())];
                change.note(kind, &fields, &wallet_key(wallet)).await?;
            }
            let row = SharedRow {
                v: 1,
                wallet: part.wallet.clone(),
                vehicle: part.vehicle.clone(),
                what: line.code().to_owned(),
                mine,
                // Of others' doings no time says more than a quarter of an hour.
                at_ms: if line.for_others_only() { quarter_ms(now) } else { now.unix_millis() },
                ends_ms: line.ends().map(Timestamp::unix_millis),
                expires_ms: quarter_ms(now) + i64::from(self.config.retention.deliveries_days) * DAY_MS,
            };
            change.put(&self.host.random::<16>(), Version::Absent, &row, shared_index(&row, wallet)?);
            if !mine {
                woken.push(wallet);
            }
        }
        Ok(woken)
    }

    /// In the transaction in which one of several wallets has done something: a line for each of the others.
    pub(crate) async fn tell_others(
        &self,
        change: &mut Change<'_>,
        car: &CarRow,
        vehicle: &Stored<VehicleRow>,
        line: Line,
    ) -> Result<(), Failure> {
        let by = VehicleId::parse(&b64(&vehicle.id)).map_err(|_| broken("a car's id is none"))?;
        self.tell_sharers(change, car, by, line, None).await.map(drop)
    }

    /// Takes the right to open from every attempt at this thing. Until when a command may still act that had left before.
    pub(crate) async fn withdraw_at(self: &Arc<Self>, car: &CarRow) -> Result<Option<Timestamp>, Failure> {
        let mut until = None;
        for attempt in self.db.list::<AttemptRow>("live", &[1]).await? {
            if car.links.iter().any(|l| l.vehicle == attempt.value.vehicle)
                && let Ok(attempt) = AttemptId::parse(&b64(&attempt.id))
            {
                until = until.max(attempts::tell(self, attempt, AttemptEvent::Blocked).await?.may_act_until);
            }
        }
        Ok(until)
    }

    /// For an owner: who else shares the thing, and what is stopped by whom. Of others it is said that there is one.
    pub(crate) fn sharing_told(&self, vehicle: &Stored<VehicleRow>, car: &CarRow, told: &mut Value) {
        let now = self.host.now();
        let own = b64(&vehicle.id);
        // Who has not proved to have it learns nothing of others.
        if self.shares_until(vehicle, car).is_err() && !car.halts.iter().any(|put| put.by == own) {
            told["shared"] = json!(false);
            told["halts"] = json!([]);
            return;
        }
        told["shared"] = json!(car.links.iter().any(|part| part.vehicle != own && car.shares(part, now)));
        let halt = car.halt();
        let halts = halt.standing(now).map(|put| {
            let (state, ends) = match put.wish {
                Wish::Nothing => ("stands", None),
                Wish::Asked { .. } => ("asked", Some(put.ends())),
                Wish::Kept => ("kept", None),
            };
            json!({
                "mine": put.by.to_string() == own,
                "since": put.since.to_rfc3339(),
                "state": state,
                "ends": ends.map(Timestamp::to_rfc3339),
            })
        });
        told["halts"] = halts.collect();
    }

    /// What happened at a thing that several wallets share, newest first, sealed to this one's devices.
    pub(crate) async fn shared_envelope(&self, wallet: WalletId, id: VehicleId) -> Result<String, Failure> {
        let owner = self.wallet(wallet).await?;
        let vehicle = self.vehicle(wallet, id).await?;
        let mut lines = self.shared_lines(&vehicle.id).await?;
        let more = lines.len() > LISTED_MAX;
        lines.truncate(LISTED_MAX);
        let content = json!({"lines": lines, "more": more});
        self.to_owner(&owner.value, wallet, Purpose::Account, &id.to_string(), content.to_string().as_bytes())
    }

    /// All lines of a car or door for the wallet that has it under this id.
    pub(crate) async fn shared_lines(&self, vehicle: &[u8]) -> Result<Vec<Value>, Failure> {
        let mut all = self.db.list::<SharedRow>(OF_VEHICLE, vehicle).await?;
        all.reverse();
        all.sort_by_key(|row| std::cmp::Reverse(row.value.at_ms));
        let at = |ms: i64| Timestamp::from_unix_millis(ms).to_rfc3339();
        let told = |row: &Stored<SharedRow>| {
            let row = &row.value;
            json!({"what": row.what, "mine": row.mine, "at": at(row.at_ms), "ends": row.ends_ms.map(at)})
        };
        Ok(all.iter().map(told).collect())
    }

    /// An own stop keeps a car linked: else whoever holds a session would take away whose word keeps it stopped.
    pub(crate) async fn not_halting(&self, vehicle: &Stored<VehicleRow>) -> Result<(), Failure> {
        let id = VehicleId::parse(&b64(&vehicle.id)).map_err(|_| broken("a car's id is none"))?;
        if self.car_of(vehicle).await?.value.halt().of(id, self.host.now()).is_none() {
            return Ok(());
        }
        let problem = Problem::new(409, "halted_by_you", "you have stopped everything there");
        Err(problem.detail("lift that with your passkey; then take it back").into())
    }
}

const fn quarter_ms(at: Timestamp) -> i64 {
    at.rounded_down_to_minutes(QUARTER_MINUTES).unix_millis()
}

impl SharedRow {
    pub(crate) const fn over_ms(&self) -> i64 {
        self.expires_ms
    }
}

fn shared_index(row: &SharedRow, wallet: WalletId) -> Result<Index, Failure> {
    let vehicle = VehicleId::parse(&row.vehicle).map_err(|_| broken("a car's id is none"))?;
    let mut index = expires_at(row.expires_ms);
    index.insert("wallet".to_owned(), wallet.as_bytes().to_vec());
    // Index keys are readable in the file: no other time stands there than a quarter of an hour.
    let at = quarter_ms(Timestamp::from_unix_millis(row.at_ms)).unsigned_abs().to_be_bytes();
    index.insert(OF_VEHICLE.to_owned(), [&vehicle.as_bytes()[..], &at].concat());
    Ok(index)
}
