//! The garage: which cars there are and what each may be told to do. Pure: bytes in, the port's words out. Unknown counts
//! as no.

use parcelshelf_core::reason::Obstacle;
use parcelshelf_core::vehicle::Vin;

use crate::json::Json;

/// Cars of one account. More belong to a fleet, which is linked differently.
pub(crate) const VEHICLES_MAX: usize = 16;
const TEXT_MAX: usize = 100;

/// The query is the body, without an envelope.
pub(crate) const LIST_QUERY: &str = "query getVehiclesMBFF {vehicles {vin make model year onstarCapable}}";
/// For one car. A VIN has no character that a query could trip over.
pub(crate) fn details_query(vin: &Vin) -> String {
    format!(
        "query getMbffGarageVehicleDetails {{vehicleDetails(vin: \"{}\") {{vin make model year color {{exteriorColor}} \
         vehicleCommands {{name isEligible inEligibleReason}} onstarInfo {{onStarStatus ownerAccount isShared}}}}}}",
        vin.expose()
    )
}

/// An answer without a readable member of this name.
pub(crate) type Unreadable = &'static str;

/// The data of an answer without errors.
fn data(body: &[u8]) -> Option<Json> {
    let json = Json::parse(body)?;
    let errors = json.get("errors").and_then(Json::list).is_some_and(|e| !e.is_empty());
    if errors { None } else { json.get("data").cloned() }
}

pub(crate) fn vehicles(body: &[u8]) -> Result<Vec<Vin>, Unreadable> {
    let data = data(body).ok_or("vehicles")?;
    let list = data.get("vehicles").and_then(Json::list).ok_or("vehicles")?;
    if list.len() > VEHICLES_MAX {
        return Err("more vehicles than one person's account has");
    }
    list.iter()
        .map(|v| v.get("vin").and_then(Json::text).and_then(|t| Vin::parse(t).ok()).ok_or("vehicles: vin"))
        .collect()
}

/// What the details of a car say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Details {
    pub make: String,
    pub model: Option<String>,
    pub model_year: Option<u16>,
    pub colour: Option<String>,
    pub unlock_trunk: bool,
    pub lock_trunk: bool,
    pub alert: bool,
    /// Of the commands that we use: what the maker says against them.
    pub missing: Vec<String>,
    /// What the account and its plan are like, where the maker says so.
    pub obstacles: Vec<Obstacle>,
}
pub(crate) fn details(body: &[u8], vin: &Vin) -> Result<Details, Unreadable> {
    let data = data(body).ok_or("details")?;
    let car = data.get("vehicleDetails").filter(|c| matches!(c, Json::Object(_))).ok_or("details")?;
    if car.get("vin").and_then(Json::text).is_some_and(|told| !told.eq_ignore_ascii_case(vin.expose())) {
        return Err("details: another car's");
    }
    let commands = car.get("vehicleCommands").and_then(Json::list).unwrap_or_default();
    let mut details = Details {
        make: car.get("make").and_then(short_text).ok_or("details: make")?,
        model: car.get("model").and_then(short_text),
        model_year: car.get("year").and_then(Json::number).and_then(whole_year),
        colour: car.get("color").and_then(|c| c.get("exteriorColor")).and_then(short_text),
        ..Details::default()
    };
    let mut eligible = |name: &str| {
        let named = |c: &&Json| c.get("name").and_then(Json::text).is_some_and(|n| n.eq_ignore_ascii_case(name));
        let mut found = commands.iter().filter(named);
        // Two entries for one command are no answer.
        let (Some(command), None) = (found.next(), found.next()) else { return false };
        let yes = command.get("isEligible").and_then(Json::yes).unwrap_or(false);
        if !yes && let Some(why) = command.get("inEligibleReason").and_then(short_text) {
            details.missing.push(format!("{name}: {why}"));
        }
        yes
    };
    let (unlock_trunk, lock_trunk, alert) = (eligible("unlockTrunk"), eligible("lockTrunk"), eligible("alert"));
    details.obstacles = obstacles(car.get("onstarInfo"));
    Ok(Details { unlock_trunk, lock_trunk, alert, ..details })
}
/// A car that is shared with this account, or that another account owns, is another's to link; a plan that is not active opens
/// nothing. Where the maker is silent its silence is no obstacle: eligibility of the commands still decides.
fn obstacles(info: Option<&Json>) -> Vec<Obstacle> {
    let Some(info) = info else { return Vec::new() };
    let yes = |name: &str| info.get(name).and_then(Json::yes);
    let shared = yes("isShared") == Some(true) || yes("ownerAccount") == Some(false);
    let plan = info.get("onStarStatus").and_then(Json::text);
    let inactive = plan.is_some_and(|status| !status.eq_ignore_ascii_case("ACTIVE"));
    [(shared, Obstacle::NotTheHolder), (inactive, Obstacle::PlanInactive)]
        .into_iter()
        .filter_map(|(is, obstacle)| is.then_some(obstacle))
        .collect()
}
/// A text fit to be shown: not empty, bounded, without control characters.
fn short_text(json: &Json) -> Option<String> {
    let text = json.text()?.trim();
    let fit = !text.is_empty() && text.len() <= TEXT_MAX && !text.chars().any(char::is_control);
    fit.then(|| text.to_owned())
}
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be a whole year just before")]
fn whole_year(n: f64) -> Option<u16> {
    (n.fract() == 0.0 && (1980.0..=2100.0).contains(&n)).then_some(n as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vin() -> Vin {
        Vin::parse("1G1FZ6S00L4000001").unwrap()
    }
    const CAR: &str = r#"{"errors":[],"data":{"vehicleDetails":{"vin":"1G1FZ6S00L4000001","make":"Chevrolet","model":"Malibu",
        "year":"2022","color":{"exteriorColor":"Red"},"vehicleCommands":[
        {"name":"unlockTrunk","isEligible":true,"inEligibleReason":null},
        {"name":"lockTrunk","isEligible":"true"},
        {"name":"alert","isEligible":false,"inEligibleReason":"NOT_ENTITLED"}]}},"dataPresent":true}"#;

    #[test]
    fn eligibility_is_the_test_of_what_a_car_can_do() {
        let seen = details(CAR.as_bytes(), &vin()).unwrap();
        assert_eq!(
            (seen.make.as_str(), seen.model.as_deref(), seen.model_year),
            ("Chevrolet", Some("Malibu"), Some(2022))
        );
        assert_eq!((seen.unlock_trunk, seen.lock_trunk, seen.alert), (true, true, false));
        assert_eq!((seen.missing, seen.colour.as_deref()), (vec!["alert: NOT_ENTITLED".to_owned()], Some("Red")));
        let without = CAR.replace("unlockTrunk", "unlockHood");
        assert!(!details(without.as_bytes(), &vin()).unwrap().unlock_trunk);
        let twice = CAR.replace("\"alert\"", "\"unlockTrunk\"");
        assert!(!details(twice.as_bytes(), &vin()).unwrap().unlock_trunk, "contradictions are no answer");
        for other in ["null", "7", "\"yes\"", "[]"] {
            let bent = CAR.replace("\"isEligible\":true", &format!("\"isEligible\":{other}"));
            assert!(!details(bent.as_bytes(), &vin()).unwrap().unlock_trunk, "{other}");
        }
    }

    #[test]
    fn whose_account_it_is_and_whether_its_plan_lives_is_read_where_it_is_told() {
        use Obstacle::{NotTheHolder, PlanInactive};
        for (info, expected) in [
            (r#"{"onStarStatus":"ACTIVE","ownerAccount":true,"isShared":false}"#, vec![]),
            (r#"{"onStarStatus":"active","ownerAccount":"true","isShared":"false"}"#, vec![]),
            (r#"{"isShared":true}"#, vec![NotTheHolder]),
            (r#"{"ownerAccount":false}"#, vec![NotTheHolder]),
            (r#"{"onStarStatus":"EXPIRED","ownerAccount":true}"#, vec![PlanInactive]),
            (r#"{"onStarStatus":"","isShared":"true"}"#, vec![NotTheHolder, PlanInactive]),
            // Nothing, or two answers to one question.
            ("null", vec![]),
            ("{}", vec![]),
            (r#"{"isShared":true,"isShared":false}"#, vec![]),
        ] {
            let told = CAR.replace("\"vehicleCommands\"", &format!("\"onstarInfo\":{info},\"vehicleCommands\""));
            assert_eq!(details(told.as_bytes(), &vin()).unwrap().obstacles, expected, "{info}");
        }
    }

    #[test]
    fn nothing_is_read_out_of_nothing() {
        for body in [
            "",
            "null",
            "{}",
            "{\"data\":null}",
            "{\"data\":{\"vehicles\":{}}}",
            "{\"data\":{\"vehicles\":[{\"vin\":\"SHORT\"}]}}",
            "{\"errors\":[{\"message\":\"no\"}],\"data\":{\"vehicles\":[],\"vehicleDetails\":{}}}",
            "{\"data\":{\"vehicles\":[]},\"data\":{\"vehicles\":[]}}",
            "<html>",
        ] {
            assert!(vehicles(body.as_bytes()).is_err(), "{body}");
            assert!(details(body.as_bytes(), &vin()).is_err(), "{body}");
        }
        let another = CAR.replace("1G1FZ6S00L4000001", "1G1FZ6S00L4000002");
        assert_eq!(details(another.as_bytes(), &vin()), Err("details: another car's"));
        let many = format!("{{\"data\":{{\"vehicles\":[{}]}}}}", vec!["{\"vin\":\"1G1FZ6S00L4000001\"}"; 17].join(","));
        assert!(vehicles(many.as_bytes()).is_err());
        let one = "{\"data\":{\"vehicles\":[{\"vin\":\"1G1FZ6S00L4000001\"}]}}";
        assert_eq!(vehicles(one.as_bytes()), Ok(vec![vin()]));
    }
}
