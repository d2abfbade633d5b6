//! Times as objects carry them, and what Go's `time` says of those that are none.

use jiff::{SignedDuration, civil::DateTime};

use crate::field::quote;

/// The time that Go means by none, without its fraction.
const ZERO: &str = "0001-01-01T00:00:00";

/// A time in UTC, in whole seconds or in microseconds; `None` is Go's zero time, which it writes as
/// `null`.
///
/// # Errors
///
/// Go's words for text that does not have that form.
pub(super) fn normalise(text: &str, micro: bool) -> Result<Option<String>, String> {
    let layout = if micro {
        "2006-01-02T15:04:05.000000Z07:00"
    } else {
        "2006-01-02T15:04:05Z07:00"
    };
    let failed = |why: String| format!("parsing time {}{why}", quote(text));
    let parsed = Parser { rest: text }
        .parse(micro)
        .map_err(|problem| match problem {
            Problem::Element { rest, expected } => failed(format!(
                " as {}: cannot parse {} as {}",
                quote(layout),
                quote(&rest),
                quote(expected)
            )),
            Problem::Range(what) => failed(format!(": {what} out of range")),
            Problem::Extra(rest) => failed(format!(": extra text: {}", quote(&rest))),
        })?;
    let in_utc = parsed.in_utc(micro);
    let in_utc = in_utc.ok_or_else(|| failed(": day out of range".to_owned()))?;
    let is_zero = matches!(in_utc.strip_prefix(ZERO), Some("Z" | ".000000Z"));
    Ok((!is_zero).then_some(in_utc))
}

enum Problem {
    Element {
        rest: String,
        expected: &'static str,
    },
    Range(&'static str),
    Extra(String),
}

struct Parsed {
    date: (i16, i8, i8),
    time: (i8, i8, i8),
    nanos: i32,
    offset_seconds: i32,
}

/// After so many years all days are the same again, those of the week included.
const CYCLE: i16 = 400;

impl Parsed {
    /// As Go writes it, `None` where there is no such day. An offset can lead into the year 10000,
    /// or before the year 0.
    fn in_utc(&self, micro: bool) -> Option<String> {
        let (year, month, day) = self.date;
        let (hour, minute, second) = self.time;
        let nanos = if micro { self.nanos } else { 0 };
        let time = DateTime::new(year - CYCLE, month, day, hour, minute, second, nanos).ok()?;
        let offset = SignedDuration::from_secs(self.offset_seconds.into());
        let time = time.checked_sub(offset).ok()?;
        let year = time.year() + CYCLE;
        let sign = if year < 0 { "-" } else { "" };
        let form = if micro {
            "-%m-%dT%H:%M:%S.%6fZ"
        } else {
            "-%m-%dT%H:%M:%SZ"
        };
        let rest = time.strftime(form);
        Some(format!("{sign}{:04}{rest}", year.unsigned_abs()))
    }
}

struct Parser<'a> {
    rest: &'a str,
}

impl Parser<'_> {
    fn parse(mut self, micro: bool) -> Result<Parsed, Problem> {
        let year = self.number(4, "2006")?;
        self.literal("-")?;
        let month = self.number(2, "01")?;
        if !(1..=12).contains(&month) {
            return Err(Problem::Range("month"));
        }
        self.literal("-")?;
        let day = self.number(2, "02")?;
        self.literal("T")?;
        let hour = self.number(2, "15")?;
        if hour >= 24 {
            return Err(Problem::Range("hour"));
        }
        self.literal(":")?;
        let minute = self.number(2, "04")?;
        if minute >= 60 {
            return Err(Problem::Range("minute"));
        }
        self.literal(":")?;
        let second = self.number(2, "05")?;
        if second >= 60 {
            return Err(Problem::Range("second"));
        }
        let nanos = self.fraction(micro)?;
        let offset_seconds = self.offset()?;
        if !self.rest.is_empty() {
            return Err(Problem::Extra(self.rest.to_owned()));
        }
        if !(1..=31).contains(&day) {
            return Err(Problem::Range("day"));
        }
        let small = |number: i32| i8::try_from(number).unwrap_or_default();
        Ok(Parsed {
            date: (
                i16::try_from(year).unwrap_or_default(),
                small(month),
                small(day),
            ),
            time: (small(hour), small(minute), small(second)),
            nanos,
            offset_seconds,
        })
    }

    fn number(&mut self, digits: usize, expected: &'static str) -> Result<i32, Problem> {
        match self.rest.get(..digits) {
            Some(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                self.rest = &self.rest[digits..];
                Ok(text.parse().unwrap_or_default())
            }
            _ => Err(self.problem(expected)),
        }
    }

    fn literal(&mut self, expected: &'static str) -> Result<(), Problem> {
        let rest = self.rest.strip_prefix(expected);
        self.rest = rest.ok_or_else(|| self.problem(expected))?;
        Ok(())
    }

    /// Six digits where microseconds are asked for, any number or none elsewhere.
    fn fraction(&mut self, micro: bool) -> Result<i32, Problem> {
        let digits = match self.rest.strip_prefix('.') {
            None if micro => return Err(self.problem(".000000")),
            None => return Ok(0),
            Some(rest) => rest.bytes().take_while(u8::is_ascii_digit).count(),
        };
        let digits = if micro { 6.min(digits) } else { digits };
        if micro && digits < 6 {
            return Err(self.problem(".000000"));
        }
        if digits == 0 {
            return Ok(0);
        }
        let fraction = &self.rest[1..=digits];
        let nanos = format!("{fraction:0<9.9}").parse().unwrap_or_default();
        self.rest = &self.rest[digits + 1..];
        Ok(nanos)
    }

    fn offset(&mut self) -> Result<i32, Problem> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let sign = match self.rest.bytes().next() {
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(self.problem("Z07:00")),
        };
        let text = self
            .rest
            .get(1..6)
            .filter(|text| text.as_bytes()[2] == b':');
        let parts = text.and_then(|text| Some((number(&text[..2])?, number(&text[3..])?)));
        let Some((hours, minutes)) = parts else {
            return Err(self.problem("Z07:00"));
        };
        if hours > 24 {
            return Err(Problem::Range("time zone offset hour"));
        }
        if minutes > 60 {
            return Err(Problem::Range("time zone offset minute"));
        }
        self.rest = &self.rest[6..];
        Ok(sign * (hours * 3600 + minutes * 60))
    }

    fn problem(&self, expected: &'static str) -> Problem {
        Problem::Element {
            rest: self.rest.to_owned(),
            expected,
        }
    }
}

fn number(text: &str) -> Option<i32> {
    let all_digits = text.bytes().all(|b| b.is_ascii_digit());
    all_digits.then(|| text.parse().ok())?
}
