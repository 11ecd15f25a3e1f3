//! `make timeline`: boots the demo, reads its timeline, and draws it. The guest's clock counts instructions, so the
//! drawing does not depend on the load of this machine.

use crate::boot::demo;
use crate::chart::{Span, gantt};
use crate::guest::{Built, COUNTING};
use crate::parallel::event;
use anyhow::{Context, Result, ensure};
use std::path::Path;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(120);

/// Boots, prints the timeline, and writes the drawing.
pub(crate) fn run(built: &Built, outputs: &[std::path::PathBuf]) -> Result<()> {
    let file = demo(&built.folder, built.arch.name());
    let initramfs = std::fs::read(&file).with_context(|| file.display().to_string())?;
    let network = hilum_qemu::network("");
    let words: Vec<&str> = network.iter().map(String::as_str).chain(COUNTING.iter().copied()).collect();
    let mut guest = built.boot(&initramfs, "", "stdio", &words)?;
    guest.vm.console.expect("\"web\": ready", DEADLINE)?;
    let until = Instant::now() + DEADLINE;
    let told = loop {
        guest.vm.type_text("timeline\r")?;
        std::thread::sleep(Duration::from_secs(1));
        let text = guest.vm.console.text().replace("\x1b[K", "");
        let answer = text.rsplit_once("kernel started").map(|(_, answer)| answer.to_owned());
        if let Some(answer) = answer.filter(|answer| answer.contains("web: ready")) {
            break answer;
        }
        ensure!(Instant::now() < until, "no timeline:\n{text}");
    };
    let events: Vec<(u64, &str)> = told.lines().filter_map(event).collect();
    // Up to the last workload that became ready for the first time.
    let mut known = Vec::new();
    let mut is_first = |text| {
        let is_first = !known.contains(&text);
        known.push(text);
        is_first
    };
    let events: Vec<(u64, &str)> = events.into_iter().filter(|(_, text)| is_first(*text)).collect();
    let last = events.iter().rposition(|(_, text)| text.ends_with(": ready")).context("nothing became ready")?;
    let events = &events[..=last];
    println!("{:>10} us  kernel started", 0);
    for (us, text) in events {
        println!("{us:>10} us  {text}");
    }
    let (begin, spans) = spans(events)?;
    let note = "An emulated processor, one instruction a nanosecond. Blue: hilum. Grey: the kernel, and programs until they are ready.";
    let drawn =
        gantt("A boot of the demo, from the kernel's start to the last workload that is ready", note, begin, &spans);
    for output in outputs {
        write(output, &drawn)?;
    }
    Ok(())
}

fn write(output: &Path, drawn: &str) -> Result<()> {
    if let Some(folder) = output.parent() {
        std::fs::create_dir_all(folder)?;
    }
    std::fs::write(output, drawn).with_context(|| output.display().to_string())?;
    println!("drawn: {}", output.display());
    Ok(())
}

/// Returns the steps between events, and when hilum was entered.
fn spans(events: &[(u64, &str)]) -> Result<(u64, Vec<Span>)> {
    let at = |text: &str| events.iter().find(|(_, found)| *found == text).map(|(us, _)| *us);
    let span = |label: &str, from, to, is_other| Span { label: label.to_owned(), from, to, is_other };
    let begin = at("hilum entered").context("hilum was not entered")?;
    let mut spans = vec![span("kernel, before that", 0, begin, true)];
    let mut before = begin;
    for (event, label) in [
        ("filesystems mounted", "mount filesystems"),
        ("configuration read", "read configuration"),
        ("board arranged", "console, groups"),
    ] {
        let us = at(event).with_context(|| event.to_owned())?;
        spans.push(span(label, before, us, false));
        before = us;
    }
    for (event, label) in [("disks ready", "disks"), ("modules ready", "modules, bridges, rules")] {
        spans.extend(at(event).map(|us| span(label, before, us, false)));
    }
    for (from, text) in events {
        let Some(name) = text.strip_suffix(": start") else { continue };
        if let Some(executed) = at(&format!("{name}: program executed")) {
            spans.push(span(&format!("set up {name}"), *from, executed, false));
            spans.extend(
                at(&format!("{name}: ready")).map(|us| span(&format!("{name} until ready"), executed, us, true)),
            );
        }
    }
    Ok((begin, spans))
}

#[cfg(test)]
mod tests;
