//! A virtual machine that boots an initramfs on a serial console, for tests.

use crate::{Accelerator, Transcript, machine};
use anyhow::{Context, Result, bail};
use hilum::Architecture;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The configuration of a machine.
#[derive(Debug, Clone)]
pub struct Options<'a> {
    /// The architecture.
    pub arch: Architecture,
    /// The path of the kernel.
    pub kernel: &'a Path,
    /// The path of the initramfs.
    pub initramfs: &'a Path,
    /// More words for the kernel command line.
    pub append: &'a str,
    /// Memory in MiB.
    pub memory_mib: u32,
    /// The accelerator.
    pub accelerator: Accelerator,
    /// A disk image, raw and read-only: the first virtio block device.
    pub disk: Option<&'a Path>,
    /// More words for QEMU.
    pub more: &'a [&'a str],
}

impl Options<'_> {
    /// Returns the QEMU command for this machine, without a console. `panic=-1` turns the exit of PID 1 into a reboot,
    /// which ends QEMU.
    pub fn command(&self) -> Command {
        self.on(machine::command(self.arch, self.accelerator))
    }

    /// The same on another machine, whose command this is; `reboot=t` restarts one that has neither ACPI nor a keyboard controller.
    pub fn on(&self, mut command: Command) -> Command {
        let (console, words) = (machine::console(self.arch), machine::kernel_words(self.arch));
        command.arg("-m").arg(self.memory_mib.to_string());
        command.arg("-kernel").arg(self.kernel).arg("-initrd").arg(self.initramfs);
        if let Some(disk) = self.disk {
            let drive = format!("file={},format=raw,if=none,id=disk,readonly=on", disk.display());
            command.args(["-drive", &drive, "-device", "virtio-blk-pci,drive=disk"]);
        }
        command.args(self.more);
        let timer = if self.has_slow_timer() { "nolapic_timer " } else { "" };
        command.arg("-append").arg(format!("console={console} quiet panic=-1 {words}{timer}{}", self.append));
        command
    }

    /// Returns whether the kernel does better without the timer of the processor, whose speed it measures for a tenth of a second.
    /// Several processors need one each; KVM tells its speed.
    fn has_slow_timer(&self) -> bool {
        match self.arch {
            Architecture::X86_64 => self.accelerator == Accelerator::Tcg && !self.more.contains(&"-smp"),
            Architecture::Aarch64 => false,
        }
    }
}

/// How a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It was switched off, or killed.
    Off,
    /// It restarted.
    Restart,
}

/// Starts a thread that finds out how the machine ends whose monitor listens at this path (QMP's event SHUTDOWN).
pub fn watch(monitor: PathBuf) -> JoinHandle<End> {
    std::thread::spawn(move || {
        // QEMU creates the socket before the machine runs.
        let until = Instant::now() + Duration::from_secs(20);
        let stream = loop {
            match UnixStream::connect(&monitor) {
                Ok(stream) => break stream,
                Err(_) if Instant::now() > until => return End::Off,
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        let ask = |mut stream: &UnixStream| writeln!(stream, "{}", json!({"execute": "qmp_capabilities"}));
        if ask(&stream).is_err() {
            return End::Off;
        }
        let events = BufReader::new(&stream).lines().map_while(Result::ok);
        let mut reasons = events.filter_map(|line| {
            let event: Value = serde_json::from_str(&line).ok()?;
            (event["event"] == "SHUTDOWN").then(|| event["data"]["reason"] == "guest-reset")
        });
        if reasons.next() == Some(true) { End::Restart } else { End::Off }
    })
}

/// Boots a board again and again until it is off; `start` plays its firmware. Returns the consoles.
///
/// # Errors
/// It does not end before `deadline`, or restarts more than `limit` times; those of `start`.
pub fn boots(limit: usize, deadline: Duration, start: &mut dyn FnMut() -> Result<Vm>) -> Result<Vec<String>> {
    let until = Instant::now() + deadline;
    let mut consoles = Vec::new();
    while consoles.len() <= limit {
        let mut vm = start()?;
        let (console, end) = vm.wait_end(until.saturating_duration_since(Instant::now()))?;
        consoles.push(console);
        if end == End::Off {
            return Ok(consoles);
        }
    }
    bail!(
        "the board restarted more than {limit} times; last lines of the console:\n{}",
        consoles.pop().unwrap_or_default()
    )
}

/// A running machine; it is killed when this is dropped.
#[derive(Debug)]
pub struct Vm {
    child: Child,
    monitor: PathBuf,
    keyboard: ChildStdin,
    end: Option<JoinHandle<End>>,
    /// The serial console.
    pub console: Transcript,
}

impl Vm {
    /// Starts it. `scratch` is a folder for its monitor socket.
    ///
    /// # Errors
    /// QEMU is not installed.
    pub fn start(options: &Options<'_>, scratch: &Path) -> Result<Self> {
        Self::start_command(options.command(), "stdio", scratch)
    }

    /// Starts a machine from a prepared command. Its console is the first serial port, or the one after those that
    /// `serial` defines before it, as in `null -serial stdio`.
    ///
    /// # Errors
    /// QEMU is not installed.
    pub fn start_command(mut command: Command, serial: &str, scratch: &Path) -> Result<Self> {
        // A monitor serves one client at a time.
        let [monitor, events] = ["monitor", "events"].map(|name| scratch.join(name));
        let listen = |path: &Path| format!("unix:{},server=on,wait=off", path.display());
        let _ = std::fs::remove_file(&events);
        command.args(["-display", "none", "-monitor", "none", "-serial"]);
        command.args(serial.split(' ')).arg("-qmp").arg(listen(&monitor)).arg("-qmp").arg(listen(&events));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().with_context(|| format!("{:?}", command.get_program()))?;
        let output = child.stdout.take().context("the serial console")?;
        let keyboard = child.stdin.take().context("the serial console")?;
        let end = Some(watch(events));
        Ok(Self { child, monitor, keyboard, end, console: Transcript::read(output) })
    }

    /// Waits until the machine has ended. Returns the whole console.
    ///
    /// # Errors
    /// It does not end before `deadline`, or QEMU failed.
    pub fn wait(&mut self, deadline: Duration) -> Result<String> {
        let text = self.console.end(deadline)?;
        let until = Instant::now() + Duration::from_secs(5);
        while Instant::now() < until {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(text),
                Some(status) => bail!("QEMU exited with {status}; last lines of the console:\n{}", self.console.tail()),
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        bail!("QEMU closed its console and did not exit")
    }

    /// Like [`Self::wait`], and returns how it ended as well.
    ///
    /// # Errors
    /// As [`Self::wait`].
    pub fn wait_end(&mut self, deadline: Duration) -> Result<(String, End)> {
        let console = self.wait(deadline)?;
        let end = self.end.take().and_then(|end| end.join().ok());
        Ok((console, end.unwrap_or(End::Off)))
    }

    /// Types on the serial console.
    ///
    /// # Errors
    /// QEMU has ended.
    pub fn type_text(&mut self, text: &str) -> Result<()> {
        self.keyboard.write_all(text.as_bytes())?;
        Ok(self.keyboard.flush()?)
    }

    /// Presses Ctrl-Alt-Del on the machine's keyboard.
    ///
    /// # Errors
    /// The monitor does not answer.
    pub fn press_ctrl_alt_del(&self) -> Result<()> {
        let keys: Vec<Value> = ["ctrl", "alt", "delete"].map(|key| json!({"type": "qcode", "data": key})).into();
        self.execute(&json!({"execute": "send-key", "arguments": {"keys": keys}}))
    }

    /// Plugs a disk into a root port of the machine.
    ///
    /// # Errors
    /// The monitor does not answer, the machine has no such port, or it is occupied.
    pub fn plug_disk(&self, disk: &Path, port: &str) -> Result<()> {
        let (node, device) = (format!("node-{port}"), format!("disk-{port}"));
        let file = json!({"driver": "file", "filename": disk});
        let node = json!({"driver": "raw", "node-name": node, "file": file});
        self.execute(&json!({"execute": "blockdev-add", "arguments": node}))?;
        let device = json!({"driver": "virtio-blk-pci", "drive": node["node-name"], "bus": port, "id": device});
        self.execute(&json!({"execute": "device_add", "arguments": device}))
    }

    /// Unplugs the disk from a root port, and waits until the machine has released it.
    ///
    /// # Errors
    /// The monitor does not answer, or the machine keeps the disk.
    pub fn pull_disk(&self, port: &str, deadline: Duration) -> Result<()> {
        self.unplug(&format!("disk-{port}"))?;
        let until = Instant::now() + deadline;
        loop {
            // The node is in use as long as the device exists.
            let gone = json!({"execute": "blockdev-del", "arguments": {"node-name": format!("node-{port}")}});
            match self.execute(&gone) {
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
                Ok(()) => return Ok(()),
            }
        }
    }

    /// Takes the medium out of a reader with this id, or puts the block node `node` into it.
    ///
    /// # Errors
    /// The monitor does not answer, or there is no such reader or node.
    pub fn set_medium(&self, id: &str, node: &str, is_in: bool) -> Result<()> {
        let (tray, medium) = (json!({"id": id, "force": true}), json!({"id": id, "node-name": node}));
        if is_in {
            self.execute(&json!({"execute": "blockdev-insert-medium", "arguments": medium}))?;
            self.execute(&json!({"execute": "blockdev-close-tray", "arguments": {"id": id}}))
        } else {
            self.execute(&json!({"execute": "blockdev-open-tray", "arguments": tray}))?;
            self.execute(&json!({"execute": "blockdev-remove-medium", "arguments": {"id": id}}))
        }
    }

    /// Plugs a USB serial adapter with this serial number into the machine; its other end is a chardev.
    ///
    /// # Errors
    /// The monitor does not answer, or the machine has no USB.
    pub fn plug_usb_serial(&self, id: &str, chardev: &str, serial: &str) -> Result<()> {
        let device =
            json!({"driver": "usb-serial", "id": id, "chardev": chardev, "serial": serial, "always-plugged": true});
        self.execute(&json!({"execute": "device_add", "arguments": device}))
    }

    /// Plugs a device with these properties into the machine's USB, such as `driver` `usb-tablet` and `serial`. It gets the serial number
    /// as its id.
    ///
    /// # Errors
    /// The monitor does not answer, the machine has no USB, or no such driver.
    pub fn plug_usb(&self, serial: &str, properties: &[(&str, &str)]) -> Result<()> {
        let mut device = json!({"id": serial, "serial": serial});
        properties.iter().for_each(|(name, value)| device[*name] = json!(value));
        self.execute(&json!({"execute": "device_add", "arguments": device}))
    }

    /// Plugs a virtio network card with the network `net` into a root port, under this id. Fails until the machine has
    /// released a previous device.
    ///
    /// # Errors
    /// The monitor does not answer, or the port is occupied.
    pub fn plug_card(&self, id: &str, mac: &str, port: &str) -> Result<()> {
        let device =
            json!({"driver": "virtio-net-pci", "netdev": "net", "mac": mac, "bus": port, "id": id, "romfile": ""});
        self.execute(&json!({"execute": "device_add", "arguments": device}))
    }

    /// Unplugs the device with this id.
    ///
    /// # Errors
    /// The monitor does not answer, or there is no such device.
    pub fn unplug(&self, device: &str) -> Result<()> {
        self.execute(&json!({"execute": "device_del", "arguments": {"id": device}}))
    }

    /// Connects or disconnects the cable of the network card with this id.
    ///
    /// # Errors
    /// The monitor does not answer, or there is no such card.
    pub fn set_cable(&self, card: &str, is_in: bool) -> Result<()> {
        self.execute(&json!({"execute": "set_link", "arguments": {"name": card, "up": is_in}}))
    }

    /// Kills the machine, as when its power is cut.
    ///
    /// # Errors
    /// Its process cannot be reaped.
    pub fn cut_power(mut self) -> Result<()> {
        // It may have exited by itself.
        let _ = self.child.kill();
        self.child.wait().context("QEMU").map(|_| ())
    }

    /// Waits for a restart, for which the machine has to stop (`-action reboot=shutdown,shutdown=pause`). Returns the word at a
    /// physical address then.
    ///
    /// # Errors
    /// It does not restart before `deadline`, or it is switched off.
    pub fn word_at_restart(&mut self, address: u64, deadline: Duration) -> Result<u32> {
        let until = Instant::now() + deadline;
        while self.end.as_ref().is_some_and(|end| !end.is_finished()) {
            if Instant::now() > until {
                bail!(
                    "no restart within {} s; last lines of the console:\n{}",
                    deadline.as_secs(),
                    self.console.tail()
                );
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        if self.end.take().and_then(|end| end.join().ok()) != Some(End::Restart) {
            bail!("it is off; last lines of the console:\n{}", self.console.tail());
        }
        let words = json!({"command-line": format!("xp /1wx {address:#x}")});
        let command = json!({"execute": "human-monitor-command", "arguments": words});
        let said = self.ask(&command)?;
        let word = said.as_str().and_then(|text| text.trim().rsplit_once(" 0x"));
        let (_, word) = word.with_context(|| format!("{said}"))?;
        Ok(u32::from_str_radix(word, 16)?)
    }

    fn execute(&self, command: &Value) -> Result<()> {
        self.ask(command).map(drop)
    }

    /// Executes a command of QEMU's machine protocol (QMP). Returns what it returns.
    fn ask(&self, command: &Value) -> Result<Value> {
        let mut stream = UnixStream::connect(&self.monitor).context("QEMU's monitor")?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let mut answers = BufReader::new(stream.try_clone()?).lines();
        let mut answer = || -> Result<Value> {
            let line = answers.next().context("QEMU's monitor closed")?.context("QEMU's monitor")?;
            Ok(serde_json::from_str(&line)?)
        };
        answer()?;
        let mut said = Value::Null;
        for command in [&json!({"execute": "qmp_capabilities"}), command] {
            writeln!(stream, "{command}")?;
            // Asynchronous events of the machine may come before the reply.
            let reply = loop {
                let reply = answer()?;
                if reply.get("event").is_none() {
                    break reply;
                }
            };
            if let Some(error) = reply.get("error") {
                bail!("QEMU's monitor: {command}: {error}");
            }
            said = reply["return"].clone();
        }
        Ok(said)
    }
}

impl Drop for Vm {
    fn drop(&mut self) {
        // It may have exited by itself, which is not an error here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
