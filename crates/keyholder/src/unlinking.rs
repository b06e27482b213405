//! An owner takes a car back, and a maker takes a permission back. Neither needs anybody's leave; what must not happen is
//! that a trunk stands open with nobody left who could lock it.

use std::sync::Arc;

use parcelshelf_access::AccessError;
use parcelshelf_core::id::{DeliveryId, VehicleId, WalletId};
use parcelshelf_edge::problem::Problem;
use parcelshelf_log::record::Kind;
use parcelshelf_opening::hindrance::Hindrance;
use parcelshelf_protocol::encoding::b64;
use parcelshelf_protocol::statement::Covered;
use serde_json::{Value, json};

use crate::Keyholder;
use crate::db::{Change, Index, wallet_key};
use crate::failure::{Failure, again};
use crate::linking::account_id;
use crate::rows::{AccountRow, AttemptRow};
use crate::sharing::OF_VEHICLE;
use crate::wallets::wallet_index;

/// What became of our permission at the maker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Revoked {
    /// Other cars of the account are still linked.
    StillUsed,
    /// Given back, and tried: the old tokens are refused.
    Verified,
    /// Given back, and the maker did not say or show that it is gone.
    NotVerified,
    /// This maker has no such call: only the owner can withdraw it there.
    OwnerMust,
}
impl Revoked {
    const fn code(self) -> &'static str {
        match self {
            Self::StillUsed => "still_used",
            Self::Verified => "verified",
            Self::NotVerified => "not_verified",
            Self::OwnerMust => "owner_must",
        }
    }
    const fn words(self) -> &'static str {
        match self {
            Self::StillUsed => "Other cars of this account stay linked. Our permission at the maker stays for them.",
            Self::Verified => "We gave our permission back at the maker and saw that it is gone.",
            Self::NotVerified => {
                "We forgot the car. Whether the maker took our permission back could not be seen: look into your account \
                 there and withdraw it."
            }
            Self::OwnerMust => {
                "We forgot the car and our keys to it. This maker lets only you withdraw the permission: do it in your \
                 account there."
            }
        }
    }
}

impl Keyholder {
    /// An account whose cars nobody chose: our permission is given back, and our tokens are forgotten.
    /// `None`: there is no such account, or a car of it is linked. `at_last`: our tokens go, whatever the maker says.
    pub(crate) async fn give_up_account(
        &self,
        wallet: WalletId,
        maker: &str,
        at_last: bool,
    ) -> Result<Option<&'static str>, Failure> {
        let id = account_id(wallet, maker);
        let wanted = self.vehicles_of(wallet).await?.iter().any(|v| v.value.maker == maker);
        if wanted || self.db.get::<AccountRow>(&id).await?.is_none() {
            return Ok(None);
        }
        let revoked = self.give_back(wallet, maker).await;
        if !at_last && revoked == Revoked::NotVerified {
            let again = Problem::unavailable("not_given_back", "the maker did not take the permission back", 60);
            return Err(again.into());
        }
        if self.vehicles_of(wallet).await?.iter().any(|v| v.value.maker == maker) {
            return Ok(None);
        }
        // Anew: giving it back may have written new tokens.
        if let Some(account) = self.db.get::<AccountRow>(&id).await? {
            let mut change = Change::new(&self.db, &self.host);
            change.delete(&account);
            change.journal("account", &id, "given_up", &json!({"permission": revoked.code()}));
            change.commit().await?;
        }
        Ok(Some(revoked.code()))
    }

    /// Forgets one car of a wallet. With the last one of an account our permission is given back at the maker, tried, and
    /// our tokens are forgotten, whatever the maker says.
    ///
    /// `at_last`: the wallet itself goes, by its passkey's word.
    pub(crate) async fn unlink(
        self: &Arc<Self>,
        wallet: WalletId,
        id: VehicleId,
        at_last: bool,
    ) -> Result<Value, Failure> {
        let vehicle = self.vehicle(wallet, id).await?;
        let maker = vehicle.value.maker.clone();
        if !at_last {
            self.not_halting(&vehicle).await?;
        }
        self.nothing_open(id).await?;
        // From here on nothing new begins at this car; what began in this very moment is seen by the second look.
        again!(self.mark_unlinking(wallet, id, true))?;
        if let Err(open) = self.nothing_open(id).await {
            again!(self.mark_unlinking(wallet, id, false))?;
            return Err(open);
        }
        self.end_rules_for(wallet, id).await?;
        // Its deliveries end before it does: a carrier that is on the way hears of it at once, as of any other block.
        self.block_deliveries_of(wallet, id).await?;
        let others = self.vehicles_of(wallet).await?.iter().any(|v| {
            // One that is taken back at the same moment keeps no permission alive.
            v.value.maker == maker && v.id != vehicle.id && !v.value.unlinking
        });
        let revoked = if others { Revoked::StillUsed } else { self.give_back(wallet, &maker).await };
        again!(self.forget_vehicle(wallet, id, others))?;
        self.remove_rows("shared", OF_VEHICLE, id.as_bytes()).await?;
        self.log.ring();
        Ok(json!({"unlinked": true, "permission": {"code": revoked.code(), "text": revoked.words()}}))
    }

    async fn block_deliveries_of(self: &Arc<Self>, wallet: WalletId, id: VehicleId) -> Result<(), Failure> {
        let now = self.host.now();
        for grant in self.grants_of(wallet).await? {
            let over = now.unix_millis() > grant.value.use_state.exp_ms || self.grant_state(&grant)?.is_used_up(now);
            let (false, Ok(delivery)) = (over, DeliveryId::parse(&b64(&grant.id))) else { continue };
            let for_this = self.granted_vehicle(&grant).await.is_ok_and(|vehicle| vehicle.id == id.as_bytes());
            if for_this && grant.value.use_state.blocked_ms.is_none() {
                self.block(wallet, &Covered::Delivery(delivery)).await?;
                again!(self.keep_denied(delivery, Hindrance::CarTakenBack.code()))?;
            }
        }
        Ok(())
    }

    /// While something is or may be open, this car's keys are needed to lock it.
    async fn nothing_open(&self, id: VehicleId) -> Result<(), Failure> {
        let name = b64(id.as_bytes());
        let living = self.db.list::<AttemptRow>("live", &[1]).await?;
        if living.iter().any(|attempt| attempt.value.vehicle == name) {
            let problem = Problem::new(409, "car_may_be_open", "this car is being opened or locked right now");
            return Err(problem.detail("stop the delivery, or wait until the car is locked; then unlink it").into());
        }
        Ok(())
    }

    async fn mark_unlinking(&self, wallet: WalletId, id: VehicleId, unlinking: bool) -> Result<(), Failure> {
        let mut vehicle = self.vehicle(wallet, id).await?;
        vehicle.value.unlinking = unlinking;
        let mut change = Change::new(&self.db, &self.host);
        change.update(&vehicle, wallet_index(wallet));
        change.journal("vehicle", &vehicle.id, "unlinking", &json!({"begun": unlinking}));
        change.commit().await?;
        Ok(())
    }

    async fn forget_vehicle(&self, wallet: WalletId, id: VehicleId, others: bool) -> Result<(), Failure> {
        let vehicle = self.vehicle(wallet, id).await?;
        // The maker was asked since the last look; whoever opens checks this car's row, which goes here.
        self.nothing_open(id).await?;
        let mut change = Change::new(&self.db, &self.host);
        if !others && let Some(account) = self.db.get::<AccountRow>(&account_id(wallet, &vehicle.value.maker)).await? {
            change.delete(&account);
        }
        let fields = [("vehicle", b64(&vehicle.id)), ("wallet", wallet.to_string())];
        change.note(Kind::VehicleUnlinked, &fields, &wallet_key(wallet)).await?;
        change.journal("vehicle", &vehicle.id, "unlinked", &json!({}));
        let mut car = self.car_of(&vehicle).await?;
        for sign in self.door_signs_of(wallet).await?.iter().filter(|sign| sign.value.vehicle == b64(&vehicle.id)) {
            self.take_down(&mut change, sign).await?;
        }
        car.value.links.retain(|l| l.vehicle != b64(&vehicle.id));
        change.update(&car, car.value.index());
        change.delete(&vehicle);
        change.commit().await?;
        Ok(())
    }

    /// Revokes, and then tries whether the refresh token still works: a maker's "ok" is not yet a proof.
    async fn give_back(&self, wallet: WalletId, maker: &str) -> Revoked {
        let Some(access) = self.access(maker) else { return Revoked::OwnerMust };
        // Some makers take a permission back only from a token that lives; one that is refused here is refused below.
        let renewed = self.session(wallet, maker).await;
        tracing::debug!(renewed = renewed.is_ok(), "a permission is given back");
        // Nobody refreshes meanwhile: a token that is rotated now would survive.
        let lock = self.tokens.of(&account_id(wallet, maker));
        let _held = lock.lock().await;
        let Ok((tokens, _)) = self.tokens_of(wallet, maker).await else { return Revoked::NotVerified };
        match access.revoke(&tokens).await {
            Ok(false) => return Revoked::OwnerMust,
            Ok(true) => {}
            Err(_) => return Revoked::NotVerified,
        }
        match access.refresh(&tokens, self.host.now()).await {
            Err(AccessError::OwnerActionNeeded(_) | AccessError::Credentials) => Revoked::Verified,
            Err(_) => Revoked::NotVerified,
            Ok(alive) => {
                // It did not work, and there are new tokens now: they are given back, too, and forgotten here.
                let _ = access.revoke(&alive).await;
                Revoked::NotVerified
            }
        }
    }

    /// The maker says that the owner must act there: nobody asks again before the owner has linked the account anew.
    pub(crate) async fn permission_lost(&self, wallet: WalletId, maker: &str, why: &'static str) {
        let noted = again!(self.note_permission_lost(wallet, maker, why));
        if let Err(problem) = noted {
            tracing::warn!(code = problem.code(), "that a permission is lost could not be written down");
        }
    }

    async fn note_permission_lost(&self, wallet: WalletId, maker: &str, why: &'static str) -> Result<(), Failure> {
        let id = account_id(wallet, maker);
        let Some(mut account) = self.db.get::<AccountRow>(&id).await? else { return Ok(()) };
        if account.value.owner_must.is_some() {
            return Ok(());
        }
        account.value.owner_must = Some(why.to_owned());
        let mut change = Change::new(&self.db, &self.host);
        change.update(&account, Index::new());
        change.journal("account", &id, "permission_lost", &json!({}));
        change.commit().await?;
        Ok(())
    }

    /// The maker refused a command because the owner must act: this car is not asked and not commanded before. Locks are.
    pub(crate) async fn car_refused(&self, wallet: WalletId, vehicle: &str) {
        let noted = again!(self.note_car_refused(wallet, vehicle));
        if let Err(problem) = noted {
            tracing::warn!(code = problem.code(), "that a car\u{2019}s owner must act could not be written down");
        }
    }

    async fn note_car_refused(&self, wallet: WalletId, vehicle: &str) -> Result<(), Failure> {
        let Ok(id) = VehicleId::parse(vehicle) else { return Ok(()) };
        let mut vehicle = self.vehicle(wallet, id).await?;
        vehicle.value.owner_must = true;
        let mut change = Change::new(&self.db, &self.host);
        change.update(&vehicle, wallet_index(wallet));
        change.journal("vehicle", &vehicle.id, "owner_must_act", &json!({}));
        change.commit().await?;
        Ok(())
    }

    /// Refuses while the owner must act at the maker. Locks do not ask here.
    pub(crate) async fn permission_stands(&self, wallet: WalletId, maker: &str) -> Result<(), Failure> {
        let account = self.db.get::<AccountRow>(&account_id(wallet, maker)).await?;
        if account.is_some_and(|a| a.value.owner_must.is_some()) {
            return Err(AccessError::OwnerActionNeeded("said earlier").into());
        }
        Ok(())
    }

    /// Whether the owner must act at this maker before anything can be asked there again.
    pub(crate) async fn owner_must_act(&self, wallet: WalletId, maker: &str) -> Result<bool, Failure> {
        let account = self.db.get::<AccountRow>(&account_id(wallet, maker)).await?;
        Ok(account.is_some_and(|a| a.value.owner_must.is_some()))
    }
}
