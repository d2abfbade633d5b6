//! Label selectors: `a=b,c!=d,e in (f,g),h notin (i),j,!k,l>1,m<2`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::field::{FieldError, Path};
use crate::status::Status;
use crate::validate::name;

/// Which labels an object must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LabelSelector {
    requirements: Vec<Requirement>,
}

/// The labels of an object.
pub(crate) trait Labels {
    /// The value under a key.
    fn label(&self, key: &str) -> Option<&str>;
}

impl Labels for BTreeMap<String, String> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// Labels as they stand in an object.
impl Labels for Map<String, Value> {
    fn label(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }
}

/// Labels as a list, in any order.
impl<T: AsRef<str>> Labels for [(T, T)] {
    fn label(&self, key: &str) -> Option<&str> {
        self.iter()
            .find(|(k, _)| k.as_ref() == key)
            .map(|(_, value)| value.as_ref())
    }
}

impl<T: AsRef<str>, const N: usize> Labels for [(T, T); N] {
    fn label(&self, key: &str) -> Option<&str> {
        self.as_slice().label(key)
    }
}

impl LabelSelector {
    /// Reads what a client sends as `labelSelector`.
    ///
    /// Nothing and blanks alone select everything.
    pub(crate) fn parse(text: &str) -> Result<Self, Status> {
        let requirements = Parser::new(text).selector().map_err(Status::bad_request)?;
        Ok(Self { requirements })
    }

    /// Whether the selector asks for nothing in particular.
    pub(crate) fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    pub(crate) fn matches<L: Labels + ?Sized>(&self, labels: &L) -> bool {
        self.requirements
            .iter()
            .all(|requirement| requirement.matches(labels.label(&requirement.key)))
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    key: String,
    condition: Condition,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Condition {
    Exists,
    Absent,
    /// Sorted, each once.
    In(Vec<String>),
    NotIn(Vec<String>),
    Greater(i64),
    Less(i64),
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let is_one_of = |values: &[String]| value.is_some_and(|v| values.iter().any(|x| x == v));
        let number = || value.and_then(parse_int);
        match &self.condition {
            Condition::Exists => value.is_some(),
            Condition::Absent => value.is_none(),
            Condition::In(values) => is_one_of(values),
            Condition::NotIn(values) => !is_one_of(values),
            Condition::Greater(bound) => number().is_some_and(|n| n > *bound),
            Condition::Less(bound) => number().is_some_and(|n| n < *bound),
        }
    }
}

/// Decimal with an optional sign, as Go's `strconv.ParseInt` reads it.
fn parse_int(text: &str) -> Option<i64> {
    text.parse().ok()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    End,
    Close,
    Comma,
    Not,
    DoubleEquals,
    Equals,
    Greater,
    Identifier,
    In,
    Less,
    NotEquals,
    NotIn,
    Open,
}

impl Token {
    fn of(text: &str) -> Option<Self> {
        Some(match text {
            ")" => Self::Close,
            "," => Self::Comma,
            "!" => Self::Not,
            "==" => Self::DoubleEquals,
            "=" => Self::Equals,
            ">" => Self::Greater,
            "in" => Self::In,
            "<" => Self::Less,
            "!=" => Self::NotEquals,
            "notin" => Self::NotIn,
            "(" => Self::Open,
            _ => return None,
        })
    }

    /// `in` and `notin` are operators only where one is expected.
    fn as_value(self) -> Self {
        match self {
            Self::In | Self::NotIn => Self::Identifier,
            other => other,
        }
    }
}

struct Parser<'a> {
    tokens: Vec<(Token, &'a str)>,
    position: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            tokens: scan(text),
            position: 0,
        }
    }

    /// The next token where a value may stand. Past the end there is only more end.
    fn peek(&self) -> (Token, &'a str) {
        let (token, text) = self.peek_operator();
        (token.as_value(), text)
    }

    fn peek_operator(&self) -> (Token, &'a str) {
        let end = (Token::End, "");
        self.tokens.get(self.position).copied().unwrap_or(end)
    }

    fn next(&mut self) -> (Token, &'a str) {
        let found = self.peek();
        self.position += 1;
        found
    }

    fn selector(&mut self) -> Result<Vec<Requirement>, String> {
        let mut requirements = Vec::new();
        loop {
            match self.peek() {
                (Token::Identifier | Token::Not, _) => {}
                (Token::End, _) => return Ok(requirements),
                (_, text) => {
                    return Err(format!(
                        "found '{text}', expected: !, identifier, or 'end of string'"
                    ));
                }
            }
            let requirement = self
                .requirement()
                .map_err(|why| format!("unable to parse requirement: {why}"))?;
            requirements.push(requirement);
            match self.next() {
                (Token::End, _) => return Ok(requirements),
                (Token::Comma, _) => {
                    let (token, text) = self.peek();
                    if !matches!(token, Token::Identifier | Token::Not) {
                        return Err(format!("found '{text}', expected: identifier after ','"));
                    }
                }
                (_, text) => {
                    return Err(format!("found '{text}', expected: ',' or 'end of string'"));
                }
            }
        }
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        let (mut token, mut text) = self.next();
        let absent = token == Token::Not;
        if absent {
            (token, text) = self.next();
        }
        if token != Token::Identifier {
            return Err(format!("found '{text}', expected: identifier"));
        }
        let wrong = name::label_key(text);
        if !wrong.is_empty() {
            return Err(FieldError::invalid(Path::Nil, text, wrong.join("; ")).to_string());
        }
        let key = text.to_owned();
        if absent {
            let condition = Condition::Absent;
            return Ok(Requirement { key, condition });
        }
        if matches!(self.peek().0, Token::End | Token::Comma) {
            let condition = Condition::Exists;
            return Ok(Requirement { key, condition });
        }
        let (operator, text) = self.peek_operator();
        self.position += 1;
        let values = match operator {
            Token::In | Token::NotIn => self.values()?,
            Token::Equals
            | Token::DoubleEquals
            | Token::NotEquals
            | Token::Greater
            | Token::Less => vec![self.value()?],
            _ => {
                return Err(format!(
                    "found '{text}', expected: in, notin, =, ==, !=, gt, lt"
                ));
            }
        };
        let condition = condition(&key, operator, values)?;
        Ok(Requirement { key, condition })
    }

    /// The value after `=` and its kin; there may be none.
    fn value(&mut self) -> Result<String, String> {
        if matches!(self.peek().0, Token::End | Token::Comma) {
            return Ok(String::new());
        }
        match self.next() {
            (Token::Identifier, text) => Ok(text.to_owned()),
            (_, text) => Err(format!("found '{text}', expected: identifier")),
        }
    }

    /// The values after `in` and `notin`, in parentheses, sorted.
    fn values(&mut self) -> Result<Vec<String>, String> {
        let (token, text) = self.next();
        if token != Token::Open {
            return Err(format!("found '{text}' expected: '('"));
        }
        let mut values = match self.peek() {
            (Token::Identifier | Token::Comma, _) => self.identifiers()?,
            (Token::Close, _) => vec![""],
            (_, text) => {
                return Err(format!("found '{text}', expected: ',', ')' or identifier"));
            }
        };
        // The list is only ever left in front of a closing parenthesis.
        self.position += 1;
        values.sort_unstable();
        values.dedup();
        Ok(values.into_iter().map(str::to_owned).collect())
    }

    fn identifiers(&mut self) -> Result<Vec<&'a str>, String> {
        let mut values = Vec::new();
        loop {
            match self.next() {
                (Token::Identifier, value) => {
                    values.push(value);
                    match self.peek() {
                        (Token::Comma, _) => {}
                        (Token::Close, _) => return Ok(values),
                        (_, text) => {
                            return Err(format!("found '{text}', expected: ',' or ')'"));
                        }
                    }
                }
                (Token::Comma, _) => {
                    if values.is_empty() {
                        values.push("");
                    }
                    match self.peek().0 {
                        Token::Close => {
                            values.push("");
                            return Ok(values);
                        }
                        Token::Comma => values.push(""),
                        _ => {}
                    }
                }
                (_, text) => {
                    return Err(format!("found '{text}', expected: ',', or identifier"));
                }
            }
        }
    }
}

/// Checks the values; the operator is one that takes some.
fn condition(key: &str, operator: Token, values: Vec<String>) -> Result<Condition, String> {
    let path = Path::Nil.child("values");
    let mut errors = Vec::new();
    let mut bound = 0;
    if matches!(operator, Token::Greater | Token::Less) {
        for (index, value) in values.iter().enumerate() {
            match parse_int(value) {
                Some(number) => bound = number,
                None => errors.push(FieldError::invalid(
                    path.index(index),
                    value.as_str(),
                    "for 'Gt', 'Lt' operators, the value must be an integer",
                )),
            }
        }
    }
    for (index, value) in values.iter().enumerate() {
        let wrong = name::label_value(value);
        if !wrong.is_empty() {
            let at = path.index(index);
            errors.push(FieldError::invalid(
                at.key(key),
                value.as_str(),
                wrong.join("; "),
            ));
        }
    }
    if !errors.is_empty() {
        return Err(FieldError::summary(&errors));
    }
    Ok(match operator {
        Token::Greater => Condition::Greater(bound),
        Token::Less => Condition::Less(bound),
        Token::NotIn | Token::NotEquals => Condition::NotIn(values),
        _ => Condition::In(values),
    })
}

/// Cuts a selector into tokens. The server's lexer takes a NUL for the end of a token and, between
/// tokens, for the end of the selector.
fn scan(text: &str) -> Vec<(Token, &str)> {
    let is_blank = |b: u8| matches!(b, b' ' | b'\t' | b'\r' | b'\n');
    let is_special = |b: u8| matches!(b, b'=' | b'!' | b'(' | b')' | b',' | b'>' | b'<');
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut position = 0;
    loop {
        while bytes.get(position).is_some_and(|b| is_blank(*b)) {
            position += 1;
        }
        let start = position;
        match bytes.get(position) {
            None | Some(0) => return tokens,
            Some(first) if is_special(*first) => {
                // Every special character is an operator; the longest one wins.
                let two = text.get(start..start + 2).and_then(Token::of);
                let (token, length) = match two {
                    Some(token) => (token, 2),
                    None => (Token::of(&text[start..=start]).unwrap_or(Token::End), 1),
                };
                tokens.push((token, &text[start..start + length]));
                position = after_nul(bytes, start + length);
            }
            Some(_) => {
                let stops = |b: &u8| *b == 0 || is_special(*b) || is_blank(*b);
                let rest = &bytes[start..];
                let length = rest.iter().position(stops).unwrap_or(rest.len());
                let word = &text[start..start + length];
                tokens.push((Token::of(word).unwrap_or(Token::Identifier), word));
                position = after_nul(bytes, start + length);
            }
        }
    }
}

fn after_nul(bytes: &[u8], position: usize) -> usize {
    position + usize::from(bytes.get(position) == Some(&0))
}
