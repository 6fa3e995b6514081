//! Reads the part of XML that XML-RPC is written in, from a hostile client or server. Pure.
//!
//! Elements, texts, the five entities of XML and numbers of characters. There are no document types and so no entities of a
//! client's; attributes are skipped. The depth and the number of values are bounded, so a document costs what it is long.

use super::value::Value;
use crate::base64;

/// The deepest nesting of elements.
const DEPTH: usize = 32;
/// The most values in a request.
const VALUES: usize = 4096;
/// The most values in a response: a process has 15.
const VALUES_OF_RESPONSE: usize = 500_000;

/// A call.
#[derive(Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) method: String,
    pub(crate) params: Vec<Value>,
}

/// The document is not a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

#[derive(Debug, PartialEq, Eq)]
enum Token<'a> {
    Start(&'a str),
    End(&'a str),
    Text(String),
}

struct Reader<'a> {
    rest: &'a str,
    open: Vec<&'a str>,
    /// `<a/>` is followed by its end.
    is_empty: bool,
    /// How many values may still come.
    values: usize,
}

/// Reads a `methodCall`.
pub(crate) fn call(document: &[u8]) -> Result<Call, Malformed> {
    let mut reader = Reader::new(document, VALUES)?;
    reader.enter("methodCall")?;
    reader.enter("methodName")?;
    let method = reader.text()?;
    let mut params = Vec::new();
    while let Some(name) = reader.child()? {
        if name != "params" {
            return Err(Malformed);
        }
        while let Some(name) = reader.child()? {
            if name != "param" {
                return Err(Malformed);
            }
            reader.enter("value")?;
            params.push(reader.value()?);
            reader.leave()?;
        }
    }
    // Behind it there is nothing but comments.
    match reader.next_token()? {
        None if !method.trim().is_empty() => Ok(Call { method: method.trim().to_owned(), params }),
        Some(_) | None => Err(Malformed),
    }
}

/// Reads a `methodResponse`; `Err` within: a fault.
pub(crate) fn response(document: &[u8]) -> Result<Result<Value, (i64, String)>, Malformed> {
    let mut reader = Reader::new(document, VALUES_OF_RESPONSE)?;
    reader.enter("methodResponse")?;
    let is_fault = match reader.child()? {
        Some("fault") => true,
        Some("params") => {
            reader.enter("param")?;
            false
        }
        Some(_) | None => return Err(Malformed),
    };
    reader.enter("value")?;
    let value = reader.value()?;
    for _ in 0..if is_fault { 2 } else { 3 } {
        reader.leave()?;
    }
    if reader.next_token()?.is_some() {
        return Err(Malformed);
    }
    if !is_fault {
        return Ok(Ok(value));
    }
    match (value.member("faultCode"), value.member("faultString")) {
        (Some(Value::Int(code)), Some(Value::Text(text))) => Ok(Err((*code, text.clone()))),
        _ => Err(Malformed),
    }
}

impl<'a> Reader<'a> {
    fn new(document: &'a [u8], values: usize) -> Result<Reader<'a>, Malformed> {
        let text = std::str::from_utf8(document).map_err(|_| Malformed)?;
        let rest = text.trim_start_matches('\u{feff}');
        Ok(Reader { rest, open: Vec::new(), is_empty: false, values })
    }

    fn next_token(&mut self) -> Result<Option<Token<'a>>, Malformed> {
        if std::mem::take(&mut self.is_empty) {
            return self.open.pop().map(|name| Some(Token::End(name))).ok_or(Malformed);
        }
        let mut text = String::new();
        loop {
            let at = self.rest.find('<').unwrap_or(self.rest.len());
            let (before, rest) = self.rest.split_at(at);
            unescape(before, &mut text)?;
            self.rest = rest;
            if let Some(rest) = rest.strip_prefix("<!--") {
                self.rest = rest.split_once("-->").ok_or(Malformed)?.1;
            } else if let Some(rest) = rest.strip_prefix("<![CDATA[") {
                let (plain, rest) = rest.split_once("]]>").ok_or(Malformed)?;
                text.push_str(plain);
                self.rest = rest;
            } else if let Some(rest) = rest.strip_prefix("<?") {
                self.rest = rest.split_once("?>").ok_or(Malformed)?.1;
            } else {
                break;
            }
        }
        if self.open.is_empty() {
            // Only white space is outside of the document.
            if !text.trim().is_empty() {
                return Err(Malformed);
            }
        } else if !text.is_empty() {
            return Ok(Some(Token::Text(text)));
        }
        let Some(rest) = self.rest.strip_prefix('<') else {
            return if self.open.is_empty() { Ok(None) } else { Err(Malformed) };
        };
        let end = end_of_tag(rest).ok_or(Malformed)?;
        let (tag, rest) = rest.split_at(end);
        self.rest = rest.get(1..).unwrap_or_default();
        if let Some(name) = tag.strip_prefix('/') {
            let name = name.trim_end();
            return if self.open.pop() == Some(name) { Ok(Some(Token::End(name))) } else { Err(Malformed) };
        }
        self.is_empty = tag.ends_with('/');
        let name =
            tag.split(|char: char| char.is_ascii_whitespace() || char == '/').next().unwrap_or_default();
        let is_name = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'-'));
        if name.is_empty() || !is_name || self.open.len() >= DEPTH {
            return Err(Malformed);
        }
        self.open.push(name);
        Ok(Some(Token::Start(name)))
    }

    /// The next element within the current one; `None`: its end.
    fn child(&mut self) -> Result<Option<&'a str>, Malformed> {
        loop {
            match self.next_token()? {
                Some(Token::Start(name)) => return Ok(Some(name)),
                Some(Token::End(_)) => return Ok(None),
                Some(Token::Text(text)) if text.trim().is_empty() => {}
                Some(Token::Text(_)) | None => return Err(Malformed),
            }
        }
    }

    fn enter(&mut self, name: &str) -> Result<(), Malformed> {
        if self.child()? == Some(name) { Ok(()) } else { Err(Malformed) }
    }

    fn leave(&mut self) -> Result<(), Malformed> {
        if self.child()?.is_none() { Ok(()) } else { Err(Malformed) }
    }

    /// The text up to the end of the current element, which has no others.
    fn text(&mut self) -> Result<String, Malformed> {
        let mut all = String::new();
        loop {
            match self.next_token()? {
                Some(Token::Text(text)) => all.push_str(&text),
                Some(Token::End(_)) => return Ok(all),
                Some(Token::Start(_)) | None => return Err(Malformed),
            }
        }
    }

    /// The value in the current element `value`, and the end of that.
    fn value(&mut self) -> Result<Value, Malformed> {
        self.values = self.values.checked_sub(1).ok_or(Malformed)?;
        let mut text = String::new();
        loop {
            match self.next_token()? {
                Some(Token::Text(more)) => text.push_str(&more),
                // A value without a type is a string.
                Some(Token::End(_)) => return Ok(Value::Text(text)),
                Some(Token::Start(kind)) => {
                    let value = self.typed(kind)?;
                    self.leave()?;
                    return Ok(value);
                }
                None => return Err(Malformed),
            }
        }
    }

    fn typed(&mut self, kind: &str) -> Result<Value, Malformed> {
        match kind {
            "array" => {
                let mut values = Vec::new();
                self.enter("data")?;
                while let Some(name) = self.child()? {
                    if name != "value" {
                        return Err(Malformed);
                    }
                    values.push(self.value()?);
                }
                self.leave()?;
                return Ok(Value::Array(values));
            }
            "struct" => {
                let mut members: Vec<(String, Value)> = Vec::new();
                while let Some(name) = self.child()? {
                    if name != "member" {
                        return Err(Malformed);
                    }
                    self.enter("name")?;
                    let name = self.text()?;
                    self.enter("value")?;
                    let value = self.value()?;
                    self.leave()?;
                    members.push((name, value));
                }
                return Ok(Value::Struct(members));
            }
            _ => {}
        }
        let text = self.text()?;
        let number = || text.trim().parse::<i64>().ok().filter(|number| i32::try_from(*number).is_ok());
        match kind {
            "string" | "dateTime.iso8601" => Ok(Value::Text(text)),
            "int" | "i4" => number().map(Value::Int).ok_or(Malformed),
            "boolean" => Ok(Value::Bool(text == "1")),
            "double" => text.trim().parse().map(Value::Double).map_err(|_| Malformed),
            "base64" => {
                let bytes = base64::decode(text.as_bytes()).ok_or(Malformed)?;
                Ok(Value::Text(String::from_utf8_lossy(&bytes).into_owned()))
            }
            _ => Err(Malformed),
        }
    }
}

/// The `>` that ends a tag: not one within quotes.
fn end_of_tag(text: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'<') => return None,
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), byte) if open == byte => quote = None,
            (_, _) => {}
        }
    }
    None
}

fn unescape(mut text: &str, into: &mut String) -> Result<(), Malformed> {
    while let Some((before, rest)) = text.split_once('&') {
        push_lines(before, into);
        let (name, rest) = rest.split_once(';').filter(|(name, _)| name.len() <= 8).ok_or(Malformed)?;
        let char = match name {
            "lt" => '<',
            "gt" => '>',
            "amp" => '&',
            "quot" => '"',
            "apos" => '\'',
            name => {
                let number = name.strip_prefix('#').ok_or(Malformed)?;
                let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |digits| (digits, 16));
                let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
                let code = u32::from_str_radix(digits, radix).ok().filter(|code| is_number && *code != 0);
                code.and_then(char::from_u32).ok_or(Malformed)?
            }
        };
        into.push(char);
        text = rest;
    }
    push_lines(text, into);
    Ok(())
}

/// Appends a text, each line end as one `\n` (XML 1.0, section 2.11).
fn push_lines(text: &str, into: &mut String) {
    if memchr::memchr(b'\r', text.as_bytes()).is_none() {
        return into.push_str(text);
    }
    into.push_str(&text.replace("\r\n", "\n").replace('\r', "\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    use proptest::prelude::*;

    fn of(value: &str) -> Result<Value, Malformed> {
        let text = format!(
            "<?xml version='1.0'?>\n<!-- a -->\n<methodCall>\n<methodName>a.b</methodName>\n<params>\n<param>\n\
             <value>{value}</value>\n</param>\n</params>\n</methodCall>\n"
        );
        call(text.as_bytes()).map(|mut call| call.params.remove(0))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn every_type_is_read() {
        for (written, value) in [
            ("<int>-7</int>", Value::Int(-7)),
            ("<i4> 7 </i4>", Value::Int(7)),
            ("<boolean>1</boolean>", Value::Bool(true)),
            ("<boolean>0</boolean>", Value::Bool(false)),
            ("<string>a&lt;&#38;&#x62;&amp;amp;</string>", text("a<&b&amp;")),
            ("plain", text("plain")),
            ("", text("")),
            ("<string/>", text("")),
            ("<string a=\"b>c\"><![CDATA[<x>]]></string>", text("<x>")),
            ("<double>1.5</double>", Value::Double(1.5)),
            ("<base64>Zm9v\n</base64>", text("foo")),
            (
                "\n<array><data>\n<value><int>1</int></value><value>x</value></data></array>\n",
                Value::Array(vec![Value::Int(1), text("x")]),
            ),
            (
                "<struct><member><name>n</name><value>v</value></member></struct>",
                Value::Struct(vec![("n".to_owned(), text("v"))]),
            ),
        ] {
            assert_eq!(of(written), Ok(value), "{written}");
        }
        let bare = call(b"<methodCall><methodName>x.y</methodName></methodCall>").unwrap();
        assert_eq!((bare.method.as_str(), bare.params.len()), ("x.y", 0));
    }

    #[test]
    fn what_is_not_a_call_is_refused() {
        for document in [
            "",
            "x",
            "<methodCall>",
            "<methodCall><methodName></methodName></methodCall>",
            "<methodCall><methodName>a</methodName></methodCall><a/>",
            "<methodCall><methodName>a</methodName></methodCall>x",
            "<methodCall><methodName>a</methodResponse></methodCall>",
            "<!DOCTYPE a [<!ENTITY b 'c'>]><methodCall><methodName>a</methodName></methodCall>",
            "<methodCall><methodName>&b;</methodName></methodCall>",
            "<methodCall><methodName>&#0;</methodName></methodCall>",
            "<methodCall><methodName>&#xd800;</methodName></methodCall>",
            "<methodCall><methodName>a</methodName><params><value>a</value></params></methodCall>",
        ] {
            assert_eq!(call(document.as_bytes()), Err(Malformed), "{document}");
        }
        for value in
            ["<int>x</int>", "<int>2147483648</int>", "<nil/>", "<int>1</int><int>2</int>", "<array></array>"]
        {
            assert_eq!(of(value), Err(Malformed), "{value}");
        }
        assert_eq!(call(b"<methodCall><methodName>\xff</methodName></methodCall>"), Err(Malformed));
    }

    #[test]
    fn depth_and_number_of_values_are_bounded() {
        let nested = |depth: usize| {
            let (open, close) = ("<array><data><value>", "</value></data></array>");
            of(&format!("{}{}", open.repeat(depth), close.repeat(depth)))
        };
        assert!(nested(5).is_ok());
        assert_eq!(nested(80_000), Err(Malformed));
        let many =
            |count: usize| of(&format!("<array><data>{}</data></array>", "<value>x</value>".repeat(count)));
        assert!(many(1_000).is_ok());
        assert_eq!(many(VALUES), Err(Malformed));
    }

    #[test]
    fn a_result_and_a_fault_are_read() {
        let document =
            |body: &str| format!("<?xml version='1.0'?>\n<methodResponse>\n{body}\n</methodResponse>\n");
        let read = |body: &str| response(document(body).as_bytes());
        let result = "<params>\n<param>\n<value><string>a\r\nb&#13;</string></value>\n</param>\n</params>";
        assert_eq!(read(result), Ok(Ok(text("a\nb\r"))));
        for value in [Value::Int(7), Value::Array(vec![text("<>"), Value::Bool(true)])] {
            assert_eq!(response(super::super::value::response(&value).as_bytes()), Ok(Ok(value)));
        }
        let fault = super::super::value::fault_response(10, "BAD_NAME: x");
        assert_eq!(response(fault.as_bytes()), Ok(Err((10, "BAD_NAME: x".to_owned()))));
        for body in ["", "<params></params>", "<fault><value>x</value></fault>", "<params/><params/>", "x"] {
            assert_eq!(read(body), Err(Malformed), "{body}");
        }
        assert_eq!(response(b"<html></html>"), Err(Malformed));
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_reader(document in "(<|>|/|&|;|#|x|a|methodCall|methodName|value|[ -~]){0,60}") {
            let _ = call(document.as_bytes());
            let _ = response(document.as_bytes());
        }

        #[test]
        fn a_string_is_read_as_it_was_written(text in "\\PC{0,40}") {
            let mut written = String::new();
            Value::Text(text.clone()).write(&mut written);
            let value = written.trim_start_matches("<value>").trim_end_matches("</value>");
            prop_assert_eq!(of(value), Ok(Value::Text(text)));
        }
    }
}
