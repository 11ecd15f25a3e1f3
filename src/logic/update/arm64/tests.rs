use super::*;
use std::io::Write;
use std::process::{Command, Stdio};
use std::string::{String, ToString};
use std::vec::Vec;

/// Returns the output of dtc, the compiler of device trees, for this input.
fn dtc(input: &[u8], words: &[&str]) -> Vec<u8> {
    let mut command = Command::new("dtc");
    command.args(["-q", "-s"]).args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("dtc of device-tree-compiler");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{words:?}");
    output.stdout
}

/// A tree as a Raspberry Pi has it, with these properties in /chosen.
fn source(chosen: &str) -> String {
    std::format!(
        "/dts-v1/;\n/memreserve/ 0 0x1000;\n/ {{\n#address-cells = <1>;\nbootargs = \"of the root\";\n\
         aliases {{ chosen {{ bootargs = \"deeper\"; }}; }};\n\
         chosen {{ stdout-path = \"serial\";\n{chosen}\nbootloader {{ partition = <2>; bootargs = \"below\"; }}; }};\n\
         cpus {{ cpu@0 {{ reg = <0>; rng-seed = <1>; }}; }};\n}};\n"
    )
}

fn edit(tree: &[u8], properties: &[(&str, &[u8])]) -> Option<Vec<u8>> {
    let mut new = Vec::new();
    with_chosen(&mut tree.to_vec(), properties, &mut |part| {
        new.extend(part);
        Some(())
    })?;
    Some(new)
}

const NEW: [(&str, &[u8]); 4] = [
    ("bootargs", b"quiet hilum.slot=b\0"),
    ("linux,initrd-start", &[0, 0, 0, 0, 0x41, 0, 0, 0]),
    ("linux,initrd-end", &[0, 0, 0, 0, 0x42, 0, 0, 0]),
    ("rng-seed", &[1, 2, 3, 4, 5]),
];

#[test]
fn properties_of_chosen_are_replaced_and_dtc_reads_the_tree() {
    let expected = source(
        "bootargs = \"quiet hilum.slot=b\"; linux,initrd-start = <0 0x41000000>; linux,initrd-end = <0 0x42000000>;\n\
         rng-seed = [01 02 03 04 05];",
    );
    let expected =
        String::from_utf8(dtc(&dtc(expected.as_bytes(), &["-O", "dtb"]), &["-I", "dtb", "-O", "dts"])).unwrap();
    for old in ["", "bootargs = \"old\"; linux,initrd-end = <7>; rng-seed = [ff];", "linux,initrd-start = <1>;"] {
        for more in [&["-O", "dtb"][..], &["-O", "dtb", "-p", "65536"]] {
            let tree = dtc(source(old).as_bytes(), more);
            let new = edit(&tree, &NEW).unwrap();
            assert!(new.len() < 1024, "{} bytes without padding", new.len());
            let read = String::from_utf8(dtc(&new, &["-I", "dtb", "-O", "dts"])).unwrap();
            assert_eq!(read, expected, "{old}");
            // A trial that is committed may kexec again.
            let again = edit(&new, &NEW).unwrap();
            assert_eq!(String::from_utf8(dtc(&again, &["-I", "dtb", "-O", "dts"])).unwrap(), expected);
        }
    }
}

#[test]
fn tree_that_is_damaged_or_without_chosen_is_refused() {
    assert_eq!(edit(&dtc(b"/dts-v1/; / { a = <1>; };", &["-O", "dtb"]), &NEW), None);
    assert_eq!(edit(&dtc(source("").as_bytes(), &["-O", "dtb", "-V", "16"]), &NEW), None, "without the size of a part");
    let tree = dtc(source("").as_bytes(), &["-O", "dtb"]);
    assert_eq!(with_chosen(&mut tree.clone(), &NEW, &mut |_| None), None, "no room");
    // The strings are last; without them nothing is complete.
    for length in 0..tree.len() {
        assert_eq!(edit(&tree[..length], &NEW), None, "{length}");
    }
    for at in 0..tree.len() {
        for value in [0, 3, 0x7f, 0xff] {
            let mut damaged = tree.clone();
            damaged[at] = value;
            let _ = edit(&damaged, &NEW);
        }
    }
}

/// /proc/iomem of QEMU's machine `virt`, shortened, and of a Raspberry Pi 3.
const VIRT: &str = "\
09000000-09000fff : pl011@9000000
  09000000-09000fff : 9000000.pl011 pl011@9000000
40000000-4fffffff : System RAM
  40210000-419effff : Kernel code
  419f0000-420affff : reserved
  420b0000-4252ffff : Kernel data
  48000000-480fffff : reserved
  49200000-4fffffff : reserved
    4a000000-4a0fffff : deeper
4010000000-401fffffff : PCI ECAM";

#[test]
fn lowest_piece_of_memory_that_is_large_enough_is_used() {
    let at = |iomem: &str, bytes| free(iomem, bytes).map_or("none".to_string(), |at| std::format!("{at:x}"));
    let mib = 1 << 20;
    assert_eq!(at(VIRT, 2 * mib), "40000000");
    assert_eq!(at(VIRT, 2 * mib + 65536), "40000000", "up to the kernel");
    assert_eq!(at(VIRT, 2 * mib + 65537), "42600000");
    assert_eq!(at(VIRT, 0x5a0_0000), "42600000", "up to what is reserved");
    assert_eq!(at(VIRT, 0x5a0_0001), "none", "neither the rest nor a device");
    let pi = "00000000-3b3fffff : System RAM\n  00000000-00000fff : reserved\n  00210000-01d5ffff : Kernel code\n";
    assert_eq!(at(pi, 2 * mib), "1e00000", "no piece at an odd address");
    assert_eq!(at(pi, 0x3b40_0000 - 0x1e0_0000), "1e00000", "up to the end");
    for none in ["", "00000000-00000000 : System RAM", "0-ffffffffffffffff : Reserved\n x", "a : System RAM"] {
        assert_eq!(at(none, 4096), "none", "{none}");
    }
    assert_eq!(at("0-ffffffffffffffff : System RAM", u64::MAX), "0");
}

#[test]
fn kernel_initramfs_and_tree_lie_in_one_piece_of_memory() {
    let mut header = [0; HEADER_BYTES];
    assert_eq!(kernel(&header), None);
    header[56..60].copy_from_slice(b"ARMd");
    assert_eq!(kernel(&header), None, "a size of 0");
    header[8..16].copy_from_slice(&0x8_0000_u64.to_le_bytes());
    header[16..24].copy_from_slice(&0x12_3001_u64.to_le_bytes());
    assert_eq!(kernel(&header), Some((0x8_0000, 0x12_3001)));
    let layout = super::layout(VIRT, (0x8_0000, 0x12_3001), 0x1001).unwrap();
    assert_eq!(layout, Layout { kernel: 0x4268_0000, initramfs: 0x427a_4000, entry: 0x427a_6000 });
    for (kernel, initramfs) in [((0, u64::MAX), 1), ((u64::MAX, 1), 1), ((0, 1), u64::MAX), ((0, 1 << 30), 1)] {
        assert_eq!(super::layout(VIRT, kernel, initramfs), None);
    }
    let code = entry(&layout);
    // ldr of a literal: bits 5 to 23 are its distance in words (Arm Architecture Reference Manual, C6.2).
    for (at, register, value) in [(0, 0, 0x427a_6028_u64), (4, 4, 0x4268_0000)] {
        let word = u32::from_le_bytes(code[at..at + 4].try_into().unwrap());
        assert_eq!((word >> 24, word & 31), (0x58, register));
        let literal = at + 4 * (word >> 5 & 0x7ffff) as usize;
        assert_eq!(code[literal..literal + 8], value.to_le_bytes());
    }
}
