//! SNTP packets: a request with a random number in place of the time, and the answers that count (RFC 4330 5, RFC 5905
//! 7.3 and 7.4).

use super::{DENIED, RATE, SILENT, Sample};

/// Bytes of a packet without extensions.
pub const PACKET_BYTES: usize = 48;
/// Seconds from 1900, where the era 0 of the protocol begins, to 1970.
const FROM_1900_S: i64 = 2_208_988_800;
/// Codes of a kiss-o'-death (RFC 5905 7.4).
const CODE_RATE: u64 = u32::from_be_bytes(*b"RATE") as u64;
const CODE_DENY: u64 = u32::from_be_bytes(*b"DENY") as u64;
const CODE_RSTR: u64 = u32::from_be_bytes(*b"RSTR") as u64;
/// The shortest distance of root delay and dispersion, in units of 2^-16 s, at which a server counts as not synchronised:
/// 16 s (MAXDISP).
const MAX_DISTANCE: u64 = 16 << 16;

/// Returns a request. An answer has to repeat `nonce`: nobody who does not see the request can answer it, and it does not
/// tell the time of the client.
pub fn request(nonce: u64) -> [u8; PACKET_BYTES] {
    let mut packet = [0; PACKET_BYTES];
    // Version 4, mode 3 (client).
    packet[0] = 0x23;
    packet[40..].copy_from_slice(&nonce.to_be_bytes());
    packet
}

/// Returns what an answer says. The request with `nonce` was sent when the clock showed `sent_us`, and the answer came when
/// it showed `received_us`. A time is taken as one of the 136 years from 34 years before `floor_us` on. `None` if it is no
/// answer to this request, so that another one may follow.
pub fn answer(packet: &[u8], nonce: u64, sent_us: i64, received_us: i64, floor_us: i64) -> Option<Sample> {
    let packet: &[u8; PACKET_BYTES] = packet.first_chunk()?;
    let (leap, mode, stratum) = (packet[0] >> 6, packet[0] & 7, packet[1]);
    if mode != 4 || word(packet, 24) != nonce {
        return None;
    }
    if stratum == 0 {
        return Some(match word(packet, 12) >> 32 {
            CODE_RATE => RATE,
            CODE_DENY | CODE_RSTR => DENIED,
            _ => SILENT,
        });
    }
    let (distance, transmit) = (word(packet, 4), word(packet, 40));
    let distance = (distance >> 33) + (distance & 0xffff_ffff);
    if leap == 3 || stratum > 15 || distance >= MAX_DISTANCE || transmit == 0 {
        return Some(SILENT);
    }
    let (came_us, left_us) = (unix_us(word(packet, 32), floor_us), unix_us(transmit, floor_us));
    // All of these are far from the ends of their type, which `unix_us` makes sure of.
    let (away_us, there_us) = (received_us.wrapping_sub(sent_us), left_us.wrapping_sub(came_us));
    // A server cannot have worked for longer than the answer has taken; both measure in microseconds.
    if there_us < 0 || there_us > away_us.wrapping_add(1_000) {
        return Some(SILENT);
    }
    let offset_us = came_us.wrapping_sub(sent_us).wrapping_add(left_us.wrapping_sub(received_us)) >> 1;
    Some(if matches!(offset_us, SILENT..=DENIED) { DENIED + 1 } else { offset_us })
}

/// Returns the eight bytes from a place on as a number.
#[inline(never)]
fn word(packet: &[u8; PACKET_BYTES], at: usize) -> u64 {
    packet.iter().skip(at).take(8).fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// Returns a time of the protocol in microseconds since 1970.
fn unix_us(time: u64, floor_us: i64) -> i64 {
    let from_s = floor_us / 1_000_000 - (1 << 30);
    let seconds = ((time >> 32) as u32).wrapping_sub((from_s + FROM_1900_S) as u32);
    let fraction_us = ((time & 0xffff_ffff) * 1_000_000) >> 32;
    (from_s + i64::from(seconds)) * 1_000_000 + fraction_us as i64
}
