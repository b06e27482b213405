//! Which server, who we are there, and which of its entities are one car or one door. Nothing here has a default.

use std::collections::HashSet;

use parcelshelf_core::actuation::AccessClass;
use parcelshelf_core::vehicle::Vin;
use url::Url;

/// One household has no more.
const THINGS_MAX: usize = 16;
const ENTITY_BYTES_MAX: usize = 255;
const TEXT_BYTES_MAX: usize = 100;

/// One household's server.
#[derive(Debug, Clone)]
pub struct HomeAssistantConfig {
    /// Origin of the server, such as `https://home.example.org`; `http` on the loopback interface only.
    pub base: String,
    /// Our own address: this server knows its clients by address, without registration.
    pub client_id: String,
    /// On the same host as `client_id`, else the server refuses it.
    pub redirect_uri: String,
    pub things: Things,
}

/// What one adapter serves. Cars and doors can tell different things, so each kind is an adapter of its own.
#[derive(Debug, Clone)]
pub enum Things {
    Cars(Vec<Car>),
    Doors(Vec<Door>),
    /// Garage doors, or gates.
    Entrances(Vec<Entrance>),
}

/// One car: three entities that somebody's integration of that car made.
#[derive(Debug, Clone)]
pub struct Car {
    /// By the owner's papers: the server does not know it.
    pub vin: Vin,
    pub make: String,
    pub model: Option<String>,
    pub model_year: Option<u16>,
    pub colour: Option<String>,
    /// What `lock` gives access to. A car's integration mostly turns the central lock: then it is
    /// [`AccessClass::TailgateWithCabin`].
    pub class: AccessClass,
    /// `lock.*`
    pub lock: String,
    /// `cover.*`: the lid behind which the parcel goes.
    pub lid: String,
    /// `device_tracker.*` with coordinates.
    pub tracker: String,
}

/// One door with one lock.
#[derive(Debug, Clone)]
pub struct Door {
    /// Seventeen characters like a VIN, of the operator's choice, that begin with `0`: no car's number does (ISO 3780 gives
    /// that region to nobody). Decision 18 says why a door has one.
    pub number: Vin,
    pub name: String,
    /// `lock.*`
    pub lock: String,
    /// What sees it. All doors of one server have it, or none.
    pub watch: Option<Watch>,
}

/// What sees a door: a sensor at its leaf, a camera inside, and a light that this camera sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// `binary_sensor.*` that is on while the door is not shut.
    pub contact: String,
    /// `camera.*`
    pub camera: String,
    /// `light.*`, or a plug of a lamp made a light.
    pub light: String,
}

/// One garage door or gate with a drive.
#[derive(Debug, Clone)]
pub struct Entrance {
    /// As a door's.
    pub number: Vin,
    pub name: String,
    /// [`AccessClass::Garage`] or [`AccessClass::Gate`]; the cover must say the same.
    pub class: AccessClass,
    /// `cover.*`
    pub cover: String,
    /// `binary_sensor.*` that is on while something is in the way, where there is one.
    pub obstruction: Option<String>,
}

/// Why a configuration is none. Names the member, never its value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    #[error("base must be an origin: https://host, or http://host on the loopback interface, and nothing behind it")]
    NotAnOrigin,
    #[error("client_id must be an https address, or http on the loopback interface")]
    ClientId,
    #[error("redirect_uri must be a URL without fragment on client_id's host")]
    RedirectUri,
    #[error("there must be between 1 and 16 things")]
    HowMany,
    #[error("{0} is not such an entity's id")]
    Entity(&'static str),
    #[error("two things have the same number, lock or cover")]
    Twice,
    #[error("all doors of one server are watched by sensor, camera and light, or none")]
    Watch,
    #[error("two doors share a sensor, camera or light")]
    WatchTwice,
    #[error("a car's number never begins with 0, and a door's always does")]
    Number,
    #[error(
        "a car opens as trunk, tailgate_with_cabin or cabin, and all cars of one server alike; an entrance as garage or gate"
    )]
    Class,
    #[error("{0} is empty, too long or has control characters")]
    Text(&'static str),
}

/// One thing, whatever it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Thing {
    pub number: Vin,
    pub class: AccessClass,
    pub parts: Parts,
    pub make: String,
    pub model: Option<String>,
    pub model_year: Option<u16>,
    pub colour: Option<String>,
}
/// Its entities.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Parts {
    /// A car's bolt, the lid that it locks, and where that is.
    Car { lock: String, lid: String, tracker: String },
    /// A house door's bolt, and what sees the door.
    Door { lock: String, watch: Option<Watch> },
    /// A door that its drive opens and shuts.
    Leaf { cover: String, obstruction: Option<String> },
}
impl Thing {
    /// The entity that commands go to.
    pub fn moved(&self) -> &str {
        match &self.parts {
            Parts::Car { lock, .. } | Parts::Door { lock, .. } => lock,
            Parts::Leaf { cover, .. } => cover,
        }
    }
    pub const fn watch(&self) -> Option<&Watch> {
        match &self.parts {
            Parts::Door { watch, .. } => watch.as_ref(),
            Parts::Car { .. } | Parts::Leaf { .. } => None,
        }
    }
}

/// The checked form that requests are made from.
#[derive(Debug)]
pub(crate) struct Checked {
    pub base: Url,
    pub client_id: String,
    pub redirect_uri: String,
    pub things: Vec<Thing>,
}

impl Checked {
    pub fn new(config: HomeAssistantConfig) -> Result<Self, ConfigError> {
        let base = safe(&config.base).filter(|u| u.path() == "/" && u.query().is_none() && u.fragment().is_none());
        let base = base.ok_or(ConfigError::NotAnOrigin)?;
        let client = safe(&config.client_id).filter(|u| u.fragment().is_none()).ok_or(ConfigError::ClientId)?;
        let redirect = safe(&config.redirect_uri).filter(|u| u.fragment().is_none() && u.origin() == client.origin());
        redirect.ok_or(ConfigError::RedirectUri)?;
        let things: Vec<Thing> = match config.things {
            Things::Cars(cars) => cars.into_iter().map(car).collect::<Result<_, _>>()?,
            Things::Doors(all) => all.into_iter().map(door).collect::<Result<_, _>>()?,
            Things::Entrances(all) => all.into_iter().map(entrance).collect::<Result<_, _>>()?,
        };
        if things.is_empty() || things.len() > THINGS_MAX {
            return Err(ConfigError::HowMany);
        }
        if things.iter().any(|t| t.class != things[0].class) {
            return Err(ConfigError::Class);
        }
        if things.iter().any(|t| t.watch().is_some() != things[0].watch().is_some()) {
            return Err(ConfigError::Watch);
        }
        let watches: Vec<_> = things.iter().filter_map(Thing::watch).collect();
        let seen: HashSet<_> = watches.iter().flat_map(|w| [&w.contact, &w.camera, &w.light]).collect();
        if seen.len() != 3 * watches.len() {
            return Err(ConfigError::WatchTwice);
        }
        let numbers: HashSet<_> = things.iter().map(|t| &t.number).collect();
        let moved: HashSet<_> = things.iter().map(Thing::moved).collect();
        if numbers.len() != things.len() || moved.len() != things.len() {
            return Err(ConfigError::Twice);
        }
        Ok(Self { base, client_id: config.client_id, redirect_uri: config.redirect_uri, things })
    }
    pub fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(path);
        url
    }
    pub fn thing(&self, number: &Vin) -> Option<&Thing> {
        self.things.iter().find(|t| t.number == *number)
    }
}

fn car(car: Car) -> Result<Thing, ConfigError> {
    if is_a_doors(&car.vin) {
        return Err(ConfigError::Number);
    }
    if !matches!(car.class, AccessClass::SeparateTrunk | AccessClass::TailgateWithCabin | AccessClass::Cabin) {
        return Err(ConfigError::Class);
    }
    text("make", &car.make)?;
    for (name, value) in [("model", &car.model), ("colour", &car.colour)] {
        value.as_deref().map_or(Ok(()), |v| text(name, v))?;
    }
    Ok(Thing {
        number: car.vin,
        class: car.class,
        parts: Parts::Car {
            lock: entity("lock", "lock.", car.lock)?,
            lid: entity("lid", "cover.", car.lid)?,
            tracker: entity("tracker", "device_tracker.", car.tracker)?,
        },
        make: car.make,
        model: car.model,
        model_year: car.model_year,
        colour: car.colour,
    })
}
fn door(door: Door) -> Result<Thing, ConfigError> {
    if !is_a_doors(&door.number) {
        return Err(ConfigError::Number);
    }
    text("name", &door.name)?;
    Ok(Thing {
        number: door.number,
        class: AccessClass::Door,
        parts: Parts::Door { lock: entity("lock", "lock.", door.lock)?, watch: door.watch.map(watch).transpose()? },
        make: door.name,
        model: None,
        model_year: None,
        colour: None,
    })
}
fn watch(watch: Watch) -> Result<Watch, ConfigError> {
    Ok(Watch {
        contact: entity("contact", "binary_sensor.", watch.contact)?,
        camera: entity("camera", "camera.", watch.camera)?,
        light: entity("light", "light.", watch.light)?,
    })
}
fn entrance(entrance: Entrance) -> Result<Thing, ConfigError> {
    if !is_a_doors(&entrance.number) {
        return Err(ConfigError::Number);
    }
    if !matches!(entrance.class, AccessClass::Garage | AccessClass::Gate) {
        return Err(ConfigError::Class);
    }
    text("name", &entrance.name)?;
    let sensor = |id| entity("obstruction", "binary_sensor.", id);
    Ok(Thing {
        number: entrance.number,
        class: entrance.class,
        parts: Parts::Leaf {
            cover: entity("cover", "cover.", entrance.cover)?,
            obstruction: entrance.obstruction.map(sensor).transpose()?,
        },
        make: entrance.name,
        model: None,
        model_year: None,
        colour: None,
    })
}
fn is_a_doors(number: &Vin) -> bool {
    number.expose().starts_with('0')
}
/// An entity's id goes into an address: lower-case letters, digits and `_` behind its domain, nothing else.
fn entity(name: &'static str, domain: &str, id: String) -> Result<String, ConfigError> {
    let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let object = id.strip_prefix(domain).unwrap_or_default();
    let good = !object.is_empty() && object.bytes().all(fits) && id.len() <= ENTITY_BYTES_MAX;
    if good { Ok(id) } else { Err(ConfigError::Entity(name)) }
}
fn text(name: &'static str, text: &str) -> Result<(), ConfigError> {
    let good = !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX && !text.chars().any(char::is_control);
    if good { Ok(()) } else { Err(ConfigError::Text(name)) }
}
/// An address; plain HTTP only where nobody can listen on the way.
fn safe(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let anonymous = url.username().is_empty() && url.password().is_none();
    let private = match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(url::Host::Domain(d))) => d == "localhost" || d.ends_with(".localhost"),
        ("http", Some(url::Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(url::Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    };
    (anonymous && private).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_car() -> Car {
        Car {
            vin: Vin::parse("1M8GDM9AXKP042788").unwrap(),
            make: "Example".into(),
            model: None,
            model_year: Some(2022),
            colour: None,
            class: AccessClass::TailgateWithCabin,
            lock: "lock.car".into(),
            lid: "cover.car_tailgate".into(),
            tracker: "device_tracker.car".into(),
        }
    }
    fn a_door() -> Door {
        Door {
            number: Vin::parse("0HALLWAY000000001").unwrap(),
            name: "Hallway".into(),
            lock: "lock.front_door".into(),
            watch: None,
        }
    }
    fn watched() -> Watch {
        Watch { contact: "binary_sensor.front".into(), camera: "camera.hall".into(), light: "light.hall".into() }
    }
    fn config(things: Things) -> HomeAssistantConfig {
        HomeAssistantConfig {
            base: "https://home.example.org".into(),
            client_id: "https://wallet.example.org/".into(),
            redirect_uri: "https://wallet.example.org/oauth/callback".into(),
            things,
        }
    }
    fn refused(things: Things) -> Option<ConfigError> {
        Checked::new(config(things)).err()
    }

    #[test]
    fn the_server_is_reached_where_nobody_can_listen_on_the_way() {
        for (base, good) in [
            ("https://home.example.org", true),
            ("https://home.example.org:8123", true),
            ("http://127.0.0.1:8123", true),
            ("http://home.localhost:8123", true),
            ("http://homeassistant.local:8123", false),
            ("https://home.example.org/ha", false),
            ("https://u:p@home.example.org", false),
            ("home.example.org", false),
        ] {
            let config = HomeAssistantConfig { base: base.into(), ..config(Things::Cars(vec![a_car()])) };
            assert_eq!(Checked::new(config).is_ok(), good, "{base}");
        }
        let away = HomeAssistantConfig {
            redirect_uri: "https://elsewhere.example.org/oauth/callback".into(),
            ..config(Things::Cars(vec![a_car()]))
        };
        assert_eq!(Checked::new(away).err(), Some(ConfigError::RedirectUri));
    }

    #[test]
    fn an_entity_is_of_its_kind_and_leads_nowhere_else() {
        for id in ["", "lock.", "switch.car", "lock.../x", "lock.a/b", "lock.car?x=1", "lock.Car", "lock.cär", "car"] {
            let refused = refused(Things::Cars(vec![Car { lock: id.into(), ..a_car() }]));
            assert_eq!(refused, Some(ConfigError::Entity("lock")), "{id:?}");
        }
        let lid = Car { lid: "lock.car".into(), ..a_car() };
        assert_eq!(refused(Things::Cars(vec![lid])), Some(ConfigError::Entity("lid")));
    }

    #[test]
    fn a_door_cannot_be_taken_for_a_car() {
        assert_eq!(refused(Things::Cars(vec![a_car()])), None);
        assert_eq!(refused(Things::Doors(vec![a_door()])), None);
        let car = Car { vin: a_door().number, ..a_car() };
        assert_eq!(refused(Things::Cars(vec![car])), Some(ConfigError::Number));
        let door = Door { number: a_car().vin, ..a_door() };
        assert_eq!(refused(Things::Doors(vec![door])), Some(ConfigError::Number));
        let odd = Car { class: AccessClass::Door, ..a_car() };
        assert_eq!(refused(Things::Cars(vec![odd])), Some(ConfigError::Class));
    }

    #[test]
    fn what_sees_a_door_sees_this_door_and_is_there_whole() {
        let door = |watch: Watch| Door { watch: Some(watch), ..a_door() };
        let other = |watch| Door {
            number: Vin::parse("0HALLWAY000000002").unwrap(),
            lock: "lock.back_door".into(),
            watch,
            ..a_door()
        };
        assert_eq!(refused(Things::Doors(vec![door(watched())])), None);
        for (odd, why) in [
            (Watch { contact: "lock.front".into(), ..watched() }, "contact"),
            (Watch { camera: "camera.../config".into(), ..watched() }, "camera"),
            (Watch { camera: String::new(), ..watched() }, "camera"),
            (Watch { light: "lock.front_door".into(), ..watched() }, "light"),
        ] {
            assert_eq!(refused(Things::Doors(vec![door(odd)])), Some(ConfigError::Entity(why)));
        }
        assert_eq!(
            refused(Things::Doors(vec![door(watched()), other(None)])),
            Some(ConfigError::Watch),
            "facts are the adapter's"
        );
        let apart = Watch { contact: "binary_sensor.back".into(), camera: "camera.back".into(), ..watched() };
        let shared = vec![door(watched()), other(Some(apart.clone()))];
        assert_eq!(refused(Things::Doors(shared)), Some(ConfigError::WatchTwice), "one light");
        let apart = vec![door(watched()), other(Some(Watch { light: "light.back".into(), ..apart }))];
        assert_eq!(refused(Things::Doors(apart)), None);
    }

    #[test]
    fn an_entrance_is_a_cover_of_a_house() {
        let garage = || Entrance {
            number: Vin::parse("0GARAGE0000000001").unwrap(),
            name: "Garage".into(),
            class: AccessClass::Garage,
            cover: "cover.garage".into(),
            obstruction: Some("binary_sensor.garage_obstruction".into()),
        };
        assert_eq!(refused(Things::Entrances(vec![garage()])), None);
        for (odd, why) in [
            (Entrance { number: a_car().vin, ..garage() }, ConfigError::Number),
            (Entrance { class: AccessClass::Door, ..garage() }, ConfigError::Class),
            (Entrance { cover: "lock.garage".into(), ..garage() }, ConfigError::Entity("cover")),
            (Entrance { obstruction: Some("sensor.x".into()), ..garage() }, ConfigError::Entity("obstruction")),
            (Entrance { name: " ".into(), ..garage() }, ConfigError::Text("name")),
        ] {
            assert_eq!(refused(Things::Entrances(vec![odd])), Some(why));
        }
        let gate = Entrance {
            number: Vin::parse("0GATE000000000001").unwrap(),
            class: AccessClass::Gate,
            cover: "cover.gate".into(),
            ..garage()
        };
        assert_eq!(
            refused(Things::Entrances(vec![garage(), gate])),
            Some(ConfigError::Class),
            "facts are the adapter's"
        );
    }

    #[test]
    fn every_thing_stands_there_once() {
        assert_eq!(refused(Things::Cars(Vec::new())), Some(ConfigError::HowMany));
        assert_eq!(refused(Things::Cars(vec![a_car(), a_car()])), Some(ConfigError::Twice));
        let same_lock = Car { vin: Vin::parse("11111111111111111").unwrap(), ..a_car() };
        assert_eq!(refused(Things::Cars(vec![a_car(), same_lock])), Some(ConfigError::Twice));
        let other = Car { lock: "lock.other".into(), vin: Vin::parse("11111111111111111").unwrap(), ..a_car() };
        assert_eq!(refused(Things::Cars(vec![a_car(), other.clone()])), None);
        let trunk = Car { class: AccessClass::SeparateTrunk, ..other };
        assert_eq!(refused(Things::Cars(vec![a_car(), trunk])), Some(ConfigError::Class), "facts are the adapter's");
    }
}
