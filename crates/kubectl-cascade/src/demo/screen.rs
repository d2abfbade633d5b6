//! Where it is shown: a tree that is redrawn in place on a terminal, lines anywhere else.
//!
//! Owns what is written when, and that a terminal is left as it was found. How things look is
//! `view`'s.

use std::{
    env,
    io::{self, IsTerminal, Write},
};

use rustix::termios::tcgetwinsize;

use super::{
    stage::{Happening, Stage},
    view::{self, Line},
};

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR_TO_END_OF_LINE: &str = "\x1b[K";
const CLEAR_BELOW: &str = "\x1b[J";

/// What a terminal is taken for that does not say how large it is.
const USUAL: Size = (80, 24);

/// Columns and rows.
pub(super) type Size = (usize, usize);

/// What a stream can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    /// Lines can be drawn over.
    pub(super) live: bool,
    pub(super) colours: bool,
}

impl Look {
    /// By the habits of command lines: `NO_COLOR`, then `CLICOLOR_FORCE`, `CLICOLOR` and `TERM`.
    pub(super) fn of(is_terminal: bool, variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let live = is_terminal && set("TERM").is_none_or(|term| term != "dumb");
        let colours = if set("NO_COLOR").is_some() {
            false
        } else if set("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
            true
        } else {
            live && set("CLICOLOR").is_none_or(|value| value != "0")
        };
        Self { live, colours }
    }
}

/// A stream, and what has been shown on it.
pub(super) struct Screen {
    out: Box<dyn Write + Send>,
    look: Look,
    size: fn() -> Size,
    head: Vec<Line>,
    told: Vec<Happening>,
    /// The widths of the lines that are drawn over next.
    drawn: Vec<usize>,
}

impl Screen {
    /// A screen of its own making, for tests.
    #[cfg(test)]
    pub(super) fn new(out: Box<dyn Write + Send>, look: Look, size: fn() -> Size) -> Self {
        Self::on(out, look, size)
    }

    pub(super) fn stdout() -> Self {
        let look = Look::of(io::stdout().is_terminal(), |name| env::var(name).ok());
        Self::on(Box::new(io::stdout()), look, || size(io::stdout()))
    }

    pub(super) fn stderr() -> Self {
        let look = Look::of(io::stderr().is_terminal(), |name| env::var(name).ok());
        Self::on(Box::new(io::stderr()), look, || size(io::stderr()))
    }

    fn on(out: Box<dyn Write + Send>, look: Look, size: fn() -> Size) -> Self {
        Self {
            out,
            look,
            size,
            head: Vec::new(),
            told: Vec::new(),
            drawn: Vec::new(),
        }
    }

    /// Whether it is drawn over, and has room for this line.
    pub(super) fn is_live_for(&self, line: &Line) -> bool {
        self.look.live && line.width() <= (self.size)().0
    }

    /// Shows the platform as it is before anything happens.
    pub(super) fn open(&mut self, head: Vec<Line>, stage: &Stage) -> io::Result<()> {
        self.head = head;
        if self.look.live {
            return self.draw(stage);
        }
        let mut lines = self.head.clone();
        lines.extend(view::tree(stage, usize::MAX));
        lines.push(Line::default());
        self.print(&lines)
    }

    /// Tells what has happened; on a terminal, [`draw`](Self::draw) shows it.
    pub(super) fn tell(&mut self, happening: Happening) -> io::Result<()> {
        if self.look.live {
            self.told.push(happening);
            let surplus = self.told.len().saturating_sub(view::NEWS);
            self.told.drain(..surplus);
            Ok(())
        } else {
            self.print(&[view::news(&happening)])
        }
    }

    /// Draws the platform over what was drawn before; nothing but a terminal shows it.
    pub(super) fn draw(&mut self, stage: &Stage) -> io::Result<()> {
        if !self.look.live {
            return Ok(());
        }
        let lines = view::screen(&self.head, stage, &self.told, (self.size)());
        self.redraw(&lines)
    }

    /// Shows how it ended, in the place of the news; no word of it is cut off.
    pub(super) fn close(&mut self, stage: &Stage, end: &[Line]) -> io::Result<()> {
        if self.look.live {
            let mut lines = self.head.clone();
            lines.extend(view::tree(stage, (self.size)().0));
            self.redraw(&lines)?;
            self.leave()?;
        }
        self.print(&[Line::default()])?;
        self.print(end)
    }

    /// Ends without a word more; what is drawn stays.
    pub(super) fn leave(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.drawn).is_empty() {
            // The terminal may have written a `^C` of its own there.
            write!(self.out, "\r{CLEAR_TO_END_OF_LINE}")?;
        }
        self.out.flush()
    }

    fn print(&mut self, lines: &[Line]) -> io::Result<()> {
        for line in lines {
            writeln!(self.out, "{}", line.paint(usize::MAX, self.look.colours))?;
        }
        self.out.flush()
    }

    /// Everything in one write, so that no half of it is ever seen, and the terminal is as it was
    /// whenever the process is suspended or killed.
    fn redraw(&mut self, lines: &[Line]) -> io::Result<()> {
        let (width, _) = (self.size)();
        let mut frame = Vec::from(HIDE_CURSOR);
        let up = rows(&self.drawn, width);
        if up > 0 {
            write!(frame, "\x1b[{up}A\r")?;
        }
        let painted = lines
            .iter()
            .map(|line| line.paint(width, self.look.colours) + CLEAR_TO_END_OF_LINE);
        let painted: Vec<_> = painted.collect();
        let painted = painted.join("\r\n");
        // What came after the last end of a line would be a write of its own.
        write!(frame, "{painted}{CLEAR_BELOW}{SHOW_CURSOR}\r\n")?;
        self.drawn = lines.iter().map(|line| line.width().min(width)).collect();
        self.out.write_all(&frame)?;
        self.out.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A stream that is gone needs no end.
        let _ = self.leave();
    }
}

/// How many rows the lines take; a terminal that became narrower has folded some of them.
fn rows(drawn: &[usize], width: usize) -> usize {
    let folded = |line: &usize| line.div_ceil(width.max(1)).max(1);
    drawn.iter().map(folded).sum()
}

fn size(stream: impl std::os::fd::AsFd) -> Size {
    match tcgetwinsize(stream) {
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col.into(), size.ws_row.into()),
        _ => USUAL,
    }
}

#[cfg(test)]
mod tests;
