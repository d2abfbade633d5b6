//! Formats: those that the server checks, and those of them that are checked here.

use super::Kind;
use crate::validate::name;

/// A format that is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Byte,
    Date,
    DateTime,
    Float,
    Double,
    Int32,
    Int64,
    Ipv4,
    Ipv6,
    LongName,
    Password,
    ShortName,
    /// Any version, or this one.
    Uuid(Option<char>),
}

/// Formats of strings that the server checks and nobody does here.
const UNCHECKED: [&str; 14] = [
    "bsonobjectid",
    "cidr",
    "creditcard",
    "duration",
    "email",
    "hexcolor",
    "hostname",
    "isbn",
    "isbn10",
    "isbn13",
    "mac",
    "rgbcolor",
    "ssn",
    "uri",
];

/// What stands in the way of a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unchecked;

impl Format {
    /// The format of this name on this type; nothing if the server does not know it either.
    pub(super) fn of(name: &str, kind: Option<Kind>) -> Result<Option<Self>, Unchecked> {
        let format = match kind {
            Some(Kind::Integer) => match name {
                "int32" => Self::Int32,
                "int64" => Self::Int64,
                _ => return Ok(None),
            },
            Some(Kind::Number) => match name {
                "float" => Self::Float,
                "double" => Self::Double,
                _ => return Ok(None),
            },
            None | Some(Kind::String) => match name.replace('-', "").as_str() {
                "byte" => Self::Byte,
                "date" => Self::Date,
                "datetime" => Self::DateTime,
                "ipv4" => Self::Ipv4,
                "ipv6" => Self::Ipv6,
                "password" => Self::Password,
                "uuid" => Self::Uuid(None),
                "uuid3" => Self::Uuid(Some('3')),
                "uuid4" => Self::Uuid(Some('4')),
                "uuid5" => Self::Uuid(Some('5')),
                "k8sshortname" => Self::ShortName,
                "k8slongname" => Self::LongName,
                other if UNCHECKED.contains(&other) => return Err(Unchecked),
                _ => return Ok(None),
            },
            _ => return Ok(None),
        };
        Ok(Some(format))
    }

    /// As messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Byte => "byte",
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Float => "float",
            Self::Double => "double",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::LongName => "k8s-long-name",
            Self::Password => "password",
            Self::ShortName => "k8s-short-name",
            Self::Uuid(None) => "uuid",
            Self::Uuid(Some('3')) => "uuid3",
            Self::Uuid(Some('4')) => "uuid4",
            Self::Uuid(Some(_)) => "uuid5",
        }
    }

    /// Whether a string has this format.
    pub(super) fn matches(self, text: &str) -> bool {
        match self {
            Self::Byte => is_base64(text),
            Self::Date => is_date(text),
            Self::DateTime => is_date_time(text),
            Self::Ipv4 => text.parse::<std::net::Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<std::net::Ipv6Addr>().is_ok(),
            Self::LongName => name::dns_subdomain(text).is_empty(),
            Self::ShortName => name::dns_label(text).is_empty(),
            Self::Uuid(version) => is_uuid(text, version),
            Self::Password | Self::Float | Self::Double | Self::Int32 | Self::Int64 => true,
        }
    }
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let is_digit = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/');
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits.bytes().all(is_digit)
}

/// `2006-01-02`, and a day that there is.
fn is_date(text: &str) -> bool {
    let shape = text.len() == 10
        && text.bytes().enumerate().all(|(index, b)| match index {
            4 | 7 => b == b'-',
            _ => b.is_ascii_digit(),
        });
    shape && text.parse::<jiff::civil::Date>().is_ok()
}

/// `2006-01-02t15:04:05.999z`, in either case.
fn is_date_time(text: &str) -> bool {
    let lower = text.to_lowercase();
    let mut parts = lower.split('t');
    let (Some(date), Some(time)) = (parts.next(), parts.next()) else {
        return false;
    };
    is_date(date) && is_time(time)
}

fn is_time(time: &str) -> bool {
    let clock = |text: &str, parts: usize| {
        let mut pairs = text.split(':');
        pairs.clone().count() == parts
            && pairs.all(|pair| pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_digit()))
    };
    let Some((head, rest)) = time.split_at_checked(8) else {
        return false;
    };
    let in_range =
        head.get(..2) <= Some("23") && head.get(3..5) <= Some("59") && head.get(6..8) <= Some("59");
    // Any character may stand in front of the fraction.
    let after = |text: &str| {
        let mut chars = text.chars();
        chars.next();
        let digits = chars.as_str();
        let fraction = digits.bytes().take_while(u8::is_ascii_digit).count();
        (fraction > 0).then(|| digits[fraction..].to_owned())
    };
    let is_zone =
        |zone: &str| zone == "z" || (zone.starts_with(['+', '-']) && clock(&zone[1..], 2));
    clock(head, 3) && in_range && (is_zone(rest) || after(rest).is_some_and(|zone| is_zone(&zone)))
}

/// Hexadecimal digits in groups, between which a dash may be left out.
fn is_uuid(text: &str, version: Option<char>) -> bool {
    let mut digits = Vec::with_capacity(32);
    for c in text.chars() {
        match c {
            '-' if matches!(digits.len(), 8 | 12 | 16 | 20) => {}
            _ if c.is_ascii_hexdigit() => digits.push(c),
            _ => return false,
        }
    }
    let variant = matches!(version, Some('4' | '5'));
    digits.len() == 32
        && !text.contains("--")
        && !text.ends_with('-')
        && version.is_none_or(|version| digits[12] == version)
        && (!variant || matches!(digits[16].to_ascii_lowercase(), '8' | '9' | 'a' | 'b'))
}
