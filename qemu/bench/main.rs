//! `make bench`: from the order to start an isolated program to the end of that program, side by side with other tools.
//!
//! Every contestant runs once in each round, so that whatever else the machine does meets them all.

#![forbid(unsafe_code)]

mod contestants;

use anyhow::{Context, Result};
use clap::Parser;
use contestants::{Contestant, Place};
use std::path::PathBuf;
use std::time::Duration;

/// Times the start of an isolated program by hilum, by other tools, and by a C program that does nothing else.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The board's ELF file, for this machine's architecture.
    #[arg(long)]
    hilum: PathBuf,
    /// A static busybox, which is the program that is started.
    #[arg(long)]
    busybox: PathBuf,
    /// The compiled floor.c.
    #[arg(long)]
    floor: PathBuf,
    /// How often each starts.
    #[arg(long, default_value_t = 100)]
    runs: usize,
}

/// What one contestant has to show.
struct Row {
    name: String,
    /// Microseconds, from small to large; or why there are none.
    times: Result<Vec<u64>>,
    /// System calls of one start.
    calls: Option<usize>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let place = Place::new(&arguments.hilum, &arguments.busybox, &arguments.floor)?;
    let mut rows = Vec::new();
    let mut running: Vec<(Contestant<'_>, Vec<Duration>)> = Vec::new();
    for name in contestants::NAMES {
        // One start that does not count: it shows whether there will be any, and nobody is the first to touch a file.
        match Contestant::new(name, &place).and_then(|mut contestant| contestant.start().map(|_| contestant)) {
            Ok(contestant) => running.push((contestant, Vec::new())),
            Err(error) => rows.push(Row { name: name.to_owned(), times: Err(error), calls: None }),
        }
    }
    for _ in 0..arguments.runs {
        for (contestant, times) in &mut running {
            times.push(contestant.start().with_context(|| contestant.name.clone())?);
        }
    }
    for (mut contestant, times) in running {
        let mut times: Vec<u64> = times.iter().map(|time| time.as_micros() as u64).collect();
        times.sort_unstable();
        let calls = contestant.count_calls().with_context(|| contestant.name.clone())?;
        rows.push(Row { name: contestant.name.clone(), times: Ok(times), calls });
    }
    print!("{}", table(&rows));
    Ok(())
}

/// The rows as a table, the fastest first, those that did not run at the end.
fn table(rows: &[Row]) -> String {
    let middle = |times: &[u64], part: usize| times[(times.len() - 1) * part / 10];
    let median = |row: &Row| row.times.as_ref().map_or(u64::MAX, |times| middle(times, 5));
    let best = rows.iter().find(|row| row.name == contestants::FRESH_FLOOR).map_or(u64::MAX, median);
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by_key(|row| median(row));
    let mut text = format!(
        "| start to exit | median us | a tenth below | a tenth above | of {} | system calls |\n|---|---|---|---|---|---|\n",
        contestants::FRESH_FLOOR
    );
    for row in sorted {
        match &row.times {
            Ok(times) => {
                let ratio = middle(times, 5) as f64 / best as f64;
                let calls = row.calls.map_or_else(|| "-".to_owned(), |calls| calls.to_string());
                let (low, high) = (middle(times, 1), middle(times, 9));
                text += &format!("| {} | {} | {low} | {high} | {ratio:.2} | {calls} |\n", row.name, middle(times, 5));
            }
            Err(error) => text += &format!("| {} | does not run here: {error:#} | | | | |\n", row.name),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Row, contestants, table};

    #[test]
    fn table_begins_with_the_fastest_and_ends_with_who_does_not_run() {
        let row = |name: &str, times| Row { name: name.to_owned(), times, calls: None };
        let rows = [
            row("absent", Err(anyhow::anyhow!("it is not installed"))),
            row(contestants::FRESH_FLOOR, Ok((100..=200).collect())),
            Row { calls: Some(41), ..row("fast", Ok(vec![60, 75, 90])) },
        ];
        let text = table(&rows);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "| fast | 75 | 60 | 75 | 0.50 | 41 |",
                "| floor.c, started afresh | 150 | 110 | 190 | 1.00 | - |",
                "| absent | does not run here: it is not installed | | | | |",
            ]
        );
    }
}
