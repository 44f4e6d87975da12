//! The wire types as schemas: one flat schema per frame, and the types that frames are made of.

use anyhow::{Context, bail, ensure};
use natter_protocol::{
    AcceptedView, ArrangementDraft, ArrangementView, BacklogPage, BlockPage, ChangeDraft, ClientFrame, CloseCode,
    ConversationPage, DevicePage, EditDraft, ErrorBody, ForwardDraft, GroupChangeDraft, GroupDraft, HistoryPage,
    InviteDraft, InvitePage, JoinDraft, MarkDraft, MarkPage, MarkedView, MemberDraft, MemberPage, MessageDraft,
    OverviewPage, PresencePage, PrivacyView, ReactionDraft, ReactorPage, ReceiptPage, RoleDraft, ServerFrame,
    SettingsDraft, SettingsView, TicketGrant, TimerDraft,
};
use schemars::{
    Schema, SchemaGenerator,
    generate::{Contract, SchemaSettings},
};
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::examples::{client_examples, server_examples};

/// Where schemas refer to other types; each document moves them to where it keeps them.
const DEFS: &str = "#/$defs/";

/// A frame.
#[derive(Debug)]
pub(crate) struct Frame {
    /// Unique name, such as `ClientSend`.
    pub(crate) name: String,
    /// The value of `type`.
    pub(crate) kind: String,
    /// Its schema: an object with all its fields, nothing inherited.
    pub(crate) schema: Value,
    /// At least one.
    pub(crate) examples: Vec<Value>,
}

impl Frame {
    /// What it is for.
    pub(crate) fn description(&self) -> &str {
        self.schema.get("description").and_then(Value::as_str).unwrap_or_default()
    }
}

/// Everything that travels.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) client: Vec<Frame>,
    pub(crate) server: Vec<Frame>,
    /// Types by name: ids, views, HTTP bodies.
    pub(crate) types: Map<String, Value>,
}

impl Wire {
    /// Reads the Rust types.
    pub(crate) fn read() -> anyhow::Result<Self> {
        let mut read = generator(Contract::Deserialize);
        let client = root::<ClientFrame>(&mut read);
        read.subschema_for::<MessageDraft>();
        read.subschema_for::<EditDraft>();
        read.subschema_for::<ForwardDraft>();
        read.subschema_for::<TimerDraft>();
        read.subschema_for::<ReactionDraft>();
        read.subschema_for::<ChangeDraft>();
        read.subschema_for::<GroupDraft>();
        read.subschema_for::<GroupChangeDraft>();
        read.subschema_for::<MemberDraft>();
        read.subschema_for::<RoleDraft>();
        read.subschema_for::<InviteDraft>();
        read.subschema_for::<JoinDraft>();
        read.subschema_for::<MarkDraft>();
        read.subschema_for::<ArrangementDraft>();
        read.subschema_for::<SettingsDraft>();
        let mut written = generator(Contract::Serialize);
        let server = root::<ServerFrame>(&mut written);
        for body in [
            SchemaGenerator::subschema_for::<AcceptedView>,
            SchemaGenerator::subschema_for::<BacklogPage>,
            SchemaGenerator::subschema_for::<BlockPage>,
            SchemaGenerator::subschema_for::<ConversationPage>,
            SchemaGenerator::subschema_for::<DevicePage>,
            SchemaGenerator::subschema_for::<ErrorBody>,
            SchemaGenerator::subschema_for::<HistoryPage>,
            SchemaGenerator::subschema_for::<InvitePage>,
            SchemaGenerator::subschema_for::<MarkPage>,
            SchemaGenerator::subschema_for::<MarkedView>,
            SchemaGenerator::subschema_for::<MemberPage>,
            SchemaGenerator::subschema_for::<OverviewPage>,
            SchemaGenerator::subschema_for::<ArrangementView>,
            SchemaGenerator::subschema_for::<PresencePage>,
            SchemaGenerator::subschema_for::<ReactorPage>,
            SchemaGenerator::subschema_for::<ReceiptPage>,
            SchemaGenerator::subschema_for::<SettingsView>,
            SchemaGenerator::subschema_for::<PrivacyView>,
            SchemaGenerator::subschema_for::<TicketGrant>,
        ] {
            body(&mut written);
        }
        let mut types = read.take_definitions(true);
        let mut answers = Value::Object(written.take_definitions(true));
        without_null(&mut answers);
        for (name, schema) in answers.as_object().into_iter().flatten() {
            let other = types.insert(name.clone(), schema.clone());
            ensure!(other.is_none_or(|other| other == *schema), "`{name}` is read and written differently");
        }
        types.insert("CloseCode".to_owned(), close_codes(&written.root_schema_for::<CloseCode>())?);
        types.extend([
            posted("PostedRequest", "A request of the WebSocket protocol: its frame, where `id` may be left out."),
            posted("PostedAnswer", "What answers it in a session: a frame with the `id` of the request, or 0."),
        ]);
        let mut server = server;
        without_null(&mut server);
        let mut wire = Self {
            client: frames("Client", &client, &types, &values(&client_examples())?)?,
            server: frames("Server", &server, &types, &values(&server_examples())?)?,
            types,
        };
        // Its fields are those of the frame now.
        wire.types.remove("Hello");
        wire.types.sort_keys();
        wire.tidy();
        Ok(wire)
    }

    fn tidy(&mut self) {
        self.types.values_mut().for_each(unwrap_lines);
        for frame in self.client.iter_mut().chain(&mut self.server) {
            unwrap_lines(&mut frame.schema);
        }
    }

    /// A type's description, its first paragraph.
    pub(crate) fn type_description(&self, name: &str) -> &str {
        let text = self.types.get(name).and_then(|schema| schema.get("description")).and_then(Value::as_str);
        text.and_then(|text| text.split("\n\n").next()).unwrap_or_default()
    }
}

/// A frame of either side, over HTTP.
fn posted(name: &str, description: &str) -> (String, Value) {
    let kind = json!({ "type": "string", "description": "Which frame it is." });
    let id = json!({ "type": "integer", "minimum": 0, "description": "Comes back in the answer." });
    let schema = json!({
        "type": "object",
        "description": description,
        "properties": { "type": kind, "id": id },
        "required": ["type"],
        "additionalProperties": true,
    });
    (name.to_owned(), schema)
}

fn generator(contract: Contract) -> SchemaGenerator {
    SchemaSettings::draft2020_12().with(|settings| settings.contract = contract).into_generator()
}

fn root<T: schemars::JsonSchema>(generator: &mut SchemaGenerator) -> Value {
    // The definitions stay in the generator, for all roots together.
    T::json_schema(generator).to_value()
}

fn values<T: Serialize>(examples: &[T]) -> anyhow::Result<Vec<Value>> {
    examples.iter().map(|example| Ok(serde_json::to_value(example)?)).collect()
}

/// One flat schema for each alternative of a tagged enum, however deep it is nested.
fn frames(side: &str, schema: &Value, types: &Map<String, Value>, examples: &[Value]) -> anyhow::Result<Vec<Frame>> {
    let mut flat = Vec::new();
    flatten(schema, &Map::new(), types, &mut flat)?;
    let frame = |schema: Value| {
        let kind = tag(&schema).context("a frame without a type")?.to_owned();
        let examples: Vec<_> = examples.iter().filter(|example| example["type"] == kind.as_str()).cloned().collect();
        ensure!(!examples.is_empty(), "`{kind}` has no example: add one to `examples.rs`");
        Ok(Frame { name: format!("{side}{}", pascal(&kind)), kind, schema, examples })
    };
    flat.into_iter().map(frame).collect()
}

fn tag(schema: &Value) -> Option<&str> {
    schema.pointer("/properties/type/const")?.as_str()
}

/// Descends into alternatives until a `type` is known; `outer` are the fields met on the way.
fn flatten(
    schema: &Value,
    outer: &Map<String, Value>,
    types: &Map<String, Value>,
    flat: &mut Vec<Value>,
) -> anyhow::Result<()> {
    let mut schema = schema.as_object().cloned().context("a schema that is no object")?;
    if let Some(name) = schema.remove("$ref") {
        let name = name.as_str().and_then(|name| name.strip_prefix(DEFS)).context("a reference to elsewhere")?;
        let inherited = types.get(name).and_then(Value::as_object).with_context(|| format!("no type `{name}`"))?;
        merge(&mut schema, inherited);
    }
    if tag(&Value::Object(schema.clone())).is_some() {
        merge(&mut schema, outer);
        flat.push(Value::Object(ordered(schema)));
        return Ok(());
    }
    let Some(alternatives) = schema.remove("oneOf").or_else(|| schema.remove("anyOf")) else {
        bail!("a frame without a type: {schema:?}");
    };
    schema.remove("description");
    merge(&mut schema, outer);
    alternatives.as_array().into_iter().flatten().try_for_each(|inner| flatten(inner, &schema, types, flat))
}

/// Adds the fields of another object schema.
fn merge(schema: &mut Map<String, Value>, other: &Map<String, Value>) {
    for (key, value) in other {
        match (schema.get_mut(key), value) {
            (Some(Value::Object(mine)), Value::Object(theirs)) if key == "properties" => {
                mine.extend(theirs.iter().map(|(name, field)| (name.clone(), field.clone())));
            }
            (Some(Value::Array(mine)), Value::Array(theirs)) if key == "required" => {
                mine.extend(theirs.iter().cloned())
            }
            (Some(_), _) => {}
            (None, value) => drop(schema.insert(key.clone(), value.clone())),
        }
    }
}

/// `type` first, then `id`, then the rest, as people read frames.
fn ordered(mut schema: Map<String, Value>) -> Map<String, Value> {
    if let Some(Value::Object(fields)) = schema.get_mut("properties") {
        let mut rest = std::mem::take(fields);
        for first in ["type", "id"] {
            fields.extend(rest.shift_remove_entry(first));
        }
        fields.extend(rest);
    }
    schema
}

/// Gateways leave out what is absent; they never send `null`.
fn without_null(schema: &mut Value) {
    let Value::Object(fields) = schema else {
        if let Value::Array(items) = schema {
            items.iter_mut().for_each(without_null);
        }
        return;
    };
    if let Some(Value::Array(types)) = fields.get_mut("type") {
        types.retain(|of| of != "null");
        if let [single] = types.as_slice() {
            let single = single.clone();
            fields.insert("type".to_owned(), single);
        }
    }
    if let Some(Value::Array(alternatives)) = fields.get_mut("anyOf") {
        alternatives.retain(|alternative| alternative["type"] != "null");
        if let [Value::Object(single)] = alternatives.as_slice() {
            let single = single.clone();
            fields.shift_remove("anyOf");
            fields.extend(single);
        }
    }
    fields.values_mut().for_each(without_null);
}

/// Close codes are numbers on the wire, which their Rust names do not tell.
fn close_codes(schema: &Schema) -> anyhow::Result<Value> {
    let described = schema.get("oneOf").and_then(Value::as_array).context("close codes without descriptions")?;
    let codes: Vec<_> = CloseCode::ALL.iter().zip(described).map(|(code, variant)| {
        json!({ "const": code.number(), "title": code.reason(), "description": variant["description"] })
    }).collect();
    ensure!(codes.len() == described.len(), "close codes and their descriptions differ");
    Ok(json!({ "description": schema.get("description"), "type": "integer", "oneOf": codes }))
}

/// Documentation comments are wrapped; a description is not.
fn unwrap_lines(schema: &mut Value) {
    match schema {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let (true, Value::String(text)) = (key == "description", &mut *value) {
                    *text = text.split("\n\n").map(|part| part.replace('\n', " ")).collect::<Vec<_>>().join("\n\n");
                }
                unwrap_lines(value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(unwrap_lines),
        _ => {}
    }
}

/// Moves references to types to where a document keeps them.
pub(crate) fn refer(mut schema: Value, to: &str) -> Value {
    fn walk(value: &mut Value, to: &str) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get_mut("$ref")
                    && let Some(name) = target.strip_prefix(DEFS)
                {
                    *target = format!("{to}{name}");
                }
                fields.values_mut().for_each(|value| walk(value, to));
            }
            Value::Array(items) => items.iter_mut().for_each(|item| walk(item, to)),
            _ => {}
        }
    }
    walk(&mut schema, to);
    schema
}

/// `open_direct` as `OpenDirect`.
fn pascal(kind: &str) -> String {
    let mut name = String::new();
    for word in kind.split('_') {
        let (first, rest) = word.split_at(word.len().min(1));
        name.push_str(&first.to_uppercase());
        name.push_str(rest);
    }
    name
}
