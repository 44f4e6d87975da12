//! What the configuration's schema says of each key: its kind, default and documentation.

use serde_json::Value;

use crate::{Config, json_schema};

/// What kind of value a key takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Number,
    Truth,
    Choice(Vec<String>),
    List(Box<Self>),
}

/// One key that can be set.
#[derive(Debug)]
pub(crate) struct Key {
    /// All levels, such as `connection.limits.message_bytes_max`.
    pub path: String,
    pub kind: Kind,
    /// `null`: absent.
    pub default: Value,
    pub meaning: String,
}

/// The keys of one level, in order of declaration.
#[derive(Debug)]
pub(crate) struct Section {
    /// Empty for the top level.
    pub path: String,
    pub meaning: String,
    pub keys: Vec<Key>,
}

/// Every key.
#[derive(Debug)]
pub(crate) struct Keys {
    pub sections: Vec<Section>,
}

impl Keys {
    pub fn new() -> Self {
        let schema = json_schema();
        let defaults = serde_json::to_value(Config::default()).unwrap_or_default();
        let mut keys = Self { sections: Vec::new() };
        keys.read(&schema, &schema, "", description(&schema), &defaults);
        keys
    }

    pub fn kind(&self, path: &str) -> Option<&Kind> {
        let mut keys = self.sections.iter().flat_map(|section| &section.keys);
        keys.find(|key| key.path == path).map(|key| &key.kind)
    }

    fn read(&mut self, root: &Value, schema: &Value, path: &str, meaning: String, defaults: &Value) {
        let place = self.sections.len();
        self.sections.push(Section { path: path.to_owned(), meaning, keys: Vec::new() });
        for (name, declared) in schema["properties"].as_object().into_iter().flatten() {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            let resolved = resolve(root, declared);
            let (meaning, default) = (description(declared), &defaults[name]);
            if resolved.get("properties").is_some() {
                self.read(root, resolved, &path, meaning, default);
            } else {
                let key = Key { path, kind: kind(root, resolved), default: default.clone(), meaning };
                self.sections[place].keys.push(key);
            }
        }
    }
}

/// The doc comment as one line.
fn description(schema: &Value) -> String {
    schema["description"].as_str().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Follows references, and looks through `Option`.
fn resolve<'a>(root: &'a Value, schema: &'a Value) -> &'a Value {
    if let Some(reference) = schema["$ref"].as_str() {
        return root.pointer(reference.trim_start_matches('#')).unwrap_or(schema);
    }
    let alternatives = schema["anyOf"].as_array().into_iter().flatten();
    let present = alternatives.filter(|alternative| alternative["type"] != "null").collect::<Vec<_>>();
    if let [only] = present.as_slice() { resolve(root, only) } else { schema }
}

fn kind(root: &Value, schema: &Value) -> Kind {
    let listed = schema["enum"].as_array().into_iter().flatten().filter_map(Value::as_str);
    let alternatives = schema["oneOf"].as_array().into_iter().flatten();
    let choices = listed.chain(alternatives.filter_map(|alternative| alternative["const"].as_str()));
    let choices: Vec<String> = choices.map(str::to_owned).collect();
    if !choices.is_empty() {
        return Kind::Choice(choices);
    }
    let named = |name: &str| {
        let several = schema["type"].as_array().into_iter().flatten();
        schema["type"] == name || several.into_iter().any(|each| each == name)
    };
    if named("integer") || named("number") {
        Kind::Number
    } else if named("boolean") {
        Kind::Truth
    } else if named("array") {
        Kind::List(Box::new(kind(root, resolve(root, &schema["items"]))))
    } else {
        Kind::Text
    }
}
