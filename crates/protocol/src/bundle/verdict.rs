//! What a bundle proves, and how to say it.

use parcelshelf_core::actuation::{AccessClass, LockProof, Place};
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::Purpose;
use parcelshelf_core::time::{Timestamp, Window};

use super::Anchors;
use crate::encoding::Thumbprint;
use crate::grant::Schedule;
use crate::records::{CommandOutcome, Event};

/// One record of the case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    pub at: Timestamp,
    pub event: Event,
}

/// Whom the owner let in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    Carrier {
        /// From its admission.
        name: String,
        /// As the carrier says.
        merchant: String,
    },
    /// The device that the grant names: a guest's, or in a rehearsal the owner's own.
    Device(Thumbprint),
}
impl By {
    /// The carrier's name, if one took part.
    #[must_use]
    pub fn carrier(&self) -> Option<&str> {
        match self {
            Self::Carrier { name, .. } => Some(name),
            Self::Device(_) => None,
        }
    }
    /// The merchant's name, if a carrier took part.
    #[must_use]
    pub fn merchant(&self) -> Option<&str> {
        match self {
            Self::Carrier { merchant, .. } => Some(merchant),
            Self::Device(_) => None,
        }
    }
    fn lines(&self) -> Vec<String> {
        match self {
            Self::Carrier { name, merchant } => vec![
                format!("carrier     {name} (admitted by the operator)"),
                format!("merchant    {merchant} (as the carrier says)"),
            ],
            Self::Device(device) => {
                vec![String::from("carrier     none took part"), format!("device      {device} (named by the owner)")]
            }
        }
    }
}

/// The standing rule under which a delivery was announced or a guest came, as its owner signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// None in a guest's.
    pub merchants: Vec<String>,
    /// That the delivery's window lies in these hours is the zone's calendar to say: the reader checks it there.
    pub schedule: Schedule,
    pub life: Window,
}
impl Standing {
    fn lines(&self) -> [String; 2] {
        let s = &self.schedule;
        let days: Vec<&str> = s.days.iter().map(|d| d.code()).collect();
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        [
            format!("rule        {}, {} to {} ({})", days.join(" "), clock(s.from_minute), clock(s.to_minute), s.zone),
            format!(
                "            signed in advance{}{}, from {} to {}",
                if self.merchants.is_empty() { "" } else { " for " },
                self.merchants.join(", "),
                self.life.start(),
                self.life.end()
            ),
        ]
    }
}

/// What a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub anchors: Anchors,
    pub delivery: DeliveryId,
    pub by: By,
    pub purpose: Purpose,
    pub classes: Vec<AccessClass>,
    /// When it was permitted: the grant's window, or what the announcement came to.
    pub window: Window,
    /// For a delivery that the owner did not sign for alone.
    pub standing: Option<Standing>,
    /// Commands after which it was open.
    pub openings: u32,
    /// Commands of which nobody can say whether they opened.
    pub unknown: u32,
    /// How it is known that it is locked again, after the last opening.
    pub lock_proof: Option<LockProof>,
    /// The case's records in their order.
    pub timeline: Vec<Moment>,
    /// Records of the same access point in between that belong to other deliveries and are not shown.
    pub withheld: u32,
    /// Size of the log at the checkpoint.
    pub log_size: u64,
}

impl Verdict {
    /// Lines for a person: anchors, then what happened.
    #[must_use]
    pub fn explain(&self) -> Vec<String> {
        let a = &self.anchors;
        let home = !self.classes.is_empty() && self.classes.iter().all(|class| class.belongs_to() == Place::Home);
        let classes: Vec<&str> = self.classes.iter().map(|c| c.code()).collect();
        let mut lines = vec![
            format!("keyholder   {}", a.aud),
            format!("log         {} ({} entries at the checkpoint)", a.log, self.log_size),
            format!("operator    {}", a.operator.thumb()),
            format!("wallet      {} at {}", a.rp_id, a.wallet_origin),
            String::from("These are anchors: the file proves what follows if you know them to be right."),
            String::new(),
            format!("delivery    {}", self.delivery),
        ];
        lines.extend(self.by.lines());
        lines.push(format!("permitted   {}: {}", self.purpose, classes.join(", ")));
        lines.push(format!("window      {} to {}", self.window.start(), self.window.end()));
        lines.extend(self.standing.iter().flat_map(Standing::lines));
        lines.push(String::new());
        lines.extend(self.timeline.iter().map(|m| format!("{}  {}", m.at, sentence(&m.event, home))));
        lines.push(String::new());
        lines.push(format!("opened      {}", times(self.openings)));
        if self.unknown > 0 {
            lines.push(format!("uncertain   {}: it may have opened", times(self.unknown)));
        }
        let locked = if home { "shut        " } else { "locked      " };
        lines.push(match self.lock_proof {
            Some(proof) => format!("{locked}{}", proof.code()),
            None if self.openings + self.unknown > 0 => format!("{locked}not shown"),
            None => format!("{locked}it was never opened"),
        });
        if self.withheld > 0 {
            lines.push(format!("withheld    {} of other deliveries in between", times(self.withheld)));
        }
        lines.push(String::from("Nothing is said about what came after the last record."));
        lines
    }
}

fn times(n: u32) -> String {
    match n {
        0 => String::from("never"),
        1 => String::from("once"),
        n => format!("{n} times"),
    }
}

/// `home`: what opens is a house's door, which is ready, shut and proved so, and is never a car.
fn sentence(event: &Event, home: bool) -> String {
    let (thing, to_shut, shut) =
        if home { ("door", "to shut", "shut again") } else { ("car", "to lock", "locked again") };
    match event {
        Event::KeyAdded { .. } => "the keyholder published its keys".into(),
        Event::CarrierAdmitted { .. } => "the operator admitted the carrier".into(),
        Event::DeviceEnrolled { device, .. } => format!("a depot enrolled the device {device}"),
        Event::PasskeyAdded { .. } => "the owner's passkey was registered".into(),
        Event::GrantAccepted { .. } => "the owner's permission was accepted".into(),
        Event::DelegationAccepted { device, .. } => format!("the carrier passed it on to the device {device}"),
        Event::ReadyAsked { slot, answer, .. } => {
            format!("the carrier asked whether the {thing} is ready ({}): {}", slot.as_str(), answer.as_str())
        }
        Event::PlaceDisclosed { .. } => "the place was shown to the courier".into(),
        Event::Described { .. } => "plate and description were shown to the courier".into(),
        Event::Signalled { .. } => format!("the {thing} was asked to show itself"),
        Event::Joined { .. } => "asked for once more; no new command".into(),
        Event::OpenIntended { command, .. } => format!("command {command} to open was about to leave"),
        Event::Outcome { command, outcome, .. } => match outcome {
            CommandOutcome::Opened => format!("command {command}: it was open"),
            CommandOutcome::Unknown => format!("command {command}: nobody can say"),
            CommandOutcome::DidNotHappen(why) => format!("command {command}: did not happen ({})", why.code()),
        },
        Event::LockIntended { command, .. } => format!("command {command} {to_shut} was about to leave"),
        Event::Locked { lock_proof, .. } => format!("{shut} ({})", lock_proof.code()),
        Event::Alarm { reason, .. } => format!("alarm: {}", reason.as_str()),
        Event::AlarmAcknowledged { .. } => "the owner saw the alarm".into(),
        Event::Blocked { scope } => format!("the owner blocked: {}", scope.as_str()),
        Event::Unblocked { scope } => format!("the owner unblocked: {}", scope.as_str()),
        Event::StaffAccess { what } => format!("staff looked: {}", what.as_str()),
    }
}
