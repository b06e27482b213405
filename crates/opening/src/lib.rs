//! What a keyholder decides.
//!
//! What it is: pure state machines and judgements. A grant and its one use ([`grant`]), the conditions under which a
//! place may be shown or something opened ([`conditions`]), one attempt to open from the intent to the lock proof
//! ([`attempt`]), eligibility of a car ([`eligibility`]), possession ([`possession`]), readiness ([`readiness`]), whether a
//! camera shows what is there now ([`liveness`]), and who may speak with a maker's cloud now ([`gate`]). Against stalking: who
//! is told of a second wallet ([`links`]) and how often one car may be found in a day ([`budget`]), and when a carrier finds
//! nothing more ([`brake`]), and what somebody in the car may stop ([`occupant`]).
//! What it is not: it does no I/O, reads no clock, verifies no signature (that is `parcelshelf-protocol`) and knows no
//! maker's interface (that is `parcelshelf-access` and its adapters). It says what to do, as data; the shell does it.
//!
//! The three types to know: [`GrantState`](grant::GrantState) (what may still be used),
//! [`OpenPermit`](conditions::OpenPermit) (all conditions held just now; nothing else can reserve a use), and
//! [`Attempt`](attempt::Attempt) (turns events into effects, and alone can say "send the open command").
//!
//! The way to the one dangerous effect is closed by types: [`conditions::open`] makes an `OpenPermit`, only
//! [`GrantState::reserve`](grant::GrantState::reserve) turns it into a [`VerifiedChain`](grant::VerifiedChain), only
//! [`Attempt::intend`](attempt::Attempt::intend) takes that, and what comes back from a store has lost it for good.
//!
//! ```
//! use parcelshelf_core::actuation::AccessClass;
//! use parcelshelf_core::area::{Area, Cell, Position};
//! use parcelshelf_core::id::{AttemptId, GrantId};
//! use parcelshelf_core::reason::Purpose;
//! use parcelshelf_core::time::{Timestamp, Window};
//! use parcelshelf_opening::attempt::{Attempt, Effect, Event, MakerRules};
//! use parcelshelf_opening::conditions::{self, Consents, Fact, LocateFacts, OpenFacts};
//! use parcelshelf_opening::grant::{Allowance, BlockEpoch, GrantState};
//!
//! let now = Timestamp::from_unix_seconds(1_800_000_000);
//! let window = Window::new(now, now.plus_seconds(3_600)).unwrap();
//! let car = Position::new(57.725, 11.849, 25.0).unwrap();
//! let area = Area::new(vec![Cell::of(&car)]).unwrap();
//! let (id, epoch) = (GrantId::from_bytes([1; 16]), BlockEpoch::default());
//! let facts = OpenFacts {
//!     locate: LocateFacts {
//!         now, grant: id, grant_window: window, delegation_window: window, blocked: false, area: &area,
//!         parked: Fact::Yes, car: Some(car), inside_rule: Fact::Yes, phone: Some(car.moved(0.0, 30.0)),
//!         parkings_shown: 1, parking_shown_before: true,
//!     },
//!     purpose: Purpose::Delivery, located: true, same_parking: Fact::Yes, closed: Fact::Yes, not_in_use: Fact::Yes,
//!     nobody_inside: Fact::Yes, class: AccessClass::SeparateTrunk, granted: &[AccessClass::SeparateTrunk],
//!     supported: &[AccessClass::SeparateTrunk], attempts: 0, owner_tap: false, plate_read: false,
//! };
//! let permit = conditions::open(&facts, &Consents::default()).unwrap();
//! let grant = GrantState::accepted(id, window, Allowance::Once, epoch);
//! let (grant, chain) = grant.reserve(permit, AttemptId::from_bytes([2; 16]), now, epoch).unwrap();
//! let rules = MakerRules {
//!     unanswered_may_act_for_ms: 60_000, default_window_ms: 300_000, opening_is_a_window: true,
//!     lid_state_observed: true, lock_state_observed: true, shuts: AccessClass::SeparateTrunk.shuts(),
//!     at_home: false,
//! };
//! let (attempt, _record_the_intent) = Attempt::intend(chain, rules, now);
//! // Store grant, attempt and leaf in one transaction; only then:
//! let (_attempt, effects) = attempt.handle(Event::IntentDurable { epoch }, now);
//! assert!(effects.contains(&Effect::SendOpen { command: 1 }));
//! # assert!(grant.reserved().count() == 1);
//! ```

pub mod attempt;
pub mod brake;
pub mod budget;
pub mod conditions;
pub mod eligibility;
pub mod gate;
pub mod grant;
pub mod halt;
pub mod hindrance;
pub mod links;
pub mod liveness;
pub mod makers_table;
pub mod occupant;
pub mod possession;
pub mod readiness;
pub mod recording;
