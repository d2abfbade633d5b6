//! What goes wrong between the controller and the API, drawn from the seed.

use std::{ops::Range, time::Duration};

use http::StatusCode;
use kube_sim::fault::{Action, Answer, Faults, Match, Rule, Verb};

use crate::{
    dice::Dice,
    world::{Kind, World},
};

/// What goes wrong.
#[derive(Clone, Debug, Default)]
pub struct Trouble {
    /// How long each way takes, from the beginning to the end.
    pub latency: Option<Range<Duration>>,
    /// What happens to which calls, and to how many in a thousand of them.
    pub faults: Vec<Fault>,
}

/// One thing that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    /// With which calls.
    pub calls: Calls,
    /// What.
    pub what: What,
    /// With how many in a thousand.
    pub chance: u32,
}

/// Which calls a fault is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Calls {
    /// All but watches.
    All,
    /// Of one verb.
    Of(Verb),
    /// Of one kind, but no watches.
    About(Kind),
    /// Watches.
    Watches,
}

/// What happens to a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It is answered with this code, by whoever.
    Status(u16),
    /// It is answered with 429, and this many seconds to wait.
    Busy(u32),
    /// It is answered as if the path were not served.
    NotServed,
    /// The connection is reset before the server sees it.
    LostRequest,
    /// The connection is reset when the server has carried it out.
    LostReply,
    /// Nobody answers, and the server does not see it.
    Stall,
    /// Nobody answers, though the server has carried it out.
    StallAfter,
    /// It is carried out twice.
    Twice,
    /// The answer ends early, as if that were all.
    Truncated(usize),
    /// The answer breaks off.
    BrokenOff(usize),
    /// The watch is cut after so many events.
    Cut(u64),
    /// The watch ends in good order after so many events.
    Ended(u64),
    /// The watch is too old after so many events.
    Expired(u64),
    /// The watch falls silent after so many events.
    Mute(u64),
    /// The watch loses an event.
    Dropped(u64),
    /// Two events of the watch change places.
    Swapped(u64),
}

impl Trouble {
    /// What goes wrong in the schedule of a seed.
    #[must_use]
    pub fn of(dice: &mut Dice, world: &World) -> Self {
        let millisecond = Duration::from_millis(1);
        let latency = match dice.below(10) {
            0..3 => None,
            3..8 => Some(millisecond..50 * millisecond),
            _ => Some(10 * millisecond..1500 * millisecond),
        };
        let count = match dice.below(10) {
            0..3 => 0,
            3..8 => dice.within(1..3),
            _ => dice.within(3..7),
        };
        let faults = (0..count).map(|_| Fault::of(dice, world)).collect();
        Self { latency, faults }
    }

    /// Whether something is lost that is only found by the next relist.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        let lasting = |fault: &Fault| {
            matches!(
                fault.what,
                What::Mute(_) | What::Dropped(_) | What::Swapped(_)
            )
        };
        self.faults.iter().any(lasting)
    }

    /// Whether calls take a moment at most.
    #[must_use]
    pub fn is_quick(&self) -> bool {
        let moment = Duration::from_millis(100);
        self.latency
            .as_ref()
            .is_none_or(|range| range.end <= moment)
    }

    /// From now on things go wrong.
    pub fn begin(&self, faults: &Faults) {
        self.end(faults);
        for fault in &self.faults {
            faults.add(fault.rule());
        }
    }

    /// From now on nothing goes wrong, but the way stays as long as it was.
    pub fn end(&self, faults: &Faults) {
        faults.clear();
        faults.up();
        if let Some(range) = &self.latency {
            faults.add(Rule::new(Match::any(), Action::latency(range.clone())));
        }
    }
}

impl Fault {
    fn of(dice: &mut Dice, world: &World) -> Self {
        if dice.percent(25) {
            return Self::of_watches(dice);
        }
        let kinds = world.kinds();
        let verbs = [
            Verb::Get,
            Verb::List,
            Verb::Delete,
            Verb::Patch,
            Verb::Create,
            Verb::Update,
        ];
        let calls = match dice.below(4) {
            0 => Calls::All,
            1 => dice
                .pick(&kinds)
                .map_or(Calls::All, |kind| Calls::About(*kind)),
            _ => dice
                .pick(&verbs)
                .map_or(Calls::All, |verb| Calls::Of(*verb)),
        };
        let codes = [500, 503, 504, 403, 409, 401];
        let bytes = usize::try_from(dice.within(0..400)).unwrap_or(0);
        let what = match dice.below(14) {
            0..4 => What::Status(dice.pick(&codes).copied().unwrap_or(500)),
            4 => What::Busy(u32::try_from(dice.within(1..8)).unwrap_or(1)),
            5 => What::NotServed,
            6..8 => What::LostRequest,
            8..10 => What::LostReply,
            10 => What::Stall,
            11 => What::StallAfter,
            12 => What::Twice,
            _ if dice.percent(50) => What::Truncated(bytes),
            _ => What::BrokenOff(bytes),
        };
        Self {
            calls,
            what,
            chance: chance(dice),
        }
    }

    fn of_watches(dice: &mut Dice) -> Self {
        let events = dice.below(6);
        let what = match dice.below(20) {
            0..5 => What::Cut(events),
            5..10 => What::Ended(events),
            10..15 => What::Expired(events),
            15 => What::Mute(events),
            16 => What::Dropped(events + 1),
            17 => What::Swapped(events + 1),
            _ => What::LostRequest,
        };
        Self {
            calls: Calls::Watches,
            what,
            chance: chance(dice),
        }
    }

    fn rule(&self) -> Rule {
        let calls = match self.calls {
            Calls::All => Match::any().when(|call| call.verb() != Verb::Watch),
            Calls::Of(verb) => Match::verb(verb),
            Calls::About(kind) => Match::any()
                .group(kind.group())
                .resource(kind.plural())
                .when(|call| call.verb() != Verb::Watch),
            Calls::Watches => Match::verb(Verb::Watch),
        };
        let status = |code: u16| StatusCode::from_u16(code).unwrap_or(StatusCode::BAD_GATEWAY);
        let action = match self.what {
            What::Status(code) => Action::answer(Answer::status(status(code))),
            What::Busy(seconds) => Action::answer(Answer::status(status(429)).retry_after(seconds)),
            What::NotServed => Action::answer(Answer::text(status(404), "404 page not found\n")),
            What::LostRequest => Action::reset_before(),
            What::LostReply => Action::reset_after(),
            What::Stall => Action::stall(),
            What::StallAfter => Action::stall_after(),
            What::Twice => Action::replay(),
            What::Truncated(bytes) => Action::truncate(bytes),
            What::BrokenOff(bytes) => Action::truncate_and_reset(bytes),
            What::Cut(events) => Action::cut_watch(events),
            What::Ended(events) => Action::end_watch(events),
            What::Expired(events) => Action::expire_watch(events),
            What::Mute(events) => Action::mute_watch(events),
            What::Dropped(event) => Action::drop_event(event),
            What::Swapped(event) => Action::swap_event(event),
        };
        Rule::new(calls, action).chance(f64::from(self.chance) / 1000.0)
    }
}

fn chance(dice: &mut Dice) -> u32 {
    let chance = match dice.below(4) {
        0 => dice.within(5..30),
        1 | 2 => dice.within(30..200),
        _ => dice.within(200..700),
    };
    u32::try_from(chance).unwrap_or(0)
}
