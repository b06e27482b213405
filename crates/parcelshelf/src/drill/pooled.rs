//! Two carriers lay together what they have, to find out which customers are the same person.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context as _;
use parcelshelf_core::id::DeliveryId;
use parcelshelf_core::reason::{Fallback, Purpose};
use parcelshelf_core::time::Window;
use parcelshelf_protocol::cert::VerifiedCert;
use parcelshelf_protocol::encoding::{TokenId, from_b64};
use parcelshelf_protocol::jws::Moment;
use parcelshelf_protocol::label;
use parcelshelf_protocol::request::{Direction, Item, Merchant, Request, RequestClaims, Ticket};
use reqwest::Method;
use serde_json::{Value, json};

use super::carriers::CloudKeys;
use super::gain::Gain;
use super::stop::answered;
use super::world::World;

/// Shorter words say nothing about one customer.
const WORD_MIN: usize = 16;
/// Signed messages inside of signed messages.
const DEPTH_MAX: usize = 4;

/// Everything in a text that could be a key between two databases: long words, and those inside of base64url.
fn words(text: &str, depth: usize, into: &mut BTreeSet<String>) {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    for word in text.split(|c| !is_word(c)).filter(|w| w.len() >= WORD_MIN) {
        into.insert(word.to_owned());
        let inside = from_b64(word).and_then(|bytes| String::from_utf8(bytes).ok());
        if let Some(inside) = inside.filter(|_| depth < DEPTH_MAX) {
            words(&inside, depth + 1, into);
        }
    }
}

/// Words that stand with exactly one customer of this carrier, and with whom.
fn telling(views: &[(usize, BTreeSet<String>)]) -> BTreeMap<&str, usize> {
    let mut with: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (n, view) in views {
        for word in view {
            with.entry(word).or_default().push(*n);
        }
    }
    with.into_iter().filter(|(_, of)| of.len() == 1).map(|(word, of)| (word, of[0])).collect()
}

/// Each owner has a delivery with both. Every word that stands with one customer at the first and with one at the second is a
/// guess that these are one; right ones are what the design denies. Areas are left out by their length and counted apart: one car
/// parked in one place has one area, whoever asks.
///
/// # Errors
/// When an honest step does not come about.
pub async fn two_carriers(world: &mut World) -> anyhow::Result<Gain> {
    let mut gain = Gain::default();
    let count = world.share(10).max(4);
    let mine = world.take(count).await?;
    let first = CloudKeys::stolen(world)?;
    let (second, carrier) = CloudKeys::second(world).await?;
    let (mut of_first, mut of_second, mut areas) = (Vec::new(), Vec::new(), BTreeMap::new());
    for n in &mine {
        let delivery = world.delivery(*n)?;
        let mut text = delivery.consent_url.clone() + world.granted(*n)?.accepted.jws();
        text.push_str(&heard(world, &first, delivery.id).await);
        let journal = answered(world, async || world.scene().dispatch().journal(delivery.id).await).await?;
        text.push_str(&journal.to_string());
        of_first.push((*n, view(&text)));
        let text = with_second(world, &second, &carrier, *n).await?;
        of_second.push((*n, view(&text)));
        let cells = world.granted(*n)?.accepted.claims().area.cells().to_vec();
        areas.entry(cells).or_insert_with(Vec::new).push(*n);
    }
    let (at_first, at_second) = (telling(&of_first), telling(&of_second));
    let guesses: Vec<(&str, usize, usize)> =
        at_first.iter().filter_map(|(word, n)| Some((*word, *n, *at_second.get(word)?))).collect();
    for (word, n, other) in &guesses {
        gain.must(n != other, || format!("customer {n} is the same at both carriers by {word}"));
    }
    gain.must(of_first.iter().chain(&of_second).all(|(_, v)| v.len() > 10), || String::from("nothing was read"));
    gain.figure("owners_with_both", mine.len());
    gain.figure("words_at_the_first", of_first.iter().map(|(_, v)| v.len()).sum::<usize>());
    gain.figure("words_at_the_second", of_second.iter().map(|(_, v)| v.len()).sum::<usize>());
    gain.figure("words_that_both_have_of_one_customer", guesses.len());
    gain.figure("owners_alone_in_their_area", areas.values().filter(|of| of.len() == 1).count());
    Ok(gain)
}

fn view(text: &str) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    words(text, 0, &mut all);
    all
}

/// What the gateway tells a carrier about one of its deliveries.
async fn heard(world: &World, keys: &CloudKeys, delivery: DeliveryId) -> String {
    let mut text = String::new();
    for (method, path, body) in [
        (Method::GET, "accepted", None),
        (Method::GET, "status", None),
        (Method::POST, "readiness", Some(json!({"slot": "evening_before"}))),
    ] {
        let path = format!("/v1/deliveries/{delivery}/{path}");
        let answer = answered(world, async || keys.call(method.clone(), &path, body.as_ref()).await).await;
        text.push_str(&answer.map_or_else(|f| f.to_string(), |a| a.to_string()));
    }
    text
}

/// The same owner answers the second carrier: everything that carrier has of it then.
async fn with_second(world: &World, keys: &CloudKeys, carrier: &VerifiedCert, n: usize) -> anyhow::Result<String> {
    let (scene, owner) = (world.scene(), world.owner(n)?);
    let host = &scene.host;
    let now = host.now();
    let start = now.rounded_down_to_minutes(15);
    let salt = host.random();
    let claims = RequestClaims {
        iss: keys.root,
        aud: keys.aud().to_owned(),
        jti: TokenId::from_bytes(host.random()),
        iat: now,
        exp: now.plus_seconds(86_400),
        delivery: DeliveryId::from_bytes(host.random()),
        carrier: String::from("Second Parcels"),
        merchant: Merchant { id: String::from("other-shop"), name: String::from("Other Shop") },
        purpose: Purpose::Delivery,
        items: vec![Item {
            direction: Direction::Put,
            size_mm: [200, 100, 50],
            weight_g: 400,
            value_minor: 1_900,
            currency: String::from("EUR"),
            label: label::hash(&salt, &format!("SEC{n:08}"))?,
        }],
        window: Window::new(start, start.plus_seconds(2 * 3_600))?,
        fallbacks: vec![Fallback::Address],
        initials: String::from("K. L."),
        order_digits: String::from("4711"),
        salt,
    };
    let request = Request::sign(&claims, &keys.key)?;
    let link = format!("{}~{}~{}", request.jws(), keys.cert.jws(), carrier.jws());
    let ticket = Ticket::verify(&link, &scene.operator, keys.aud(), Moment::Used(host.now()))?;
    let point = answered(world, async || owner.wallet.access_point(keys.root).await).await?;
    let consent = owner.consent(claims.window, point)?;
    let signed = owner.wallet.sign(&ticket, &consent)?;
    let granted = answered(world, async || owner.wallet.hand_in(&signed).await).await.context("the second grant")?;
    let mut text: Value = json!({"link": link, "accepted": granted.accepted.jws()});
    text["heard"] = json!(heard(world, keys, claims.delivery).await);
    Ok(text.to_string())
}

#[cfg(test)]
mod tests {
    use parcelshelf_protocol::encoding::b64;

    use super::*;

    #[test]
    fn a_word_inside_of_a_signed_message_is_found_and_one_that_all_have_tells_nothing() {
        let hidden =
            format!("{}.{}.x", b64("{\"alg\":\"ES256\",\"typ\":\"t\"}"), b64("{\"sub\":\"0123456789abcdefXYZ\"}"));
        let views = vec![(0, view(&format!("gateway-gateway-gateway {hidden}"))), (1, view("gateway-gateway-gateway"))];
        let found = telling(&views);
        assert_eq!(found.get("0123456789abcdefXYZ"), Some(&0));
        assert_eq!(found.get("gateway-gateway-gateway"), None);
    }
}
