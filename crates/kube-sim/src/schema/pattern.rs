//! Regular expressions: the syntax of Go's `regexp` on the engine of this language.
//!
//! Both are of the same family and differ in much: what is ASCII and what Unicode, which escapes and
//! flags there are, what is an operator in a class, how often something may be repeated. So the
//! pattern is read here, by the grammar of Go's `regexp/syntax` with Perl's extensions
//! (<https://pkg.go.dev/regexp/syntax>), and written anew without anything on which the two differ.
//! What cannot be written so is refused.

use std::{iter::Peekable, str::Chars};

use regex::{Regex, RegexBuilder};

/// Why there is no expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PatternError {
    /// Go refuses it, too; mostly in the words of Go.
    Invalid(String),
    /// Go takes it, and means what this engine cannot.
    Unsupported,
}

/// The most bytes of a pattern: sets of characters by their properties take long to build, and
/// nothing else bounds how many a pattern has.
const LONGEST: usize = 8 * 1024;

/// The most memory that a compiled pattern may take, in bytes, and so the time that it takes.
const LARGEST: usize = 1024 * 1024;

/// The most that anything may be repeated, also when repetitions are repeated.
const MOST: u32 = 1000;

/// # Errors
///
/// It is none in Go, or has no equal here.
pub(super) fn compile(pattern: &str) -> Result<Regex, PatternError> {
    let built = RegexBuilder::new(&translate(pattern)?)
        .size_limit(LARGEST)
        .build();
    built.map_err(|_| PatternError::Unsupported)
}

/// The pattern in the syntax of this engine, which may know less and allow less.
///
/// # Errors
///
/// It is none in Go, or has something in it that has no equal here.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut reader = Reader {
        rest: pattern.chars().peekable(),
        written: String::with_capacity(pattern.len()),
        groups: vec![Group::default()],
        pattern,
    };
    reader.read()?;
    if pattern.len() > LONGEST {
        return Err(PatternError::Unsupported);
    }
    Ok(reader.written)
}

/// A group that is open, or all of the pattern.
#[derive(Default)]
struct Group {
    /// How often the repetitions in it repeat at most, multiplied.
    repeats: u32,
    /// The atom that was read last, if it can be repeated.
    atom: Option<Atom>,
}

/// Something that can be repeated.
struct Atom {
    repeats: u32,
    /// The operator that repeats it already.
    operator: Option<String>,
    /// Go has forgotten that it is repeated already; this engine has not.
    forgotten: bool,
}

impl Atom {
    fn new(repeats: u32) -> Self {
        Self {
            repeats,
            operator: None,
            forgotten: false,
        }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
    written: String,
    groups: Vec<Group>,
    pattern: &'a str,
}

impl Reader<'_> {
    fn read(&mut self) -> Result<(), PatternError> {
        while let Some(c) = self.rest.next() {
            match c {
                '(' => self.open()?,
                ')' => self.close()?,
                '|' => {
                    self.written.push(c);
                    self.next_atom(None);
                }
                '*' | '+' | '?' => self.repeat(c.to_string(), None)?,
                '{' => match self.counts() {
                    Some((operator, counts)) => self.repeat(operator, Some(counts))?,
                    None => self.literal(c),
                },
                '[' => self.class()?,
                '\\' => self.escape()?,
                '.' | '^' | '$' => self.atom(&c.to_string()),
                _ => self.literal(c),
            }
        }
        match self.groups.len() {
            1 => Ok(()),
            _ => Err(invalid("missing closing )", self.pattern)),
        }
    }

    fn group(&mut self) -> &mut Group {
        self.groups.last_mut().expect("the pattern itself is one")
    }

    fn literal(&mut self, c: char) {
        self.atom(&code(c));
    }

    fn atom(&mut self, written: &str) {
        self.written.push_str(written);
        self.next_atom(Some(Atom::new(1)));
    }

    /// The last atom is complete, and this is the next.
    fn next_atom(&mut self, atom: Option<Atom>) {
        let group = self.group();
        let last = std::mem::replace(&mut group.atom, atom);
        group.repeats = group.repeats.max(last.map_or(0, |last| last.repeats));
    }

    /// Something stands after the last atom that Go does not see when it looks for repetitions of it.
    fn forget(&mut self) {
        if let Some(atom) = &mut self.group().atom {
            atom.forgotten |= atom.operator.is_some();
        }
    }

    /// A group begins, or flags for the rest of the one that is open.
    fn open(&mut self) -> Result<(), PatternError> {
        const UNKNOWN: &str = "invalid or unsupported Perl syntax";
        if self.rest.next_if_eq(&'?').is_none() {
            // Nobody asks what a group has matched, so none is told apart.
            self.written.push_str("(?:");
            self.groups.push(Group::default());
            return Ok(());
        }
        let named = self.rest.next_if_eq(&'P').is_some();
        if self.rest.next_if_eq(&'<').is_some() {
            return self.named(if named { "(?P<" } else { "(?<" });
        }
        if named {
            return Err(invalid(UNKNOWN, "(?P"));
        }
        let mut flags = String::new();
        for c in self.rest.by_ref() {
            match c {
                'i' | 'm' | 's' | 'U' => flags.push(c),
                '-' if !flags.contains('-') => flags.push(c),
                ':' | ')' if !flags.ends_with('-') => {
                    self.flagged(&flags, c);
                    return Ok(());
                }
                _ => return Err(invalid(UNKNOWN, &format!("(?{flags}{c}"))),
            }
        }
        Err(invalid(UNKNOWN, &format!("(?{flags}")))
    }

    fn named(&mut self, begin: &str) -> Result<(), PatternError> {
        let mut name = String::new();
        for c in self.rest.by_ref() {
            match c {
                '>' if !name.is_empty() => {
                    self.written.push_str("(?:");
                    self.groups.push(Group::default());
                    return Ok(());
                }
                _ if c.is_ascii_alphanumeric() || c == '_' => name.push(c),
                _ => break,
            }
        }
        let text = format!("{begin}{name}");
        Err(invalid("invalid named capture", &text))
    }

    fn flagged(&mut self, flags: &str, end: char) {
        if !flags.is_empty() || end == ':' {
            self.written.push_str("(?");
            self.written.push_str(flags);
            self.written.push(end);
        }
        if end == ':' {
            self.groups.push(Group::default());
        } else {
            self.forget();
        }
    }

    fn close(&mut self) -> Result<(), PatternError> {
        if self.groups.len() == 1 {
            return Err(invalid("unexpected )", self.pattern));
        }
        self.next_atom(None);
        let closed = self.groups.pop().unwrap_or_default();
        self.written.push(')');
        self.next_atom(Some(Atom::new(closed.repeats.max(1))));
        Ok(())
    }

    /// Repeats the last atom; one that was repeated is no atom any more.
    fn repeat(
        &mut self,
        mut operator: String,
        counts: Option<(u32, Option<u32>)>,
    ) -> Result<(), PatternError> {
        const COUNT: &str = "invalid repeat count";
        let is_wrong = |(least, most): (u32, Option<u32>)| {
            least > MOST || most.is_some_and(|most| most > MOST || most < least)
        };
        if counts.is_some_and(is_wrong) {
            return Err(invalid(COUNT, &operator));
        }
        if self.rest.next_if_eq(&'?').is_some() {
            operator.push('?');
        }
        let group = self.groups.last_mut().expect("the pattern itself is one");
        let Some(atom) = &mut group.atom else {
            let why = "missing argument to repetition operator";
            return Err(invalid(why, &operator));
        };
        if atom.forgotten {
            return Err(PatternError::Unsupported);
        }
        if let Some(before) = &atom.operator {
            let both = format!("{before}{operator}");
            return Err(invalid("invalid nested repetition operator", &both));
        }
        if let Some((least, most)) = counts {
            atom.repeats = match most.unwrap_or(least) {
                // What is never there does not count, whatever is in it.
                0 => 1,
                times => atom.repeats.saturating_mul(times),
            };
            if atom.repeats > MOST {
                return Err(invalid(COUNT, &operator));
            }
        }
        self.written.push_str(&operator);
        atom.operator = Some(operator);
        Ok(())
    }

    /// What stands after a brace, if it is a repetition: as it is written, the least and the most.
    fn counts(&mut self) -> Option<(String, (u32, Option<u32>))> {
        let before = self.rest.clone();
        let counts = self.until("}").and_then(|inner| {
            let counts = match inner.split_once(',') {
                None => (number(&inner)?, Some(number(&inner)?)),
                Some((least, "")) => (number(least)?, None),
                Some((least, most)) => (number(least)?, Some(number(most)?)),
            };
            Some((format!("{{{inner}}}"), counts))
        });
        if counts.is_none() {
            self.rest = before;
        }
        counts
    }

    /// What stands before `end`, which is read, too; nothing is read if that does not come soon.
    fn until(&mut self, end: &str) -> Option<String> {
        // Longer than any name, number or pair of numbers that means something.
        const SOON: usize = 64;
        let rest: String = self.rest.clone().take(SOON).collect();
        let (inner, _) = rest.split_once(end)?;
        for _ in inner.chars().chain(end.chars()) {
            self.rest.next();
        }
        Some(inner.to_owned())
    }

    fn escape(&mut self) -> Result<(), PatternError> {
        let Some(c) = self.rest.next() else {
            return Err(PatternError::Invalid(
                "trailing backslash at end of expression: ``".into(),
            ));
        };
        match c {
            'A' | 'z' => self.atom(&format!("\\{c}")),
            'b' => self.atom("(?-u:\\b)"),
            // The engine would find it within a character.
            'B' => return Err(PatternError::Unsupported),
            'Q' => self.quoted(),
            _ => {
                let written = match self.set(c)? {
                    Some(set) => format!("[{set}]"),
                    None => code(self.escaped(c)?),
                };
                self.atom(&written);
            }
        }
        Ok(())
    }

    /// `\Q…\E`: literally, also where nothing ends it.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                break;
            }
            self.literal(c);
        }
        self.forget();
    }

    /// The set of characters that an escape stands for, as it is written within a class.
    fn set(&mut self, c: char) -> Result<Option<String>, PatternError> {
        Ok(Some(match c {
            'd' => "0-9".into(),
            'D' => "[^0-9]".into(),
            's' => "\\t\\n\\f\\r ".into(),
            'S' => "[^\\t\\n\\f\\r ]".into(),
            'w' => "0-9A-Za-z_".into(),
            'W' => "[^0-9A-Za-z_]".into(),
            'p' | 'P' => self.property(c)?,
            _ => return Ok(None),
        }))
    }

    /// `\pN`, `\p{Greek}` and their opposites.
    ///
    /// This engine knows more properties than categories and scripts, and scripts by their codes of
    /// four letters; how loosely Go reads a name depends on its version. A name that neither knows
    /// is seen when the whole is compiled.
    fn property(&mut self, c: char) -> Result<String, PatternError> {
        let name = match self.rest.next() {
            Some('{') => self.until("}"),
            first => first.map(String::from),
        };
        let unclosed = || invalid("invalid character class range", self.pattern);
        let name = name.ok_or_else(unclosed)?;
        let (name, is_opposite) = match name.strip_prefix('^') {
            Some(name) => (name, c == 'p'),
            None => (&*name, c == 'P'),
        };
        let is_word = name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().skip(1).all(|c| c.is_ascii_lowercase());
        let sign = if is_opposite { 'P' } else { 'p' };
        let property = if name.len() <= 2 { "gc" } else { "sc" };
        let written = format!("\\{sign}{{{property}={name}}}");
        if is_word && name.len() != 4 {
            Ok(written)
        } else {
            Err(PatternError::Unsupported)
        }
    }

    /// The character that an escape stands for.
    fn escaped(&mut self, c: char) -> Result<char, PatternError> {
        let code = match c {
            'a' => Some(0x7),
            'f' => Some(0xc),
            't' => Some(0x9),
            'n' => Some(0xa),
            'r' => Some(0xd),
            'v' => Some(0xb),
            'x' => self.hexadecimal(),
            '0'..='7' => self.octal(c),
            _ if c.is_ascii() && !c.is_ascii_alphanumeric() => Some(u32::from(c)),
            _ => None,
        };
        match code.filter(|code| *code <= u32::from(char::MAX)) {
            // Half of a pair of UTF-16: Go takes it, and finds it nowhere.
            Some(code) => char::from_u32(code).ok_or(PatternError::Unsupported),
            None => Err(invalid("invalid escape sequence", &format!("\\{c}"))),
        }
    }

    /// `\x41` or `\x{41}`, whose `x` is read.
    fn hexadecimal(&mut self) -> Option<u32> {
        let is_braced = self.rest.next_if_eq(&'{').is_some();
        let digits = if is_braced {
            self.until("}")?
        } else {
            self.rest.by_ref().take(2).collect()
        };
        let is_complete = if is_braced {
            !digits.is_empty()
        } else {
            digits.len() == 2
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        (is_complete && is_number).then(|| u32::from_str_radix(&digits, 16).ok())?
    }

    /// Up to three digits; one alone that is not zero would be a back reference.
    fn octal(&mut self, first: char) -> Option<u32> {
        let is_digit = |c: &char| ('0'..='7').contains(c);
        if first != '0' && !self.rest.peek().is_some_and(is_digit) {
            return None;
        }
        let mut value = first.to_digit(8)?;
        for _ in 0..2 {
            if let Some(digit) = self.rest.next_if(is_digit) {
                value = value * 8 + digit.to_digit(8)?;
            }
        }
        Some(value)
    }

    /// A class: characters, ranges, and sets by name.
    fn class(&mut self) -> Result<(), PatternError> {
        let begin = self.rest.clone();
        let unclosed = || {
            let text: String = begin.clone().collect();
            invalid("missing closing ]", &format!("[{text}"))
        };
        let mut written = String::from("[");
        if self.rest.next_if_eq(&'^').is_some() {
            written.push('^');
        }
        let mut is_first = true;
        loop {
            let c = self.rest.next().ok_or_else(unclosed)?;
            if c == ']' && !is_first {
                written.push(']');
                self.atom(&written);
                return Ok(());
            }
            is_first = false;
            if c == '['
                && self.rest.peek() == Some(&':')
                && let Some(set) = self.by_name()?
            {
                written.push_str(&set);
                continue;
            }
            if c == '\\' {
                let escape = self.rest.peek().copied().ok_or_else(unclosed)?;
                if "dDsSwWpP".contains(escape) {
                    self.rest.next();
                    let set = self.set(escape)?.unwrap_or_default();
                    written.push_str(&set);
                    continue;
                }
            }
            let low = self.single(c)?;
            written.push_str(&code(low));
            // A hyphen before the end of the class is a character.
            let mut ahead = self.rest.clone();
            if ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']') {
                self.rest = ahead;
                let c = self.rest.next().ok_or_else(unclosed)?;
                let high = self.single(c)?;
                if high < low {
                    let range = format!("{low}-{high}");
                    return Err(invalid("invalid character class range", &range));
                }
                written.push('-');
                written.push_str(&code(high));
            }
        }
    }

    /// One character of a class, which may be escaped.
    fn single(&mut self, c: char) -> Result<char, PatternError> {
        if c != '\\' {
            return Ok(c);
        }
        match self.rest.next() {
            Some(escaped) => self.escaped(escaped),
            None => Err(invalid("missing closing ]", self.pattern)),
        }
    }

    /// `[:alpha:]` within a class, whose bracket is read; nothing if that is only a bracket.
    fn by_name(&mut self) -> Result<Option<String>, PatternError> {
        let before = self.rest.clone();
        self.rest.next();
        let Some(name) = self.until(":]") else {
            self.rest = before;
            return Ok(None);
        };
        let written = format!("[:{name}:]");
        if POSIX.contains(&name.strip_prefix('^').unwrap_or(&name)) {
            Ok(Some(written))
        } else {
            Err(invalid("invalid character class range", &written))
        }
    }
}

/// The classes by name; all are ASCII, in both languages.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// A number of at most the digits that Go takes for one.
fn number(text: &str) -> Option<u32> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let is_short = text.len() == 1 || !text.starts_with('0');
    if text.is_empty() || !is_number || !is_short {
        return None;
    }
    // Too large for a number is too large for a repetition.
    Some(text.parse().unwrap_or(u32::MAX))
}

/// The character, in a form that means nothing else anywhere.
fn code(c: char) -> String {
    format!("\\x{{{:x}}}", u32::from(c))
}

fn invalid(why: &str, what: &str) -> PatternError {
    PatternError::Invalid(format!("{why}: `{what}`"))
}
