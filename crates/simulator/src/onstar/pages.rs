//! The few pages a person may open.

use std::collections::BTreeMap;

use super::login::LOGIN_PATH;
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
pub fn login(asked: &BTreeMap<String, String>, logins: &[&str]) -> String {
    let hidden: String = asked
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "login_hint" | "consent"))
        .map(|(name, value)| format!("<input type=\"hidden\" name=\"{}\" value=\"{}\">", escaped(name), escaped(value)))
        .collect();
    let options: String = logins.iter().map(|l| format!("<option>{}</option>", escaped(l))).collect();
    page(
        "Simulated OnStar login",
        &format!(
            "<p>An application asks to see your cars and to open their trunks.</p>\
             <form method=\"get\" action=\"{LOGIN_PATH}/oauth2/v2.0/authorize\">{hidden}\
             <p><label>Owner <select name=\"login_hint\">{options}</select></label></p>\
             <p><button>Sign in</button> <button name=\"consent\" value=\"deny\">Cancel</button></p></form>"
        ),
    )
}

/// The page at `/`: what this is and how to get a token.
pub fn root(world: &World, origin: &str) -> String {
    let owners: String =
        world.owners.keys().take(20).map(|o| format!("<li><code>{}</code></li>", escaped(o))).collect();
    let client = world.clients.first().map(|c| escaped(&c.client_id)).unwrap_or_default();
    page(
        "Simulated OnStar cloud",
        &format!(
            "<p>A stand-in for the login, garage, commands and positions of OnStar cars. Nothing here is real: no car, no \
             owner.</p><p>Client id <code>{client}</code></p><p>Owners (the first 20):</p><ul>{owners}</ul><h2>A token</h2>\
             <pre>{}</pre><p>The control path: <a href=\"/__sim/help\">/__sim/help</a></p>",
            escaped(&token_recipe(origin))
        ),
    )
}

/// Shell commands that end with the list of cars.
fn token_recipe(origin: &str) -> String {
    format!(
        r#"BASE={origin}; LOGIN=$BASE{LOGIN_PATH}/oauth2/v2.0; ID={client}
BACK=http://localhost/callback; OWNER=alex@example.org
VERIFIER=$(openssl rand -base64 60 | tr '+/' '-_' | tr -d '=\n' | cut -c1-43)
CHALLENGE=$(printf %s "$VERIFIER" | openssl dgst -sha256 -binary | openssl base64 | tr '+/' '-_' | tr -d '=\n')
CODE=$(curl -s -o /dev/null -w '%{{redirect_url}}' -G $LOGIN/authorize -d response_type=code -d client_id=$ID \
  --data-urlencode redirect_uri=$BACK --data-urlencode 'scope=openid offline_access' -d state=x -d login_hint=$OWNER \
  -d code_challenge=$CHALLENGE -d code_challenge_method=S256 | sed 's/.*code=\([^&]*\).*/\1/')
FIRST=$(curl -s $LOGIN/token -d grant_type=authorization_code -d client_id=$ID -d code=$CODE \
  --data-urlencode redirect_uri=$BACK -d code_verifier=$VERIFIER | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
TOKEN=$(curl -s $BASE/sec/authz/v3/oauth/token -d subject_token=$FIRST -d scope=onstar -d device_id=$(openssl rand -hex 16) \
  -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
  -d subject_token_type=urn:ietf:params:oauth:token-type:access_token | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s $BASE/mbff/garage/v1 -H "Authorization: Bearer $TOKEN" -H 'Content-Type: text/plain' \
  -d 'query q {{vehicles {{vin make model year}}}}'"#,
        client = super::DEMO_CLIENT_ID,
    )
}

/// The text at `/__sim/help`.
pub fn help(origin: &str) -> String {
    format!(
        r#"Simulated OnStar cloud: control path. JSON in, JSON out; POST needs Content-Type: application/json.

GET  /__sim/cars                      every car as it is (not as the cloud tells)
POST /__sim/cars                      {{"owner":"kim@example.org","make":"cadillac","model_year":2021,"latitude":30.27,"longitude":-97.74}}
                                      make: chevrolet buick gmc cadillac; all members of a world file's car;
                                      a VIN is made up when there is none
GET  /__sim/cars/VIN
POST /__sim/cars/VIN/hand             {{"action":"open_trunk"}} | try_trunk | close_trunk | leave_trunk_ajar | open_hood | close_hood
                                      {{"action":"open_door","door":"front_left"}} | close_door
                                      unlock_with_key | lock_with_key   (doors and trunk)
                                      jam_lock (noticed: FAILURE) | jam_lock_unnoticed (says SUCCESS) | free_lock
                                      break_latch (the trunk stays ajar) | mend_latch
                                      sleep | wake | lose_network | regain_network | drive_away
                                      {{"action":"park","latitude":42.3,"longitude":-83.0}}
                                      open_tailgate and close_tailgate mean the trunk, too
                                      409 when it cannot be done (a locked trunk does not open)
POST /__sim/cars/VIN/faults           {{"command":"unlockTrunk","fault":"timeout_acted","times":1}} or "rate":0.2 instead of times
                                      command: unlockTrunk lockTrunk unlock lock alert cancelAlert location any,
                                        or a reading: details position health poll (the request URL)
                                      fault: an HTTP status 400 to 599 (400: the new API only once), timeout (504),
                                        connection_drop, garbage, slow ("slow_s"), elsewhere (request URL on another host);
                                        what the request URL says: failure error success in_progress (for ever) odd,
                                        late ("after_s": acts and says so then); of a position: stale (stays PENDING);
                                        with _acted or _not_acted behind it
DELETE /__sim/cars/VIN/faults
POST /__sim/owners/LOGIN/revoke       the owner withdraws every consent
GET  /__sim/clock                     POST /__sim/clock/advance {{"seconds":120}}
POST /__sim/outage                    {{"seconds":300}}: every request to the cloud is answered with 503
GET  /__sim/record?after=0&limit=1000&vin=VIN    every lid, lock, command and reading of a place, in order
GET  /__sim/summary                   per car: openings, locks, commands by kind, position reads, shut and locked now

How to get a token:

{}
"#,
        token_recipe(origin)
    )
}
