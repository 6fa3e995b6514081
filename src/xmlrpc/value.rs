//! The values of XML-RPC, and how they are written. Pure.
//!
//! The form is that of Python's `xmlrpc.client`, which clients compare with; `xml.rs` reads it.

use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// `int`, at most 32 bits.
    Int(i64),
    /// `boolean`.
    Bool(bool),
    /// `string`.
    Text(String),
    /// `double`.
    Double(f64),
    /// `array`.
    Array(Vec<Value>),
    /// `struct`.
    Struct(Vec<(String, Value)>),
}

impl Value {
    /// A struct of these members.
    pub(crate) fn of(members: Vec<(&str, Value)>) -> Value {
        Value::Struct(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    /// A string.
    pub(crate) fn text(text: impl Into<String>) -> Value {
        Value::Text(text.into())
    }

    /// A number; one of more than 32 bits is the nearest.
    pub(crate) fn int(number: i64) -> Value {
        Value::Int(number.clamp(i32::MIN.into(), i32::MAX.into()))
    }

    /// The member of this name.
    pub(crate) fn member(&self, name: &str) -> Option<&Value> {
        if let Value::Struct(members) = self {
            return members.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value);
        }
        None
    }

    /// About how many bytes of memory it has.
    pub(crate) fn size(&self) -> usize {
        let inner = match self {
            Value::Int(_) | Value::Bool(_) | Value::Double(_) => 0,
            Value::Text(text) => text.len(),
            Value::Array(values) => values.iter().map(Value::size).sum(),
            Value::Struct(members) => {
                members.iter().map(|(name, value)| size_of::<String>() + name.len() + value.size()).sum()
            }
        };
        size_of::<Value>() + inner
    }

    /// The text of this member, or an empty one.
    pub(crate) fn text_of(&self, name: &str) -> &str {
        if let Some(Value::Text(text)) = self.member(name) { text } else { "" }
    }

    /// The number of this member, or 0.
    pub(crate) fn int_of(&self, name: &str) -> i64 {
        match self.member(name) {
            Some(Value::Int(number)) => *number,
            Some(Value::Bool(value)) => i64::from(*value),
            Some(_) | None => 0,
        }
    }

    /// Its elements; none if it is not an array.
    pub(crate) fn elements(&self) -> &[Value] {
        if let Value::Array(values) = self { values } else { &[] }
    }

    /// Appends it as XML.
    pub(crate) fn write(&self, xml: &mut String) {
        xml.push_str("<value>");
        // Writing to a string cannot fail.
        let _ = match self {
            Value::Int(number) => write!(xml, "<int>{number}</int>"),
            Value::Bool(value) => write!(xml, "<boolean>{}</boolean>", u8::from(*value)),
            Value::Double(number) => write!(xml, "<double>{number}</double>"),
            Value::Text(text) => {
                xml.push_str("<string>");
                escape(text, xml);
                xml.write_str("</string>")
            }
            Value::Array(values) => {
                xml.push_str("<array><data>\n");
                for value in values {
                    value.write(xml);
                    xml.push('\n');
                }
                xml.write_str("</data></array>")
            }
            Value::Struct(members) => {
                xml.push_str("<struct>\n");
                for (name, value) in members {
                    xml.push_str("<member>\n<name>");
                    escape(name, xml);
                    xml.push_str("</name>\n");
                    value.write(xml);
                    xml.push_str("\n</member>\n");
                }
                xml.write_str("</struct>")
            }
        };
        xml.push_str("</value>");
    }
}

/// Appends a text. A character that XML cannot have is replaced; a carriage return would be read as a line end.
pub(crate) fn escape(text: &str, xml: &mut String) {
    for char in text.chars() {
        match char {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\r' => xml.push_str("&#13;"),
            '\t' | '\n' => xml.push(char),
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => xml.push(char::REPLACEMENT_CHARACTER),
            char => xml.push(char),
        }
    }
}

/// The document with a call.
pub(crate) fn request(method: &str, params: &[Value]) -> String {
    let mut xml = String::from("<?xml version='1.0'?>\n<methodCall>\n<methodName>");
    escape(method, &mut xml);
    xml.push_str("</methodName>\n<params>\n");
    for value in params {
        xml.push_str("<param>\n");
        value.write(&mut xml);
        xml.push_str("\n</param>\n");
    }
    xml.push_str("</params>\n</methodCall>\n");
    xml
}

/// The document with a result.
pub(crate) fn response(value: &Value) -> String {
    let mut xml = String::from("<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n");
    value.write(&mut xml);
    xml.push_str("\n</param>\n</params>\n</methodResponse>\n");
    xml
}

/// A fault as a value.
pub(crate) fn fault(code: i64, text: &str) -> Value {
    Value::of(vec![("faultCode", Value::Int(code)), ("faultString", Value::text(text))])
}

/// The document with a fault.
pub(crate) fn fault_response(code: i64, text: &str) -> String {
    let mut xml = String::from("<?xml version='1.0'?>\n<methodResponse>\n<fault>\n");
    fault(code, text).write(&mut xml);
    xml.push_str("\n</fault>\n</methodResponse>\n");
    xml
}
