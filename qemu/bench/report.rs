//! Prints results, and writes them into the tables of docs/dev/bench.md between their markers, and into charts.

use crate::chart::{Bar, bars};
use crate::{boot, memory, starts};
use anyhow::{Context, Result};
use std::path::PathBuf;
use std::process::Command;

/// The results of a run as they are measured.
pub(crate) struct Report {
    /// The folder of documents; `None` if they are not written.
    docs: Option<PathBuf>,
}

impl Report {
    pub(crate) fn new(docs: Option<PathBuf>) -> Self {
        Self { docs }
    }

    /// Prints a table under a title with date and machine, and writes it into the document.
    pub(crate) fn table(&self, name: &str, title: &str, table: &str) -> Result<()> {
        let text = format!("{title} ({}):\n\n{table}", conditions());
        println!("{text}");
        self.replace("bench.md", name, &text)
    }

    /// The same for a table of docs/comparison.md, which contains only the date, because it does not depend on the
    /// machine.
    pub(crate) fn comparison(&self, name: &str, table: &str) -> Result<()> {
        let architecture = std::env::consts::ARCH;
        let text = format!("Files of Debian 12 for {architecture}, and hilum as built, on {}:\n\n{table}", today());
        println!("{text}");
        self.replace("../comparison.md", name, &text)
    }

    /// Writes a text between the markers of a name in a document, if documents are written.
    fn replace(&self, document: &str, name: &str, text: &str) -> Result<()> {
        let Some(docs) = &self.docs else { return Ok(()) };
        let file = docs.join(document);
        let place = || file.display().to_string();
        let page = std::fs::read_to_string(&file).with_context(place)?;
        std::fs::write(&file, replaced(&page, name, text).with_context(place)?)?;
        Ok(())
    }

    /// Writes a number into README, as the text of the first link to this place.
    pub(crate) fn figure(&self, link: &str, figure: u64) -> Result<()> {
        let Some(docs) = &self.docs else { return Ok(()) };
        let file = docs.join("../../README.md");
        let page = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let page = with_figure(&page, link, figure).with_context(|| format!("README.md has no link to {link}"))?;
        Ok(std::fs::write(&file, page)?)
    }

    fn chart(&self, name: &str, drawn: &str) -> Result<()> {
        match &self.docs {
            Some(docs) => Ok(std::fs::write(docs.join(name), drawn)?),
            None => Ok(()),
        }
    }

    /// Draws starts in a guest as bars.
    pub(crate) fn start_chart(&self, rows: &[starts::Row]) -> Result<()> {
        let mut drawn: Vec<Bar> = rows
            .iter()
            .filter_map(|row| {
                let us = row.median()?;
                let text = format!("{:.1} ms", us as f64 / 1000.0);
                Some(Bar { label: row.name.clone(), value: us as f64, text, is_ours: row.name == "hilum" })
            })
            .collect();
        drawn.sort_by(|a, b| a.value.total_cmp(&b.value));
        let note = format!("Median, in one emulated machine (TCG), {}, load average of its host {}.", today(), load());
        self.chart(
            "bench-start.svg",
            &bars("From the request to start an isolated program until its exit is reported", &note, &drawn),
        )
    }

    /// Draws boots as bars.
    pub(crate) fn boot_chart(&self, rows: &[boot::Row]) -> Result<()> {
        let drawn: Vec<Bar> = rows
            .iter()
            .filter_map(|row| {
                let us = *row.times.as_ref().ok()?.get(row.times.as_ref().ok()?.len() / 2)?;
                let text = format!("{:.0} ms", us as f64 / 1000.0);
                Some(Bar { label: row.name.clone(), value: us as f64, text, is_ours: row.name.starts_with("hilum") })
            })
            .collect();
        let note = format!(
            "Median, in the same emulated machine (TCG) with the same kernel, {}, load average {}.",
            today(),
            load()
        );
        self.chart("bench-boot.svg", &bars("From /init to the first instruction of the first workload", &note, &drawn))
    }

    /// Draws memory as bars: all that is needed to supervise eight programs, or one.
    pub(crate) fn memory_chart(&self, rows: &[memory::Row]) -> Result<()> {
        let shown = rows.iter().filter(|row| matches!(row.programs, 1 | 8) && row.own.is_ok());
        let drawn: Vec<Bar> = shown
            .map(|row| Bar {
                label: format!("{}, {}", row.name, row.programs),
                value: row.all.resident_kb as f64,
                text: format!("{} KiB, {} dirty", row.all.resident_kb, row.all.dirty_kb),
                is_ours: row.name == "hilum",
            })
            .collect();
        let note = format!(
            "Resident memory of PID 1 and its helper processes, by number of programs; the programs' own is not included, {}.",
            today()
        );
        self.chart("bench-memory.svg", &bars("Memory of PID 1", &note, &drawn))
    }
}

/// Returns the document with another text between the markers of a name.
fn replaced(document: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name} begins -->\n"), format!("<!-- {name} ends -->"));
    let place = || format!("there is no place for {name}");
    let (before, rest) = document.split_once(&begin).with_context(place)?;
    let (_, after) = rest.split_once(&end).with_context(place)?;
    Ok(format!("{before}{begin}\n{text}\n{end}{after}"))
}

/// Returns the page with another text of the first link to a place, or `None` without such a link.
fn with_figure(page: &str, link: &str, figure: u64) -> Option<String> {
    let (before, after) = page.split_once(&format!("]({link})"))?;
    let (before, _) = before.rsplit_once('[')?;
    Some(format!("{before}[{}]({link}){after}", grouped(figure)))
}

/// Returns a number with commas between thousands, as texts have it. Tables have none.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let places = digits.char_indices().map(|(at, digit)| (at > 0 && (digits.len() - at).is_multiple_of(3), digit));
    places.flat_map(|(is_group, digit)| is_group.then_some(',').into_iter().chain([digit])).collect()
}

/// Returns the date in UTC.
fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    output.map_or_else(|_| String::new(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns the load average of this machine over the last one, five and fifteen minutes (proc_loadavg(5)).
fn load() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').take(3).collect::<Vec<&str>>().join(" ")
}

/// Returns the date, the machine, and its load average.
fn conditions() -> String {
    let system = rustix::system::uname();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let release = system.release().to_string_lossy().into_owned();
    // Processes with lower priority only delay this one for short times.
    let nice = rustix::process::getpriority_process(None).unwrap_or(0);
    let nice = if nice == 0 { String::new() } else { format!(", at nice {nice}") };
    format!("{}, {processors} processors, Linux {release}{nice}, load average {} at the end", today(), load())
}

#[cfg(test)]
mod tests;
