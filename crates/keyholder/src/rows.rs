//! What lies in the store, as versioned rows. Domain types are made from these at the edge and never stored themselves.
//!
//! Times are Unix milliseconds, names end in `_ms`. A row `of` somebody is sealed as a whole under that owner's data key.
//! Fields named `…sealed` hold base64url of AES-256-GCM boxes of the [`vault`](crate::vault) besides, so that reading a row
//! does not open them. No place is ever stored. docs/retention.md says how long each kind stays; a test compares the two.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use parcelshelf_protocol::encoding::b64;

use crate::db::{COMMON_KEY, RowType};

macro_rules! rows {
    ($($(#[$doc:meta])+ $name:ident in $table:literal $(of $owner:path)?
        { $($(#[$fdoc:meta])* $field:ident: $ty:ty),+ $(,)? } $(with $papers:ident)? $(not $kept:ident)?)+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name {
            pub v: u8,
            $($(#[$fdoc])* pub $field: $ty,)+
            $(
                /// A row of their own.
                #[serde(skip)]
                pub $papers: Arc<PapersRow>,
            )?
        }
        impl RowType for $name {
            const TABLE: &'static str = $table;
            $(fn owner(&self, id: &[u8]) -> Option<String> { $owner(self, id) })?
            // Large, and looked at once: not kept in memory.
            $(const REMEMBERED: bool = stringify!($kept).is_empty();)?
            $(
                const HAS_PAPERS: bool = true;
                fn set_papers(&mut self, papers: PapersRow) -> bool {
                    let fit = self.fit(&papers);
                    self.$papers = Arc::new(papers);
                    fit
                }
            )?
        }
    )+
    /// Every table with its fields, and whether its rows are sealed: what docs/retention.md must explain.
    pub(crate) const TABLES: &[(&str, &[&str], bool)] = &[
        $(($table, &[$(stringify!($field)),+], false $(|| { let _ = $owner; true })?)),+
    ];};
}

macro_rules! parts {
    ($($(#[$doc:meta])+ $name:ident { $($(#[$fdoc:meta])* $field:ident: $ty:ty),+ $(,)? })+) => {$(
        $(#[$doc])+
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub(crate) struct $name { $($(#[$fdoc])* pub $field: $ty),+ }
    )+};
}

rows! {
    /// Where the chain of one wallet and access point stands; the id is both ids.
    HeadRow in "head" { seq: u64, hash: String }
    /// A record; the id is its log entry.
    RecordRow in "record" of RecordRow::of_whom {
        bytes: String,
        /// Openings of all fields.
        openings_sealed: String,
        /// Whose data key.
        sealed_for: String,
        kind: String,
        /// The signed message that the record names, where it is not kept elsewhere (delegation, proof).
        message: Option<String>,
    }
    /// Which leaf a record became; the id is its log entry.
    LeafRow in "leaf" { index: u64 }
    /// A tile of the log, or a bundle of entries; the id is its path without width.
    TileRow in "tile" { bytes: String, width: u16 }
    /// How far the log has come. One row.
    TreeRow in "tree" { size: u64, checkpoint: Option<String>, checkpoint_size: u64 }
    /// The newest checkpoint that a quorum of witnesses has cosigned. One row.
    PublishedRow in "published" { size: u64, note: String, cosigned: usize }
    /// The log went back: what a witness remembered beyond it, and when that was noticed. One row.
    RollbackRow in "rollback" { at_ms: i64, size: u64, root: String }
    /// The keyholder's published keys; the id is the log entry of their record, or `current`.
    KeysRow in "keys" { jws: String, entry: String, exp_ms: i64 }
    /// What a page host shows, as the log says it; the id is the host's site.
    PagesRow in "pages" { origin: String, files: String, entry: String }
    /// A wallet.
    WalletRow in "wallet" of WalletRow::own_wallet {
        /// X-Wing public key.
        account_key: String,
        passkeys: Vec<PasskeyPart>,
        /// Thumbprints of carriers that the owner has blocked.
        blocked_carriers: Vec<String>,
        /// Thumbprints of couriers' devices that the owner has blocked.
        #[serde(default)]
        blocked_couriers: Vec<String>,
        blocked_all: bool,
        /// Nothing opens before; confirmed by a passkey together with its end.
        #[serde(default)]
        paused_until_ms: Option<i64>,
    }
    /// A wallet whose devices want to be woken; the id is the wallet's. There is none of a wallet that does not.
    WakingRow in "waking" of WakingRow::own_wallet {
        /// Why, as classes, and from which quarter of an hour on.
        due: Vec<(String, i64)>,
        /// What it was woken for and has not looked at since, and in which quarter.
        told: Vec<(String, i64)>,
        /// Quarters in which no push service took it.
        tries: u8,
    }
    /// A linking in progress; the id is the OAuth state.
    LinkRow in "link" {
        wallet: String,
        maker: String,
        verifier_sealed: String,
        expires_ms: i64,
        /// The code was taken.
        done: bool,
        /// There are cars of which the owner has not said yet whether they take part; nothing is kept of them.
        #[serde(default)]
        choosing: bool,
    }
    /// An account at a maker; the id is wallet and maker.
    AccountRow in "account" of AccountRow::of_wallet {
        wallet: String,
        maker: String,
        tokens_sealed: String,
        /// The maker has said that the owner must act there, and why.
        owner_must: Option<String>,
    }
    /// A car of a wallet.
    VehicleRow in "vehicle" of VehicleRow::of_wallet {
        wallet: String,
        maker: String,
        /// VIN, make, model, year, colour.
        about_sealed: String,
        can_open: Vec<String>,
        can_lock: bool,
        can_signal: bool,
        findings: Vec<String>,
        eligible: bool,
        consents: Option<ConsentsPart>,
        description_sealed: Option<String>,
        possession: Option<PossessionPart>,
        /// HMAC of the VIN; the id of the car's own row.
        #[serde(default)]
        car: String,
        /// The owner takes it back in this very moment: nothing new begins.
        #[serde(default)]
        unlinking: bool,
        /// The maker has refused a command of this car because its owner must act: nothing is asked before.
        #[serde(default)]
        owner_must: bool,
    }
    /// A car itself, whoever linked it; the id is the HMAC of its VIN.
    CarRow in "car" {
        links: Vec<CarLinkPart>,
        /// Deliveries that located it, and when first.
        located: Vec<(String, i64)>,
        /// Pseudonyms of areas that it was granted in, and when first.
        areas: Vec<(String, i64)>,
        /// Of somebody who had the car.
        #[serde(default)]
        stop: Option<CarStopPart>,
        /// Of wallets that share it.
        #[serde(default)]
        halts: Vec<HaltPart>,
    }
    /// A line about a car or door that several wallets share, for one of them.
    SharedRow in "shared" of SharedRow::of_wallet {
        wallet: String,
        vehicle: String,
        /// What happened: a code.
        what: String,
        /// It is this wallet's own doing.
        mine: bool,
        at_ms: i64,
        /// When it comes true, or is over.
        ends_ms: Option<i64>,
        expires_ms: i64,
    }
    /// A carrier that the operator admitted; the id is its root's thumbprint.
    CarrierRow in "carrier" { cert: String, entry: String }
    /// A carrier's brake; the id is its root's thumbprint.
    BrakeRow in "brake" {
        /// What ended until then is not counted.
        since_ms: i64,
        stopped_ms: Option<i64>,
        of: usize,
        away: usize,
        /// Thumbprints of people who have released this stop.
        released_by: Vec<String>,
        /// Of the newest stop's record.
        entry: String,
    }
    /// A key that is worth nothing any more; the id is its carrier's root and the key, or the root alone.
    RevokedRow in "revoked" { at_ms: i64, by: String, entry: String }
    /// An accepted delegation; the id is its hash.
    LegRow in "leg" {
        carrier: String,
        device: String,
        delegated_ms: i64,
        ends_ms: i64,
        /// HMAC of the VIN, once located.
        car: String,
        located_ms: Option<i64>,
        arrived: bool,
        let_go_ms: Option<i64>,
        by_area: bool,
    }
    /// A courier's device; the id is its thumbprint.
    DeviceRow in "device" { carrier: String, depot_cert: String, device_cert: String, entry: String }
    /// What was signed for a grant; the id is the delivery's. Written when the grant is accepted and when it is passed on,
    /// both times together with the grant's own row, by which a change shows.
    #[derive(Default)]
    PapersRow in "papers" of PapersRow::own_delivery {
        grant: String,
        assertion: String,
        request: Option<String>,
        /// Of the key that signed the request.
        delegation_cert: Option<String>,
        accepted: String,
        /// Entry of the keyholder's keys that were in force.
        keys_entry: String,
        /// The wallet's sealing key for this grant.
        seal_key: String,
        rule_sealed: String,
        /// Delegations in the order of their acceptance; the last one is in force.
        delegations: Vec<DelegationPart>,
    }
    /// A grant, and what becomes of it; the id is the delivery's. It is written at every step: what is large and stays lies
    /// in its papers.
    GrantRow in "grant" of GrantRow::own_delivery {
        wallet: String,
        /// Who may use it: a carrier's root, or the owner's own device.
        cnf: String,
        access_point: String,
        use_state: UsePart,
        /// Pseudonyms of parkings shown.
        parkings: Vec<String>,
        located: Vec<LocatedPart>,
        attempts: u8,
        /// Proofs recorded so far.
        proofs: u8,
        /// Questions whether the car is ready: `slot:answer:causes`, in their order.
        ready_asked: Vec<String>,
        /// When the car was woken for this delivery.
        woken_ms: Option<i64>,
        status: StatusPart,
        /// What refused it, each once, and when first: for the owner.
        #[serde(default)]
        denied: Vec<(String, i64)>,
        /// Nothing of it is erased while this stands.
        #[serde(default)]
        hold: Option<HoldPart>,
        /// Its record is written, its key is going.
        #[serde(default)]
        erasing: bool,
        /// How often it was passed on: papers that know less are old ones that somebody has put back.
        passed_on: usize,
        /// The standing rule under which a carrier announced it.
        #[serde(default)]
        rule: Option<String>,
    } with papers
    /// A standing rule; the id is its grant's. What was signed for it goes with its key when it ends by itself.
    RuleRow in "rule" of RuleRow::own_rule {
        wallet: String,
        cnf: String,
        exp_ms: i64,
        grant: String,
        assertion: String,
        seal_key: String,
        rule_sealed: String,
        /// Its name, from the request with which the rule was made.
        merchant: String,
        /// Local dates that are taken, each with its delivery; without once that is erased.
        days: Vec<(String, String)>,
        /// When it ended before its time, and by what: a code.
        ended: Option<(i64, String)>,
    }
    /// Somebody whom an owner invites; the id is the invitation's. What was signed for them takes it along when it goes.
    GuestRow in "guest" of GuestRow::of_whom {
        wallet: String,
        /// As the owner calls them.
        name: String,
        /// Nobody answers it and nothing is signed for them after that.
        until_ms: i64,
        /// Of the device that answered: its keys as its page shows them, and the tag over them.
        answer: Option<(String, String)>,
        /// What was signed for that device, by the name of its data key.
        granted: Option<String>,
        /// The door sign whose code they have read; without it the owner has invited them.
        #[serde(default)]
        sign: Option<String>,
    }
    /// A code that hangs at a door; the id is a hash of its secret.
    DoorSignRow in "door_sign" of DoorSignRow::of_wallet {
        wallet: String,
        vehicle: String,
        secret: String,
        /// Quarters of an hour in which somebody asked; those of the last hour.
        asked_ms: Vec<i64>,
    }
    /// An attempt to open.
    AttemptRow in "attempt" of AttemptRow::of_delivery {
        delivery: String,
        wallet: String,
        access_point: String,
        vehicle: String,
        maker: String,
        device: String,
        class: String,
        /// Hash of the proof that began it.
        proof: String,
        begun_ms: i64,
        prepared_sealed: String,
        lock_prepared_sealed: Option<String>,
        handle_sealed: Option<String>,
        /// By which the maker is asked after the newest lock.
        lock_handle_sealed: Option<String>,
        state: AttemptPart,
        /// Commands to open whose outcome is recorded.
        decided: u8,
        locks: u32,
        /// Grows with every change that the stop page shows.
        seq: u64,
        ready_until_ms: Option<i64>,
    }
    /// One picture of a recording; the id is the attempt's and its number.
    RecordedRow in "recorded" of RecordedRow::of_delivery {
        delivery: String,
        attempt: String,
        /// Sealed to the owner and signed.
        envelope: String,
        expires_ms: i64,
    } not remembered
    /// Somebody in a car, without account.
    OccupantRow in "occupant" {
        /// HMAC of the VIN.
        car: String,
        doors: Vec<String>,
        prompts: Vec<(String, i64)>,
        changes: Vec<(String, i64)>,
        looks: u32,
        looked_ms: i64,
        begun_ms: i64,
        proved_ms: Option<i64>,
        failed: Option<String>,
        expires_ms: i64,
    }
    /// A nonce that opened; kept until it is stale.
    NonceRow in "nonce" { expires_ms: i64 }
}

parts! {
    /// A passkey and how it came to be the wallet's.
    PasskeyPart { credential_id: String, jwk: String, statement: String, assertion: String, entry: String }
    /// What the owner agreed to, with the statement that says so.
    ConsentsPart {
        nobody_inside: bool,
        parked_inferred: bool,
        tailgate_with_cabin: bool,
        #[serde(default)]
        lid_and_lock_untold: bool,
        statement: String,
        assertion: String,
    }
    /// A proof of possession under way, or done.
    PossessionPart {
        doors: Vec<String>,
        /// Door and when it was asked for.
        prompts: Vec<(String, i64)>,
        /// Door and the maker's time of a change.
        changes: Vec<(String, i64)>,
        /// Of a car without doors to prove it by.
        waits_until_ms: Option<i64>,
        proved_ms: Option<i64>,
    }
    /// A hold, by the `owner` or by written `order`.
    HoldPart {
        since_ms: i64,
        by: String,
        /// By an order, and the owner keeps it besides: that stays when the order ends.
        #[serde(default)]
        owner_too: bool,
    }
    /// A stop by somebody in the car.
    CarStopPart { since_ms: i64 }
    /// A stop by one of the wallets that share a thing, for all of them.
    HaltPart {
        /// Its own name of the car.
        by: String,
        since_ms: i64,
        /// As long as it is known to have the car.
        until_ms: i64,
        /// When another wallet asked for its end.
        asked_ms: Option<i64>,
        /// Whoever put it wants it to stay.
        kept: bool,
    }
    /// One wallet's link to a car.
    CarLinkPart {
        /// The wallet's own name of the car.
        vehicle: String,
        wallet: String,
        linked_ms: i64,
        proved_ms: Option<i64>,
        waits_until_ms: Option<i64>,
        confirmed: bool,
        /// The link whose wallet refused it.
        refused_by: Option<String>,
    }
    /// The use of a grant.
    UsePart {
        grant_id: String,
        nbf_ms: i64,
        exp_ms: i64,
        epoch: u64,
        blocked_ms: Option<i64>,
        /// `reserved` or `spent`, and the attempt.
        uses: Vec<(String, String)>,
    }
    /// A delegation and the certificate of the key that signed it.
    DelegationPart { jws: String, cert: String, device: String }
    /// A device has located a parking under a delegation.
    LocatedPart { device: String, link: String, parking: String }
    /// What the carrier may know.
    StatusPart { seq: u64, state: String, reason: Option<String> }
    /// An attempt's plain fields.
    AttemptPart {
        grant_id: String,
        epoch: u64,
        phase: String,
        phase_until_ms: Option<i64>,
        phase_detail: Option<String>,
        commands: u8,
        reopened: bool,
        intent_ms: i64,
        sent_ms: Option<i64>,
        claimed: Option<String>,
        opened_ms: Option<i64>,
        last_opening_ms: Option<i64>,
        closed_ms: Option<i64>,
        /// Handle checked, photo.
        close_report: Option<(bool, bool)>,
        usage: String,
        released: bool,
        recalled: bool,
        recovered: bool,
        blocked: bool,
        stop_ended: bool,
        lock: LockPart,
        alarm: Option<AlarmPart>,
        ended: bool,
    }
    /// How the locking goes.
    LockPart {
        tries: u8,
        first_ms: Option<i64>,
        in_flight_ms: Option<i64>,
        last_sent_ms: Option<i64>,
        done_ms: Option<i64>,
        next_ms: Option<i64>,
        seen_unlocked: bool,
    }
    /// An alarm.
    AlarmPart { cause: String, raised_ms: i64, acknowledged_ms: Option<i64> }
}

impl RecordRow {
    fn of_whom(&self, _: &[u8]) -> Option<String> {
        (self.sealed_for != COMMON_KEY).then(|| self.sealed_for.clone())
    }
}
macro_rules! own_wallet {
    ($($name:ident),+) => {$(impl $name {
        fn own_wallet(&self, id: &[u8]) -> Option<String> {
            Some(format!("wallet/{}", b64(id)))
        }
    })+};
}
own_wallet!(WalletRow, WakingRow);
impl RuleRow {
    fn own_rule(&self, id: &[u8]) -> Option<String> {
        Some(format!("rule/{}", b64(id)))
    }
}
macro_rules! own_delivery {
    ($($name:ident),+) => {$(impl $name {
        fn own_delivery(&self, id: &[u8]) -> Option<String> {
            Some(format!("delivery/{}", b64(id)))
        }
    })+};
}
own_delivery!(GrantRow, PapersRow);
impl AttemptRow {
    fn of_delivery(&self, _: &[u8]) -> Option<String> {
        Some(format!("delivery/{}", self.delivery))
    }
}
macro_rules! of_wallet {
    ($($name:ident),+) => {$(impl $name {
        fn of_wallet(&self, _: &[u8]) -> Option<String> {
            Some(format!("wallet/{}", self.wallet))
        }
    })+};
}
of_wallet!(AccountRow, VehicleRow, DoorSignRow, SharedRow);

impl GrantRow {
    /// Newer papers may be read with an older row: whoever decides on both then ends in a conflict.
    fn fit(&self, papers: &PapersRow) -> bool {
        papers.delegations.len() >= self.passed_on
    }
}

impl AttemptPart {
    /// What the stop page sees of it, besides whether it asks for a hand at the handle; [`AttemptRow::seq`] grows when either
    /// changes.
    pub fn shown(&self) -> impl PartialEq + '_ {
        let alarm = self.alarm.as_ref().map(|a| (&a.cause, a.acknowledged_ms.is_some()));
        // Written or on its way is one to whoever waits at the lid.
        let phase = if self.phase == "intended" { "sent" } else { self.phase.as_str() };
        (phase, &self.phase_detail, self.phase_until_ms, self.released, self.recalled, alarm, self.blocked, self.ended)
    }
}
