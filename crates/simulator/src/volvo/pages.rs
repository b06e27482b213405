//! The few pages a person may open.

use std::collections::BTreeMap;

use super::identity::Scopes;
use super::world::{ClientFile, World};

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
        "Simulated Volvo ID",
        &format!(
            "<p>An application asks for:</p><ul>{scopes}</ul><form method=\"get\" action=\"/as/authorization.oauth2\">{hidden}\
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
        "Simulated Volvo cloud",
        &format!(
            "<p>A stand-in for Volvo's identity service, Connected Vehicle API v2 and Location API v1. Nothing here is real: \
             no car, no owner, no secret.</p>{client}<p>Owners (the first 20):</p><ul>{owners}</ul><h2>A token</h2>\
             <pre>{}</pre><p>The control path: <a href=\"/__sim/help\">/__sim/help</a></p>",
            escaped(&token_recipe(origin))
        ),
    )
}
fn client_words(client: &ClientFile) -> String {
    format!(
        "<p>Client id <code>{}</code>, secret <code>{}</code>, <code>vcc-api-key: {}</code></p>",
        escaped(&client.client_id),
        escaped(&client.client_secret),
        escaped(&client.vcc_api_key)
    )
}

/// Shell commands that end with the list of cars.
fn token_recipe(origin: &str) -> String {
    format!(
        r#"BASE={origin}; ID=parcelshelf-demo; SECRET=simulated-client-secret; KEY=simulated-vcc-api-key-0123456789
BACK=http://localhost/callback; OWNER=alex@example.org
VERIFIER=$(openssl rand -base64 60 | tr '+/' '-_' | tr -d '=\n' | cut -c1-43)
CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '=\n')
CODE=$(curl -s -o /dev/null -w '%{{redirect_url}}' -G $BASE/as/authorization.oauth2 \
  -d response_type=code -d client_id=$ID --data-urlencode redirect_uri=$BACK -d state=x -d login_hint=$OWNER \
  --data-urlencode 'scope=openid conve:vehicle_relation conve:commands conve:command_accessibility conve:doors_status conve:lock_status conve:lock conve:unlock location:read' \
  -d code_challenge=$CHALLENGE -d code_challenge_method=S256 | sed 's/.*code=\([^&]*\).*/\1/')
TOKEN=$(curl -s -u $ID:$SECRET $BASE/as/token.oauth2 -d grant_type=authorization_code -d code=$CODE \
  --data-urlencode redirect_uri=$BACK -d code_verifier=$VERIFIER | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s $BASE/connected-vehicle/v2/vehicles -H "Authorization: Bearer $TOKEN" -H "vcc-api-key: $KEY""#
    )
}

/// The text at `/__sim/help`.
pub fn help(origin: &str) -> String {
    format!(
        r#"Simulated Volvo cloud: control path. JSON in, JSON out; POST needs Content-Type: application/json.

GET  /__sim/cars                      every car as it is (not as the cloud tells)
POST /__sim/cars                      {{"owner":"kim@example.org","model":"XC60","model_year":2021,"latitude":30.27,"longitude":-97.74}}
                                      all members of a world file's car; a VIN is made up when there is none
GET  /__sim/cars/VIN
POST /__sim/cars/VIN/hand             {{"action":"open_tailgate"}} | close_tailgate | leave_tailgate_ajar | open_hood | close_hood
                                      {{"action":"open_door","door":"front_left"}} | close_door
                                      {{"action":"open","closure":"tank_lid"}} | close | leave_ajar   (any closure)
                                      unlock_with_key | lock_with_key
                                      jam_lock (noticed: CAR_ERROR) | jam_lock_unnoticed (says COMPLETED) | free_lock
                                      break_latch (the tailgate stays ajar) | mend_latch
                                      sleep | wake | lose_network | regain_network | start_update | end_update
                                      privacy_on | privacy_off | drive_away
                                      {{"action":"park","latitude":57.7,"longitude":11.9,"heading":90}}
                                      409 when it cannot be done (a locked lid does not open)
POST /__sim/cars/VIN/faults           {{"command":"unlock","fault":"timeout_acted","times":1}} or "rate":0.2 instead of times
                                      command: unlock lock lock-reduced-guard honk flash honk-flash any,
                                        or a reading: details commands command-accessibility doors windows location
                                      fault: an invokeStatus in lower case, an HTTP status 400 to 599, connection_drop, garbage,
                                        slow ("slow_s"), late ("after_s": TIMEOUT now, acts then);
                                        with _acted or _not_acted behind it
DELETE /__sim/cars/VIN/faults
POST /__sim/owners/LOGIN/revoke       the owner withdraws every consent
POST /__sim/owners/LOGIN/scopes       {{"refused":["location:read"]}}
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
