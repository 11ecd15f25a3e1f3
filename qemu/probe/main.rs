//! The probe: a program that tests run inside of a workload. It prints what it sees, tries forbidden actions, and exits
//! in various ways.
//!
//! It is static, without libc and heap like hilum itself, so that one file runs in any root filesystem of its
//! architecture.

#![no_std]
#![no_main]
#![forbid(unsafe_code)]

mod action;
mod attempt;
mod datagrams;
mod ending;
mod facts;
mod flood;
mod streams;
mod walk;

use hilum_sys::{Arguments, print_to, standard_output};

hilum_sys::entry!(main);

/// Writes a line to standard output in one write if it is not very long, because a terminal may echo in between.
fn tell(text: core::fmt::Arguments<'_>) {
    let mut line: heapless::String<1024> = heapless::String::new();
    // A failure cannot be reported; the test will miss the line.
    let _ = match core::fmt::Write::write_fmt(&mut line, format_args!("{text}\n")) {
        Ok(()) => print_to(standard_output(), format_args!("{line}")),
        Err(_) => print_to(standard_output(), format_args!("{text}\n")),
    };
}

fn main(arguments: Arguments) -> i32 {
    let word = |index| arguments.get(index).and_then(|word| word.to_str().ok()).unwrap_or_default();
    let number = |index| word(index).parse::<u32>().unwrap_or(0);
    match word(1) {
        "facts" => facts::tell_all(arguments),
        "attempt" => attempt::all(),
        "limits" => facts::limits(),
        "prowl" => attempt::prowl(number(2)),
        "calls" => attempt::calls(),
        "do" => _ = action::all(arguments),
        "must" => return action::all(arguments),
        "eat" => ending::eat(number(2)),
        "fork-bomb" => ending::fork_bomb(),
        "spin" => ending::spin(),
        "hog" => ending::hog(),
        "terminal" => ending::use_terminal(),
        "streams" => return streams::tell_all(),
        "drain" => streams::drain(),
        "pour" => return streams::pour(number(2), word(3) == "both"),
        "pass" => return streams::pass_on(),
        "exit" => return number(2) as i32,
        "now" => tell(format_args!("now {}", hilum_sys::boottime_us())),
        "timed-init" => ending::become_timed_init(),
        "sleep" => ending::sleep(number(2).into()),
        "ignore-term" => ending::ignore_signals(),
        "on-term" => return ending::exit_on_term(),
        "orphans" => ending::leave_orphans(number(2)),
        "hear" => datagrams::hear(number(2)),
        "flood" => ending::flood(number(2)),
        "flood-descriptor" => flood::descriptor(number(2)),
        "flood-lines" => flood::lines(),
        "flood-orphans" => flood::orphans(),
        "flood-notify" => flood::notify(arguments),
        "storm" => ending::storm(),
        "without-call" => ending::become_init_without(number(2)),
        "kill-all" => ending::kill_all(),
        "escape" => tell(format_args!("red \x1b[31m bell \x07 clear \x1b[2J end")),
        "partial" => {
            let _ = print_to(standard_output(), format_args!("no newline"));
        }
        other => {
            tell(format_args!("unknown command {other:?}"));
            return 2;
        }
    }
    0
}
