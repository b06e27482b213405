//! The few pages a person may open.

use std::collections::BTreeMap;

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
        "Simulated Tesla login",
        &format!(
            "<p>An application asks for:</p><ul>{scopes}</ul>\
             <form method=\"get\" action=\"/oauth2/v3/authorize\">{hidden}\
             <p><label>Owner <select name=\"login_hint\">{options}</select></label></p>\
             <p><button>Allow</button> <button name=\"consent\" value=\"deny\">Refuse</button></p></form>"
        ),
    )
}

/// The page at `/`: what this is and how to get a token.
pub fn root(world: &World, origin: &str) -> String {
    let owners: String =
        world.owners.keys().take(20).map(|o| format!("<li><code>{}</code></li>", escaped(o))).collect();
    let client = world.clients.first().map(|c| escaped(&c.client_id)).unwrap_or_default();
    page(
        "Simulated Tesla cloud",
        &format!(
            "<p>A stand-in for the login, Fleet API and signed commands of Tesla cars. Nothing here is real: no car, no \
             owner, no secret.</p><p>Client id <code>{client}</code></p><p>Owners (the first 20):</p><ul>{owners}</ul>\
             <h2>A token</h2><pre>{}</pre><p>The control path: <a href=\"/__sim/help\">/__sim/help</a></p>",
            escaped(&token_recipe(origin))
        ),
    )
}

/// Shell commands that end with the list of cars.
fn token_recipe(origin: &str) -> String {
    format!(
        r#"BASE={origin}; ID={id}; SECRET={secret}
BACK=http://localhost/callback; OWNER=alex@example.org
CODE=$(curl -s -o /dev/null -w '%{{redirect_url}}' -G $BASE/oauth2/v3/authorize -d response_type=code -d client_id=$ID \
  --data-urlencode redirect_uri=$BACK -d state=x -d login_hint=$OWNER \
  --data-urlencode 'scope=openid offline_access vehicle_device_data vehicle_location vehicle_cmds' \
  | sed 's/.*code=\([^&]*\).*/\1/')
TOKEN=$(curl -s $BASE/oauth2/v3/token -d grant_type=authorization_code -d client_id=$ID -d client_secret=$SECRET \
  -d code=$CODE -d audience=$BASE --data-urlencode redirect_uri=$BACK | sed 's/.*"access_token":"\([^"]*\)".*/\1/')
curl -s $BASE/api/1/vehicles -H "Authorization: Bearer $TOKEN""#,
        id = super::DEMO_CLIENT_ID,
        secret = super::DEMO_CLIENT_SECRET,
    )
}

/// The text at `/__sim/help`.
pub fn help(origin: &str) -> String {
    format!(
        r#"Simulated Tesla cloud: control path. JSON in, JSON out; POST needs Content-Type: application/json.

GET  /__sim/cars                      every car as it is (not as the cloud tells)
POST /__sim/cars                      {{"owner":"kim@example.org","model":"Y","latitude":52.5,"longitude":13.4,"signed":true}}
                                      model: S X 3 Y C; powered_lid, key_paired, asleep, all members of a world file's car;
                                      a VIN is made up when there is none
GET  /__sim/cars/VIN
POST /__sim/cars/VIN/hand             {{"action":"open_trunk"}} | close_trunk | leave_trunk_ajar | open_hood | close_hood
                                      {{"action":"open_door","door":"front_left"}} | close_door
                                      unlock_with_key | lock_with_key
                                      jam_lock (noticed: result false) | jam_lock_unnoticed (result true) | free_lock
                                      break_latch (the trunk stays ajar) | mend_latch
                                      sleep | wake | lose_network | regain_network | drive_away | user_present | user_gone
                                      {{"action":"park","latitude":59.3,"longitude":18.0,"heading":90}}
                                      open_tailgate and close_tailgate mean the trunk, too
                                      409 when it cannot be done (a locked trunk does not open)
POST /__sim/cars/VIN/restart          the computer behind locks and lids starts again: another epoch of signed commands
POST /__sim/cars/VIN/faults           {{"command":"actuate_trunk","fault":"timeout_acted","times":1}} or "rate":0.2 instead of times
                                      command: actuate_trunk door_lock door_unlock actuate_front_trunk flash_lights honk_horn any,
                                        or: vehicle vehicle_data fleet_status wake_up handshake
                                      fault: an HTTP status 400 to 599, timeout (504), connection_drop, garbage, true, false,
                                        odd, slow ("slow_s"), late ("after_s": 504 now, acts then); of signed commands
                                        fault_N, nominal_N, wait, stranger; with _acted or _not_acted behind it
DELETE /__sim/cars/VIN/faults
POST /__sim/owners/LOGIN/revoke       the owner withdraws every consent
POST /__sim/owners/LOGIN/scopes       {{"refused":["vehicle_location"]}}
GET  /__sim/clock                     POST /__sim/clock/advance {{"seconds":120}}
POST /__sim/outage                    {{"seconds":300}}: every request to the API is answered with 503
GET  /__sim/record?after=0&limit=1000&vin=VIN    every lid, lock, command, wake and reading of a place, in order
GET  /__sim/summary                   per car: openings, locks, commands, wakes, shut and locked now

How to get a token:

{}
"#,
        token_recipe(origin)
    )
}
