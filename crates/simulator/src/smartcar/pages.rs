//! The few pages a person may open.

use std::collections::BTreeMap;

use super::fault::ERRORS;
use super::file::ClientFile;
use super::identity::Scopes;
use super::world::World;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:2rem auto;padding:0 1rem}\
pre,code{background:#eee;padding:.1em .3em;overflow-x:auto}button{font:inherit;padding:.6em 1em}";

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><link rel=\"icon\" href=\"data:,\">\
         <title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}</html>"
    )
}
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

pub fn refused(why: &str) -> String {
    page("Not possible", &format!("<p>{}</p>", escaped(why)))
}

/// Asks who is there; sends the same request again with `login_hint`.
pub fn login(asked: &BTreeMap<String, String>, logins: &[&str], scopes: &Scopes) -> String {
    let hidden: String = asked
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "login_hint" | "consent"))
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value)))
        .collect();
    let options: String = logins.iter().map(|l| format!("<option>{}</option>", escaped(l))).collect();
    let scopes: String = scopes.iter().map(|s| format!("<li><code>{}</code></li>", escaped(s))).collect();
    page(
        "Simulated consent",
        &format!(
            "<p>An application asks for:</p><ul>{scopes}</ul><form method=\"get\" action=\"/oauth/authorize\">{hidden}\
             <p><label>Owner <select name=\"login_hint\">{options}</select></label></p>\
             <p><button>Allow</button> <button name=\"consent\" value=\"deny\">Refuse</button></p></form>"
        ),
    )
}

/// The page at `/`: what this is and how to get a token.
pub fn root(world: &World, origin: &str) -> String {
    let owners: String =
        world.owners.keys().take(20).map(|o| format!("<li><code>{}</code></li>", escaped(o))).collect();
    let client = world.clients.first().map(client_words).unwrap_or_default();
    page(
        "Simulated Smartcar cloud",
        &format!(
            "<p>A stand-in for Smartcar's consent pages, token endpoint and vehicle API (v2.0, and what is known of v3). Nothing \
             here is real: no car, no owner, no secret.</p>{client}<p>Owners (the first 20):</p><ul>{owners}</ul><h2>A token</h2>\
             <pre>{}</pre><p>The control path: <a href=\"/__sim/help\">/__sim/help</a></p>",
            escaped(&token_recipe(origin))
        ),
    )
}
fn client_words(client: &ClientFile) -> String {
    format!(
        "<p>Client id <code>{}</code>, secret <code>{}</code></p>",
        escaped(&client.client_id),
        escaped(&client.client_secret)
    )
}

/// Shell commands that end with the list of cars.
fn token_recipe(origin: &str) -> String {
    format!(
        r#"BASE={origin}; ID=parcelshelf-demo; SECRET=simulated-client-secret
BACK=http://localhost/callback; OWNER=alex@example.org
CODE=$(curl -s -o /dev/null -w '%{{redirect_url}}' -G $BASE/oauth/authorize \
  -d response_type=code -d client_id=$ID --data-urlencode redirect_uri=$BACK -d state=x -d mode=live -d login_hint=$OWNER \
  --data-urlencode 'scope=read_vehicle_info read_vin read_location read_security control_security' \
  | sed 's/.*code=\([^&]*\).*/\1/')
TOKEN=$(curl -s -u $ID:$SECRET $BASE/oauth/token -d grant_type=authorization_code -d code=$CODE \
  --data-urlencode redirect_uri=$BACK | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s $BASE/v2.0/vehicles -H "Authorization: Bearer $TOKEN""#
    )
}

/// The text at `/__sim/help`.
pub fn help(origin: &str) -> String {
    let errors = ERRORS.map(|e| e.name).join(" ");
    format!(
        r#"Simulated Smartcar cloud: control path. JSON in, JSON out; POST needs Content-Type: application/json.

GET  /__sim/cars                      every car as it is (not as the cloud tells)
POST /__sim/cars                      {{"owner":"kim@example.org","make":"VOLVO","model":"XC60","model_year":2021,"latitude":30.27,"longitude":-97.74}}
                                      all members of a world file's car; a VIN is made up when there is none
GET  /__sim/cars/VIN
POST /__sim/cars/VIN/hand             {{"action":"open_tailgate"}} | close_tailgate | leave_tailgate_ajar | open_hood | close_hood
                                      {{"action":"open_door","door":"front_left"}} | close_door
                                      {{"action":"open","closure":"hood"}} | close | leave_ajar   (any closure)
                                      unlock_with_key | lock_with_key
                                      jam_lock (noticed: UPSTREAM) | jam_lock_unnoticed (says success) | free_lock
                                      break_latch (the tailgate stays ajar) | mend_latch
                                      sleep | wake | lose_network | regain_network
                                      remote_access_off | remote_access_on | drive_away
                                      {{"action":"park","latitude":57.7,"longitude":11.9}}
                                      409 when it cannot be done (a locked lid does not open)
POST /__sim/cars/VIN/faults           {{"command":"unlock","fault":"no_response_acted","times":1}} or "rate":0.2 instead of times
                                      command: unlock lock any, or a reading: attributes vin permissions security location
                                      fault: success (accepted), an error by name (below), an HTTP status 400 to 599, odd,
                                        garbage, connection_drop, slow ("slow_s"); with _acted, _not_acted or _late
                                        ("after_s") behind it: success_not_acted is accepted and nothing moves
                                      errors: {errors}
DELETE /__sim/cars/VIN/faults
POST /__sim/owners/LOGIN/revoke       the owner withdraws every consent
POST /__sim/owners/LOGIN/scopes       {{"refused":["read_location"]}}
GET  /__sim/clock                     POST /__sim/clock/advance {{"seconds":120}}
POST /__sim/outage                    {{"seconds":300}}: every request to the API is answered with 503
GET  /__sim/record?after=0&limit=1000&vin=VIN    every lid, lock, command and reading of a place, in order
GET  /__sim/summary                   per car: openings, locks, commands, shut and locked now

How to get a token:

{}
"#,
        token_recipe(origin)
    )
}
