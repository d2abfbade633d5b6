//! How it looks: from the stage to lines, and from lines to what a terminal or a pipe is given.
//!
//! Pure. Owns widths, colours and what is left out where there is little room. Every character is one column
//! wide: names in the API are ASCII.

use std::{fmt::Write as _, time::Duration};

use anstyle::{AnsiColor, Style};

use super::stage::{Happening, Row, Stage, State};

/// From this width on, the namespaces have a column of their own.
const WITH_NAMESPACES: usize = 60;

/// How much of the latest news is under the tree at most; more would be a log.
pub(super) const NEWS: usize = 12;

/// A line of styled pieces.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line(Vec<(Style, String)>);

impl Line {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self::styled(Style::new(), text)
    }

    pub(super) fn bold(text: impl Into<String>) -> Self {
        Self::styled(Style::new().bold(), text)
    }

    pub(super) fn dim(text: impl Into<String>) -> Self {
        Self::styled(DIM, text)
    }

    fn styled(style: Style, text: impl Into<String>) -> Self {
        Self(vec![(style, text.into())])
    }

    fn and(mut self, style: Style, text: impl Into<String>) -> Self {
        self.0.push((style, text.into()));
        self
    }

    /// How many columns it takes.
    pub(super) fn width(&self) -> usize {
        self.0.iter().map(|(_, text)| text.chars().count()).sum()
    }

    /// As text, no wider than `width`, and without blanks at its end.
    pub(super) fn paint(&self, width: usize, colours: bool) -> String {
        let mut pieces = self.0.clone();
        if self.width() > width {
            shorten(&mut pieces, width);
        }
        while let Some((_, last)) = pieces.last_mut() {
            last.truncate(last.trim_end().len());
            if !last.is_empty() {
                break;
            }
            pieces.pop();
        }
        let mut painted = String::new();
        for (style, text) in &pieces {
            // Writing to a String never fails.
            let _ = if colours && *style != Style::new() {
                write!(painted, "{style}{text}{style:#}")
            } else {
                write!(painted, "{text}")
            };
        }
        painted
    }
}

/// Cuts the pieces to `width` columns, of which the last says that something is missing.
fn shorten(pieces: &mut Vec<(Style, String)>, width: usize) {
    let mut left = width.saturating_sub(1);
    let mut kept = Vec::new();
    for (style, text) in pieces.drain(..) {
        let piece: String = text.chars().take(left).collect();
        left -= piece.chars().count();
        kept.push((style, piece));
        if left == 0 {
            break;
        }
    }
    if let Some((_, last)) = kept.last_mut().filter(|_| width > 0) {
        last.push('…');
    }
    *pieces = kept;
}

const DIM: Style = Style::new().dimmed();

fn style(state: State) -> Style {
    match state {
        State::Live => AnsiColor::Green.on_default(),
        State::Terminating => AnsiColor::Yellow.on_default(),
        State::Gone => DIM,
    }
}

/// The platform as a tree.
pub(super) fn tree(stage: &Stage, width: usize) -> Vec<Line> {
    let rows = stage.rows();
    let widest = |column: fn(&Row<'_>) -> usize| rows.iter().map(column).max().unwrap_or_default();
    let namespaces = widest(|row| row.object.namespace.len());
    let names = widest(|row| name(row).chars().count());
    let line = |row: &Row<'_>| {
        let mut line = Line::default();
        if width >= WITH_NAMESPACES {
            line = line.and(DIM, format!("{:namespaces$}  ", row.object.namespace));
        }
        let label = format!("{} {}", row.object.kind, row.object.name);
        let blanks = names - name(row).chars().count();
        let label_style = match row.object.state {
            State::Gone => DIM,
            _ if row.branches.is_empty() => Style::new().bold(),
            _ => Style::new(),
        };
        line.and(DIM, row.branches.clone())
            .and(label_style, label)
            .and(Style::new(), " ".repeat(blanks + 2))
            .and(style(row.object.state), format!("{:11}", row.object.state))
            .and(DIM, format!("  {}", row.note))
    };
    rows.iter().map(line).collect()
}

fn name(row: &Row<'_>) -> String {
    format!("{}{} {}", row.branches, row.object.kind, row.object.name)
}

/// What happened, as a line of a log.
pub(super) fn news(happening: &Happening) -> Line {
    let what = happening.state.map_or(Style::new(), style);
    Line::dim(seconds(happening.at))
        .and(Style::new().bold(), format!("  {:12}  ", happening.by))
        .and(what, happening.what.clone())
}

/// A time in seconds, right-aligned to minutes of them.
pub(super) fn seconds(time: Duration) -> String {
    format!("{:6.2} s", time.as_secs_f64())
}

/// All that a terminal shows at one time: what fits of the tree, and beneath it the latest news.
pub(super) fn screen(
    head: &[Line],
    stage: &Stage,
    told: &[Happening],
    (width, height): (usize, usize),
) -> Vec<Line> {
    // The last row of the terminal is the cursor's.
    let height = height.saturating_sub(1);
    let mut lines = head.to_vec();
    lines.extend(tree(stage, width));
    if lines.len() > height {
        let hidden = lines.len() - height.saturating_sub(1);
        lines.truncate(height.saturating_sub(1));
        lines.push(Line::dim(format!("… and {hidden} more")));
        return lines;
    }
    let room = height.saturating_sub(lines.len() + 1).min(NEWS);
    let latest = &told[told.len().saturating_sub(room)..];
    if !latest.is_empty() {
        lines.push(Line::default());
        lines.extend(latest.iter().map(news));
    }
    lines
}

#[cfg(test)]
mod tests;
