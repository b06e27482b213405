//! Bad bodies, made from an OpenAPI document: for every field of every request body, every way in which it can be wrong.

use serde_json::{Map, Value, json};

/// One bad request.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// Which field and what is wrong with it, such as `/parcels/0/weight_g: null`.
    pub name: String,
    pub content_type: Option<&'static str>,
    pub body: Vec<u8>,
}

/// One operation of an OpenAPI document.
#[derive(Debug, Clone)]
pub struct Operation {
    pub method: String,
    /// With `{parameters}`.
    pub path: String,
    /// Request body's schema with every reference resolved, if it has a JSON body.
    pub body: Option<Value>,
}

/// Enumerates the operations of a document.
///
/// # Panics
/// When the document has no paths: then nothing would be tested.
pub fn operations(document: &Value) -> Vec<Operation> {
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().expect("the document has paths") {
        for (method, operation) in item.as_object().into_iter().flatten() {
            if !["get", "put", "post", "delete", "patch"].contains(&method.as_str()) {
                continue;
            }
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            let body = (!schema.is_null()).then(|| resolved(document, schema, 0));
            all.push(Operation { method: method.to_uppercase(), path: path.clone(), body });
        }
    }
    assert!(!all.is_empty(), "the document has no operations");
    all
}

fn resolved(document: &Value, schema: &Value, depth: usize) -> Value {
    assert!(depth < 32, "schemas do not refer to themselves here");
    if let Some(reference) = schema["$ref"].as_str() {
        let target = document.pointer(reference.trim_start_matches('#')).expect("references resolve");
        return resolved(document, target, depth + 1);
    }
    match schema {
        Value::Object(members) => {
            Value::Object(members.iter().map(|(k, v)| (k.clone(), resolved(document, v, depth + 1))).collect())
        }
        Value::Array(all) => Value::Array(all.iter().map(|v| resolved(document, v, depth + 1)).collect()),
        other => other.clone(),
    }
}

/// The simplest body that fits a schema.
pub fn example(schema: &Value) -> Value {
    for key in ["example", "default", "const"] {
        if !schema[key].is_null() {
            return schema[key].clone();
        }
    }
    if let Some(first) = schema["examples"].as_array().and_then(|e| e.first()) {
        return first.clone();
    }
    if let Some(first) = schema["enum"].as_array().and_then(|e| e.first()) {
        return first.clone();
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(choice) = schema[key].as_array().and_then(|c| c.iter().find(|s| s["type"] != "null")) {
            return example(choice);
        }
    }
    if let Some(all) = schema["allOf"].as_array() {
        let mut merged = Map::new();
        for part in all {
            if let Value::Object(members) = example(part) {
                merged.extend(members);
            }
        }
        return Value::Object(merged);
    }
    let kind = schema["type"].as_str().or_else(|| {
        schema["type"].as_array().and_then(|all| all.iter().filter_map(Value::as_str).find(|t| *t != "null"))
    });
    match kind {
        Some("object") => Value::Object(
            schema["properties"].as_object().into_iter().flatten().map(|(k, v)| (k.clone(), example(v))).collect(),
        ),
        Some("array") => json!([example(&schema["items"])]),
        Some("integer" | "number") => schema["minimum"].as_i64().map_or_else(|| json!(1), |m| json!(m)),
        Some("boolean") => json!(true),
        _ => {
            let length = schema["minLength"].as_u64().unwrap_or(4).clamp(1, 100_000);
            Value::String("A".repeat(usize::try_from(length).expect("clamped")))
        }
    }
}

/// Every bad body for one operation.
pub fn mutations(schema: &Value) -> Vec<Mutation> {
    let base = example(schema);
    let mut all = whole_body(&base);
    let mut fields = Vec::new();
    paths(&base, String::new(), &mut fields);
    for path in &fields {
        all.extend(field(schema, &base, path));
    }
    all
}

/// How many fields a schema's example has, to check that every one is covered.
pub fn field_count(schema: &Value) -> usize {
    let mut fields = Vec::new();
    paths(&example(schema), String::new(), &mut fields);
    fields.len()
}

fn paths(value: &Value, at: String, into: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (name, inner) in members {
                let path = format!("{at}/{name}");
                into.push(path.clone());
                paths(inner, path, into);
            }
        }
        Value::Array(all) => {
            if let Some(first) = all.first() {
                paths(first, format!("{at}/0"), into);
            }
        }
        _ => {}
    }
}

const JSON: Option<&str> = Some("application/json");

fn whole_body(base: &Value) -> Vec<Mutation> {
    let text = base.to_string().into_bytes();
    let make = |name: &str, content_type, body| Mutation { name: format!("body: {name}"), content_type, body };
    let mut all = vec![
        make("no content type", None, text.clone()),
        make("text/plain", Some("text/plain"), text.clone()),
        make("form", Some("application/x-www-form-urlencoded"), b"a=b".to_vec()),
        make("empty", JSON, vec![]),
        make("null", JSON, b"null".to_vec()),
        make("array", JSON, format!("[{base}]").into_bytes()),
        make("text", JSON, b"\"x\"".to_vec()),
        make("number", JSON, b"1".to_vec()),
        make("byte order mark", JSON, [b"\xef\xbb\xbf".to_vec(), text.clone()].concat()),
        make("trailing bytes", JSON, [text.clone(), b" {}".to_vec()].concat()),
        make("UTF-16", JSON, base.to_string().encode_utf16().flat_map(u16::to_le_bytes).collect()),
        make("three megabytes", JSON, [vec![b' '; 3 << 20], text.clone()].concat()),
        make("deeper than any", JSON, ["[".repeat(10_000), "]".repeat(10_000)].concat().into_bytes()),
        make("unknown member", JSON, with_member(&text, "\"surprise\":1")),
    ];
    for cut in [1, text.len() / 3, text.len() / 2, text.len().saturating_sub(1)] {
        if cut > 0 && cut < text.len() {
            all.push(make(&format!("truncated to {cut}"), JSON, text[..cut].to_vec()));
        }
    }
    all
}

fn with_member(object: &[u8], member: &str) -> Vec<u8> {
    let mut body = object[..object.len() - 1].to_vec();
    if body.len() > 1 {
        body.push(b',');
    }
    body.extend_from_slice(member.as_bytes());
    body.push(b'}');
    body
}

/// Stands for a value while the rest is written, and is then replaced by raw bytes that no JSON library would write.
const HERE: &str = "@@here@@";

fn field(schema: &Value, base: &Value, path: &str) -> Vec<Mutation> {
    let mut marked = base.clone();
    let Some(place) = marked.pointer_mut(path) else { return vec![] };
    let original = std::mem::replace(place, Value::from(HERE));
    let text = marked.to_string();
    let with = |raw: &[u8]| -> Vec<u8> {
        let quoted = format!("\"{HERE}\"");
        let at = text.find(&quoted).expect("the mark is there");
        [&text.as_bytes()[..at], raw, &text.as_bytes()[at + quoted.len()..]].concat()
    };
    let name = path.rsplit('/').next().expect("a path has a last part");
    let own = original.to_string();
    let nested = format!("{}1{}", "[".repeat(64), "]".repeat(64));
    let long = format!("\"{}\"", "A".repeat(200_000));
    let mut raws: Vec<(&str, Vec<u8>)> = vec![
        ("null", b"null".to_vec()),
        ("duplicate", format!("{own},\"{name}\":{own}").into_bytes()),
        ("too long", long.into_bytes()),
        ("too deep", nested.into_bytes()),
        ("invalid UTF-8", b"\"\xff\xfe\"".to_vec()),
        ("lone surrogate", br#""\ud800""#.to_vec()),
        ("zero character", br#""\u0000""#.to_vec()),
        ("raw control character", b"\"\x01\"".to_vec()),
        ("huge number", b"1e400".to_vec()),
        ("out of range", b"-9223372036854775809".to_vec()),
        ("fraction", b"0.5".to_vec()),
        ("not a number", b"NaN".to_vec()),
        ("bare word", b"yes".to_vec()),
    ];
    // Other types than its own.
    for (kind, raw) in [
        ("text", "\"§ no such value §\""),
        ("number", "-7"),
        ("boolean", "true"),
        ("list", "[[]]"),
        ("object", "{\"x\":{}}"),
    ] {
        let same = match original {
            Value::Bool(_) => kind == "boolean",
            // A wrong text in a text field, a wrong number in a number field: out of its range.
            _ => false,
        };
        if !same {
            raws.push((kind, raw.as_bytes().to_vec()));
        }
    }
    // Free texts take any short text; a wrong type or length is still refused.
    if is_free_text(schema, path) {
        raws.retain(|(what, _)| !["text", "lone surrogate"].contains(what));
        raws.push(("lone surrogate", br#""\ud800""#.to_vec()));
    }
    let mut all: Vec<Mutation> = raws
        .into_iter()
        .map(|(what, raw)| Mutation { name: format!("{path}: {what}"), content_type: JSON, body: with(&raw) })
        .collect();
    if let Some(inner) = original.as_object() {
        let extra = with_member(Value::Object(inner.clone()).to_string().as_bytes(), "\"surprise\":null");
        all.push(Mutation { name: format!("{path}: unknown member"), content_type: JSON, body: with(&extra) });
    }
    if is_required(schema, path) {
        let mut without = base.clone();
        let (parent, _) = path.rsplit_once('/').expect("a path has a parent");
        if let Some(Value::Object(members)) = without.pointer_mut(parent) {
            members.remove(name);
        }
        all.push(Mutation {
            name: format!("{path}: missing"),
            content_type: JSON,
            body: without.to_string().into_bytes(),
        });
    }
    all
}

/// The schema of the field at a path of the example.
fn schema_at<'a>(schema: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = schema;
    for part in path.split('/').skip(1) {
        for key in ["oneOf", "anyOf"] {
            if let Some(choice) = at[key].as_array().and_then(|c| c.iter().find(|s| s["type"] != "null")) {
                at = choice;
            }
        }
        at = if part == "0" && !at["items"].is_null() { &at["items"] } else { at["properties"].get(part)? };
    }
    Some(at)
}

fn is_required(schema: &Value, path: &str) -> bool {
    let Some((parent, name)) = path.rsplit_once('/') else { return false };
    schema_at(schema, parent)
        .and_then(|s| s["required"].as_array())
        .is_some_and(|required| required.iter().any(|r| r == name))
}

/// A text without pattern, format or list of values.
fn is_free_text(schema: &Value, path: &str) -> bool {
    schema_at(schema, path).is_some_and(|s| {
        s["type"] == "string" && ["pattern", "format", "enum", "const"].iter().all(|key| s[*key].is_null())
    })
}
