//! What Go's `encoding/json` says of text that is no JSON.

use crate::field::quote;

/// The first thing that is wrong with a document, if anything is.
pub(super) fn error(bytes: &[u8]) -> Option<String> {
    let mut scanner = Scanner { bytes, position: 0 };
    scanner.document().err()
}

struct Scanner<'a> {
    bytes: &'a [u8],
    position: usize,
}

type Scanned = Result<(), String>;

/// What is deeper is refused before it can exhaust the call stack. (Go stops at 10,000.)
const MAX_DEPTH: usize = 1_000;

impl Scanner<'_> {
    fn document(&mut self) -> Scanned {
        self.value("looking for beginning of value", 1)?;
        self.blanks();
        match self.bytes.get(self.position) {
            None => Ok(()),
            Some(byte) => invalid(*byte, "after top-level value"),
        }
    }

    fn value(&mut self, place: &str, depth: usize) -> Scanned {
        if depth > MAX_DEPTH {
            return Err("exceeded max depth".to_owned());
        }
        self.blanks();
        match self.next()? {
            b'{' => self.object(depth),
            b'[' => self.array(depth),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' => match self.next()? {
                digit if digit.is_ascii_digit() => self.number(digit),
                other => invalid(other, "in numeric literal"),
            },
            digit if digit.is_ascii_digit() => self.number(digit),
            other => invalid(other, place),
        }
    }

    fn object(&mut self, depth: usize) -> Scanned {
        let mut first = true;
        loop {
            self.blanks();
            match self.next()? {
                b'"' => self.string()?,
                b'}' if first => return Ok(()),
                other => return invalid(other, "looking for beginning of object key string"),
            }
            first = false;
            self.blanks();
            match self.next()? {
                b':' => self.value("looking for beginning of value", depth + 1)?,
                other => return invalid(other, "after object key"),
            }
            self.blanks();
            match self.next()? {
                b',' => {}
                b'}' => return Ok(()),
                other => return invalid(other, "after object key:value pair"),
            }
        }
    }

    fn array(&mut self, depth: usize) -> Scanned {
        self.blanks();
        if self.bytes.get(self.position) == Some(&b']') {
            self.position += 1;
            return Ok(());
        }
        loop {
            self.value("looking for beginning of value", depth + 1)?;
            self.blanks();
            match self.next()? {
                b',' => {}
                b']' => return Ok(()),
                other => return invalid(other, "after array element"),
            }
        }
    }

    fn string(&mut self) -> Scanned {
        loop {
            match self.next()? {
                b'"' => return Ok(()),
                b'\\' => self.escape()?,
                control if control < 0x20 => return invalid(control, "in string literal"),
                _ => {}
            }
        }
    }

    fn escape(&mut self) -> Scanned {
        match self.next()? {
            b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => Ok(()),
            b'u' => {
                for _ in 0..4 {
                    let digit = self.next()?;
                    if !digit.is_ascii_hexdigit() {
                        return invalid(digit, "in \\u hexadecimal character escape");
                    }
                }
                Ok(())
            }
            other => invalid(other, "in string escape code"),
        }
    }

    fn literal(&mut self, word: &str) -> Scanned {
        for expected in word.bytes().skip(1) {
            let found = self.next()?;
            if found != expected {
                let place = format!("in literal {word} (expecting '{}')", char::from(expected));
                return invalid(found, &place);
            }
        }
        Ok(())
    }

    fn number(&mut self, first: u8) -> Scanned {
        if first != b'0' {
            self.digits();
        }
        if self.bytes.get(self.position) == Some(&b'.') {
            self.position += 1;
            let digit = self.next()?;
            if !digit.is_ascii_digit() {
                return invalid(digit, "after decimal point in numeric literal");
            }
            self.digits();
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.position) {
            self.position += 1;
            let mut digit = self.next()?;
            if matches!(digit, b'+' | b'-') {
                digit = self.next()?;
            }
            if !digit.is_ascii_digit() {
                return invalid(digit, "in exponent of numeric literal");
            }
            self.digits();
        }
        Ok(())
    }

    fn digits(&mut self) {
        while self
            .bytes
            .get(self.position)
            .is_some_and(u8::is_ascii_digit)
        {
            self.position += 1;
        }
    }

    fn blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.bytes.get(self.position) {
            self.position += 1;
        }
    }

    fn next(&mut self) -> Result<u8, String> {
        let byte = self.bytes.get(self.position).copied();
        self.position += 1;
        byte.ok_or_else(|| "unexpected end of JSON input".to_owned())
    }
}

/// Go reads bytes, and shows each as the character of that number.
fn invalid(byte: u8, place: &str) -> Scanned {
    let shown = match byte {
        b'\'' => "'\\''".to_owned(),
        b'"' => "'\"'".to_owned(),
        other => {
            let quoted = quote(&char::from(other).to_string());
            format!("'{}'", quoted.trim_matches('"'))
        }
    };
    Err(format!("invalid character {shown} {place}"))
}
