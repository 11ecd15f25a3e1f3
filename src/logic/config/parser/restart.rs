//! The `restart` line: `restart never|on-failure|always [delay=] [max=] [limit=N/DURATION] [else=]`.

use super::super::error::{Error, Problem};
use super::super::lexer::Line;
use super::super::limits;
use super::super::restart::{LimitAction, Restart, RestartLimit, When};
use super::values;
use crate::split::Split;
use crate::text;
use crate::text::Text;

/// Reads the line, whose first word is the key.
pub(super) fn read<'a>(line: &Line<'a>) -> Result<Restart, Error<'a>> {
    const WHEN: Text = text!("never, on-failure or always");
    let error = |column, problem| Error { line: line.number, column, problem };
    let mut restart = Restart::DEFAULT;
    let when = line.words.get(1).ok_or(error(line.end, Problem::Missing("restart", WHEN)))?;
    restart.when = match when.text {
        "never" => When::Never,
        "on-failure" => When::OnFailure,
        "always" => When::Always,
        found => return Err(error(when.column, Problem::Value(found, WHEN))),
    };
    let (mut on_limit, mut else_column, mut limit_column, mut seen) = (LimitAction::Stop, None, 1, [false; 4]);
    for word in &line.words[2..] {
        let wrong = |expected| error(word.column, Problem::Value(word.text, expected));
        let (name, value) = word.text.cut(b'=').ok_or(wrong(OPTIONS))?;
        let option = "delay max limit else".place_of_word(name);
        let option = option.ok_or(wrong(OPTIONS))?;
        if core::mem::replace(&mut seen[option], true) {
            return Err(error(word.column, Problem::Extra(word.text)));
        }
        match option {
            0 => restart.delay_ms = values::duration_ms(value).ok_or(wrong(values::DURATION))?,
            1 => restart.max_ms = values::duration_ms(value).ok_or(wrong(values::DURATION))?,
            2 => {
                restart.limit = Some(limit(value).ok_or(wrong(LIMIT))?);
                limit_column = word.column;
            }
            _ => {
                on_limit = match value {
                    "stop" => LimitAction::Stop,
                    "reboot" => LimitAction::Reboot,
                    "poweroff" => LimitAction::Poweroff,
                    _ => return Err(wrong(text!("else=stop, else=reboot or else=poweroff"))),
                };
                else_column = Some(word.column);
            }
        }
    }
    if restart.max_ms < restart.delay_ms {
        return Err(error(when.column, Problem::MaxBelowDelay));
    }
    match (&mut restart.limit, else_column) {
        (Some(limit), _) => limit.on_limit = on_limit,
        (None, Some(column)) => return Err(error(column, Problem::ElseWithoutLimit)),
        (None, None) => {}
    }
    if let Some(needed_ms) = unreachable(&restart) {
        return Err(error(limit_column, Problem::LimitNeverReached(needed_ms)));
    }
    Ok(restart)
}

const OPTIONS: Text = text!("delay=, max=, limit= or else=");
const LIMIT: Text = text!("limit=COUNT/DURATION such as limit=5/60s, with a count from 1 to 1000");

fn limit(text: &str) -> Option<RestartLimit> {
    let (count, period) = text.cut(b'/')?;
    let count = values::number(count).filter(|count| limits::RESTARTS.contains(count))?;
    Some(RestartLimit { count, period_ms: values::duration_ms(period)?, on_limit: LimitAction::Stop })
}

/// Returns the time in milliseconds that `count` restarts take if the program fails at once, if it exceeds the period.
/// In that case the limit can never be reached.
fn unreachable(restart: &Restart) -> Option<u64> {
    let limit = restart.limit?;
    let (mut delay_ms, mut needed_ms) = (u64::from(restart.delay_ms), 0);
    for _ in 0..limit.count {
        needed_ms += delay_ms;
        delay_ms = (delay_ms * 2).min(restart.max_ms.into());
    }
    (needed_ms >= limit.period_ms.into()).then_some(needed_ms)
}
