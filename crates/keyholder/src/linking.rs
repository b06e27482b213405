//! Accounts at makers: OAuth with PKCE (RFC 7636), and tokens whose rotation is stored before it is used.

use std::sync::Arc;

use parcelshelf_access::{AccessError, Session, Tokens, VehicleFindings};
use parcelshelf_core::actuation::Place;
use parcelshelf_core::id::{LinkId, VehicleId, WalletId};
use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::time::Timestamp;
use parcelshelf_core::vehicle::Vin;
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::eligibility::{self, CarFacts, EntranceFacts, Findings, FrontFacts};
use parcelshelf_opening::gate::Urgency;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_store::Version;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Keyholder;
use crate::car::tells_lid_and_lock;
use crate::db::{Change, Index, Stored, wallet_key};
use crate::failure::{Failure, again};
use crate::housekeeping::expires_at;
use crate::makers::Line;
use crate::rows::{AccountRow, LinkRow, VehicleRow};
use crate::wallets::wallet_index;

/// A login at the maker that takes longer starts again.
pub(crate) const LINK_MINUTES: i64 = 15;
/// A token that dies sooner than this is refreshed first: a command may take half a minute.
const TOKEN_LEFT_MS: i64 = 60_000;
/// Tries to keep tokens that were rotated.
const KEEP_TRIES: u32 = 12;

/// What is kept of a car, sealed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct About {
    pub vin: String,
    pub make: String,
    pub model: Option<String>,
    pub model_year: Option<u16>,
    pub colour: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    access: String,
    refresh: String,
    access_expires_ms: i64,
    refresh_expires_ms: Option<i64>,
    /// What the owner left out when this account was linked.
    #[serde(default)]
    not_given: Vec<String>,
}

pub(crate) fn account_id(wallet: WalletId, maker: &str) -> Vec<u8> {
    [&wallet.as_bytes()[..], maker.as_bytes()].concat()
}

impl Keyholder {
    /// Starts a linking: the state, and where the owner's browser goes.
    pub(crate) async fn begin_link(&self, wallet: WalletId, maker: &str) -> Result<(LinkId, String), Failure> {
        let access = self
            .access(maker)
            .ok_or_else(|| Problem::new(404, "maker_unknown", "this gateway does not link cars of that maker"))?;
        let link = LinkId::from_bytes(self.host.random());
        let verifier = b64(self.host.random::<32>());
        let mut change = Change::new(&self.db, &self.host);
        let row = LinkRow {
            v: 1,
            wallet: wallet.to_string(),
            maker: maker.to_owned(),
            verifier_sealed: self.db.vault.seal(&wallet_key(wallet), &link.to_string(), verifier.as_bytes()).await?,
            expires_ms: change.now().plus_seconds(LINK_MINUTES * 60).unix_millis(),
            done: false,
            choosing: false,
        };
        change.put(link.as_bytes(), Version::Absent, &row, expires_at(row.expires_ms));
        change.journal("link", link.as_bytes(), "link_started", &json!({}));
        change.commit().await?;
        Ok((link, access.authorize_url(&link.to_string(), &verifier)))
    }

    /// Exchanges the code that the maker sent the owner's browser back with, and takes over the account's car. True: there are
    /// several, and the owner has to choose.
    pub(crate) async fn finish_link(&self, link: LinkId, code: &str) -> Result<bool, Failure> {
        let gone = || Problem::new(404, "link_unknown", "this linking is over or never began").detail("start it again");
        let mut row = self.db.get::<LinkRow>(link.as_bytes()).await?.ok_or_else(gone)?;
        let wallet = WalletId::parse(&row.value.wallet).map_err(|_| gone())?;
        if row.value.done || self.host.now().unix_millis() > row.value.expires_ms {
            return Err(gone().into());
        }
        let sealed = self.db.vault.open(&wallet_key(wallet), &link.to_string(), &row.value.verifier_sealed).await?;
        let verifier = sealed.and_then(|v| String::from_utf8(v.to_vec()).ok()).ok_or_else(gone)?;
        let maker = row.value.maker.clone();
        let access = Arc::clone(self.access(&maker).ok_or_else(gone)?);
        // A code serves once: whoever comes second finds the linking done.
        row.value.done = true;
        // Until a car is taken over nothing says that our permission is wanted: it is given back when the time is over.
        row.value.choosing = true;
        let mut change = Change::new(&self.db, &self.host);
        change.update(&row, expires_at(row.value.expires_ms));
        change.journal("link", link.as_bytes(), "link_code_taken", &json!({}));
        change.commit().await?;

        let now = self.host.now();
        let tokens = access.exchange_code(code, &verifier, now).await?;
        let session = Session { access_token: tokens.access_token.clone(), now };
        let linked = self.vins_at(wallet, &maker).await?;
        let listed = match linked.is_empty() {
            true => None,
            false => Some(self.makers.vehicles(&maker, wallet, &session, &self.host).await?),
        };
        // One account per maker and wallet. Another account's tokens in the place of these could not lock the car that is
        // linked, also while it is open.
        let lists = |vin: &String| listed.iter().flatten().any(|car| car.vin.expose() == vin);
        if !linked.iter().all(lists) {
            // What shares a car with us is our own account: giving it back would take the keys that lock that car.
            if !linked.iter().any(lists) {
                let given_back = access.revoke(&tokens).await;
                tracing::debug!(given_back = given_back.is_ok(), "another account of a maker was refused");
            }
            let another =
                Problem::new(409, "another_account", "this account does not have the car that you have linked");
            return Err(another.detail("log in with the account that has it, or take that car back first").into());
        }
        let id = account_id(wallet, &maker);
        let lock = self.tokens.of(&id);
        let held = lock.lock().await;
        let version = self.db.get::<AccountRow>(&id).await?.map_or(Version::Absent, |a| a.version);
        self.keep_tokens(wallet, &maker, version, &tokens).await?;
        drop(held);
        let cars = match listed {
            Some(cars) => cars,
            None => self.makers.vehicles(&maker, wallet, &session, &self.host).await?,
        };
        Ok(again!(self.take_over_or_offer(wallet, &maker, link, &cars))?)
    }

    /// What a maker has rotated is the only way back to it: whoever else writes the account meanwhile, it is kept. Under the
    /// account's lock.
    async fn keep_rotated(
        &self,
        wallet: WalletId,
        maker: &str,
        mut version: Version,
        tokens: &Tokens,
    ) -> Result<(), Failure> {
        for _ in 0..KEEP_TRIES {
            match self.keep_tokens(wallet, maker, version, tokens).await {
                Err(Failure::Conflict) => version = self.tokens_of(wallet, maker).await?.1,
                done => return done,
            }
        }
        Err(Failure::Conflict)
    }

    async fn keep_tokens(
        &self,
        wallet: WalletId,
        maker: &str,
        version: Version,
        tokens: &Tokens,
    ) -> Result<(), Failure> {
        let kept = Kept {
            access: tokens.access_token.clone(),
            refresh: tokens.refresh_token.clone(),
            access_expires_ms: tokens.access_expires_at.unix_millis(),
            refresh_expires_ms: tokens.refresh_expires_at.map(Timestamp::unix_millis),
            not_given: tokens.not_given.iter().map(|o| o.code().to_owned()).collect(),
        };
        let id = account_id(wallet, maker);
        let content = serde_json::to_vec(&kept).map_err(|e| Problem::internal(&e))?;
        let row = AccountRow {
            v: 1,
            wallet: wallet.to_string(),
            maker: maker.to_owned(),
            tokens_sealed: self.db.vault.seal(&wallet_key(wallet), &b64(&id), &content).await?,
            owner_must: None,
        };
        let mut change = Change::new(&self.db, &self.host);
        change.put(&id, version, &row, Index::new());
        change.journal("account", &id, "tokens_kept", &json!({}));
        change.commit().await?;
        Ok(())
    }

    pub(crate) async fn tokens_of(&self, wallet: WalletId, maker: &str) -> Result<(Tokens, Version), Failure> {
        let none =
            || Problem::new(409, "not_linked", "no account at this maker is linked").detail("link the car again");
        let id = account_id(wallet, maker);
        let row = self.db.get::<AccountRow>(&id).await?.ok_or_else(none)?;
        let content = self.db.vault.open(&wallet_key(wallet), &b64(&id), &row.value.tokens_sealed).await?;
        let kept: Kept = content.and_then(|c| serde_json::from_slice(&c).ok()).ok_or_else(none)?;
        let tokens = Tokens {
            access_token: kept.access,
            refresh_token: kept.refresh,
            access_expires_at: Timestamp::from_unix_millis(kept.access_expires_ms),
            refresh_expires_at: kept.refresh_expires_ms.map(Timestamp::from_unix_millis),
            not_given: kept.not_given.iter().filter_map(|o| Obstacle::parse(o)).collect(),
        };
        Ok((tokens, row.version))
    }

    /// A session with a token that lives long enough for one command. A rotated refresh token is durable before the
    /// access token that came with it is used.
    pub(crate) async fn session(&self, wallet: WalletId, maker: &str) -> Result<Session, Failure> {
        let alive = |t: &Tokens, now: Timestamp| t.access_expires_at.millis_since(now) > TOKEN_LEFT_MS;
        let (tokens, _) = self.tokens_of(wallet, maker).await?;
        let now = self.host.now();
        if alive(&tokens, now) {
            return Ok(Session { access_token: tokens.access_token, now });
        }
        let lock = self.tokens.of(&account_id(wallet, maker));
        let _held = lock.lock().await;
        let (tokens, version) = self.tokens_of(wallet, maker).await?;
        let now = self.host.now();
        if alive(&tokens, now) {
            return Ok(Session { access_token: tokens.access_token, now });
        }
        let access = self.access(maker).ok_or_else(|| crate::failure::broken("a linked maker is not configured"))?;
        let mut fresh = match access.refresh(&tokens, now).await {
            Err(AccessError::OwnerActionNeeded(why)) => {
                self.permission_lost(wallet, maker, why).await;
                return Err(AccessError::OwnerActionNeeded(why).into());
            }
            other => other?,
        };
        // A refresh gives what was given, and need not say so (RFC 6749, 5.1).
        if fresh.not_given.is_empty() {
            fresh.not_given = tokens.not_given;
        }
        self.keep_rotated(wallet, maker, version, &fresh).await?;
        Ok(Session { access_token: fresh.access_token, now: self.host.now() })
    }

    /// These cars become the wallet's, or are known and looked at anew. Nothing is kept of any other.
    pub(crate) async fn take_over(
        &self,
        wallet: WalletId,
        maker: &str,
        cars: &[&VehicleFindings],
        done: Option<&Stored<LinkRow>>,
    ) -> Result<(), Failure> {
        let known = self.known_cars(wallet).await?;
        let not_given = self.tokens_of(wallet, maker).await?.0.not_given;
        let mut change = Change::new(&self.db, &self.host);
        for car in cars {
            let earlier = known.iter().find(|(vin, _)| vin == car.vin.expose()).map(|(_, stored)| stored);
            // Looking again does not undo that it is being taken back; linking it anew does.
            if done.is_none() && earlier.is_some_and(|e| e.value.unlinking) {
                return Err(Problem::new(409, "car_unlinked", "the owner has taken this car back").into());
            }
            let id = match earlier {
                Some(stored) => stored.id.clone(),
                None => self.host.random::<16>().to_vec(),
            };
            let row = self.vehicle_row(wallet, maker, &id, (car, &not_given), earlier).await?;
            let version = earlier.map_or(Version::Absent, |s| s.version);
            change.put(&id, version, &row, wallet_index(wallet));
            if earlier.is_none() {
                let fields = [("vehicle", b64(&id)), ("wallet", wallet.to_string())];
                change.note(Kind::VehicleLinked, &fields, &wallet_key(wallet)).await?;
            }
            self.join_car(&mut change, wallet, &id, &row).await?;
        }
        if let Some(link) = done {
            change.update(link, expires_at(link.value.expires_ms));
        }
        change.journal("wallet", wallet.as_bytes(), "cars_taken_over", &json!({"cars": cars.len()}));
        change.commit().await?;
        self.log.ring();
        Ok(())
    }

    /// VINs of the wallet's cars of one maker.
    async fn vins_at(&self, wallet: WalletId, maker: &str) -> Result<Vec<String>, Failure> {
        let known = self.known_cars(wallet).await?.into_iter();
        Ok(known.filter(|(_, car)| car.value.maker == maker).map(|(vin, _)| vin).collect())
    }

    /// The wallet's cars by VIN.
    pub(crate) async fn known_cars(&self, wallet: WalletId) -> Result<Vec<(String, Stored<VehicleRow>)>, Failure> {
        let mut known = Vec::new();
        for stored in self.vehicles_of(wallet).await? {
            if let Some(about) = self.about(&stored).await? {
                known.push((about.vin, stored));
            }
        }
        Ok(known)
    }

    /// What the adapter of this name opens a part of. One adapter serves things of one kind.
    pub(crate) fn place_of(&self, maker: &str) -> Place {
        let class = self.access(maker).and_then(|access| access.facts().classes.first());
        class.map_or(Place::Car, |class| class.belongs_to())
    }

    /// Whether what this adapter opens is entered by and shut by hand.
    pub(crate) fn is_front_door(&self, maker: &str) -> bool {
        let class = self.access(maker).and_then(|access| access.facts().classes.first());
        class.is_some_and(|class| class.is_front_door())
    }

    /// What stands against a car or a door, or should be known about it.
    pub(crate) fn found(&self, maker: &str, car: &VehicleFindings, not_given: &[Obstacle]) -> Findings {
        let mut obstacles = car.obstacles.clone();
        obstacles.extend(not_given.iter().filter(|o| !car.obstacles.contains(o)));
        if self.place_of(maker) == Place::Home {
            return eligibility::judge_entrance(&EntranceFacts {
                driven: !car.can_open.is_empty() && car.can_lock,
                missing_permissions: car.missing_permissions.len(),
                obstacles: &obstacles,
                house_known: car.publishes_position,
                front: self.is_front_door(maker).then(|| FrontFacts {
                    watched: !car.can_open.is_empty()
                        && car.can_lock
                        && self.access(maker).is_some_and(|access| tells_lid_and_lock(access.facts())),
                }),
            });
        }
        eligibility::judge(&CarFacts {
            vin: &car.vin,
            make: &car.make,
            model_year: car.model_year,
            can_open: !car.can_open.is_empty(),
            can_lock: car.can_lock,
            missing_permissions: car.missing_permissions.len(),
            obstacles: &obstacles,
            country: Some(self.config.country_of.get(maker).unwrap_or(&self.config.country)),
            publishes_position: car.publishes_position,
            pin_instead_of_position: false,
        })
    }

    async fn vehicle_row(
        &self,
        wallet: WalletId,
        maker: &str,
        id: &[u8],
        (car, not_given): (&VehicleFindings, &[Obstacle]),
        earlier: Option<&Stored<VehicleRow>>,
    ) -> Result<VehicleRow, Failure> {
        let found = self.found(maker, car, not_given);
        let about = About {
            vin: car.vin.expose().to_owned(),
            make: car.make.clone(),
            model: car.model.clone(),
            model_year: car.model_year,
            colour: car.colour.clone(),
        };
        let content = serde_json::to_vec(&about).map_err(|e| Problem::internal(&e))?;
        Ok(VehicleRow {
            v: 1,
            wallet: wallet.to_string(),
            maker: maker.to_owned(),
            about_sealed: self.db.vault.seal(&wallet_key(wallet), &b64(id), &content).await?,
            can_open: car.can_open.iter().map(|c| c.code().to_owned()).collect(),
            can_lock: car.can_lock,
            can_signal: car.can_signal,
            findings: found.all().iter().map(|f| f.code().to_owned()).collect(),
            eligible: found.eligible(),
            consents: earlier.and_then(|e| e.value.consents.clone()),
            description_sealed: earlier.and_then(|e| e.value.description_sealed.clone()),
            possession: earlier.and_then(|e| e.value.possession.clone()),
            car: b64(self.db.vault.car_name(car.vin.expose())),
            unlinking: false,
            owner_must: false,
        })
    }

    pub(crate) async fn vehicles_of(&self, wallet: WalletId) -> Result<Vec<Stored<VehicleRow>>, Failure> {
        Ok(self.db.list::<VehicleRow>("wallet", wallet.as_bytes()).await?)
    }

    /// A car of this wallet.
    pub(crate) async fn vehicle(&self, wallet: WalletId, id: VehicleId) -> Result<Stored<VehicleRow>, Failure> {
        let row = self.db.get::<VehicleRow>(id.as_bytes()).await?;
        let own = row.filter(|r| r.value.wallet == wallet.to_string());
        Ok(own.ok_or_else(|| Problem::new(404, "vehicle_unknown", "this wallet has no such car"))?)
    }

    pub(crate) async fn about(&self, stored: &Stored<VehicleRow>) -> Result<Option<About>, Failure> {
        let Ok(wallet) = WalletId::parse(&stored.value.wallet) else { return Ok(None) };
        let content = self.db.vault.open(&wallet_key(wallet), &b64(&stored.id), &stored.value.about_sealed).await?;
        Ok(content.and_then(|c| serde_json::from_slice(&c).ok()))
    }
}

/// A car that can be asked and commanded right now.
pub(crate) struct Reached {
    pub wallet: WalletId,
    pub line: Line,
    pub session: Session,
    pub about: About,
}
impl Reached {
    /// The same, asked before anybody stands there.
    pub(crate) fn asked_ahead(mut self) -> Self {
        self.line = self.line.with(Urgency::Ahead);
        self
    }
}
impl std::fmt::Debug for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reached(<redacted>)")
    }
}

impl Keyholder {
    pub(crate) async fn reach(&self, wallet: WalletId, vehicle: &Stored<VehicleRow>) -> Result<Reached, Failure> {
        let erased = || crate::failure::broken("what was kept of a car cannot be read");
        let about = self.about(vehicle).await?.ok_or_else(erased)?;
        let vin = Vin::parse(&about.vin).map_err(|_| erased())?;
        let maker = &vehicle.value.maker;
        if vehicle.value.unlinking {
            return Err(Problem::new(409, "car_unlinked", "the owner has taken this car back").into());
        }
        if vehicle.value.owner_must {
            return Err(AccessError::OwnerActionNeeded("said earlier").into());
        }
        self.permission_stands(wallet, maker).await?;
        let line = self.line(maker, wallet, &vin)?;
        let session = self.session(wallet, maker).await?;
        Ok(Reached { wallet, line, session, about })
    }

    /// The line to one car of a wallet's account.
    pub(crate) fn line(&self, maker: &str, wallet: WalletId, vin: &Vin) -> Result<Line, Failure> {
        let line = self.makers.line(maker, wallet, vin, &self.db.vault, &self.host);
        line.ok_or_else(|| crate::failure::broken("a linked maker is not configured"))
    }
}
